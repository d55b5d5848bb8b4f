// PQexecParams(), which blocks: one waits, whatever is asked for.
#include <libpq-fe.h>

#include <string>

#include "adapters/client.hpp"

int main(int argc, char** argv) {
  const bench::Arguments arguments = bench::arguments(argc, argv);
  PGconn* const connection = ::PQconnectdb(arguments.address);
  if (::PQstatus(connection) != CONNECTION_OK) return 1;
  const bench::Stopwatch stopwatch;
  for (int i = 0; i < arguments.requests; ++i) {
    const std::string text = std::to_string(i);
    const char* const value = text.c_str();
    PGresult* const result =
        ::PQexecParams(connection, "select $1::int", 1, nullptr, &value, nullptr, nullptr, 0);
    if (::PQresultStatus(result) != PGRES_TUPLES_OK) std::abort();
    ::PQclear(result);
  }
  stopwatch.print(arguments.requests);
  ::PQfinish(connection);
}
