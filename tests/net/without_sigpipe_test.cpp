// Calls that may raise SIGPIPE.
#include "event/net/detail/without_sigpipe.hpp"

#include <gtest/gtest.h>

#include <cerrno>
#include <csignal>

#include "support/signals.hpp"

namespace event_cpp::test {
namespace {

int raised = 0;
void count_raised(int /*signo*/) { ++raised; }

// As sendfile(2) and splice(2) do, of which a part has gone when the peer resets.
long raise_and_return(long result) {
  return net::detail::without_sigpipe([result] {
    ::raise(SIGPIPE);
    return result;
  });
}

TEST(WithoutSigpipeTest, TakesTheSignalWhateverTheCallReturns) {
  const Disposition counted(SIGPIPE, &count_raised);
  raised = 0;
  for (const long result : {-static_cast<long>(EPIPE), 0L, 1L, 65536L}) {
    EXPECT_EQ(raise_and_return(result), result);
    EXPECT_EQ(raised, 0) << result;
  }
}

}  // namespace
}  // namespace event_cpp::test
