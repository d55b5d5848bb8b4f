#include <gtest/gtest.h>

#include "adapters/services.hpp"
#include "examples/server.hpp"

namespace event_cpp::test {
namespace {

using examples_test::example;

TEST(CurlExamplesTest, FetchGetsPagesAndSaysWhichItCouldNot) {
  NEEDS_PROGRAM("lighttpd");
  if (!std::filesystem::exists(example("fetch"))) GTEST_SKIP() << "examples are not built";
  const TemporaryFolder folder;
  folder.random_file("page", 100'000);
  const examples_test::Lighttpd server(folder);
  const std::string base = "http://localhost:" + std::to_string(server.port());
  ChildProcess good({example("fetch"), base + "/page"});
  EXPECT_EQ(good.wait(), 0) << good.errors();
  EXPECT_EQ(good.output(), base + "/page: 200, 100000 bytes\n");
  ChildProcess bad({example("fetch"), base + "/missing", "http://127.0.0.1:1/"});
  EXPECT_EQ(bad.wait(), 1);
  EXPECT_NE(bad.output().find("/missing: 404, "), std::string::npos) << bad.output();
  EXPECT_NE(bad.output().find("http://127.0.0.1:1/: "), std::string::npos) << bad.output();
}

}  // namespace
}  // namespace event_cpp::test
