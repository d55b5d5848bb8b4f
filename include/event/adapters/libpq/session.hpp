// Session: a PGconn on a base; the base class of Connection and Pipeline.
#pragma once

#include <libpq-fe.h>
#include <strings.h>
#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <variant>
#include <vector>

#include "event/adapters/detail/disconnect.hpp"
#include "event/adapters/detail/request.hpp"
#include "event/adapters/detail/watch.hpp"
#include "event/adapters/libpq/attempts.hpp"
#include "event/adapters/libpq/error.hpp"
#include "event/adapters/libpq/parameters.hpp"
#include "event/adapters/libpq/result.hpp"
#include "event/co/timeout.hpp"
#include "event/co/wait.hpp"
#include "event/net/address.hpp"
#include "event/net/connect.hpp"

namespace event_cpp::pg::detail {

using adapters::Outcome;

class Session;

class ConnectRequest final : public adapters::detail::Request<ConnectRequest, std::monostate> {
 public:
  static constexpr const char* kWhat = "pg connect";
  ConnectRequest(Session& session, Keywords keywords)
      : session_(session), keywords_(std::move(keywords)) {}
  static inline void begin(std::unique_ptr<ConnectRequest> request);
  inline void abandoned() noexcept;

 private:
  friend Session;
  Session& session_;
  Keywords keywords_;
};

class Query final : public adapters::detail::Request<Query, Result> {
 public:
  static constexpr const char* kWhat = "pg query";
  enum class Kind : std::uint8_t {
    one,       // one statement, with parameters
    script,    // statements without parameters
    copy,      // the statement of a COPY
    copy_end,  // ends the data of a COPY; its results are those after the data
    drain      // the results after the data of a COPY that was ended before; they are dropped
  };

  // Errors: throws std::system_error, std::errc::invalid_argument, for a zero in the text, where
  // libpq would end it.
  Query(Session& session, Kind kind, std::string text, Parameters parameters)
      : session_(session),
        text_(std::move(text)),
        parameters_(std::move(parameters)),
        kind_(kind),
        is_commit_(begins_with(text_, "commit") || begins_with(text_, "end")) {
    if (text_.find('\0') != std::string::npos) {
      throw std::system_error(std::make_error_code(std::errc::invalid_argument),
                              "pg: the statement contains a zero byte");
    }
  }

  static inline void begin(std::unique_ptr<Query> query);
  inline void abandoned() noexcept;
  inline void unclaimed() noexcept;

 private:
  friend Session;

  // From the first word on: without the blanks and comments before it. Comments may hold others.
  static std::string_view without_comments(std::string_view text) noexcept {
    int depth = 0;
    for (;;) {
      if (text.starts_with("/*") || (depth > 0 && text.starts_with("*/"))) {
        depth += text.front() == '/' ? 1 : -1;
        text.remove_prefix(2);
      } else if (depth == 0 && text.starts_with("--")) {
        text.remove_prefix(std::min(text.find('\n'), text.size()));
      } else if (!text.empty() &&
                 (depth > 0 || std::isspace(static_cast<unsigned char>(text.front())) != 0)) {
        text.remove_prefix(1);
      } else {
        return text;
      }
    }
  }
  static bool begins_with(std::string_view text, std::string_view word) noexcept {
    text = without_comments(text);
    return text.size() >= word.size() &&
           ::strncasecmp(text.data(), word.data(), word.size()) == 0 &&
           (text.size() == word.size() ||
            std::isalnum(static_cast<unsigned char>(text[word.size()])) == 0);
  }

  Session& session_;
  std::string text_;
  Parameters parameters_;
  Result result_;  // the first error, or else the last result
  Kind kind_;
  bool is_commit_;
  bool sent_ = false;
  bool ended_ = false;  // in a pipeline: all its results have come, but not its Sync
};

// Waits until the connection has read data, or can be written.
class Progress final : public adapters::detail::Request<Progress, std::monostate> {
 public:
  static constexpr const char* kWhat = "pg copy";
  explicit Progress(Session& session) noexcept : session_(session) {}
  static inline void begin(std::unique_ptr<Progress> progress);
  inline void abandoned() noexcept;

 private:
  friend Session;
  Session& session_;
};

class Session {
 public:
  explicit Session(Base& base) noexcept : inbox_(base), event_(base, *this) {}
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  Base& base() const noexcept { return inbox_.base(); }
  bool connected() const noexcept { return conn_ != nullptr && connecting_ == nullptr; }
  // The structure of libpq; null if not connected.
  PGconn* get() const noexcept { return conn_; }

