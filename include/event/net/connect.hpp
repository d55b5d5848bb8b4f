// connect() and resolve(): from a name to a connection.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "event/co/task.hpp"
#include "event/net/socket.hpp"

namespace event_cpp::net {

// The errors of getaddrinfo(3), named "getaddrinfo".
EVENT_API const std::error_category& name_category() noexcept;

// Connects to an address, on the base of the task that awaits it. The socket does not block and, if
// it is TCP, does not gather what is written (TCP_NODELAY). Errors: throws std::system_error:
// ECONNREFUSED, ENETUNREACH, ETIMEDOUT ...; ECONNREFUSED also if the socket connected to itself.
// See connect(2).
EVENT_API co::Task<Socket> connect(Address address);

// Looks the name up and connects to the first of its addresses that answers, as in RFC 8305: IPv6
// and IPv4 take turns, a new attempt starts after 250 ms or as soon as one fails, and the sockets
// of the other attempts are closed. `host` may be a name, or an address as Address::parse() takes
// it without a port. Errors: also those of resolve(); the error of the last attempt;
// std::errc::timed_out when `limit` has passed, which includes the time for the name.
EVENT_API co::Task<Socket> connect(std::string host, int port,
                                   Duration limit = std::chrono::seconds(10));

// The addresses of a name, best first. A numeric address needs nobody. A name is looked up by
//   - what set_resolver() has set on this base
//   - event::dns, in a program that links it: see dns::Resolver, also for its errors
//   - getaddrinfo(3), in a thread of the pool: see co::blocking(). Cancelling does not stop it, and
//     the base's destructor waits for it. Errors: those of name_category(), such as EAI_NONAME.
// Errors: throws std::system_error; std::errc::invalid_argument for the port.
EVENT_API co::Task<std::vector<Address>> resolve(std::string host, int port);

// Connects to the first of `addresses` that answers: see above. `stagger` is the time between
// attempts. Errors: throws that of the last attempt; std::errc::invalid_argument without an
// address.
EVENT_API co::Task<Socket> connect_to_any(std::vector<Address> addresses,
                                          Duration stagger = std::chrono::milliseconds(250));

// Replaces what resolve() does on `base`. An empty function restores the default.
using Resolve = std::function<co::Task<std::vector<Address>>(std::string host, int port)>;
EVENT_API void set_resolver(Base& base, Resolve resolve);

namespace detail {

// For event::dns: what resolve() does on every base that has no resolver of its own, instead of the
// thread pool. Thread-safety: any thread.
using LinkedResolve = co::Task<std::vector<Address>>(Base& base, std::string host, int port);
EVENT_API void set_linked_resolver(LinkedResolve* resolve) noexcept;

}  // namespace detail

}  // namespace event_cpp::net
