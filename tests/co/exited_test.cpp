// exited(): the end of a child process.
#include <sys/wait.h>
#include <unistd.h>

#include "co/support.hpp"

namespace event_cpp::test {
namespace {

using co::Task;

class ExitedTest : public EveryBackendCo {
 protected:
  void SetUp() override {
    EveryBackendCo::SetUp();
    if (GetParam() == Backend::none) GTEST_SKIP() << "no signals, no child processes";
  }
};

// The includes are those of a user: what the library calls a child is not the group's.
BACKEND_TEST(ExitedTest, ReturnsTheStatusOfTheChildProcess) {
  Base base(options());
  const auto waits = []() -> Task<int> {
    const pid_t pid = ::fork();
    if (pid == 0) ::_exit(3);
    const int status = co_await co::exited(pid);
    co_return status;
  };
  const int status = run_task(base, waits());
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 3);
}

}  // namespace
}  // namespace event_cpp::test
