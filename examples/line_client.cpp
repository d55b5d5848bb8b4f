// A client: connects by name, sends lines, prints the lines that come back until the server ends,
// all within a time limit.
//
// Try it:   echo_server          and in another terminal:   line_client --port 1246 hello world

#include <chrono>
#include <cstddef>
#include <event/event.hpp>
#include <event/net.hpp>
#include <exception>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

#include "support/command_line.hpp"

namespace {

namespace co = event::co;
namespace net = event::net;

co::Task<> ask(const std::string& host, std::size_t port, const std::vector<std::string>& lines) {
  event::Base& base = co_await co::base();
  net::Socket socket = co_await net::connect(host, static_cast<int>(port));
  net::SocketStream stream(base, std::move(socket));
  net::Buffered io(stream);
  for (const std::string& line : lines) io.put(line + "\n");
  co_await io.flush();
  co_await stream.shutdown();
  while (const auto line = co_await io.read_line()) std::cout << *line << std::endl;
}

co::Task<> ask_within(event::Duration limit, const std::string& host, std::size_t port,
                      const std::vector<std::string>& lines) {
  co_await co::with_timeout(limit, ask(host, port, lines));
}

}  // namespace

int main(int argc, char** argv) {
  try {
    support::CommandLine command_line("Sends lines, and prints the answers.");
    std::string host = "localhost";
    std::size_t port = 1246;
    std::chrono::milliseconds limit{10'000};
    std::vector<std::string> lines;
    command_line.add_text("--host", host, "Connect to this name or address");
    command_line.add_number("--port", port, "On this port", 1, 65535);
    command_line.add_time("--limit", limit, "Give up after so long", 1);
    command_line.add_command(lines, "The lines");
    if (const auto exit_code = command_line.parse(argc, argv)) return *exit_code;

    event::Base base;
    co::run(base, ask_within(limit, host, port, lines));
  } catch (const std::exception& error) {
    std::cerr << "line_client: " << error.what() << std::endl;
    return 1;
  }
  return 0;
}
