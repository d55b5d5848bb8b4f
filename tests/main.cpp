// Runs the tests: in this process, or with --apart each in a child of its own. That keeps them
// apart like starting the program for each of them, which takes long with a sanitizer in it.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

namespace {

// What GoogleTest chooses by the filter and the share, which it does when it lists or runs.
std::vector<std::string> chosen_tests() {
  GTEST_FLAG_SET(list_tests, true);
  testing::internal::CaptureStdout();  // the list, which would hide what fails
  if (RUN_ALL_TESTS() != 0) std::abort();
  static_cast<void>(testing::internal::GetCapturedStdout());
  GTEST_FLAG_SET(list_tests, false);
  for (const char* share : {"GTEST_TOTAL_SHARDS", "GTEST_SHARD_INDEX"}) ::unsetenv(share);

  std::vector<std::string> chosen;
  const testing::UnitTest& all = *testing::UnitTest::GetInstance();
  for (int i = 0; i < all.total_test_suite_count(); ++i) {
    const testing::TestSuite& suite = *all.GetTestSuite(i);
    for (int j = 0; j < suite.total_test_count(); ++j) {
      const testing::TestInfo& test = *suite.GetTestInfo(j);
      if (test.should_run()) chosen.push_back(std::string(suite.name()) + '.' + test.name());
    }
  }
  return chosen;
}

// Returns in the child. What is left for main() to do there belongs to the test: a leak checker
// runs at the exit.
int run_one(const std::string& name) {
  constexpr unsigned kSeconds = 300;
  ::alarm(kSeconds);
  GTEST_FLAG_SET(filter, name);
  const int result = RUN_ALL_TESTS();
  return testing::UnitTest::GetInstance()->test_to_run_count() == 1 ? result : 1;
}

int run_each_apart() {
  int failed = 0;
  for (const std::string& name : chosen_tests()) {
    std::fflush(nullptr);
    const pid_t child = ::fork();
    if (child == 0) return run_one(name);
    int status = -1;
    if (child > 0 && ::waitpid(child, &status, 0) == child && status == 0) continue;
    std::printf("%s failed; as waitpid() has it, with status %d\n", name.c_str(), status);
    ++failed;
  }
  return failed == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  if (argc > 1 && argv[1] == std::string_view("--apart")) return run_each_apart();
  return RUN_ALL_TESTS();
}
