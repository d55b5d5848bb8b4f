#include <gtest/gtest.h>

#include "adapters/services.hpp"
#include "examples/server.hpp"

namespace event_cpp::test {
namespace {

using examples_test::example;

TEST(RedisExamplesTest, RedisGetReadsKeysByOneRequest) {
  NEEDS_PROGRAM("redis-cli");
  if (!std::filesystem::exists(example("redis_get"))) GTEST_SKIP() << "examples are not built";
  const RedisServer server;
  const std::string port = std::to_string(server.port());
  EXPECT_EQ(examples_test::shell("redis-cli -p " + port + " set greeting hello"), "OK\n");
  ChildProcess process({example("redis_get"), "localhost", port, "greeting", "other"});
  EXPECT_EQ(process.wait(), 0) << process.errors();
  EXPECT_EQ(process.output(), "greeting = hello\nother is not set\n");
}

}  // namespace
}  // namespace event_cpp::test