  // See Connection.
  co::Task<> connect(std::string text) {
    std::exception_ptr failure;
    const std::vector<Keywords> attempts = attempts_of(parse_keywords(text));
    for (const Keywords& attempt : attempts) {
      const Duration limit = limit_of(attempt);
      try {
        co_await co::with_timeout(limit, connect_to(attempt));
        co_return;
      } catch (const std::exception&) {
        failure = std::current_exception();
        if (co::is_cancellation(failure)) throw;
      }
    }
    std::rethrow_exception(failure);
  }
  template <std::invocable<Outcome<std::monostate>> F>
  void connect(const std::string& text, F f) {
    ConnectRequest::begin_with(std::make_unique<ConnectRequest>(*this, parse_keywords(text)),
                               ConnectRequest::Function(std::move(f)));
  }

 protected:
  ~Session() = default;

  // The differences of the derived classes.
  virtual void opened() noexcept {}
  virtual bool may_send() const noexcept = 0;
  virtual bool send(Query& query) noexcept = 0;
  // Takes a result, or null, from libpq for the first query. Returns false if libpq has no more,
  // whatever it says.
  virtual bool take(Query& first, PGresult* result) noexcept = 0;
  virtual void parsed() noexcept {}
  virtual void cancelled(Query& sent) noexcept { static_cast<void>(sent); }
  // Ends the data of a COPY. Returns false if libpq refuses it.
  virtual bool end_copy() noexcept { return true; }
  // Ends a COPY whose data nobody sends or reads any more.
  virtual void give_up_copy() noexcept {}
  virtual bool reads() const noexcept { return true; }
  virtual bool is_waited_for() const noexcept { return false; }
  virtual void lost() noexcept {}

  // Closes the connection, if there is one: what is under way fails.
  void close(const char* why = "pg: connection closed") noexcept {
    if (conn_ == nullptr) return;
    if (event_.attached()) event_.detach();  // before libpq closes the descriptor
    const char* const message = message_of(why);
    if (connecting_ != nullptr) {
      std::exchange(connecting_, nullptr)->fail(inbox_, error<ConnectionLost>(message, "", false));
    }
    fail_all(sent_, message);
    fail_all(queue_, message);
    fail_progress(message);
    const int fd = ::PQsocket(conn_);
    if (fd >= 0 && !is_own()) adapters::detail::disconnect(fd);
    ::PQfinish(std::exchange(conn_, nullptr));
    lost();
  }
  // False in the child of a fork, which shares the socket with its parent: nothing may be sent, and
  // the server must not be asked to cancel the parent's query.
  bool is_own() const noexcept { return process_ == ::getpid(); }
  // For the destructor of a derived class. The base may be gone: nothing is activated.
  void shut() noexcept {
    inbox_.enter();
    close();
  }

  auto ask(Query::Kind kind, std::string text, Parameters parameters = Parameters()) {
    return adapters::detail::Ask<Query>(
        std::make_unique<Query>(*this, kind, std::move(text), std::move(parameters)), 0U);
  }
  template <class F>
  void ask(F f, Query::Kind kind, std::string text, Parameters parameters) {
    Query::begin_with(std::make_unique<Query>(*this, kind, std::move(text), std::move(parameters)),
                      Query::Function(std::move(f)));
  }
  auto progress() { return adapters::detail::Ask<Progress>(std::make_unique<Progress>(*this), 0U); }

  // How PQsendQueryParams() is called.
  bool send_parameters(const Query& query) noexcept {
    try {
      return query.parameters_.send(
                 [&](const char* const* values, const int* lengths, const int* formats) {
                   return ::PQsendQueryParams(conn_, query.text_.c_str(), query.parameters_.count(),
                                              nullptr, values, lengths, formats, 0);
                 }) == 1;
    } catch (const std::bad_alloc&) {
      return false;
    }
  }
  static Query::Kind kind_of(const Query& query) noexcept { return query.kind_; }
  static const std::string& text_of(const Query& query) noexcept { return query.text_; }

  // Keeps the first error, or else the last result.
  static void add(Query& query, PGresult* result) noexcept {
    Result added(result);
    if (!is_error(query.result_)) query.result_ = std::move(added);
  }
  static bool has_result(const Query& query) noexcept { return query.result_.get() != nullptr; }
  static bool& ended(Query& query) noexcept { return query.ended_; }

