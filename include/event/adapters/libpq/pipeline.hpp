// Pipeline: many small queries over one connection at once.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <string>
#include <utility>

#include "event/adapters/detail/before_wait.hpp"
#include "event/adapters/libpq/session.hpp"

namespace event_cpp::pg {

// A connection that sends the queries of many tasks without waiting for earlier answers. See
// "Pipeline Mode" in libpq's manual.
//
//   pg::Pipeline pg(base);
//   co_await pg.connect("dbname=shop");
//   const pg::Result one = co_await pg.query("select $1::int", 1);   // and so do other tasks
//
//   - Each query is a transaction of its own: if it fails, others are not affected. Do not use
//     BEGIN: the transaction would include the queries of other tasks.
//   - If a task is cancelled, its query still runs in the server if it was sent, and its result is
//     dropped. The server is not asked to cancel, since that could hit the query of another task.
//   - COPY from or to the client fails and closes the connection: see Connection::copy_in().
//
// Connecting, errors, thread-safety and lifetime: as Connection.
class Pipeline final : public detail::Session {
 public:
  struct Options {
    std::size_t most_in_flight = 1000;  // 0 counts as 1
    // If true, all queries that are sent in the same iteration are one transaction with one Sync.
    // Faster, but if one fails, all of these are rolled back, and the later ones are not executed.
    bool one_transaction_an_iteration = false;
  };

  explicit Pipeline(Base& base) noexcept : Pipeline(base, Options()) {}
  Pipeline(Base& base, Options options) noexcept
      : Session(base), options_(options), sync_(base, [this] { sync(); }) {
    options_.most_in_flight = std::max<std::size_t>(options_.most_in_flight, 1);
  }
  ~Pipeline() { shut(); }

  using Session::connect;
  using Session::connected;
  using Session::get;

  // co_await: executes one statement: see Connection::query().
  template <class... T>
  [[nodiscard]] auto query(std::string text, const T&... values) {
    return ask(detail::Query::Kind::one, std::move(text), detail::Parameters(values...));
  }
  // The same for callbacks: calls f(adapters::Outcome<Result>).
  template <class F, class... T>
  requires std::invocable<F&, adapters::Outcome<Result>>
  void query(F f, std::string text, const T&... values) {
    ask(std::move(f), detail::Query::Kind::one, std::move(text), detail::Parameters(values...));
  }

  void close() noexcept { Session::close(); }
  std::size_t in_flight() const noexcept { return in_flight_; }
  std::size_t waiting() const noexcept { return waiting_; }

 private:
  // Of Session.
  void opened() noexcept override { ::PQenterPipelineMode(conn_); }
  bool may_send() const noexcept override { return in_flight_ < options_.most_in_flight; }
  bool send(detail::Query& query) noexcept override {
    if (!send_parameters(query)) return false;
    if (!options_.one_transaction_an_iteration) return ::PQpipelineSync(conn_) == 1;
    sync_.request();
    return true;
  }
  void sync() noexcept {
    if (!connected()) return;
    ::PQpipelineSync(conn_);
    update();
  }

  // The results of a query end with null; it is committed when the Sync behind it is answered.
  bool take(detail::Query& first, PGresult* result) noexcept override {
    if (result != nullptr && ::PQresultStatus(result) == PGRES_PIPELINE_SYNC) {
      ::PQclear(result);
      current_ = nullptr;
      while (sent_.linked() && ended(first_of(sent_))) finish(first_of(sent_));
      return true;
    }
    if (current_ == nullptr) current_ = &first;
    while (ended(*current_) && current_->next() != &sent_) current_ = &after(*current_);
    if (result != nullptr && is_copy(::PQresultStatus(result))) {
      ::PQclear(result);
      fail(*current_, "pg: a pipeline takes no COPY");
      Session::close("pg: a COPY has ended the pipeline");
      return false;
    }
    if (result != nullptr) {
      add(*current_, result);
      return true;
    }
    if (ended(*current_) || !has_result(*current_)) return false;
    ended(*current_) = true;
    return true;
  }
  // libpq would return it for ever, and has no way out of it.
  static bool is_copy(ExecStatusType status) noexcept {
    return status == PGRES_COPY_IN || status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH;
  }
  static detail::Query& after(const detail::Query& query) noexcept {
    return static_cast<detail::Query&>(static_cast<adapters::detail::Answered&>(*query.next()));
  }
  void lost() noexcept override {
    sync_.cancel();
    current_ = nullptr;
  }

  Options options_;
  detail::Query* current_ = nullptr;  // whose results come; null: those of the first
  adapters::detail::BeforeWait sync_;
};

}  // namespace event_cpp::pg
