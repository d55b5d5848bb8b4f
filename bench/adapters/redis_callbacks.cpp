// The same by callbacks.
#include <event/adapters/hiredis.hpp>
#include <event/event.hpp>
#include <optional>

#include "adapters/client.hpp"

namespace {

namespace redis = event::redis;
using event::adapters::Outcome;

struct Client {
  redis::Connection connection;
  bench::Arguments arguments;
  int left;
  int answered = 0;
  std::optional<bench::Stopwatch> stopwatch{};

  void get() {
    if (left == 0) return;
    --left;
    connection.command([this](Outcome<redis::Reply> reply) { take(std::move(reply)); }, "GET key");
  }
  void take(Outcome<redis::Reply> reply) {
    if (!reply || reply.value.is_error()) std::abort();
    if (++answered == arguments.requests) stopwatch->print(arguments.requests);
    get();
  }
  void begin() {
    stopwatch.emplace();
    for (int i = 0; i < arguments.waiting; ++i) get();
  }
};

}  // namespace

int main(int argc, char** argv) {
  const bench::Arguments arguments = bench::arguments(argc, argv);
  event::Base base;
  Client client{redis::Connection(base), arguments, arguments.requests};
  client.connection.connect(event::net::Address::loopback(std::atoi(arguments.address)),
                            [&](Outcome<std::monostate> done) {
                              if (!done) std::abort();
                              client.begin();
                            });
  base.dispatch();
}
