// Many clients that share a few connections to a PostgreSQL server. Each client has a time limit,
// which covers waiting for a connection; all end when the program is interrupted. A query that is
// cut off is cancelled in the server, and its connection is not used again in that state.
//
// Try it:   pg_pool dbname=postgres 100 4
//           pg_pool dbname=postgres 100 4 "select pg_sleep(0.5)"      and press Ctrl-C

#include <chrono>
#include <csignal>
#include <cstddef>
#include <event/adapters/libpq.hpp>
#include <event/co.hpp>
#include <event/event.hpp>
#include <exception>
#include <functional>
#include <iostream>
#include <string>
#include <system_error>

namespace {

using namespace std::chrono_literals;
namespace co = event::co;
namespace pg = event::pg;

struct Counts {
  int served = 0;
  int late = 0;
  int cancelled = 0;
  int failed = 0;
};

co::Task<> work(pg::Pool& pool, const std::string& query) {
  const pg::Pool::Lease connection = co_await pool.get();
  co_await connection->query("begin");
  co_await connection->query(query);
  co_await connection->query("commit");
}

co::Task<> client(pg::Pool& pool, const std::string& query, Counts& counts) {
  try {
    co_await co::with_timeout(1s, work(pool, query));
    ++counts.served;
  } catch (const std::system_error& error) {
    ++(error.code() == std::errc::timed_out ? counts.late : counts.cancelled);
  } catch (const pg::Error& error) {
    ++counts.failed;
    std::cerr << error.what();
  }
}

co::Task<> clients(pg::Pool& pool, int count, const std::string& query, Counts& counts) {
  event::Base& base = co_await co::base();
  co::TaskGroup group(base);
  for (int i = 0; i < count; ++i) {
    group.spawn(&client, std::ref(pool), std::cref(query), std::ref(counts));
  }
  co_await group.join();
}

co::Task<> run(std::string server, int count, std::size_t connections, std::string query) {
  event::Base& base = co_await co::base();
  pg::Pool pool(base, server, connections);
  Counts counts;
  co_await co::when_any(clients(pool, count, query, counts), co::signal(SIGINT));
  co_await pool.close();
  std::cout << counts.served << " served, " << counts.late << " late, " << counts.cancelled
            << " cancelled, " << counts.failed << " failed" << std::endl;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) {
    std::cerr << "usage: pg_pool SERVER CLIENTS CONNECTIONS [QUERY]" << std::endl;
    return 1;
  }
  try {
    event::Base base;
    co::run(base,
            run(argv[1], std::stoi(argv[2]), std::stoul(argv[3]), argc > 4 ? argv[4] : "select 1"));
  } catch (const std::exception& error) {
    std::cerr << "pg_pool: " << error.what() << std::endl;
    return 1;
  }
  return 0;
}
