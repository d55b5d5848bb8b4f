// CopyIn and CopyOut: the data of COPY.
#pragma once

#include <libpq-fe.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "event/adapters/libpq/connection.hpp"

namespace event_cpp::pg {

// A COPY ... FROM STDIN, started by Connection::copy_in(). Other queries wait until it has ended.
// If it is destroyed before finish(), the COPY fails, and nothing is copied.
class CopyIn {
 public:
  CopyIn(CopyIn&& other) noexcept
      : connection_(std::exchange(other.connection_, nullptr)),
        number_(other.number_),
        unsent_(other.unsent_) {}
  CopyIn& operator=(CopyIn&&) = delete;
  ~CopyIn() {
    if (is_open()) connection_->give_up_copy();
  }

  // co_await: sends data, in parts of any size. Buffers about 64 KiB, and then waits until the
  // server has taken them. Errors in the data are reported by finish(). Errors: throws
  // ConnectionLost. Lifetime: `data` must live until the co_await has ended.
  co::Task<> put(std::string_view data) {
    while (!data.empty()) {
      const std::string_view part = data.substr(0, kMost);
      data.remove_prefix(part.size());
      require_open();
      if (::PQputCopyData(connection_->conn_, part.data(), static_cast<int>(part.size())) != 1) {
        throw ConnectionLost(::PQerrorMessage(connection_->conn_), "", true);
      }
      unsent_ += part.size();
      if (unsent_ >= kMost) co_await flush();
    }
  }

  // co_await: ends the data, and waits for the server. Returns the Result: see Result::affected().
  // If the task was cancelled before, the COPY goes on. Errors: as Connection::query().
  co::Task<Result> finish() {
    co_await flush();
    co_return co_await connection_->ask(detail::Query::Kind::copy_end, std::string());
  }

 private:
  friend Connection;
  friend CopyOut;
  static constexpr std::size_t kMost = std::size_t{64} << 10U;

  explicit CopyIn(Connection& connection) noexcept
      : connection_(&connection), number_(connection.copies_) {}

  // False also if a later COPY runs, on another connection to the server.
  bool is_open() const noexcept {
    return connection_ != nullptr && connection_->copy_ == Connection::Copy::in &&
           connection_->copies_ == number_;
  }
  void require_open() const {
    if (!is_open()) throw ConnectionLost("pg: this COPY has ended", "", true);
  }
  co::Task<> flush() {
    unsent_ = 0;
    require_open();
    connection_->update();
    while (is_open() && connection_->unsent()) co_await connection_->progress();
    require_open();
  }

  Connection* connection_;
  std::uint64_t number_;  // among the copies of the connection
  std::size_t unsent_ = 0;
};

// A row of COPY ... TO STDOUT, with its line end, in the format that the statement specifies.
class Row {
 public:
  std::string_view text() const noexcept { return {text_.get(), size_}; }

 private:
  friend CopyOut;
  struct Free {
    void operator()(char* text) const noexcept { ::PQfreemem(text); }
  };
  Row(char* text, int size) noexcept : text_(text), size_(static_cast<std::size_t>(size)) {}

  std::unique_ptr<char, Free> text_;
  std::size_t size_;
};

// A COPY ... TO STDOUT, started by Connection::copy_out(). Other queries wait until it has ended.
// If it is destroyed before its end, the server is asked to cancel it. It reads only while a task
// waits in next().
class CopyOut {
 public:
  CopyOut(CopyOut&& other) noexcept
      : connection_(std::exchange(other.connection_, nullptr)), number_(other.number_) {}
  CopyOut& operator=(CopyOut&&) = delete;
  ~CopyOut() {
    if (is_open()) connection_->give_up_copy();
  }

  // co_await: returns the next row, std::nullopt at the end. Errors: as Connection::query(). After
  // an error it throws ConnectionLost, so that truncated output never looks complete.
  co::Task<std::optional<Row>> next() {
    if (connection_ == nullptr) co_return std::nullopt;
    for (;;) {
      if (!is_open()) throw ConnectionLost("pg: this COPY has ended", "", true);
      char* text = nullptr;
      const int size = ::PQgetCopyData(connection_->conn_, &text, 1);
      if (size > 0) co_return Row(text, size);
      if (size < 0) break;
      co_await connection_->progress();
    }
    // The end, or an error, which is in the result.
    co_await connection_->ask(detail::Query::Kind::copy_end, std::string());
    connection_ = nullptr;
    co_return std::nullopt;
  }

 private:
  friend Connection;
  explicit CopyOut(Connection& connection) noexcept
      : connection_(&connection), number_(connection.copies_) {}

  bool is_open() const noexcept {
    return connection_ != nullptr && connection_->copy_ == Connection::Copy::out &&
           connection_->copies_ == number_;
  }

  Connection* connection_;  // null: the end was reached
  std::uint64_t number_;    // among the copies of the connection
};

inline co::Task<CopyIn> Connection::copy_in(std::string text) {
  const Result begun = co_await ask(detail::Query::Kind::copy, std::move(text));
  require_copy(begun, PGRES_COPY_IN, "pg: the statement is not a COPY FROM STDIN");
  co_return CopyIn(*this);
}
inline co::Task<CopyOut> Connection::copy_out(std::string text) {
  const Result begun = co_await ask(detail::Query::Kind::copy, std::move(text));
  require_copy(begun, PGRES_COPY_OUT, "pg: the statement is not a COPY TO STDOUT");
  co_return CopyOut(*this);
}

}  // namespace event_cpp::pg
