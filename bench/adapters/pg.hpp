// `select $1::int` by tasks that share one connection.
#pragma once

#include <event/adapters/libpq.hpp>
#include <event/co.hpp>
#include <event/event.hpp>

#include "adapters/client.hpp"

namespace bench {

template <class Connection>
event::co::Task<> ask(Connection& connection, int& left) {
  while (left > 0) {
    const int n = left--;
    const event::pg::Result result = co_await connection.query("select $1::int", n);
    if (result.integer(0, 0) != n) std::abort();
  }
}

template <class Connection, class... Options>
event::co::Task<> ask_all(Arguments arguments, Options... options) {
  event::Base& base = co_await event::co::base();
  Connection connection(base, options...);
  co_await connection.connect(arguments.address);
  const Stopwatch stopwatch;
  int left = arguments.requests;
  event::co::TaskGroup group(base);
  for (int i = 0; i < arguments.waiting; ++i) {
    group.spawn(&ask<Connection>, std::ref(connection), std::ref(left));
  }
  co_await group.join();
  stopwatch.print(arguments.requests);
}

}  // namespace bench
