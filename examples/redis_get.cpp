// Reads keys from a Redis server, all of them in one request, with hiredis.
//
// Try it:   redis-cli set greeting hello
//           redis_get localhost 6379 greeting other

#include <chrono>
#include <event/adapters/hiredis.hpp>
#include <event/co.hpp>
#include <event/event.hpp>
#include <exception>
#include <functional>
#include <iostream>
#include <string>

namespace {

using namespace std::chrono_literals;
namespace co = event::co;
namespace redis = event::redis;

co::Task<> get(redis::Connection& connection, std::string key) {
  const redis::Reply value =
      co_await co::with_timeout(1s, connection.command("GET %s", key.c_str()));
  if (value.is_nil()) {
    std::cout << key << " is not set" << std::endl;
  } else {
    std::cout << key << " = " << value.text() << std::endl;
  }
}

co::Task<> get_all(std::string host, int port, int count, char** keys) {
  event::Base& base = co_await co::base();
  redis::Connection connection(base);
  co_await connection.connect(host, port);
  co::TaskGroup group(base);
  for (int i = 0; i < count; ++i) {
    group.spawn(&get, std::ref(connection), std::string(keys[i]));
  }
  co_await group.join();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) {
    std::cerr << "usage: redis_get HOST PORT KEY..." << std::endl;
    return 1;
  }
  try {
    event::Base base;
    co::run(base, get_all(argv[1], std::stoi(argv[2]), argc - 3, argv + 3));
  } catch (const std::exception& error) {
    std::cerr << "redis_get: " << error.what() << std::endl;
    return 1;
  }
  return 0;
}
