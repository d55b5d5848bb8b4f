// An echo server on several threads: each has a base and a listener of its own on the same port,
// and the kernel spreads the connections over them. A connection stays in its thread.
//
// Try it:   workers --threads 4      and in another terminal:   nc localhost 1246

#include <chrono>
#include <cstddef>
#include <event/event.hpp>
#include <event/net.hpp>
#include <exception>
#include <iostream>
#include <thread>
#include <utility>

#include "support/command_line.hpp"
#include "support/server.hpp"

namespace {

namespace co = event::co;
namespace net = event::net;

co::Task<> echo(event::Base& base, net::Socket socket) {
  net::SocketStream peer(base, std::move(socket));
  while (net::Chunk chunk = co_await peer.receive()) co_await peer.write(chunk);
}

co::Task<> announce(const net::Workers& workers) {
  std::cout << "listening on port " << workers.address().port() << ", threads: " << workers.size()
            << std::endl;
  co_return;
}

co::Task<> wait_for_signal(const net::Workers& workers) {
  co_await co::when_all(support::stop_signal(), announce(workers));
}

}  // namespace

int main(int argc, char** argv) {
  try {
    support::CommandLine command_line("Sends back what it receives, on several threads.");
    support::ServerOptions options;
    std::size_t threads = std::thread::hardware_concurrency();
    std::chrono::milliseconds grace{};
    command_line.add_server(options);
    command_line.add_number("--threads", threads, "Run so many", 1, 1'000);
    command_line.add_time("--grace", grace, "At a signal, connections have so long to end");
    if (const auto exit_code = command_line.parse(argc, argv)) return *exit_code;

    net::Workers::Options how;
    how.base.backend = options.backend;
    how.listen.most = options.max_connections;  // of each thread
    how.serve.grace = grace;
    net::Workers workers(threads, net::Address::any(options.port), echo, how);

    event::Base base;
    co::run(base, wait_for_signal(workers));
    workers.stop();
  } catch (const std::exception& error) {
    std::cerr << "workers: " << error.what() << std::endl;
    return 1;
  }
  return 0;
}
