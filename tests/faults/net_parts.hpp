// What the net act consists of.
#pragma once

#include <array>
#include <cstddef>
#include <exception>
#include <mutex>

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

 private:
  std::mutex mutex_;
  std::exception_ptr first_;
};

// Reports an exception of the system. Throws any other again.
void report(Journal& journal, const char* step, const std::exception_ptr& error);

const std::array<Part, 9>& net_parts() noexcept;

}  // namespace event_cpp::faults
