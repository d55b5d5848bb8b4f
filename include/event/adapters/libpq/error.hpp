// The exceptions of event::pg.
#pragma once

#include <exception>
#include <stdexcept>
#include <string>
#include <utility>

namespace event_cpp::pg {

// The server refused a statement, or could not be asked. what() is its message.
class Error : public std::runtime_error {
 public:
  explicit Error(const std::string& message, std::string sqlstate = "")
      : std::runtime_error(message), sqlstate_(std::move(sqlstate)) {}

  // The SQLSTATE code, such as "23505"; empty if the server has not sent one. See "PostgreSQL Error
  // Codes" in its manual.
  const std::string& sqlstate() const noexcept { return sqlstate_; }

 private:
  std::string sqlstate_;
};

// The connection is lost, or was not open.
class ConnectionLost : public Error {
 public:
  ConnectionLost(const std::string& message, std::string sqlstate, bool sent)
      : Error(message, std::move(sqlstate)), sent_(sent) {}

  // Whether the query was sent. If so, the server may have executed it, or not. If not, it is safe
  // to send it again.
  bool sent() const noexcept { return sent_; }

 private:
  bool sent_;
};

// The connection was lost during COMMIT: the transaction may be committed, or not. Check before
// repeating it.
class CommitUnknown : public ConnectionLost {
 public:
  using ConnectionLost::ConnectionLost;
};

// The server answered COMMIT with ROLLBACK, since a query of the transaction had failed before.
class RolledBack : public Error {
 public:
  using Error::Error;
};

namespace detail {

// Without memory it is std::bad_alloc.
template <class E, class... Args>
std::exception_ptr error(Args&&... args) noexcept {
  try {
    return std::make_exception_ptr(E(std::forward<Args>(args)...));
  } catch (...) {
    return std::current_exception();
  }
}

}  // namespace detail
}  // namespace event_cpp::pg
