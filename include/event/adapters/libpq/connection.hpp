// Connection: queries one after the other, COPY and NOTIFY.
#pragma once

#include <algorithm>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "event/adapters/detail/waiters.hpp"
#include "event/adapters/libpq/session.hpp"
#include "event/co/group.hpp"
#include "event/co/sync.hpp"
#include "event/co/threads.hpp"

namespace event_cpp::pg {

class Connection;
class CopyIn;
class CopyOut;

// A notification that was sent by NOTIFY.
struct Notification {
  std::string channel;
  std::string payload;
  int pid = 0;  // of the server process that sent it
};

namespace detail {

class NextNotification final
    : public adapters::detail::Request<NextNotification, pg::Notification> {
 public:
  static constexpr const char* kWhat = "pg notification";
  explicit NextNotification(Connection& connection) noexcept : connection_(connection) {}
  static inline void begin(std::unique_ptr<NextNotification> request);
  inline void abandoned() noexcept;
  inline void unclaimed() noexcept;
  inline void taken() noexcept;

 private:
  friend Connection;
  friend adapters::detail::Waiters<NextNotification>;
  friend co::detail::ServedList<NextNotification>;
  Connection& connection_;
  NextNotification* next_served_ = nullptr;
};

}  // namespace detail

// A connection to a PostgreSQL server, with libpq.
//
//   pg::Connection pg(base);
//   co_await pg.connect("host=db1,db2 dbname=shop connect_timeout=5");
//   const pg::Result found = co_await pg.query("select name from goods where id = $1", id);
//   for (int row = 0; row < found.rows(); ++row) std::cout << found.text(row, 0) << "\n";
//
//   - One query runs at a time; queries of other tasks wait. A transaction of one task would
//     include the queries of other tasks: use a connection of its own for each, from a Pool. For
//     many small queries at once see Pipeline.
//   - Cancelling a task makes the server cancel its query; the next query is sent when the server
//     has confirmed that. If that takes more than Options::cancel_limit, the connection is closed.
//   - Queries are not sent again, and there is no automatic reconnect: see ConnectionLost.
//   - A result is held in memory as a whole. For many rows use COPY, or a cursor.
//
// Thread-safety: belongs to the thread that runs its base. Lifetime: it may be destroyed while a
// query runs, also by a task that it has resumed: waiting tasks resume with ConnectionLost, and
// callbacks are not called. The server then notices only when it next writes. So that it cancels
// the query, cancel the task and await settled() before destroying. The connection must outlive a
// task in connect(), notification(), cancel() and settled(), and the CopyIn or CopyOut that it has
// returned. While anything is under way dispatch() does not return for lack of events.
// After fork(2) only the parent may use the connection. The child may destroy it, together with the
// tasks that use it: the session of the parent goes on.
class Connection final : public detail::Session {
 public:
  struct Options {
    AnyDuration cancel_limit = std::chrono::seconds(2);  // Duration::max(): no limit
    std::size_t most_notifications = 1000;  // queued ones; beyond that the oldest are dropped
  };

  explicit Connection(Base& base) : Connection(base, Options()) {}
  Connection(Base& base, Options options)
      : Session(base),
        options_(options),
        group_(base, [this](const std::exception_ptr&) { failed_to_ask(); }) {}
  ~Connection() { shut(); }

  // connect(text) is awaited. `text` is a connection string or URI: see "Connection Strings" in
  // libpq's manual. Its servers are tried in order, each for connect_timeout (default: no limit).
  // Names are looked up with net::resolve(). connect(text, f) calls
  // f(adapters::Outcome<std::monostate>); it blocks the thread while libpq looks up names.
  // Errors: throws ConnectionLost; Error for an invalid `text`; those of net::resolve().
  using Session::connect;
  using Session::connected;
  using Session::get;

