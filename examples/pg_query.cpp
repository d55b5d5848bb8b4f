// Sends a query to a PostgreSQL server, with libpq, and prints the rows. Without a query: prints
// what comes on a channel, until it is interrupted.
//
// Try it:   pg_query dbname=postgres "select datname, datcollate from pg_database"
//           pg_query postgresql://localhost/postgres

#include <chrono>
#include <csignal>
#include <event/adapters/libpq.hpp>
#include <event/co.hpp>
#include <event/event.hpp>
#include <exception>
#include <iostream>
#include <string>

namespace {

using namespace std::chrono_literals;
namespace co = event::co;
namespace pg = event::pg;

co::Task<> query(std::string server, std::string text) {
  event::Base& base = co_await co::base();
  pg::Connection connection(base);
  co_await co::with_timeout(10s, connection.connect(server));
  const pg::Result found = co_await connection.query(text);
  for (int row = 0; row < found.rows(); ++row) {
    for (int column = 0; column < found.columns(); ++column) {
      std::cout << (column > 0 ? "\t" : "") << found.text(row, column);
    }
    std::cout << "\n";
  }
  std::cout << found.tag() << std::endl;
}

co::Task<> listen(std::string server) {
  event::Base& base = co_await co::base();
  pg::Connection connection(base);
  co_await co::with_timeout(10s, connection.connect(server));
  co_await connection.query("listen example");
  std::cout << "listening: notify example, 'text'" << std::endl;
  for (;;) {
    const pg::Notification news = co_await connection.notification();
    std::cout << news.channel << ": " << news.payload << std::endl;
  }
}

co::Task<> until_interrupted(std::string server) {
  co_await co::when_any(listen(server), co::signal(SIGINT));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::cerr << "usage: pg_query SERVER [QUERY]" << std::endl;
    return 1;
  }
  try {
    event::Base base;
    co::run(base, argc > 2 ? query(argv[1], argv[2]) : until_interrupted(argv[1]));
  } catch (const std::exception& error) {
    std::cerr << "pg_query: " << error.what() << std::endl;
    return 1;
  }
  return 0;
}
