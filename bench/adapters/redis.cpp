// GET over one connection: a task for each that waits.
#include <event/adapters/hiredis.hpp>
#include <event/co.hpp>
#include <event/event.hpp>

#include "adapters/client.hpp"

namespace {

namespace co = event::co;
namespace redis = event::redis;

co::Task<> get(redis::Connection& connection, int& left) {
  while (left > 0) {
    --left;
    const redis::Reply reply = co_await connection.command("GET key");
    if (reply.is_error()) std::abort();
  }
}

co::Task<> get_all(bench::Arguments arguments) {
  event::Base& base = co_await co::base();
  redis::Connection connection(base);
  co_await connection.connect("127.0.0.1", std::atoi(arguments.address));
  co_await connection.command("SET key value");
  const bench::Stopwatch stopwatch;
  int left = arguments.requests;
  co::TaskGroup group(base);
  for (int i = 0; i < arguments.waiting; ++i) {
    group.spawn(&get, std::ref(connection), std::ref(left));
  }
  co_await group.join();
  stopwatch.print(arguments.requests);
}

}  // namespace

int main(int argc, char** argv) {
  event::Base base;
  co::run(base, get_all(bench::arguments(argc, argv)));
}
