// connect() and client(): the side that checks a certificate.
#pragma once

#include <memory>
#include <string>

#include "event/co/task.hpp"
#include "event/tls/stream.hpp"

namespace event_cpp::tls {

// Resolves the name and connects, as net::connect() does, then does the TLS handshake. The server's
// certificate must be valid, issued by a trusted authority, and for this host. `host` is a DNS name
// (a dot at its end is allowed) or an IP address (a scope is allowed). For an IP address the
// certificate must contain that address. Each label of a name has 1 to 63 characters. Give names
// with letters outside ASCII in their encoded form ("xn--..."). `limits.handshake` is the limit of
// net::connect(), and once more that of the handshake.
//
// Errors: throws those of net::connect(); std::errc::timed_out; Error, whose code is one of
// tls::Errc, event::Errc::truncated if the server closes the connection,
// std::errc::invalid_argument for a bad `host` or a server's context, or a system error.
//
// With TLS 1.3 the handshake of the client ends before the server has checked the client's
// certificate. If the server refuses that certificate, the first read or write throws the Error;
// its by_peer() is true.
EVENT_API co::Task<Stream> connect(Base& base, const Context& context, std::string host, int port,
                                   Limits limits = {});
// The same with default options and limits. All calls in the process share one context, which the
// first of them makes.
EVENT_API co::Task<Stream> connect(Base& base, std::string host, int port);

// Does the handshake of a client over any stream: the tunnel of a proxy, a connection that began
// without TLS (STARTTLS), memory. The result owns `below`. If the handshake fails, `below` is
// closed. `verify_host` is as `host` above; it may be empty with an insecure context. `session`
// comes from Stream::session() of an earlier stream of the same context; one of another context is
// ignored. Without it, the context's latest session with this host is tried. Errors: as connect(),
// without those of net::connect().
EVENT_API co::Task<Stream> client(std::unique_ptr<net::Stream> below, const Context& context,
                                  std::string verify_host, Limits limits = {});
EVENT_API co::Task<Stream> client(std::unique_ptr<net::Stream> below, const Context& context,
                                  std::string verify_host, Limits limits, Session session);

}  // namespace event_cpp::tls