  // All results of the first query are there.
  void finish(Query& first) noexcept {
    first.unlink();
    --in_flight_;
    finish_with_result(first);
  }

  void fail(Query& first, const char* why) noexcept {
    first.unlink();
    --in_flight_;
    first.fail(inbox_, error<Error>(why));
  }

  // Sends waiting queries, as far as may_send() allows.
  void send_queued() noexcept {
    while (conn_ != nullptr && queue_.linked() && may_send()) {
      Query& query = first_of(queue_);
      query.unlink();
      --waiting_;
      if (!start(query)) query.fail(inbox_, refused());
    }
  }

  // Flushes libpq's buffer, and sets the interest of the event. To be called after each call of
  // libpq.
  void update() noexcept {
    if (conn_ == nullptr || connecting_ != nullptr) return;
    unsent_ = ::PQflush(conn_) > 0;  // if it fails, reading says why
    Events wanted = reads() ? Events::read : Events::none;
    if (unsent_) wanted |= Events::write;
    watch(wanted);
    if (event_.attached()) {
      event_.keep_alive(in_flight_ > 0 || progress_.linked() || is_waited_for());
    }
  }
  bool unsent() const noexcept { return unsent_; }

  static Query& first_of(const co::detail::Link& list) noexcept {
    return static_cast<Query&>(static_cast<adapters::detail::Answered&>(*list.next()));
  }

  adapters::detail::Inbox inbox_;
  PGconn* conn_ = nullptr;
  co::detail::Link sent_;   // queries, in the order in which they were sent
  co::detail::Link queue_;  // that wait to be sent
  std::size_t in_flight_ = 0;
  std::size_t waiting_ = 0;

 private:
  friend ConnectRequest;
  friend adapters::detail::Watch<Session>;
  friend Query;
  friend Progress;

  static bool is_error(const Result& result) noexcept {
    const ExecStatusType status = result.status();
    return result.get() != nullptr &&
           (status == PGRES_FATAL_ERROR || status == PGRES_BAD_RESPONSE ||
            status == PGRES_NONFATAL_ERROR || status == PGRES_PIPELINE_ABORTED);
  }
  // Whether the result is an error after which the server closes the connection, or an error of
  // libpq, which has no severity.
  static bool ends_connection(const Result& result) noexcept {
    if (!is_error(result) || result.status() == PGRES_PIPELINE_ABORTED) return false;
    const char* const severity = ::PQresultErrorField(result.get(), PG_DIAG_SEVERITY_NONLOCALIZED);
    return severity == nullptr || std::string_view(severity) == "FATAL" ||
           std::string_view(severity) == "PANIC";
  }
  static std::string sqlstate_of(const Result& result) {
    const char* const state =
        is_error(result) ? ::PQresultErrorField(result.get(), PG_DIAG_SQLSTATE) : nullptr;
    return state != nullptr ? state : "";
  }
  // libpq's error message, or `why` if there is none.
  const char* message_of(const char* why) const noexcept {
    const char* const said = conn_ != nullptr ? ::PQerrorMessage(conn_) : "";
    return *said != '\0' ? said : why;
  }
  std::exception_ptr refused() const noexcept {
    const char* const why = message_of("pg: the query could not be sent");
    if (::PQstatus(conn_) == CONNECTION_BAD) return error<ConnectionLost>(why, "", false);
    return error<Error>(why);
  }

  // One attempt, at each address of its name.
  co::Task<> connect_to(Keywords attempt) {
    if (!has_name(attempt)) {
      co_await adapters::detail::Ask<ConnectRequest>(
          std::make_unique<ConnectRequest>(*this, std::move(attempt)), 0U);
      co_return;
    }
    const std::vector<net::Address> addresses = co_await net::resolve(attempt["host"], 1);
    std::exception_ptr failure;
    for (const net::Address& address : addresses) {
      const std::string text = address.text();  // 127.0.0.1:1, [::1]:1
      const bool bracketed = text.front() == '[';
      attempt["hostaddr"] =
          text.substr(bracketed ? 1 : 0, text.rfind(bracketed ? ']' : ':') - (bracketed ? 1 : 0));
      try {
        co_await adapters::detail::Ask<ConnectRequest>(
            std::make_unique<ConnectRequest>(*this, attempt), 0U);
        co_return;
      } catch (const std::exception&) {
        failure = std::current_exception();
        if (co::is_cancellation(failure)) throw;
      }
    }
    std::rethrow_exception(failure);
  }

