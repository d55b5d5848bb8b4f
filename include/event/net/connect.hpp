// connect() and resolve(): look up host names, and connect to them.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "event/co/task.hpp"
#include "event/net/socket.hpp"

namespace event_cpp::net {

// The errors of getaddrinfo(3), named "getaddrinfo".
EVENT_API const std::error_category& name_category() noexcept;

// Equals the code of an error of resolve() and connect() if the name does not exist or has no
// address, whether getaddrinfo(3) or event::dns has looked it up.
EVENT_API std::error_condition no_such_name() noexcept;

// Connects to an address, on the base of the task that awaits it. Returns a non-blocking socket,
// with TCP_NODELAY if it is TCP. Has no limit but the system's (about two minutes): see
// co::with_timeout(). Errors: throws std::system_error: ECONNREFUSED, ENETUNREACH, ETIMEDOUT ...;
// ECONNREFUSED also if the socket connected to itself. See connect(2).
EVENT_API co::Task<Socket> connect(Address address);

// Looks up the name and connects to the first of its addresses that answers, as in RFC 8305: IPv6
// and IPv4 addresses alternate, a new attempt starts after 250 ms or as soon as one fails, and the
// sockets of the other attempts are closed. `host` may be a name, or an address without a port as
// for Address::parse(). `limit` covers the lookup as well. Errors: throws those of resolve();
// std::errc::timed_out after `limit`; otherwise the error of the attempt that failed last.
EVENT_API co::Task<Socket> connect(std::string_view host, int port,
                                   AnyDuration limit = std::chrono::seconds(10));

// Returns the addresses of a host, best first, each with `port`. A numeric address is parsed
// without a lookup. A name is looked up by the first of these that applies:
//   - the function of set_resolver() on this base
//   - event::dns, in a program that links it: see dns::Resolver, also for its errors
//   - getaddrinfo(3), in the thread pool of co::blocking(). Cancelling does not stop it, and the
//     base's destructor waits for it. Errors: those of name_category(), such as EAI_NONAME.
// Errors: throws std::system_error; std::errc::invalid_argument if the port is not in 0 ... 65535,
// or getaddrinfo() would be given a name with a zero byte.
EVENT_API co::Task<std::vector<Address>> resolve(std::string host, int port);

// Connects to the first of `addresses` that answers. They are tried in this order, and a new
// attempt starts after `stagger` or as soon as one fails. Errors: throws the error of the attempt
// that failed last; std::errc::invalid_argument if `addresses` is empty.
EVENT_API co::Task<Socket> connect_to_any(std::vector<Address> addresses,
                                          AnyDuration stagger = std::chrono::milliseconds(250));

// Makes resolve() and connect() on `base` call `resolve` for names. If it returns no address, they
// throw EAI_NONAME of name_category(). An empty function restores the default.
using Resolve = std::function<co::Task<std::vector<Address>>(std::string host, int port)>;
EVENT_API void set_resolver(Base& base, Resolve resolve);

namespace detail {

// For event::dns: what resolve() does on every base that has no resolver of its own, instead of the
// thread pool. Thread-safety: any thread.
using LinkedResolve = co::Task<std::vector<Address>>(Base& base, std::string host, int port);
EVENT_API void set_linked_resolver(LinkedResolve* resolve) noexcept;

}  // namespace detail

}  // namespace event_cpp::net
