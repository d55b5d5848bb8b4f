// Runs a part of a test in a child process, for what cannot be undone.
#pragma once

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <exception>
#include <utility>

namespace event_cpp::test {

// True if `part` ran in a child, made by fork_process(), without a failed expectation, a crash, or
// taking half a minute.
template <class Part>
bool succeeds_in_child_of(pid_t (*fork_process)(), Part&& part) {
  constexpr unsigned kSeconds = 30;
  std::fflush(nullptr);
  const pid_t child = fork_process();
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

// The wait status of a child of fork(2) that runs `part` and then exits.
template <class Part>
int status_of_child(Part&& part) {
  std::fflush(nullptr);
  const pid_t child = ::fork();
  if (child == 0) {
    ::alarm(30);
    std::forward<Part>(part)();
    ::_exit(testing::Test::HasFailure() ? 1 : 0);
  }
  int status = -1;
  ::waitpid(child, &status, 0);
  return status;
}

// As succeeds_in_child_of() in a child of fork(2).
template <class Part>
bool succeeds_in_child(Part&& part) {
  return succeeds_in_child_of(&::fork, std::forward<Part>(part));
}

}  // namespace event_cpp::test