  // co_await: executes one statement, with values for $1, $2 ...: numbers, bool, text, bytes, null
  // and optionals of these. Returns its Result. The values are copied at once; the query is sent
  // when it is awaited.
  // Errors: throws Error if the server refuses the statement, and for a COPY from or to the client;
  // ConnectionLost; CommitUnknown, RolledBack; std::errc::operation_canceled;
  // std::errc::invalid_argument for a zero byte in text; std::bad_alloc.
  template <class... T>
  [[nodiscard]] auto query(std::string text, const T&... values) {
    return ask(detail::Query::Kind::one, std::move(text), detail::Parameters(values...));
  }
  // co_await: executes several statements, separated by ";". Returns the last Result. Errors: as
  // query().
  [[nodiscard]] auto script(std::string text) {
    return ask(detail::Query::Kind::script, std::move(text));
  }
  // query() for callbacks: calls f(adapters::Outcome<Result>). An exception of f leaves dispatch().
  // Errors: throws errors that are known at once: ConnectionLost, std::bad_alloc ...
  template <class F, class... T>
  requires std::invocable<F&, adapters::Outcome<Result>>
  void query(F f, std::string text, const T&... values) {
    ask(std::move(f), detail::Query::Kind::one, std::move(text), detail::Parameters(values...));
  }

  // co_await: starts a COPY ... FROM STDIN, or a COPY ... TO STDOUT. Errors: as query(); Error if
  // `text` is not such a statement. A COPY in the other direction is ended.
  inline co::Task<CopyIn> copy_in(std::string text);
  inline co::Task<CopyOut> copy_out(std::string text);

  // co_await: returns the next notification of a channel that the server was told to listen to:
  // query("listen news"). It arrives also while no query runs. Several tasks may wait: they are
  // served in order. If a task is cancelled, the notification that it would have got is the next
  // one of the others. Errors: throws ConnectionLost.
  co::Task<Notification> notification() {
    std::optional<Notification> waiting = try_notification();
    if (waiting.has_value()) co_return std::move(*waiting);
    co_return co_await adapters::detail::Ask<detail::NextNotification>(
        std::make_unique<detail::NextNotification>(*this), 0U);
  }
  // The same for callbacks: calls f(adapters::Outcome<Notification>) once.
  template <std::invocable<adapters::Outcome<Notification>> F>
  void notification(F f) {
    detail::NextNotification::begin_with(std::make_unique<detail::NextNotification>(*this),
                                         detail::NextNotification::Function(std::move(f)));
  }
  std::optional<Notification> try_notification() {
    if (notifications_.empty()) return std::nullopt;
    std::optional<Notification> first(std::move(notifications_.front()));
    notifications_.pop_front();
    return first;
  }
  // The number of notifications that were dropped because of Options::most_notifications.
  std::uint64_t dropped() const noexcept { return dropped_; }

  // co_await: asks the server to cancel the running query, whose task then gets an Error with
  // sqlstate() 57014. Returns whether the server was asked. PQcancel() runs in the thread pool of
  // co::blocking(). If it takes longer than Options::cancel_limit, the connection is closed, since
  // the request could otherwise hit the next query. A server that has not started the query yet
  // ignores the request: if the query still runs, call it again.
  co::Task<bool> cancel() {
    begin_asking();
    while (asking_) co_await changed_.wait();
    co_return asked_;
  }

  // co_await: waits until no cancellation is under way: the server has ended the cancelled query,
  // or the connection is closed.
  co::Task<> settled() {
    while (asking_) co_await changed_.wait();
  }
  bool is_settled() const noexcept { return !asking_; }

  // Whether it is connected, no query runs or waits, and no transaction is open.
  bool idle() const noexcept {
    return connected() && in_flight_ + waiting_ == 0 && copy_ == Copy::none && !asking_ &&
           ::PQtransactionStatus(conn_) == PQTRANS_IDLE;
  }

  void close() noexcept { Session::close(); }

 private:
  friend CopyIn;
  friend CopyOut;
  friend detail::NextNotification;

  enum class Copy : std::uint8_t { none, in, out };
  static constexpr std::chrono::milliseconds kAgain{50};
  static constexpr const char* kNotAsked = "pg: the server could not be asked to cancel";
  static constexpr const char* kDidNotEnd = "pg: a cancelled query did not end";

