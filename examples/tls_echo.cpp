// A TLS server that sends back what it receives. Without --certificate and --key it makes a
// certificate for localhost that nobody trusts. SIGHUP reads the files again: connections go on,
// and those that come get the new certificate. SIGINT and SIGTERM end it.
//
// Try it:   tls_echo      and in another terminal:   openssl s_client -connect localhost:1246

#include <csignal>
#include <event/event.hpp>
#include <event/tls.hpp>
#include <exception>
#include <iostream>
#include <string>

#include "support/command_line.hpp"
#include "support/server.hpp"

namespace {

namespace co = event::co;
namespace net = event::net;
namespace tls = event::tls;

struct Files {
  std::string certificate, key;
};

tls::Context read(const Files& files) {
  tls::Pem pem = files.certificate.empty() ? tls::test::Authority::self_signed({"localhost"})
                                           : tls::Pem::files(files.certificate, files.key);
  tls::ServerOptions options;
  options.names.push_back({{}, std::move(pem)});
  return tls::Context::server(options);
}

co::Task<> echo(event::Base&, tls::Stream& peer) {
  while (net::Chunk chunk = co_await peer.receive()) co_await peer.write(chunk);
}

co::Task<> reload(tls::Server& server, const Files& files) {
  for (;;) {
    co_await co::signal(SIGHUP);
    try {
      server.replace(read(files));
    } catch (const std::exception& error) {
      std::cerr << "the old certificate stays: " << error.what() << std::endl;
    }
  }
}

co::Task<> serve(net::Listener& listener, tls::Server& server) {
  support::announce(listener);
  co_await tls::serve(listener, server, &echo);
}

co::Task<> serve_until_stopped(net::Listener& listener, tls::Server& server, const Files& files) {
  co_await co::when_any(support::stop_signal(), reload(server, files), serve(listener, server));
}

}  // namespace

int main(int argc, char** argv) {
  try {
    support::CommandLine command_line("Sends back what it receives, over TLS.");
    support::ServerOptions options;
    Files files;
    command_line.add_server(options);
    command_line.add_text("--certificate", files.certificate, "File with the certificates");
    command_line.add_text("--key", files.key, "File with the private key");
    if (const auto exit_code = command_line.parse(argc, argv)) return *exit_code;

    event::Base base({.backend = options.backend});
    tls::Server server(read(files));
    net::Listener listener = support::listen(base, options);
    co::run(base, serve_until_stopped(listener, server, files));
  } catch (const std::exception& error) {
    std::cerr << "tls_echo: " << error.what() << std::endl;
    return 1;
  }
  return 0;
}