  void open(std::unique_ptr<ConnectRequest> request) {
    if (conn_ != nullptr) throw Error("pg: connected already");
    std::vector<const char*> names;
    std::vector<const char*> values;
    for (const auto& [name, value] : request->keywords_) {
      if (value.empty()) continue;
      names.push_back(name.c_str());
      values.push_back(value.c_str());
    }
    names.push_back(nullptr);
    values.push_back(nullptr);
    PGconn* const made = ::PQconnectStartParams(names.data(), values.data(), 0);
    if (made == nullptr) throw std::bad_alloc();
    if (::PQstatus(made) == CONNECTION_BAD) {
      const std::string why = ::PQerrorMessage(made);
      ::PQfinish(made);
      throw ConnectionLost(why, "", false);
    }
    conn_ = made;
    process_ = ::getpid();
    unsent_ = false;
    connecting_ = request.release();
    watch_new(Events::write);
  }
  void go_on_connecting() noexcept {
    if (event_.attached()) event_.detach();  // libpq may close the descriptor, and open another
    switch (::PQconnectPoll(conn_)) {
      case PGRES_POLLING_READING:
        return watch_new(Events::read);
      case PGRES_POLLING_WRITING:
        return watch_new(Events::write);
      case PGRES_POLLING_OK:
        break;
      default:
        return close("pg: connection refused");
    }
    ConnectRequest* const request = std::exchange(connecting_, nullptr);
    if (::PQsetnonblocking(conn_, 1) != 0) {
      request->fail(inbox_, error<ConnectionLost>(message_of("pg: connect"), "", false));
      return close();
    }
    opened();
    watch_new(Events::read);
    request->answer(inbox_, std::monostate());
    update();
  }

  void watch_new(Events wanted) noexcept {
    if (event_.attached()) event_.detach();
    if (event_.try_attach(::PQsocket(conn_), wanted | Events::persist)) {
      return close("pg: the descriptor cannot be watched");
    }
    event_.keep_alive(true);
  }
  void watch(Events wanted) noexcept {
    if (!event_.attached()) return watch_new(wanted);
    if (wanted == (event_.events() & (Events::read | Events::write))) return;
    if (event_.try_modify(wanted | Events::persist)) {
      close("pg: the descriptor cannot be watched");
    }
  }

  void ready(Events /*fired*/) {
    inbox_.enter();
    if (connecting_ != nullptr) {
      go_on_connecting();
    } else if (conn_ != nullptr) {
      read();
    }
    inbox_.leave();  // last: this may be gone then
  }
  // Reads, also if the event fired for writing: a server that cannot send its answers does not
  // read. Results that arrived before the connection was lost are taken first.
  void read() noexcept {
    const bool alive = ::PQconsumeInput(conn_) == 1;
    parse();
    if (conn_ == nullptr) return;
    if (!alive || ::PQstatus(conn_) == CONNECTION_BAD) return close();
    answer_progress();
    send_queued();
    update();
  }
  void parse() noexcept {
    while (conn_ != nullptr && sent_.linked() && ::PQisBusy(conn_) == 0) {
      Query& first = first_of(sent_);
      PGresult* const result = ::PQgetResult(conn_);
      if (result == nullptr && ends_connection(first.result_)) return close();
      if (!take(first, result)) break;
    }
    if (conn_ != nullptr) parsed();
  }

  void submit(std::unique_ptr<Query> query) {
    if (!connected()) throw ConnectionLost("pg: not connected", "", false);
    if (query->kind_ == Query::Kind::copy_end || query->kind_ == Query::Kind::drain) {
      // Here, and not in CopyIn and CopyOut: a cancelled task does not come here, so that the COPY
      // does not end without a query that takes its results.
      if (query->kind_ == Query::Kind::copy_end && !end_copy()) {
        throw ConnectionLost(message_of("pg: this COPY has ended"), "", true);
      }
      started(*query.release());
      parse();  // the results may have been read with the data
      send_queued();
    } else if (!queue_.linked() && may_send()) {
      if (!start(*query)) std::rethrow_exception(refused());
      static_cast<void>(query.release());
    } else {
      queue_.push_back(*query.release());
      ++waiting_;
    }
    update();
  }
  bool start(Query& query) noexcept {
    if (!send(query)) return false;
    started(query);
    return true;
  }
  void started(Query& query) noexcept {
    query.sent_ = true;
    sent_.push_back(query);
    ++in_flight_;
  }