  static int ask_server(const std::shared_ptr<PGcancel>& cancel) {
    char why[256];
    return ::PQcancel(cancel.get(), why, sizeof why);
  }
  // Asks the server to cancel the running query. No query is sent until this has ended. If the
  // query was abandoned, it must end within the limit. The server ignores a request that arrives
  // before the query, so it is asked again until the query has ended. If the connection is lost
  // meanwhile, lost() has ended the cancellation, and another connection may be there.
  co::Task<> ask_to_cancel() {
    const std::uint64_t connection = number_;
    const TimePoint begin = base().now();
    const Duration limit = std::max(Duration(options_.cancel_limit), Duration::zero());
    do {
      const std::shared_ptr<PGcancel> cancel(::PQgetCancel(conn_), &::PQfreeCancel);
      const Duration left = limit - (base().now() - begin);
      const std::optional<int> asked =
          co_await co::try_with_timeout(left, co::blocking(&Connection::ask_server, cancel));
      if (number_ != connection) co_return;
      asked_ = asked_ || asked == 1;
      if (!asked.has_value()) Session::close(asked_ ? kDidNotEnd : kNotAsked);
      if (recovering_) static_cast<void>(co_await co::try_with_timeout(kAgain, recovered()));
      if (number_ != connection) co_return;
    } while (recovering_ && base().now() - begin < limit);
    if (recovering_) Session::close(kDidNotEnd);
    end_asking();
    send_queued();
    update();
  }
  co::Task<> recovered() {
    while (recovering_) co_await changed_.wait();
  }
  void begin_asking() noexcept {
    asked_ = false;
    if (asking_ || !connected()) return;
    asking_ = true;
    try {
      group_.spawn(ask_to_cancel());
    } catch (...) {
      failed_to_ask();
    }
  }
  void failed_to_ask() noexcept {
    if (!asking_) return;  // the connection was lost meanwhile
    Session::close(kNotAsked);
    end_asking();
  }
  void end_asking() noexcept {
    asking_ = false;
    changed_.notify_all();
  }
  // Called when the running query was abandoned.
  void begin_recovery() noexcept {
    recovering_ = true;
    begin_asking();
  }

