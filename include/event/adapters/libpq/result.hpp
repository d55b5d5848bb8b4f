// Result: the rows that a query returned.
#pragma once

#include <libpq-fe.h>

#include <cstdlib>
#include <memory>
#include <string_view>

namespace event_cpp::pg {

// Owns a PGresult. Move-only. Rows and columns count from zero; a value beyond them is null.
class Result {
 public:
  Result() noexcept = default;
  explicit Result(PGresult* result) noexcept : result_(result) {}

  int rows() const noexcept { return ::PQntuples(get()); }
  int columns() const noexcept { return ::PQnfields(get()); }
  // The number of the column with this name; -1: there is none. See PQfnumber().
  int column(const char* name) const noexcept { return ::PQfnumber(get(), name); }

  bool is_null(int row, int column) const noexcept {
    return !has(row, column) || ::PQgetisnull(get(), row, column) != 0;
  }
  // The value in PostgreSQL's text format; empty if it is null. Valid as long as the result.
  std::string_view text(int row, int column) const noexcept {
    if (is_null(row, column)) return {};
    return {::PQgetvalue(get(), row, column),
            static_cast<std::size_t>(::PQgetlength(get(), row, column))};
  }
  // The value as an integer; zero if it is not one, or null.
  long long integer(int row, int column) const noexcept {
    return is_null(row, column) ? 0 : std::strtoll(::PQgetvalue(get(), row, column), nullptr, 10);
  }

  // The command tag, such as "INSERT 0 5"; and the number of affected rows.
  std::string_view tag() const noexcept { return result_ ? ::PQcmdStatus(result_.get()) : ""; }
  long long affected() const noexcept {
    return result_ ? std::strtoll(::PQcmdTuples(result_.get()), nullptr, 10) : 0;
  }

  // The structure of libpq.
  PGresult* get() const noexcept { return result_.get(); }
  ExecStatusType status() const noexcept { return ::PQresultStatus(get()); }

 private:
  struct Clear {
    void operator()(PGresult* result) const noexcept { ::PQclear(result); }
  };
  bool has(int row, int column) const noexcept {
    return row >= 0 && row < rows() && column >= 0 && column < columns();
  }

  std::unique_ptr<PGresult, Clear> result_;
};

}  // namespace event_cpp::pg
