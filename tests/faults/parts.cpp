#include "parts.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <new>
#include <string_view>
#include <utility>

#include "event/net/connect.hpp"

namespace event_cpp::faults {
namespace {

// Whether it may be only that the other end has closed its socket.
bool may_follow(const std::exception_ptr& error) noexcept {
  try {
    std::rethrow_exception(error);
  } catch (const std::system_error& of_system) {
    const std::error_code code = of_system.code();
    return code == Errc::truncated || code == std::errc::connection_reset ||
           code == std::errc::broken_pipe;
  } catch (const Cut&) {
    return true;
  } catch (...) {
    return false;
  }
}

}  // namespace

void FirstError::note(const std::exception_ptr& error) noexcept {
  const std::lock_guard lock(mutex_);
  if (first_ == nullptr || (may_follow(first_) && !may_follow(error))) first_ = error;
}

co::Task<> FirstError::run(co::Task<> client) {
  try {
    co_await std::move(client);
  } catch (...) {
    note(std::current_exception());
  }
}

void FirstError::rethrow() {
  const std::lock_guard lock(mutex_);
  if (first_ != nullptr) std::rethrow_exception(first_);
}

void FirstError::rethrow_cause() {
  const std::lock_guard lock(mutex_);
  if (first_ != nullptr && !may_follow(first_)) std::rethrow_exception(first_);
}

ListenerErrors::ListenerErrors(Journal& journal, net::Listener& listener) {
  listener.on_error([this, &journal](std::error_code error) {
    const bool may_pass = error != std::errc::invalid_argument;
    if (may_pass && ++count_ < 2) return journal.report("a listener", error.value());
    error_ = error;
    twice_.notify_all();
  });
}

co::Task<> ListenerErrors::await_end() {
  co_await twice_.wait();
  check(error_);
}

co::Task<> echo_lines(net::Stream& stream) {
  net::Buffered io(stream);
  for (;;) {
    const auto line = co_await io.read_line();
    if (!line) break;
    io.put(*line);
    io.put("\n");
  }
  co_await io.flush();
}

co::Task<> note_end(FirstError& errors, co::Task<> serving) {
  try {
    co_await std::move(serving);
  } catch (const std::system_error& error) {
    if (error.code() != std::errc::operation_canceled) errors.note(std::current_exception());
    throw;
  }
}

void report(Journal& journal, const char* step, const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const std::bad_alloc&) {
    journal.report(step, ENOMEM);
  } catch (const std::system_error& of_system) {
    const std::error_code code = of_system.code();
    const std::string_view category = code.category().name();
    if (code.category() == std::system_category() || code == std::errc::not_enough_memory) {
      journal.report(step, code.value());
    } else if (code.category() == net::name_category() || category == "dns" ||
               category == "event::tls" || code == std::errc::resource_unavailable_try_again) {
      journal.report(step, Journal::kUnknown);  // of a thread's start, the last one
    } else {
      throw;
    }
  }
}

bool nothing_fails() noexcept { return std::getenv("EVENT_FAULT") == nullptr; }

Path::Path(const char* name)
    : path_("/tmp/event-faults-" + std::to_string(::getpid()) + '-' + name) {
  remove();
}

void Path::write(const std::string& content) const {
  const Exempt exempt;
  const std::string other = path_ + ".new";
  std::ofstream(other) << content;
  std::filesystem::rename(other, path_);
}

std::string Path::read() const {
  const Exempt exempt;
  std::ifstream file(path_);
  return {std::istreambuf_iterator<char>(file), {}};
}

int Path::open() const noexcept {
  const Exempt exempt;
  return ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
}

void Path::remove() const noexcept {
  const Exempt exempt;
  ::unlink(path_.c_str());
}

}  // namespace event_cpp::faults