  // Of Session.
  bool may_send() const noexcept override {
    return in_flight_ == 0 && copy_ == Copy::none && !asking_;
  }
  bool send(detail::Query& query) noexcept override {
    if (kind_of(query) == detail::Query::Kind::script) {
      return ::PQsendQuery(conn_, text_of(query).c_str()) == 1;
    }
    return send_parameters(query);
  }
  bool take(detail::Query& first, PGresult* result) noexcept override {
    if (result == nullptr) {
      recovering_ = false;
      changed_.notify_all();
      finish(first);
      return true;
    }
    const ExecStatusType status = ::PQresultStatus(result);
    add(first, result);
    if (status != PGRES_COPY_IN && status != PGRES_COPY_OUT) return true;
    if (kind_of(first) == detail::Query::Kind::drain || first.is_abandoned()) {
      return drop_copy(status);
    }
    if (kind_of(first) != detail::Query::Kind::copy) return refuse_copy(first, status);
    copy_ = status == PGRES_COPY_IN ? Copy::in : Copy::out;
    ++copies_;
    finish(first);
    return true;
  }
  // Ends a COPY that was started by query() or script(), and so has no CopyIn or CopyOut.
  bool refuse_copy(detail::Query& query, ExecStatusType status) noexcept {
    fail(query, "pg: use copy_in() for COPY FROM STDIN, and copy_out() for COPY TO STDOUT");
    if (status == PGRES_COPY_IN) static_cast<void>(drop_copy(status));
    if (!drain()) return false;
    // Not for COPY FROM: it has been ended, and the server answers twice if it is also cancelled
    // before it has read the Sync of the query.
    const bool drains = sent_.linked() && kind_of(first_of(sent_)) == detail::Query::Kind::drain;
    if (drains && status == PGRES_COPY_OUT) begin_recovery();
    return true;
  }
  // Reads and drops the remaining results. Returns false if the connection was closed.
  bool drain() noexcept {
    try {
      detail::Query::begin(std::make_unique<detail::Query>(*this, detail::Query::Kind::drain,
                                                           std::string(), detail::Parameters()));
    } catch (...) {
      Session::close();
    }
    return conn_ != nullptr;
  }
  void give_up_copy() noexcept override {
    if (copy_ == Copy::none || !is_own()) return;
    const Copy given_up = std::exchange(copy_, Copy::none);
    if (given_up == Copy::in) {
      ::PQputCopyEnd(conn_, "given up");
    } else {
      begin_recovery();
    }
    if (connected()) static_cast<void>(drain());
  }
  void require_copy(const Result& begun, ExecStatusType wanted, const char* why) {
    const ExecStatusType status = begun.status();
    if (status == wanted) return;
    if (status == PGRES_COPY_IN || status == PGRES_COPY_OUT) give_up_copy();
    throw Error(why);
  }
  bool end_copy() noexcept override {
    if (copy_ == Copy::in && ::PQputCopyEnd(conn_, nullptr) != 1) return false;
    copy_ = Copy::none;
    return true;
  }
  // Ends a COPY without its data. Until it has ended, libpq returns the same result again.
  bool drop_copy(ExecStatusType status) noexcept {
    if (status == PGRES_COPY_IN) return ::PQputCopyEnd(conn_, "cancelled") == 1;
    char* row = nullptr;
    for (;;) {
      const int size = ::PQgetCopyData(conn_, &row, 1);
      if (size <= 0) return size != 0;
      ::PQfreemem(row);
    }
  }
  void cancelled(detail::Query& /*sent*/) noexcept override { begin_recovery(); }
  bool reads() const noexcept override { return copy_ != Copy::out || has_progress(); }
  bool is_waited_for() const noexcept override { return !next_.empty(); }
  void parsed() noexcept override {
    while (PGnotify* const notify = ::PQnotifies(conn_)) {
      const std::unique_ptr<PGnotify, decltype(&::PQfreemem)> owned(notify, &::PQfreemem);
      try {
        deliver({notify->relname, notify->extra, notify->be_pid});
      } catch (const std::bad_alloc&) {
        ++dropped_;
      }
    }
  }
  void deliver(Notification notification) {
    if (next_.serve(inbox_, notification)) return;
    notifications_.push_back(std::move(notification));
    drop_oldest();
  }
  void drop_oldest() noexcept {
    if (notifications_.size() <= options_.most_notifications) return;
    notifications_.pop_front();
    ++dropped_;
  }
  // Called when the task of a request is gone that has been given a notification.
  void pass_on(detail::NextNotification& request) noexcept {
    std::optional<Notification> notification = next_.take_back(request);
    if (!notification.has_value()) return;
    if (!next_.serve(inbox_, *notification)) {
      try {
        notifications_.push_front(std::move(*notification));
        drop_oldest();
      } catch (const std::bad_alloc&) {
        ++dropped_;
      }
    }
    if (is_own()) update();
  }
  void lost() noexcept override {
    ++number_;
    copy_ = Copy::none;
    recovering_ = false;
    end_asking();
    next_.fail_all([this](detail::NextNotification& request) {
      request.fail(inbox_, detail::error<ConnectionLost>("pg: connection lost", "", false));
    });
  }

  void submit(std::unique_ptr<detail::NextNotification> request) {
    if (std::optional<Notification> waiting = try_notification()) {
      request.release()->answer(inbox_, std::move(*waiting));
    } else if (!connected()) {
      throw ConnectionLost("pg: not connected", "", false);
    } else {
      next_.add(*request.release());
      update();
    }
  }
  void forget(detail::NextNotification& request) noexcept {
    delete &request;
    if (is_own()) update();
  }

  Options options_;
  Copy copy_ = Copy::none;
  std::uint64_t copies_ = 0;  // number of COPYs started
  std::uint64_t number_ = 0;  // of the connection: it changes when one is lost
  bool asking_ = false;       // the server is being asked to cancel the running query
  bool asked_ = false;        // the server was asked to cancel
  bool recovering_ = false;   // the running query was abandoned
  std::uint64_t dropped_ = 0;
  std::deque<Notification> notifications_;
  adapters::detail::Waiters<detail::NextNotification> next_;
  co::Notification changed_;
  co::TaskGroup group_;  // last: what it runs uses the rest
};

inline void detail::NextNotification::begin(std::unique_ptr<NextNotification> request) {
  Connection& connection = request->connection_;
  connection.submit(std::move(request));
}
inline void detail::NextNotification::abandoned() noexcept { connection_.forget(*this); }
inline void detail::NextNotification::unclaimed() noexcept { connection_.pass_on(*this); }
inline void detail::NextNotification::taken() noexcept { connection_.next_.taken(*this); }

}  // namespace event_cpp::pg

#include "event/adapters/libpq/copy.hpp"
