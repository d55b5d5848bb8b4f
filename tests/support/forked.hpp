// Runs a part of a test in a child process, for what cannot be undone.
#pragma once

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <exception>
#include <utility>

namespace event_cpp::test {

// True if `part` ran in a child without a failed expectation, a crash, or taking half a minute.
template <class Part>
bool succeeds_in_child(Part&& part) {
  constexpr unsigned kSeconds = 30;
  std::fflush(nullptr);
  const pid_t child = ::fork();
  if (child == 0) {
    ::alarm(kSeconds);
    try {
      std::forward<Part>(part)();
    } catch (const std::exception& error) {
      ADD_FAILURE() << "thrown: " << error.what();
    }
    std::fflush(nullptr);
    ::_exit(testing::Test::HasFailure() ? 1 : 0);
  }
  int status = 0;
  return child > 0 && ::waitpid(child, &status, 0) == child && WIFEXITED(status) &&
         WEXITSTATUS(status) == 0;
}

}  // namespace event_cpp::test
