#include <gtest/gtest.h>

#include "adapters/services.hpp"
#include "examples/server.hpp"

namespace event_cpp::test {
namespace {

using examples_test::example;

class PgExamplesTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(example("pg_query"))) GTEST_SKIP() << "examples are not built";
    server.emplace();
  }
  std::optional<Postgres> server;
};

TEST_F(PgExamplesTest, PgQueryPrintsRowsAndNotifications) {
  const std::string query = "select n, n * n from generate_series(1, 2) n";
  ChildProcess rows({example("pg_query"), server->text(), query});
  EXPECT_EQ(rows.wait(), 0) << rows.errors();
  EXPECT_EQ(rows.output(), "1\t1\n2\t4\nSELECT 2\n");
  ChildProcess listener({example("pg_query"), server->text()});
  ASSERT_TRUE(listener.read_line().has_value()) << listener.errors();
  ChildProcess sender({example("pg_query"), server->text(), "notify example, 'text'"});
  EXPECT_EQ(sender.wait(), 0);
  EXPECT_EQ(listener.read_line(), "example: text");
  listener.signal(SIGINT);
  EXPECT_EQ(listener.wait(), 0);
}

TEST_F(PgExamplesTest, PgPoolServesManyClientsAndCutsOffThoseThatAreLate) {
  ChildProcess quick({example("pg_pool"), server->text(), "100", "4"});
  EXPECT_EQ(quick.wait(), 0) << quick.errors();
  EXPECT_EQ(quick.output(), "100 served, 0 late, 0 cancelled, 0 failed\n");
  ChildProcess slow({example("pg_pool"), server->text(), "8", "2", "select pg_sleep(1000)"});
  EXPECT_EQ(slow.wait(), 0) << slow.errors();
  EXPECT_EQ(slow.output(), "0 served, 8 late, 0 cancelled, 0 failed\n");
  ChildProcess stopped({example("pg_pool"), server->text(), "8", "2", "select pg_sleep(1000)"});
  const std::string count =
      "select count(*) from pg_stat_activity where query = 'select pg_sleep(1000)'";
  const auto running = [&](const std::string& connections) {
    ChildProcess look({example("pg_query"), server->text(), count});
    EXPECT_EQ(look.wait(), 0);
    return look.output() == connections + "\nSELECT 1\n";
  };
  for (int looks = 0; looks < 1000 && !running("2"); ++looks) ::usleep(1000);
  stopped.signal(SIGINT);
  EXPECT_EQ(stopped.wait(), 0) << stopped.errors();
  EXPECT_NE(stopped.output().find("0 served, "), std::string::npos) << stopped.output();
  EXPECT_TRUE(running("0"));
}

}  // namespace
}  // namespace event_cpp::test
