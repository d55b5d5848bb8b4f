// Datagrams: a server that sends each of them back, and a client that asks again when no answer
// comes, waiting twice as long each time. --lose has the server behave as a bad network. Exit
// status 1 if no answer came at all.
//
// Try it:   udp_echo 1246 --lose 2       and in another terminal:   udp_echo --ask 127.0.0.1:1246

#include <chrono>
#include <cstddef>
#include <event/event.hpp>
#include <event/net.hpp>
#include <exception>
#include <iostream>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

#include "support/command_line.hpp"
#include "support/server.hpp"

namespace {

namespace co = event::co;
namespace net = event::net;

struct Settings {
  std::size_t lose = 0;
  std::string server;
  std::string text = "hello";
  std::size_t tries = 5;
  std::chrono::milliseconds wait{100};
};

// An answer that the system does not take now is lost, as any datagram may be.
co::Task<> answer_all(net::Datagram& socket, std::size_t lose) {
  const int port = socket.address().port();
  std::cout << "listening on port " << port << std::endl;
  for (std::size_t count = 1;; ++count) {
    const net::Packet packet = co_await socket.receive();
    if (count > lose) static_cast<void>(socket.try_send(packet.bytes, packet.from));
  }
}

// Whatever else comes, from others or late, is not what was asked for.
co::Task<> answer_to(net::Datagram& socket, const std::string& question, net::Address server) {
  for (;;) {
    const net::Packet packet = co_await socket.receive();
    if (packet.from == server && packet.bytes.text() == question) co_return;
  }
}

// Returns how often it had to ask; nothing if there was no answer.
co::Task<std::optional<std::size_t>> ask(net::Datagram& socket, net::Address server,
                                         const Settings& settings) {
  event::Duration wait = settings.wait;
  for (std::size_t count = 1; count <= settings.tries; ++count) {
    co_await socket.send(settings.text, server);
    const auto answered =
        co_await co::try_with_timeout(wait, answer_to(socket, settings.text, server));
    if (answered.has_value()) co_return count;
    wait *= 2;
  }
  co_return std::nullopt;
}

co::Task<> serve(event::Base& base, int port, std::size_t lose) {
  net::Datagram socket(base, net::Address::any(port));
  co_await co::when_any(support::stop_signal(), answer_all(socket, lose));
}

int query(event::Base& base, const Settings& settings) {
  const auto server = net::Address::parse(settings.server);
  if (!server || server->port() == 0) throw std::invalid_argument("not ADDRESS:PORT");
  const bool is_ipv6 = server->family() == AF_INET6;
  net::Datagram socket(base, is_ipv6 ? net::Address::any(0) : net::Address::any_ipv4(0));
  const auto count = co::run(base, ask(socket, *server, settings));
  std::cout << (count ? "answered at try " + std::to_string(*count) : "no answer") << std::endl;
  return count ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    support::CommandLine command_line("Sends datagrams back, or asks such a server.");
    support::ServerOptions options;
    Settings settings;
    command_line.add_server(options);
    command_line.add_number("--lose", settings.lose, "Do not answer the first so many");
    command_line.add_text("--ask", settings.server, "Ask ADDRESS:PORT instead of serving");
    command_line.add_text("--text", settings.text, "What to ask");
    command_line.add_number("--tries", settings.tries, "How often", 1);
    command_line.add_time("--wait", settings.wait, "Ask again after so long, then twice as long",
                          1);
    if (const auto exit_code = command_line.parse(argc, argv)) return *exit_code;

    event::Base base({.backend = options.backend});
    if (!settings.server.empty()) return query(base, settings);
    co::run(base, serve(base, options.port, settings.lose));
  } catch (const std::exception& error) {
    std::cerr << "udp_echo: " << error.what() << std::endl;
    return 1;
  }
  return 0;
}
