// Refers to nothing of event::dns, and links it: net::resolve() asks it all the same, as its error
// shows. Exit status 0 if it works.
#include <cstdio>
#include <cstring>
#include <event/net.hpp>
#include <system_error>

namespace {

event::co::Task<bool> resolves_by_dns() {
  bool by_dns = false;
  try {
    const auto addresses = co_await event::net::resolve("1.2", 80);
  } catch (const std::system_error& error) {
    by_dns = std::strcmp(error.code().category().name(), "dns") == 0;
  }
  co_return by_dns;
}

}  // namespace

int main() {
  event::Base base;
  const bool works = event::co::run(base, resolves_by_dns());
  std::printf("%s\n", works ? "works" : "does not work");
  return works ? 0 : 1;
}