  // Called when the task of the query was destroyed or cancelled.
  void abandon(Query& query) noexcept {
    if (query.sent_) {
      if (is_own()) cancelled(query);
      return;
    }
    --waiting_;
    delete &query;
  }

  void finish_with_result(Query& query) noexcept {
    if (query.is_abandoned() || query.kind_ == Query::Kind::drain) {
      delete &query;
    } else if (is_error(query.result_)) {
      query.fail(inbox_, error_of(query.result_));
    } else if (query.is_commit_ && query.result_.tag() == "ROLLBACK") {
      query.fail(inbox_, error<RolledBack>("pg: COMMIT has rolled back, as a query had failed"));
    } else {
      Result result = std::move(query.result_);
      query.answer(inbox_, std::move(result));
    }
  }
  static std::exception_ptr error_of(const Result& result) noexcept {
    try {
      if (result.status() == PGRES_PIPELINE_ABORTED) {
        throw Error(
            "pg: not executed, as a query before it in the same implicit transaction failed");
      }
      throw Error(::PQresultErrorMessage(result.get()), sqlstate_of(result));
    } catch (...) {
      return std::current_exception();
    }
  }

  // The connection is lost. Without memory for the message it is std::bad_alloc.
  void fail_all(co::detail::Link& list, const char* message) noexcept {
    while (list.linked()) {
      Query& query = first_of(list);
      query.unlink();
      if (query.is_abandoned() || query.kind_ == Query::Kind::drain) {
        delete &query;
      } else if (query.is_commit_ && query.result_.tag() == "COMMIT") {
        finish_with_result(query);  // the server says so when it has committed
      } else {
        query.fail(inbox_, lost_error(query, message));
      }
    }
    (&list == &sent_ ? in_flight_ : waiting_) = 0;
  }
  // The first error of the query is more precise than libpq's message about the connection.
  static std::exception_ptr lost_error(const Query& query, const char* message) noexcept {
    try {
      const char* const why =
          is_error(query.result_) ? ::PQresultErrorMessage(query.result_.get()) : message;
      const std::string state = sqlstate_of(query.result_);
      if (query.is_commit_ && query.sent_) throw CommitUnknown(why, state, true);
      throw ConnectionLost(why, state, query.sent_);
    } catch (...) {
      return std::current_exception();
    }
  }

  void submit(std::unique_ptr<Progress> progress) {
    if (!connected()) throw ConnectionLost("pg: not connected", "", false);
    progress_.push_back(*progress.release());
    update();
  }
  static Progress& progress_of(const co::detail::Link& list) noexcept {
    return static_cast<Progress&>(static_cast<adapters::detail::Answered&>(*list.next()));
  }
  void answer_progress() noexcept {
    while (progress_.linked()) {
      Progress& progress = progress_of(progress_);
      progress.unlink();
      progress.answer(inbox_, std::monostate());
    }
  }
  void fail_progress(const char* message) noexcept {
    while (progress_.linked()) {
      Progress& progress = progress_of(progress_);
      progress.unlink();
      progress.fail(inbox_, error<ConnectionLost>(message, "", true));
    }
  }

 protected:
  bool has_progress() const noexcept { return progress_.linked(); }

 private:
  adapters::detail::Watch<Session> event_;
  ConnectRequest* connecting_ = nullptr;
  pid_t process_ = 0;          // that has connected
  co::detail::Link progress_;  // who waits for any
  bool unsent_ = false;
};

inline void ConnectRequest::begin(std::unique_ptr<ConnectRequest> request) {
  Session& session = request->session_;
  session.open(std::move(request));
}
inline void ConnectRequest::abandoned() noexcept {
  Session& session = session_;
  session.connecting_ = nullptr;
  delete this;
  session.close();
}
inline void Query::begin(std::unique_ptr<Query> query) {
  Session& session = query->session_;
  session.submit(std::move(query));
}
inline void Query::abandoned() noexcept { session_.abandon(*this); }
inline void Query::unclaimed() noexcept {
  const ExecStatusType status = value().status();
  if (status == PGRES_COPY_IN || status == PGRES_COPY_OUT) session_.give_up_copy();
}
inline void Progress::begin(std::unique_ptr<Progress> progress) {
  Session& session = progress->session_;
  session.submit(std::move(progress));
}
inline void Progress::abandoned() noexcept { delete this; }

}  // namespace event_cpp::pg::detail
