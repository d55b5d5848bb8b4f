// Pool: a pool of connections.
#pragma once

#include <algorithm>
#include <cstddef>
#include <exception>
#include <memory>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "event/adapters/libpq/connection.hpp"
#include "event/co/group.hpp"
#include "event/co/sync.hpp"

namespace event_cpp::pg {

// A pool of at most `most` connections to a server, which are opened when they are needed. 0 counts
// as 1.
//
//   pg::Pool pool(base, "dbname=shop", 10);
//   {
//     const pg::Pool::Lease pg = co_await pool.get();
//     co_await pg->query("begin");
//     ...
//   }                                     // given back
//
// A connection that is given back stays open if it is idle(); if it is lost or in a transaction, it
// is closed. After a cancelled query it counts as taken until the server has ended the query.
// Session settings that a task has changed are not reset: see DISCARD in PostgreSQL's manual.
//
// Thread-safety: belongs to the thread that runs its base. Lifetime: leases may outlive the pool,
// but not the base. The pool must outlive a task in get() and close().
class Pool {
  struct State {
    State(Base& its_base, std::string text, std::size_t most)
        : base(its_base),
          connection_string(std::move(text)),
          permits(most),
          settling(
              its_base, [](const std::exception_ptr&) {}, "pg::Pool") {
      idle.reserve(most);
    }

    void give_back(std::unique_ptr<Connection> connection) noexcept {
      if (connection != nullptr && connection->idle()) idle.push_back(std::move(connection));
      connection.reset();
      permits.release();
    }
    co::Task<> settle(std::unique_ptr<Connection> connection) {
      co_await connection->settled();
      give_back(std::move(connection));
    }

    Base& base;
    std::string connection_string;
    co::Semaphore permits;
    std::vector<std::unique_ptr<Connection>> idle;
    co::TaskGroup settling;  // last: its tasks use the rest
  };

 public:
  // Owns a connection of the pool; the destructor gives it back.
  class Lease {
   public:
    Lease(Lease&&) noexcept = default;
    Lease& operator=(Lease&&) = delete;
    ~Lease() {
      if (state_ == nullptr) return;
      if (connection_ == nullptr || connection_->is_settled()) {
        state_->give_back(std::move(connection_));
        return;
      }
      try {
        state_->settling.spawn(state_->settle(std::move(connection_)));
      } catch (const std::bad_alloc&) {
        state_->permits.release();
      }
    }

    Connection& operator*() const noexcept { return *connection_; }
    Connection* operator->() const noexcept { return connection_.get(); }

   private:
    friend Pool;
    explicit Lease(std::shared_ptr<State> state) noexcept : state_(std::move(state)) {}

    std::shared_ptr<State> state_;
    std::unique_ptr<Connection> connection_;
  };

  Pool(Base& base, std::string connection_string, std::size_t most)
      : state_(std::make_shared<State>(base, std::move(connection_string),
                                       std::max<std::size_t>(most, 1))) {}

  // co_await: returns a lease of a connection that no other task has; connects if none is open, and
  // waits while all are taken. Waiting tasks are served in order. Errors: as Connection::connect().
  co::Task<Lease> get() {
    const std::shared_ptr<State> state = state_;
    co_await state->permits.acquire();
    Lease lease(state);
    while (!state->idle.empty()) {
      lease.connection_ = std::move(state->idle.back());
      state->idle.pop_back();
      if (lease.connection_->idle()) co_return std::move(lease);
    }
    lease.connection_ = std::make_unique<Connection>(state->base);
    co_await lease.connection_->connect(state->connection_string);
    co_return std::move(lease);
  }

  // co_await: waits until the server has ended cancelled queries. Then closes the idle connections.
  co::Task<> close() {
    co_await state_->settling.join();
    state_->idle.clear();
  }

  // The number of open connections that are not taken.
  std::size_t idle() const noexcept { return state_->idle.size(); }

 private:
  std::shared_ptr<State> state_;
};

}  // namespace event_cpp::pg
