// connect() and client(): the side that checks a certificate.
#pragma once

#include <memory>
#include <string>

#include "event/co/task.hpp"
#include "event/tls/stream.hpp"

namespace event_cpp::tls {

// Connects by name as net::connect() does, and makes sure who is there: the certificate must be
// valid, signed by somebody trusted, and for this host. A host is a name, also with a dot at its
// end, or an IP address, also with a scope, for which the certificate must name this address. No
// part of a name between dots is empty or has more than 63 characters. Names with letters
// outside ASCII are to be given in their encoded form ("xn--..."). Errors: those of net::connect();
// throws Error, whose code is one of tls::Errc, event::Errc::truncated if the server leaves,
// std::errc::invalid_argument for what is no host, or the system's; std::errc::timed_out.
//
// With TLS 1.3 the client is done before the server has looked at its certificate: if that is
// refused, the first read or write throws the Error, with by_peer().
EVENT_API co::Task<Stream> connect(Base& base, const Context& context, std::string host, int port,
                                   Limits limits = {});
// The same with a context of the process with default options, made at the first call.
EVENT_API co::Task<Stream> connect(Base& base, std::string host, int port);

// The handshake alone, over anything that carries bytes: the tunnel of a proxy, a connection that
// began without TLS, memory. If it fails, `below` is closed. `session` is that of an earlier stream
// of the same context; without it, the last one with this host is tried.
EVENT_API co::Task<Stream> client(std::unique_ptr<net::Stream> below, const Context& context,
                                  std::string verify_host, Limits limits = {});
EVENT_API co::Task<Stream> client(std::unique_ptr<net::Stream> below, const Context& context,
                                  std::string verify_host, Limits limits, Session session);

}  // namespace event_cpp::tls
