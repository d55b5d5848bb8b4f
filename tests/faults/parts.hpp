// What an act consists of that has several parts beside each other.
#pragma once

#include <exception>
#include <mutex>
#include <span>
#include <string>
#include <system_error>

#include "event/co.hpp"
#include "event/net.hpp"
#include "journal.hpp"

namespace event_cpp::faults {

struct World {
  Journal& journal;
  Base& base;
};

// Each part uses sockets of its own, and ends when everything that it has sent has arrived. Errors:
// throws what the library has thrown or returned; Cut.
struct Part {
  const char* name;
  co::Task<> (*run)(World& world);
};

// A connection has ended early, and no error of the library was the cause.
struct Cut {
  const char* what;
};

// Why a connection between a server and its client has ended early. Each end notes what it is told
// before it closes its socket; what the other end is told then is a consequence. Thread-safety: any
// thread.
class FirstError {
 public:
  void note(const std::exception_ptr& error) noexcept;
  // Notes what a client throws.
  co::Task<> run(co::Task<> client);
  // Errors: throws what was noted, if anything was.
  void rethrow();
  // The same, unless it may be only that the other end has closed its socket.
  void rethrow_cause();

 private:
  std::mutex mutex_;
  std::exception_ptr first_;
};

// Throws an error that the listener tells of: at once if it is for good, else the second one. The
// first one is reported.
class ListenerErrors {
 public:
  ListenerErrors(Journal& journal, net::Listener& listener);
  co::Task<> await_end();

 private:
  int count_ = 0;
  std::error_code error_;
  co::Notification twice_;
};

// Sends each line back until the other end has ended its direction.
co::Task<> echo_lines(net::Stream& stream);

// A server that has failed for good lets its connections end, and throws then.
co::Task<> note_end(FirstError& errors, co::Task<> serving);

// Reports an exception of the system. Throws any other again.
void report(Journal& journal, const char* step, const std::exception_ptr& error);

// Throws an error that was returned, if it is one.
inline void check(std::error_code error) {
  if (error) throw std::system_error(error);
}

// Whether no call fails in this run: then a fallback is not right either.
bool nothing_fails() noexcept;

// A path in /tmp that nothing is at, before and after. Nothing that it does itself fails.
class Path {
 public:
  explicit Path(const char* name);
  ~Path() { remove(); }
  Path(const Path&) = delete;
  Path& operator=(const Path&) = delete;

  const std::string& text() const noexcept { return path_; }
  // Another file takes the place of the one there.
  void write(const std::string& content) const;
  // What the file has; empty if there is none.
  std::string read() const;
  // A descriptor to read it with. Owned by the caller.
  int open() const noexcept;

 private:
  void remove() const noexcept;

  const std::string path_;
};

struct Act {
  std::span<const Part> parts;
  // Waits in vain when the base is destroyed.
  co::Task<> (*wait_for_ever)(Journal& journal);
};

const Act& net_act() noexcept;
const Act& dns_act() noexcept;
const Act& process_act() noexcept;
const Act& tls_act() noexcept;

// Of the process act, at its end: no child is left, running or not.
void expect_no_children(Journal& journal);
// Of the TLS act, before it: OpenSSL and its certificates.
void prepare_tls();

}  // namespace event_cpp::faults
