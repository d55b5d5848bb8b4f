// Resolver: looks up the addresses of host names.
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

// Asks name servers for the addresses of host names, on one base, without threads. While it exists,
// net::resolve() and net::connect() on that base use it, unless net::set_resolver() has given them
// a function. If there are several, they use the one that was made last; if there is none, they
// make one with default Options at the first lookup.
//
// Queries go over UDP, each from a new socket and with a random id, and again over TCP if the
// answer does not fit. A server that did not answer, or answered nonsense, is tried last for the
// next 30 seconds. This does not apply to a server that this machine has no route to.
//
// Thread-safety: belongs to the thread that runs its base. Lifetime: the base outlives it. The
// destructor is close(). After fork(2) the child must not use a Resolver of the parent, but make
// its own. Memory: 1.2 KiB, and the cache. See RFC 1034, 1035, 2308, 6724, 6761, 6891, 8305;
// resolv.conf(5).
class EVENT_API Resolver {
 public:
  // Reads no file and sends no query yet. Errors: throws std::bad_alloc; std::system_error:
  // std::errc::invalid_argument if one of `options.servers` is not an IP address with a port, or a
  // path has a zero byte.
  explicit Resolver(Base& base, Options options = {});
  ~Resolver();
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  // Looks up the addresses of a host; each gets `port`. The first source that has an answer counts:
  //   - the text of an address, as 127.0.0.1, ::1, [::1] or fe80::1%eth0: needs no system call,
  //     except for the name of an interface
  //   - localhost, and names that end in .localhost: ::1 and 127.0.0.1
  //   - names that end in .onion: no_such_name
  //   - Options::hosts_file
  //   - the cache
  //   - the servers, with the search list unless the name ends in a dot: see Options::ndots. The
  //     next name of the search list is tried only after no_such_name.
  // IPv4 and IPv6 addresses need two queries, which run at once. When the first one has returned
  // addresses, the lookup waits at most 50 ms more for the second one, which then goes on in the
  // background to fill the cache. Lookups of the same name share their queries; cancelling one
  // lookup does not affect the others.
  //
  // A host name has letters, digits, '-' and '_', labels of at most 63 bytes, at most 253 bytes in
  // all, and a last label that is not a number. Give names with other letters in their ASCII form
  // (xn--).
  //
  // Errors: throws std::system_error: one of dns::Errc; std::errc::operation_canceled after
  // close(); std::errc::invalid_argument if the port is not in 0 ... 65,535; a system error if fds,
  // ports, memory or random numbers run out, or a file that was never read cannot be read. Cost:
  // less than a microsecond for a cached name.
  co::Task<Answer> resolve(std::string name, int port = 0, Family family = Family::any);

  // Clears the cache, and forgets which servers have failed.
  void flush() noexcept;
  // Checks both files now, instead of once a second. If resolv.conf has changed, the cache is
  // cleared. Queries that are under way still use the old servers. Errors: throws std::bad_alloc; a
  // system error if a file that was never read cannot be read, for example because no fd is left.
  void reload();

  // The number of queries that were sent and have no answer yet. Queries that wait because of
  // Options::at_once do not count.
  std::size_t under_way() const noexcept;

  // Ends every lookup with std::errc::operation_canceled; later ones fail with it. The base then
  // uses the Resolver that was made before this one, if there is one.
  void close() noexcept;

  struct Stats {
    std::uint64_t hits = 0;      // lookups answered from the cache
    std::uint64_t misses = 0;    // lookups that had to ask a server
    std::uint64_t queries = 0;   // messages to servers, over UDP or TCP
    std::uint64_t timeouts = 0;  // queries without an answer in time
    std::uint64_t tcp = 0;       // queries over TCP
    std::uint64_t rejected = 0;  // packets that do not match the query: wrong id, name or sender
  };
  Stats stats() const noexcept;

 private:
  std::shared_ptr<detail::Lookups> lookups_;  // also owned by each lookup that runs
};

}  // namespace event_cpp::dns
