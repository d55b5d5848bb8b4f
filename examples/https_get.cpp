// Fetches a page over HTTPS and prints it: connects by name, makes sure who is there, all within a
// time limit.
//
// Try it:   https_get https://example.com/

#include <chrono>
#include <event/event.hpp>
#include <event/tls.hpp>
#include <exception>
#include <iostream>
#include <stdexcept>
#include <string>
#include <string_view>

#include "support/command_line.hpp"

namespace {

namespace co = event::co;
namespace net = event::net;
namespace tls = event::tls;

struct Url {
  std::string host, path = "/";
  int port = 443;
};

Url parse(std::string text) {
  if (!text.starts_with("https://")) throw std::invalid_argument("no URL of https: " + text);
  text.erase(0, 8);
  Url url;
  const std::size_t slash = text.find('/');
  if (slash != std::string::npos) url.path = text.substr(slash);
  url.host = text.substr(0, slash);
  const std::size_t colon = url.host.rfind(':');  // also in [::1]
  if (colon != std::string::npos && url.host.find(']', colon) == std::string::npos) {
    url.port = std::stoi(url.host.substr(colon + 1));
    url.host.erase(colon);
  }
  return url;
}

co::Task<> get(const tls::Context& context, const Url& url) {
  event::Base& base = co_await co::base();
  tls::Stream stream = co_await tls::connect(base, context, url.host, url.port);
  net::Buffered io(stream);
  io.put("GET " + url.path + " HTTP/1.0\r\nHost: " + url.host + "\r\n\r\n");
  const std::string_view head = co_await io.read_until("\r\n\r\n");
  const std::string status(head.substr(0, head.find('\r')));
  while (const net::Chunk body = co_await io.receive()) std::cout << body.text();
  co_await stream.close();
  if (status.find(" 200") == std::string::npos) throw std::runtime_error(status);
}

co::Task<> get_within(event::Duration limit, const tls::Context& context, const Url& url) {
  co_await co::with_timeout(limit, get(context, url));
}

}  // namespace

int main(int argc, char** argv) {
  try {
    support::CommandLine command_line("Prints what is at a URL with https://.");
    std::string url;
    std::string trusted;
    std::chrono::milliseconds limit{30'000};
    command_line.add_text("url", url, "What to fetch");
    command_line.add_text("--cacert", trusted,
                          "Trust the certificates in this file, and no others");
    command_line.add_time("--limit", limit, "Give up after so long", 1);
    if (const auto exit_code = command_line.parse(argc, argv)) return *exit_code;

    tls::ClientOptions options;
    options.system_trust = trusted.empty();
    if (!trusted.empty()) options.trust = tls::Pem::files(trusted, trusted).certificates;
    event::Base base;
    co::run(base, get_within(limit, tls::Context::client(options), parse(url)));
  } catch (const std::exception& error) {
    std::cerr << "https_get: " << error.what() << std::endl;
    return 1;
  }
  return 0;
}
