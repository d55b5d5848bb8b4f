#include <gtest/gtest.h>
#include <poll.h>

#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "adapters/services.hpp"
#include "event/adapters/libpq.hpp"
#include "event/net.hpp"
#include "support/forked.hpp"

namespace event_cpp::test {
namespace {

using pg::Connection;
using pg::Result;

class PgTest : public EveryBackendCo {
 protected:
  // A server takes a second to set up: one for all tests of the process.
  static void SetUpTestSuite() { server_ = std::make_unique<Postgres>(); }
  static void TearDownTestSuite() { server_.reset(); }

  static Postgres& server() { return *server_; }
  static std::string text() { return server_->text(); }

 private:
  static inline std::unique_ptr<Postgres> server_;
};

// What a query fails with; empty if it does not.
co::Task<std::string> sqlstate_of(Connection& pg, std::string query) {
  try {
    co_await pg.query(std::move(query));
  } catch (const pg::Error& error) {
    co_return error.sqlstate().empty() ? error.what() : error.sqlstate();
  }
  co_return std::string();
}

co::Task<> queries(Connection& pg, std::string text) {
  co_await pg.connect(text);
  EXPECT_TRUE(pg.idle());
  const Result sum = co_await pg.query("select $1::int + $2::int as sum, $3::text", 40, 2, "x y");
  EXPECT_EQ(sum.rows(), 1);
  EXPECT_EQ(sum.integer(0, sum.column("sum")), 42);
  EXPECT_EQ(sum.text(0, 1), "x y");
  EXPECT_TRUE(sum.is_null(0, 7));
  const std::optional<int> none;
  const Result nulls =
      co_await pg.query("select $1::int, $2::text, $3::bool, $4::float8", none, nullptr, true, 0.5);
  EXPECT_TRUE(nulls.is_null(0, 0));
  EXPECT_TRUE(nulls.is_null(0, 1));
  EXPECT_EQ(nulls.text(0, 2), "t");
  EXPECT_EQ(nulls.text(0, 3), "0.5");
  const std::vector<std::byte> bytes{std::byte{0}, std::byte{255}};
  const Result hex =
      co_await pg.query("select encode($1, 'hex')", std::span<const std::byte>(bytes));
  EXPECT_EQ(hex.text(0, 0), "00ff");
  const Result last = co_await pg.script("select 1; select 2");
  EXPECT_EQ(last.integer(0, 0), 2);
  const std::string syntax = co_await sqlstate_of(pg, "selekt");
  EXPECT_EQ(syntax, "42601");
  const Result after = co_await pg.query("select 3");
  EXPECT_EQ(after.integer(0, 0), 3);
  EXPECT_THROW(static_cast<void>(pg.query("select $1", std::string(1, '\0'))), std::system_error);
}

BACKEND_TEST(PgTest, ExecutesQueriesWithParameters) {
  Base base(real_time());
  Connection pg(base);
  run_task(base, queries(pg, text()));
}

BACKEND_TEST(PgTest, CallsFunctionsWithResultsAndDoesNotKeepTheBaseWhenIdle) {
  Base base(real_time());
  Connection pg(base);
  std::vector<long long> values;
  std::string failure;
  pg.connect(text(), [&](adapters::Outcome<std::monostate> done) {
    done.take();
    pg.query([&](adapters::Outcome<Result> r) { values.push_back(r.take().integer(0, 0)); },
             "select $1::int", 1);
    pg.query(
        [&](adapters::Outcome<Result> r) {
          try {
            r.take();
          } catch (const pg::Error& error) {
            failure = error.sqlstate();
          }
        },
        "select 1/0");
    pg.query([&](adapters::Outcome<Result> r) { values.push_back(r.take().integer(0, 0)); },
             "select 2");
  });
  run(base);
  EXPECT_EQ(values, (std::vector<long long>{1, 2}));
  EXPECT_EQ(failure, "22012");
}

// Every server has as long as the silent one: longer, if the other one is slow.
co::Task<> connect_to_several(Connection& pg, int dead, int silent, int alive) {
  const std::string ports =
      std::to_string(dead) + "," + std::to_string(silent) + "," + std::to_string(alive);
  for (int seconds = 1; !pg.connected() && seconds <= 16; seconds *= 4) {
    try {
      co_await pg.connect("host=127.0.0.1,localhost,127.0.0.1 port=" + ports +
                          " user=test dbname=postgres target_session_attrs=prefer-standby"
                          " connect_timeout=" +
                          std::to_string(seconds));
    } catch (const std::system_error& error) {
      EXPECT_EQ(error.code(), std::errc::timed_out);
    }
  }
  const Result one = co_await pg.query("select 1");
  EXPECT_EQ(one.integer(0, 0), 1);
}

BACKEND_TEST(PgTest, TriesSeveralServersAlsoBehindOneThatDoesNotAnswer) {
  Base base(real_time());
  Connection pg(base);
  const examples_test::BoundPort silent(SOCK_STREAM);
  run_task(base, connect_to_several(pg, free_port(SOCK_STREAM), silent.port(), server().port()));
}

co::Task<> fail_to_connect(Connection& pg, std::string text) {
  bool lost = false;
  try {
    co_await pg.query("select 1");
  } catch (const pg::ConnectionLost& error) {
    lost = !error.sent();
  }
  EXPECT_TRUE(lost);
  std::string why;
  try {
    co_await pg.connect("host=127.0.0.1 port=1 user=test dbname=postgres");
  } catch (const pg::ConnectionLost& error) {
    why = error.what();
  }
  EXPECT_NE(why.find("refused"), std::string::npos) << why;
  try {
    co_await pg.connect(text + " nonsense=1");
  } catch (const pg::Error& error) {
    why = error.what();
  }
  EXPECT_NE(why.find("nonsense"), std::string::npos) << why;
  text += std::string("\0 nonsense=1", 12);  // libpq would not see it
  try {
    co_await pg.connect(text);
  } catch (const pg::Error& error) {
    why = error.what();
  }
  EXPECT_NE(why.find("zero byte"), std::string::npos) << why;
}

BACKEND_TEST(PgTest, SaysWhyItCannotConnect) {
  Base base(real_time());
  Connection pg(base);
  run_task(base, fail_to_connect(pg, text()));
}

co::Task<> cancelled_connects(Connection& pg, std::string text, int silent) {
  const std::string silent_text = "host=127.0.0.1 user=test port=" + std::to_string(silent);
  const auto none = co_await co::try_with_timeout(20ms, pg.connect(silent_text));
  EXPECT_FALSE(none.has_value());
  EXPECT_FALSE(pg.connected());
  co_await pg.connect(text);
}

BACKEND_TEST(PgTest, CancelsAConnectionThatIsBeingMade) {
  Base base(real_time());
  Connection pg(base);
  const examples_test::BoundPort silent(SOCK_STREAM);
  run_task(base, cancelled_connects(pg, text(), silent.port()));
}

co::Task<> cancel_query(Connection& pg, std::string text) {
  co_await pg.connect(text);
  const auto none = co_await co::try_with_timeout(20ms, pg.query("select pg_sleep(1000)"));
  EXPECT_FALSE(none.has_value());
  EXPECT_FALSE(pg.idle());
  // Waits until the server has let go of the other one, and is not cancelled in its place.
  const Result next = co_await pg.query("select pg_sleep(0.05), 7");
  EXPECT_EQ(next.integer(0, 1), 7);
}

BACKEND_TEST(PgTest, HasTheServerCancelAQueryWhoseTaskIsCancelled) {
  Base base(real_time());
  Connection pg(base, {.cancel_limit = 60s});
  run_task(base, cancel_query(pg, text()));
}

BACKEND_TEST(PgTest, MayWaitForACancelledQueryWithoutALimit) {
  Base base(real_time());
  Connection pg(base, {.cancel_limit = std::chrono::milliseconds::max()});
  run_task(base, cancel_query(pg, text()));
}

co::Task<> cancel_by_hand(Connection& pg, std::string text) {
  co_await pg.connect(text);
  const bool nothing_runs = co_await pg.cancel();
  EXPECT_TRUE(nothing_runs);
  Base& base = co_await co::base();
  co::TaskGroup group(base);
  std::string state;
  group.spawn([&]() -> co::Task<> { state = co_await sqlstate_of(pg, "select pg_sleep(1000)"); });
  // The server forgets a request that comes before the query.
  while (group.size() > 0) {
    const bool asked = co_await pg.cancel();
    EXPECT_TRUE(asked);
    co_await co::sleep(5ms);
  }
  EXPECT_EQ(state, "57014");
}

BACKEND_TEST(PgTest, CancelsTheQueryThatRuns) {
  Base base(real_time());
  Connection pg(base, {.cancel_limit = 60s});
  run_task(base, cancel_by_hand(pg, text()));
}

co::Task<> cancel_stopped(Connection& pg, Connection& other, std::string text) {
  co_await pg.connect(text);
  co_await other.connect(text);
  const Result pid = co_await pg.query("select pg_backend_pid()");
  const auto process = static_cast<pid_t>(pid.integer(0, 0));
  ::kill(process, SIGSTOP);
  const auto none = co_await co::try_with_timeout(10ms, pg.query("select 1"));
  EXPECT_FALSE(none.has_value());
  std::string why = co_await sqlstate_of(pg, "select 2");
  EXPECT_NE(why.find("did not end"), std::string::npos) << why;
  EXPECT_FALSE(pg.connected());
  ::kill(process, SIGCONT);
}

BACKEND_TEST(PgTest, ClosesAConnectionWhoseCancelledQueryDoesNotEnd) {
  Base base(real_time());
  Connection pg(base);
  Connection other(base);
  run_task(base, cancel_stopped(pg, other, text()));
}

// A server that accepts connections, and answers no query and no request to cancel one.
co::Task<> stay_silent(Base& base, net::Socket socket) {
  constexpr std::string_view kAccept("R\0\0\0\10\0\0\0\0K\0\0\0\14\0\0\0\1\0\0\0\2Z\0\0\0\5I", 28);
  constexpr std::string_view kCancel("\0\0\0\20\4\322\26\56", 8);
  net::SocketStream peer(base, std::move(socket));
  std::string begin;
  std::array<char, 1000> room{};
  while (begin.size() < kCancel.size()) {
    const std::size_t size = co_await peer.read_some(room);
    if (size == 0) co_return;
    begin.append(room.data(), size);
  }
  if (!begin.starts_with(kCancel)) co_await peer.write(kAccept);
  std::size_t size = 1;
  while (size > 0) size = co_await peer.read_some(room);
}

co::Task<> fail_over(Connection& pg, net::Listener& silent, std::string text) {
  Base& base = co_await co::base();
  co::TaskGroup servers(base);
  servers.spawn(net::serve(silent, stay_silent));
  co_await pg.connect("host=127.0.0.1 user=test sslmode=disable gssencmode=disable port=" +
                      std::to_string(silent.address().port()));
  const auto none = co_await co::try_with_timeout(20ms, pg.query("select 1"));
  EXPECT_FALSE(none.has_value());
  pg.close();
  EXPECT_TRUE(pg.is_settled());
  co_await pg.settled();
  co_await pg.connect(text);
  EXPECT_TRUE(pg.idle());
  const auto next = co_await co::try_with_timeout(60s, pg.query("select 7"));
  EXPECT_TRUE(next.has_value() && next->integer(0, 0) == 7);
  co_await co::sleep(20ms);  // the short limit of the first server has passed
  const Result last = co_await pg.query("select 8");
  EXPECT_EQ(last.integer(0, 0), 8);
}

BACKEND_TEST(PgTest, ForgetsACancellationWithTheConnectionThatItWasFor) {
  Base base(real_time());
  for (const std::chrono::milliseconds limit : {std::chrono::milliseconds(3'600'000), 10ms}) {
    Connection pg(base, {.cancel_limit = limit});
    net::Listener silent(base, net::Address::loopback(0));
    run_task(base, fail_over(pg, silent, text()));
  }
}

co::Task<> copy_both_ways(Connection& pg, std::string text) {
  co_await pg.connect(text);
  co_await pg.query("create temp table numbers (n int, t text)");
  {
    pg::CopyIn copy = co_await pg.copy_in("copy numbers from stdin");
    for (int i = 0; i < 100'000; ++i) {
      const std::string line = std::to_string(i) + "\ttext of a row\n";
      co_await copy.put(line);
    }
    const Result done = co_await copy.finish();
    EXPECT_EQ(done.affected(), 100'000);
  }
  const Result sum = co_await pg.query("select sum(n) from numbers");
  EXPECT_EQ(sum.integer(0, 0), 4'999'950'000);
  long long read = 0;
  int rows = 0;
  pg::CopyOut copy = co_await pg.copy_out("copy numbers to stdout");
  for (;;) {
    const std::optional<pg::Row> row = co_await copy.next();
    if (!row.has_value()) break;
    read += std::stoll(std::string(row->text()));
    ++rows;
  }
  EXPECT_EQ(rows, 100'000);
  EXPECT_EQ(read, 4'999'950'000);
  EXPECT_TRUE(pg.idle());
}

BACKEND_TEST(PgTest, Copies100000RowsInAndOut) {
  Base base(real_time());
  Connection pg(base);
  run_task(base, copy_both_ways(pg, text()));
}

co::Task<> broken_copies(Connection& pg, std::string text) {
  co_await pg.connect(text);
  co_await pg.query("create temp table numbers (n int)");
  {
    pg::CopyIn copy = co_await pg.copy_in("copy numbers from stdin");
    co_await copy.put("1\n2\n");
  }
  const Result none = co_await pg.query("select count(*) from numbers");
  EXPECT_EQ(none.integer(0, 0), 0);
  std::string state;
  try {
    pg::CopyIn copy = co_await pg.copy_in("copy numbers from stdin");
    co_await copy.put("not a number\n");
    co_await copy.finish();
  } catch (const pg::Error& error) {
    state = error.sqlstate();
  }
  EXPECT_EQ(state, "22P02");
  {
    pg::CopyOut copy =
        co_await pg.copy_out("copy (select generate_series(1, 100000000)) to stdout");
    const std::optional<pg::Row> row = co_await copy.next();
    EXPECT_TRUE(row.has_value());
  }
  const Result after = co_await pg.query("select 5");
  EXPECT_EQ(after.integer(0, 0), 5);
  bool refused = false;
  try {
    co_await pg.copy_in("select 1");
  } catch (const pg::Error&) {
    refused = true;
  }
  EXPECT_TRUE(refused);
  // Its task is gone before the server has begun.
  Base& base = co_await co::base();
  co::TaskGroup group(base);
  group.spawn([&]() -> co::Task<> {
    co_await pg.copy_out("copy (select generate_series(1, 100000000)) to stdout");
  });
  group.cancel();
  co_await group.join();
  const Result last = co_await pg.query("select 6");
  EXPECT_EQ(last.integer(0, 0), 6);
}

BACKEND_TEST(PgTest, EndsACopyThatIsGivenUpOrFails) {
  Base base(real_time());
  Connection pg(base);
  run_task(base, broken_copies(pg, text()));
}

// Whether the connection executes queries.
co::Task<> expect_usable(Connection& pg, const char* after) {
  const auto result = co_await co::try_with_timeout(60s, pg.query("select 42"));
  EXPECT_TRUE(result.has_value() && result->integer(0, 0) == 42) << after;
  EXPECT_TRUE(pg.connected()) << after;
}

// What copy_in() and copy_out() fail with.
co::Task<std::string> copy_in_error(Connection& pg, std::string statement) {
  try {
    const pg::CopyIn copy = co_await pg.copy_in(std::move(statement));
  } catch (const pg::Error& error) {
    co_return error.what();
  }
  co_return std::string();
}
co::Task<std::string> copy_out_error(Connection& pg, std::string statement) {
  try {
    const pg::CopyOut copy = co_await pg.copy_out(std::move(statement));
  } catch (const pg::Error& error) {
    co_return error.what();
  }
  co_return std::string();
}

// Blocks the thread until the server has answered.
void await_answer(const Connection& pg) {
  pollfd answered{::PQsocket(pg.get()), POLLIN, 0};
  ASSERT_EQ(::poll(&answered, 1, 60'000), 1);
}

co::Task<> copies_the_other_way(Connection& pg, std::string text) {
  co_await pg.connect(text);
  co_await pg.query("create temp table numbers (n int)");
  for (const char* const out :
       {"copy (select 1) to stdout", "copy (select generate_series(1, 100000000)) to stdout"}) {
    const std::string why = co_await copy_in_error(pg, out);
    EXPECT_NE(why.find("not a COPY FROM STDIN"), std::string::npos) << why;
    co_await expect_usable(pg, out);
  }
  const std::string why = co_await copy_out_error(pg, "copy numbers from stdin");
  EXPECT_NE(why.find("not a COPY TO STDOUT"), std::string::npos) << why;
  co_await expect_usable(pg, "copy_out()");
}

BACKEND_TEST(PgTest, EndsACopyInTheOtherDirectionThanWasAskedFor) {
  Base base(real_time());
  Connection pg(base, {.cancel_limit = 60s});
  run_task(base, copies_the_other_way(pg, text()));
}

co::Task<> finish_cancelled(Connection& pg, co::TaskGroup& group, bool& cancelled) {
  pg::CopyIn copy = co_await pg.copy_in("copy numbers from stdin");
  co_await copy.put("1\n");
  group.cancel();
  try {
    co_await copy.finish();
  } catch (const std::system_error& error) {
    cancelled = error.code() == std::errc::operation_canceled;
  }
}
co::Task<> read_cancelled(Connection& pg, co::TaskGroup& group, bool& cancelled) {
  pg::CopyOut copy = co_await pg.copy_out("copy (select 1) to stdout");
  const std::optional<pg::Row> row = co_await copy.next();
  EXPECT_TRUE(row.has_value());
  co_await co::sleep(20ms);  // the end has come as well
  group.cancel();
  try {
    co_await copy.next();
  } catch (const std::system_error& error) {
    cancelled = error.code() == std::errc::operation_canceled;
  }
}

co::Task<> end_copies_in_cancelled_tasks(Connection& pg, std::string text) {
  co_await pg.connect(text);
  co_await pg.query("create temp table numbers (n int)");
  Base& base = co_await co::base();
  co::TaskGroup group(base);
  for (const bool in : {true, false}) {
    bool cancelled = false;
    if (in) {
      group.spawn(finish_cancelled(pg, group, cancelled));
    } else {
      group.spawn(read_cancelled(pg, group, cancelled));
    }
    co_await group.join();
    EXPECT_TRUE(cancelled) << in;
    co_await expect_usable(pg, "a cancelled task");
  }
  const Result none = co_await pg.query("select count(*) from numbers");
  EXPECT_EQ(none.integer(0, 0), 0);
}

BACKEND_TEST(PgTest, GivesUpACopyThatACancelledTaskWantsToEnd) {
  Base base(real_time());
  Connection pg(base, {.cancel_limit = 60s});
  run_task(base, end_copies_in_cancelled_tasks(pg, text()));
}

co::Task<> query_behind_a_copy(Connection& pg, std::string text) {
  co_await pg.connect(text);
  Base& base = co_await co::base();
  co::TaskGroup group(base);
  {
    pg::CopyOut copy = co_await pg.copy_out("copy (select 1) to stdout");
    group.spawn(expect_usable(pg, "another task"));
    const std::optional<pg::Row> row = co_await copy.next();
    EXPECT_TRUE(row.has_value());
    co_await co::sleep(20ms);  // the end has come as well
    const std::optional<pg::Row> end = co_await copy.next();
    EXPECT_FALSE(end.has_value());
  }
  co_await group.join();
}

BACKEND_TEST(PgTest, ExecutesAQueryThatWasWaitingWhenACopyEnds) {
  Base base(real_time());
  Connection pg(base);
  run_task(base, query_behind_a_copy(pg, text()));
}

// Whether the next row cannot be had as the connection is lost, however many come before.
co::Task<bool> is_lost(pg::CopyOut& copy) {
  try {
    for (;;) {
      const std::optional<pg::Row> row = co_await copy.next();
      if (!row.has_value()) co_return false;
    }
  } catch (const pg::ConnectionLost&) {
    co_return true;
  }
}

co::Task<> lost_copies(Connection& pg, Connection& other, std::string text) {
  const std::string rows = "copy (select generate_series(1, 1000000)) to stdout";
  co_await other.connect(text);
  co_await pg.connect(text);
  {
    pg::CopyOut copy = co_await pg.copy_out(rows);
    const std::optional<pg::Row> row = co_await copy.next();
    EXPECT_TRUE(row.has_value());
    pg.close();
    const bool lost = co_await is_lost(copy);
    EXPECT_TRUE(lost);
    const bool still = co_await is_lost(copy);
    EXPECT_TRUE(still);
  }
  co_await pg.connect(text);
  {
    const Result pid = co_await pg.query("select pg_backend_pid()");
    pg::CopyOut copy = co_await pg.copy_out(rows);
    const std::optional<pg::Row> row = co_await copy.next();
    EXPECT_TRUE(row.has_value());
    co_await other.query("select pg_terminate_backend($1, 10000)", pid.integer(0, 0));
    const bool lost = co_await is_lost(copy);
    EXPECT_TRUE(lost);
  }
  EXPECT_FALSE(pg.connected());
  co_await pg.connect(text);
  pg::CopyOut copy = co_await pg.copy_out("copy (select 1) to stdout");
  const bool lost = co_await is_lost(copy);
  EXPECT_FALSE(lost);
  const std::optional<pg::Row> beyond = co_await copy.next();
  EXPECT_FALSE(beyond.has_value());
}

BACKEND_TEST(PgTest, TellsALostConnectionFromTheEndOfACopy) {
  Base base(real_time());
  Connection pg(base);
  Connection other(base);
  run_task(base, lost_copies(pg, other, text()));
}

co::Task<> two_copies(Connection& pg, std::string text) {
  co_await pg.connect(text);
  co_await pg.query("create temp table numbers(n int)");
  std::optional<pg::CopyIn> old(co_await pg.copy_in("copy numbers from stdin"));
  std::optional<pg::CopyOut> old_out;
  pg.close();
  co_await pg.connect(text);
  old_out.emplace(co_await pg.copy_out("copy (select 1) to stdout"));
  pg.close();
  co_await pg.connect(text);
  co_await pg.query("create temp table numbers(n int)");
  pg::CopyIn copy = co_await pg.copy_in("copy numbers from stdin");
  co_await copy.put("1\n");
  bool refused = false;
  try {
    co_await old->put("2\n");
  } catch (const pg::ConnectionLost&) {
    refused = true;
  }
  EXPECT_TRUE(refused);
  old.reset();
  old_out.reset();
  co_await copy.put("3\n");
  const Result done = co_await copy.finish();
  EXPECT_EQ(done.affected(), 2);
}

BACKEND_TEST(PgTest, KeepsACopyOfALostConnectionOutOfALaterOne) {
  Base base(real_time());
  Connection pg(base);
  run_task(base, two_copies(pg, text()));
}

BACKEND_TEST(PgTest, RefusesAZeroInAStatement) {
  Base base(real_time());
  Connection pg(base);
  pg::Pipeline pipeline(base);
  const std::string statement("select 1\0, 2", 12);
  EXPECT_THROW(static_cast<void>(pg.query(statement)), std::system_error);
  EXPECT_THROW(static_cast<void>(pg.script(statement)), std::system_error);
  EXPECT_THROW(pg.query([](adapters::Outcome<Result>) {}, statement), std::system_error);
  EXPECT_THROW(static_cast<void>(pipeline.query(statement)), std::system_error);
}

co::Task<> copies_as_queries(Connection& pg, std::string text) {
  co_await pg.connect(text);
  co_await pg.query("create temp table numbers(n int)");
  for (const char* const copy :
       {"copy numbers from stdin", "copy (select generate_series(1, 100000000)) to stdout",
        "copy (select 1) to stdout"}) {
    std::string why;
    try {
      co_await pg.query(copy);
    } catch (const pg::Error& error) {
      why = error.what();
    }
    EXPECT_NE(why.find("copy_in()"), std::string::npos) << copy << ": " << why;
    const Result after = co_await pg.query("select 5");
    EXPECT_EQ(after.integer(0, 0), 5) << copy;
  }
}

BACKEND_TEST(PgTest, RefusesACopyAsAQueryAndGoesOn) {
  Base base(real_time());
  Connection pg(base);
  run_task(base, copies_as_queries(pg, text()));
}

co::Task<> notifications(Connection& listener, Connection& pg, std::string text) {
  co_await listener.connect(text);
  co_await pg.connect(text);
  co_await listener.query("listen news");
  Base& base = co_await co::base();
  co::TaskGroup group(base);
  pg::Notification got;
  group.spawn([&]() -> co::Task<> { got = co_await listener.notification(); });
  co_await pg.query("select pg_notify('news', $1)", "hello");
  co_await group.join();  // without a query on that connection
  EXPECT_EQ(got.channel, "news");
  EXPECT_EQ(got.payload, "hello");
  EXPECT_NE(got.pid, 0);
  co_await pg.query("select pg_notify('news', n::text) from generate_series(1, 15) n");
  while (listener.dropped() < 5) co_await co::sleep(1ms);
  const pg::Notification sixth = co_await listener.notification();
  EXPECT_EQ(sixth.payload, "6");
}

BACKEND_TEST(PgTest, ReceivesNotificationsOnAnIdleConnectionAndKeepsSoMany) {
  Base base(real_time());
  Connection listener(base, {.most_notifications = 10});
  Connection pg(base);
  run_task(base, notifications(listener, pg, text()));
}

// Tasks wait for notifications, which come in one read. The first one cancels the second one.
co::Task<> cancel_a_receiver(Connection& listener, Connection& pg, std::string text) {
  co_await listener.connect(text);
  co_await pg.connect(text);
  co_await listener.query("listen news");
  Base& base = co_await co::base();
  for (const int waiters : {2, 3, 4}) {
    std::vector<std::string> got;
    co::TaskGroup group(base);
    co::TaskGroup second(base);
    const auto receive = [&](bool cancels) -> co::Task<> {
      const pg::Notification notification = co_await listener.notification();
      got.push_back(notification.payload);
      if (cancels) second.cancel();
    };
    group.spawn(receive(true));
    second.spawn(receive(false));
    for (int i = 2; i < waiters; ++i) group.spawn(receive(false));
    co_await pg.query("select pg_notify('news', n::text) from generate_series(1, 3) n");
    co_await group.join();
    co_await second.join();
    while (got.size() < 3) {
      const pg::Notification notification = co_await listener.notification();
      got.push_back(notification.payload);
    }
    EXPECT_EQ(got, (std::vector<std::string>{"1", "2", "3"})) << waiters;
  }
  EXPECT_EQ(listener.dropped(), 0U);
}

BACKEND_TEST(PgTest, PassesANotificationOnIfTheTaskThatItWasForIsCancelled) {
  Base base(real_time());
  Connection listener(base);
  Connection pg(base);
  run_task(base, cancel_a_receiver(listener, pg, text()));
}

co::Task<> queued_for_a_function(Connection& pg, std::string text) {
  co_await pg.connect(text);
  co_await pg.query("listen news");
  std::vector<std::string> got;
  for (const char* const payload : {"1", "2"}) {
    co_await pg.query("select pg_notify('news', $1)", payload);
  }
  for (int i = 0; i < 2; ++i) {
    pg.notification([&](adapters::Outcome<pg::Notification> notification) {
      got.push_back(notification.take().payload);
    });
  }
  EXPECT_TRUE(got.empty());
  co_await co::sleep(1ms);
  EXPECT_EQ(got, (std::vector<std::string>{"1", "2"}));
}

BACKEND_TEST(PgTest, CallsAFunctionWithANotificationThatWasQueued) {
  Base base(real_time());
  Connection pg(base);
  run_task(base, queued_for_a_function(pg, text()));
}

// The task of a COPY is cancelled when the server's answer was read and the task has not resumed.
co::Task<> cancel_before_the_copy(Connection& pg, std::string text, std::string statement) {
  co_await pg.connect(text);
  Base& base = co_await co::base();
  co_await pg.query("create temp table numbers (n int)");
  co_await pg.query("listen news");
  co_await pg.query("notify news");
  co::TaskGroup group(base);
  Timer first(base, [&] {
    pg.notification([&](const adapters::Outcome<pg::Notification>&) { group.cancel(); });
  });
  first.set_priority(Priority::high);
  group.spawn([&]() -> co::Task<> { co_await copy_out_error(pg, statement); });
  await_answer(pg);
  first.attach(Duration::zero());  // before the answer is read
  co_await group.join();
  co_await expect_usable(pg, "a cancelled task");
}

BACKEND_TEST(PgTest, EndsACopyWhoseTaskIsCancelledBeforeItResumes) {
  Base base(real_time());
  for (const char* const statement : {"copy (select 1) to stdout", "copy numbers from stdin"}) {
    Connection pg(base, {.cancel_limit = 60s});
    run_task(base, cancel_before_the_copy(pg, text(), statement));
  }
}

co::Task<> terminate(Connection& pg, std::string text, std::string query,
                     std::exception_ptr& thrown) {
  Base& base = co_await co::base();
  Connection other(base);
  co_await other.connect(text);
  if (!pg.connected()) co_await pg.connect(text);
  const Result pid = co_await pg.query("select pg_backend_pid()");
  co_await pg.query("begin");
  co_await pg.query("create temp table t (n int) on commit drop");
  co::TaskGroup group(base);
  ::kill(static_cast<pid_t>(pid.integer(0, 0)), SIGSTOP);
  group.spawn([&]() -> co::Task<> {
    try {
      co_await pg.query(query);
    } catch (...) {
      thrown = std::current_exception();
    }
  });
  co_await co::sleep(5ms);
  // It dies before it has read the query.
  co_await other.query("select pg_terminate_backend($1)", pid.integer(0, 0));
  ::kill(static_cast<pid_t>(pid.integer(0, 0)), SIGCONT);
  co_await group.join();
}

BACKEND_TEST(PgTest, TellsThatItDoesNotKnowWhetherACommitHasHappened) {
  Base base(real_time());
  Connection pg(base);
  std::exception_ptr thrown;
  run_task(base, terminate(pg, text(), " COMMIT ", thrown));
  ASSERT_NE(thrown, nullptr);
  EXPECT_THROW(std::rethrow_exception(thrown), pg::CommitUnknown);
  thrown = nullptr;
  run_task(base, terminate(pg, text(), "select 1", thrown));
  ASSERT_NE(thrown, nullptr);
  try {
    std::rethrow_exception(thrown);
  } catch (const pg::CommitUnknown&) {
    FAIL() << "it was no COMMIT";
  } catch (const pg::ConnectionLost& error) {
    EXPECT_TRUE(error.sent());
    EXPECT_EQ(error.sqlstate(), "57P01") << error.what();  // what the server said, not libpq
  }
}

co::Task<> failed_commit(Connection& pg, std::string text) {
  co_await pg.connect(text);
  for (const char* const commit : {"commit", " \n COMMIT work", "end", "-- all is well\ncommit",
                                   "/* a /* b */ c */ /**/ end;"}) {
    co_await pg.query("begin");
    const std::string state = co_await sqlstate_of(pg, "select 1/0");
    EXPECT_EQ(state, "22012");
    bool rolled_back = false;
    try {
      co_await pg.query(commit);
    } catch (const pg::RolledBack&) {
      rolled_back = true;
    }
    EXPECT_TRUE(rolled_back) << commit;
  }
}

BACKEND_TEST(PgTest, TellsThatACommitHasRolledBack) {
  Base base(real_time());
  Connection pg(base);
  run_task(base, failed_commit(pg, text()));
}

co::Task<> server_dies(Connection& pg, pg::Pipeline& pipeline, Postgres& server) {
  Base& base = co_await co::base();
  co_await pg.connect(server.text());
  co_await pipeline.connect(server.text());
  co::TaskGroup group(base);
  int lost = 0;
  for (int i = 0; i < 10; ++i) {
    group.spawn(
        [](pg::Pipeline& shared, int& count) -> co::Task<> {
          try {
            co_await shared.query("select pg_sleep(1000)");
          } catch (const pg::ConnectionLost&) {
            ++count;
          }
        },
        std::ref(pipeline), std::ref(lost));
  }
  co_await co::sleep(10ms);
  server.stop();
  co_await group.join();
  EXPECT_EQ(lost, 10);
  while (pg.connected()) co_await co::sleep(1ms);  // an idle one sees it, too
  server.start();
  co_await pg.connect(server.text());
  co_await pg.query("select 1");
}

BACKEND_TEST(PgTest, TellsAllWhoWaitWhenTheServerDiesAndConnectsAgain) {
  Base base(real_time());
  Connection pg(base);
  pg::Pipeline pipeline(base, {.most_in_flight = 5});
  run_task(base, server_dies(pg, pipeline, server()));
}

co::Task<> big_both_ways(Connection& pg, std::string text) {
  co_await pg.connect(text);
  const std::string big(20U << 20U, 'b');
  const Result same = co_await pg.query("select $1::text", big);
  EXPECT_TRUE(same.text(0, 0) == big);
}

BACKEND_TEST(PgTest, ReadsWhileItWrites) {
  Base base(real_time());
  Connection pg(base);
  run_task(base, big_both_ways(pg, text()));
}

co::Task<> pipelined(pg::Pipeline& pg, std::string text) {
  co_await pg.connect(text);
  Base& base = co_await co::base();
  co::TaskGroup group(base);
  int right = 0;
  int failed = 0;
  for (int i = 0; i < 200; ++i) {
    group.spawn(
        [](pg::Pipeline& shared, int n, int& good, int& bad) -> co::Task<> {
          try {
            const Result got = co_await shared.query("select 100 / ($1::int % 10), $1::int", n);
            if (got.integer(0, 1) == n) ++good;
          } catch (const pg::Error& error) {
            if (error.sqlstate() == "22012") ++bad;
          }
        },
        std::ref(pg), i, std::ref(right), std::ref(failed));
  }
  EXPECT_EQ(pg.in_flight(), 100U);
  EXPECT_EQ(pg.waiting(), 100U);
  co_await group.join();
  EXPECT_EQ(right, 180);
  EXPECT_EQ(failed, 20);
  // One that is cancelled disturbs no other.
  Connection other(base);
  co_await other.connect(text);
  co_await other.query("select pg_advisory_lock(1)");
  const auto none = co_await co::try_with_timeout(1ms, pg.query("select pg_advisory_lock(1)"));
  EXPECT_FALSE(none.has_value());
  co_await other.query("select pg_advisory_unlock(1)");
  const Result next = co_await pg.query("select 8");
  EXPECT_EQ(next.integer(0, 0), 8);
}

BACKEND_TEST(PgTest, PipelinesQueriesOfWhichOneThatFailsHarmsNoOther) {
  Base base(real_time());
  pg::Pipeline pg(base, {.most_in_flight = 100});
  run_task(base, pipelined(pg, text()));
}

co::Task<> in_one_transaction(pg::Pipeline& pg, std::string text) {
  co_await pg.connect(text);
  co_await pg.query("create temp table t (n int)");
  Base& base = co_await co::base();
  co::TaskGroup group(base);
  std::vector<std::string> outcomes(3);
  for (int i = 0; i < 3; ++i) {
    group.spawn(
        [](pg::Pipeline& shared, int n, std::string& outcome) -> co::Task<> {
          try {
            co_await shared.query("insert into t select 1 / (1 - $1::int)", n);
            outcome = "done";
          } catch (const pg::Error& error) {
            outcome = error.sqlstate() + "!";
          }
        },
        std::ref(pg), i, std::ref(outcomes[static_cast<std::size_t>(i)]));
  }
  co_await group.join();
  EXPECT_EQ(outcomes[1], "22012!");
  EXPECT_EQ(outcomes[2], "!");
  const Result count = co_await pg.query("select count(*) from t");
  EXPECT_EQ(count.integer(0, 0), 0);
  for (int i = 2; i < 500; ++i) {
    group.spawn([](pg::Pipeline& shared) -> co::Task<> { co_await shared.query("select 1"); },
                std::ref(pg));
  }
  co_await group.join();
}

co::Task<> copies_in_a_pipeline(Base& base, pg::Pipeline& pg, std::string text) {
  for (const char* const copy : {"copy (select 1) to stdout", "copy pg_class from stdin"}) {
    co_await pg.connect(text);
    co::TaskGroup group(base);
    std::vector<std::string> ends;
    for (const char* const query : {"select 1", copy, "select 2"}) {
      group.spawn([&, query]() -> co::Task<> {
        try {
          co_await pg.query(query);
          ends.emplace_back("good");
        } catch (const pg::ConnectionLost&) {
          ends.emplace_back("lost");
        } catch (const pg::Error& error) {
          ends.emplace_back(error.what());
        }
      });
    }
    co_await group.join();
    EXPECT_EQ(ends, (std::vector<std::string>{"good", "pg: a pipeline takes no COPY", "lost"}));
    EXPECT_FALSE(pg.connected());
  }
}

BACKEND_TEST(PgTest, APipelineRefusesACopyAndSaysSo) {
  Base base(real_time());
  pg::Pipeline pg(base);
  run_task(base, copies_in_a_pipeline(base, pg, text()));
}

BACKEND_TEST(PgTest, MayPipelineTheQueriesOfAnIterationInOneTransaction) {
  Base base(real_time());
  pg::Pipeline pg(base, {.one_transaction_an_iteration = true});
  run_task(base, in_one_transaction(pg, text()));
}

co::Task<> pool_use(pg::Pool& pool) {
  int pid = 0;
  {
    const pg::Pool::Lease pg = co_await pool.get();
    const Result own = co_await pg->query("select pg_backend_pid()");
    pid = static_cast<int>(own.integer(0, 0));
  }
  EXPECT_EQ(pool.idle(), 1U);
  {
    const pg::Pool::Lease pg = co_await pool.get();
    const Result own = co_await pg->query("select pg_backend_pid()");
    EXPECT_EQ(own.integer(0, 0), pid);
    co_await pg->query("begin");  // and is left in it
    const auto none = co_await co::try_with_timeout(10ms, pool.get());
    EXPECT_FALSE(none.has_value());  // there is one connection
  }
  EXPECT_EQ(pool.idle(), 0U);
  {
    const pg::Pool::Lease pg = co_await pool.get();
    const Result other = co_await pg->query("select pg_backend_pid()");
    EXPECT_NE(other.integer(0, 0), pid);
    const auto none = co_await co::try_with_timeout(10ms, pg->query("select pg_sleep(1000)"));
    EXPECT_FALSE(none.has_value());
  }
  EXPECT_EQ(pool.idle(), 0U);  // its query had not ended
  {
    const pg::Pool::Lease last = co_await pool.get();
    const Result runs = co_await last->query(
        "select count(*) from pg_stat_activity where query ~ 'pg_sleep.1000' "
        "and pid <> pg_backend_pid() and state = 'active'");
    EXPECT_EQ(runs.integer(0, 0), 0);
    const auto none = co_await co::try_with_timeout(10ms, last->query("select pg_sleep(1000)"));
    EXPECT_FALSE(none.has_value());
  }
  co_await pool.close();
  EXPECT_EQ(pool.idle(), 0U);
}

BACKEND_TEST(PgTest, APoolTakesBackOnlyConnectionsThatAreIdle) {
  Base base(real_time());
  pg::Pool pool(base, text(), 1);
  run_task(base, pool_use(pool));
}

co::Task<> zero_at_a_time(pg::Pipeline& pipeline, pg::Pool& pool, std::string text) {
  co_await pipeline.connect(text);
  const auto result = co_await co::try_with_timeout(60s, pipeline.query("select 1"));
  EXPECT_TRUE(result.has_value());
  const auto lease = co_await co::try_with_timeout(60s, pool.get());
  EXPECT_TRUE(lease.has_value());
}

BACKEND_TEST(PgTest, TakesZeroQueriesAndConnectionsForOne) {
  Base base(real_time());
  pg::Pipeline pipeline(base, {.most_in_flight = 0});
  pg::Pool pool(base, text(), 0);
  run_task(base, zero_at_a_time(pipeline, pool, text()));
}

co::Task<> pool_crowd(pg::Pool& pool, int& served) {
  Base& base = co_await co::base();
  co::TaskGroup group(base);
  for (int i = 0; i < 40; ++i) {
    group.spawn(
        [](pg::Pool& shared, int n, int& count) -> co::Task<> {
          const pg::Pool::Lease pg = co_await shared.get();
          const Result got = co_await pg->query("select $1::int", n);
          if (got.integer(0, 0) == n) ++count;
        },
        std::ref(pool), i, std::ref(served));
  }
  co_await group.join();
}

BACKEND_TEST(PgTest, APoolServesMoreTasksThanItHasConnections) {
  Base base(real_time());
  pg::Pool pool(base, text(), 4);
  int served = 0;
  run_task(base, pool_crowd(pool, served));
  EXPECT_EQ(served, 40);
  EXPECT_LE(pool.idle(), 4U);
}

co::Task<> destroyer(std::optional<Connection>& pg, std::string text, int& lost) {
  Base& base = co_await co::base();
  co_await pg->connect(text);
  co::TaskGroup group(base);
  group.spawn([&]() -> co::Task<> {
    co_await pg->query("select 1");
    pg.reset();
  });
  group.spawn([&]() -> co::Task<> {
    try {
      co_await pg->query("select 2");
    } catch (const pg::ConnectionLost&) {
      ++lost;
    }
  });
  co_await group.join();
}

BACKEND_TEST(PgTest, MayBeDestroyedByATaskThatItResumes) {
  Base base(real_time());
  std::optional<Connection> pg(std::in_place, base);
  int lost = 0;
  run_task(base, destroyer(pg, text(), lost));
  EXPECT_EQ(lost, 1);
}

// What a parent and a child of it have, each for itself.
struct Forked {
  explicit Forked(Base& base) : group(std::in_place, base), pg(std::in_place, base) {}
  // As a child does that goes on with something else.
  void destroy() {
    group.reset();
    in.reset();
    out.reset();
    pg.reset();
  }

  std::optional<co::TaskGroup> group;
  std::optional<Connection> pg;
  std::optional<pg::CopyIn> in;
  std::optional<pg::CopyOut> out;
  std::vector<long long> results;
};

co::Task<> fork_and_query(Forked& all, std::string text) {
  co_await all.pg->connect(text);
  co_await all.pg->query("create temp table numbers (n int)");
  EXPECT_TRUE(succeeds_in_child([&] { all.destroy(); }));
  co_await expect_usable(*all.pg, "an idle connection");
  for (int i = 0; i < 2; ++i) {  // one that runs, and one that waits
    all.group->spawn([&]() -> co::Task<> {
      const Result result = co_await all.pg->query("select pg_sleep(0.1), 7");
      all.results.push_back(result.integer(0, 1));
    });
  }
  EXPECT_TRUE(succeeds_in_child([&] { all.destroy(); }));
  co_await all.group->join();
  EXPECT_EQ(all.results, (std::vector<long long>{7, 7}));
}

co::Task<> fork_and_copy(Forked& all, std::string text) {
  co_await all.pg->connect(text);
  co_await all.pg->query("create temp table numbers (n int)");
  all.in.emplace(co_await all.pg->copy_in("copy numbers from stdin"));
  co_await all.in->put("1\n");
  EXPECT_TRUE(succeeds_in_child([&] { all.destroy(); }));
  co_await all.in->put("2\n");
  const Result done = co_await all.in->finish();
  EXPECT_EQ(done.affected(), 2);
  all.out.emplace(co_await all.pg->copy_out("copy (select generate_series(1, 100000)) to stdout"));
  EXPECT_TRUE(succeeds_in_child([&] { all.destroy(); }));
  int rows = 0;
  for (;;) {
    const std::optional<pg::Row> row = co_await all.out->next();
    if (!row.has_value()) break;
    ++rows;
  }
  EXPECT_EQ(rows, 100'000);
}

co::Task<> fork_and_listen(Forked& all, std::string text) {
  co_await all.pg->connect(text);
  co_await all.pg->query("listen news");
  std::string payload;
  all.group->spawn([&]() -> co::Task<> {
    const pg::Notification notification = co_await all.pg->notification();
    payload = notification.payload;
  });
  EXPECT_TRUE(succeeds_in_child([&] { all.destroy(); }));
  co_await all.pg->query("notify news, 'hello'");
  co_await all.group->join();
  EXPECT_EQ(payload, "hello");
}

BACKEND_TEST(PgTest, GoesOnInTheParentIfAForkedChildDestroysIt) {
  Base base(real_time());
  for (const auto use : {&fork_and_query, &fork_and_copy, &fork_and_listen}) {
    Forked all(base);
    run_task(base, use(all, text()));
  }
}

BACKEND_TEST(PgTest, MayOutliveItsBaseAndItsTasks) {
  std::optional<Base> base(std::in_place, real_time());
  Connection pg(*base);
  co::TaskGroup group(*base);
  bool runs = false;
  group.spawn([&]() -> co::Task<> {
    co_await pg.connect(text());
    runs = true;
    co_await pg.query("select pg_sleep(1000)");
  });
  while (!runs) run(*base, RunMode::once);
  base.reset();
  EXPECT_EQ(group.size(), 0U);
}

}  // namespace
}  // namespace event_cpp::test
