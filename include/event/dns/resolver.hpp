// Resolver: the addresses of names.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "event/base.hpp"
#include "event/co/task.hpp"
#include "event/dns/error.hpp"
#include "event/dns/options.hpp"

namespace event_cpp::dns {

namespace detail {
class Lookups;
}

// Asks name servers for the addresses of names, on one base, without threads. While it lives,
// net::resolve() and net::connect() on that base use it; of several, the one made last. A base
// without one gets a Resolver with default Options when net first looks up a name there.
//
// Queries go over UDP, each from a socket and with an id of its own, and over TCP if the answer
// does not fit. A server that did not answer is asked last for the next 30 seconds, but not one
// that this machine has no way to.
//
// Thread-safety: belongs to the thread that runs its base. Lifetime: the base outlives it; tasks
// that wait for a name go on with std::errc::operation_canceled when it is destroyed. After fork(2)
// the child must not use a Resolver of the parent, but make one of its own. Memory: 1.2 KiB, and
// what is cached. See RFC 1034, 1035, 2308, 6724, 6761, 6891, 8305; resolv.conf(5).
class EVENT_API Resolver {
 public:
  // Reads no file and asks nobody yet. Errors: throws std::bad_alloc;
  // std::errc::invalid_argument for a server that is no IP address with a port.
  explicit Resolver(Base& base, Options options = {});
  ~Resolver();
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  // The addresses of a host, with this port, best first. In this order:
  //   - an address, as 127.0.0.1, ::1, [::1] or fe80::1%eth0: needs no system call, but for the
  //     name of an interface
  //   - localhost, and names that end in .localhost: ::1 and 127.0.0.1
  //   - Options::hosts_file
  //   - the cache
  //   - the servers, with the search list for a name that has few dots and does not end in one. The
  //     search goes on only after no_such_name.
  // IPv4 and IPv6 are asked for in two queries. Once one has brought addresses, the other one has
  // 50 ms left; it goes on in the background, for the cache. Lookups of the same name share their
  // queries; one that is cancelled leaves the others.
  //
  // A host name has letters, digits, '-' and '_', labels of at most 63 and in all at most 253
  // bytes, and does not end in a number. Other alphabets have to come in their ASCII form (xn--).
  //
  // Errors: throws std::system_error: Errc; std::errc::operation_canceled after close();
  // std::errc::invalid_argument for the port; the system's own if there is no descriptor, no port
  // or no memory left, no random number, or a file cannot be read for the first time. Cost: a
  // cached name takes less than a microsecond.
  co::Task<Answer> resolve(std::string name, int port = 0, Family family = Family::any);

  // Forgets every answer, and that servers have failed.
  void flush() noexcept;
  // Looks at the files now. If resolv.conf has changed, answers are forgotten. Lookups that are
  // under way go on with the old servers. Errors: throws std::bad_alloc; the system's own if a
  // file cannot be read for the first time, as without a descriptor.
  void reload();

  // Queries on their way to a server. Those that wait for their turn do not count.
  std::size_t under_way() const noexcept;

  // Ends every lookup with std::errc::operation_canceled, and refuses later ones. The base then
  // uses the Resolver that was made before this one.
  void close() noexcept;

  struct Stats {
    std::uint64_t hits = 0;      // lookups answered from the cache
    std::uint64_t misses = 0;    // lookups that had to ask
    std::uint64_t queries = 0;   // messages to servers, over UDP or TCP
    std::uint64_t timeouts = 0;  // of these, without an answer in time
    std::uint64_t tcp = 0;       // of these, over TCP
    std::uint64_t rejected =
        0;  // packets that answer none of our questions: wrong id, name, sender
  };
  Stats stats() const noexcept;

 private:
  std::shared_ptr<detail::Lookups> lookups_;  // also owned by each lookup that runs
};

}  // namespace event_cpp::dns
