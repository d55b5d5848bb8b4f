// The examples of coroutines, run as a user runs them.
#include <gtest/gtest.h>

#include <csignal>
#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "examples/child_process.hpp"
#include "examples/server.hpp"

namespace {

using examples_test::ChildProcess;
using examples_test::example;
using examples_test::kDeaf;
using examples_test::kWhyDeaf;

// The lines of a text that begin with `start`.
std::vector<std::string> lines_with(const std::string& start, const std::string& text) {
  std::vector<std::string> found;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) {
    if (line.rfind(start, 0) == 0) found.push_back(line);
  }
  return found;
}

// Reads lines until one begins with `start`.
bool wait_for(ChildProcess& process, const std::string& start) {
  for (;;) {
    const std::optional<std::string> line = process.read_line();
    if (!line) return false;
    if (line->rfind(start, 0) == 0) return true;
  }
}

TEST(TickerDeadlineExample, TicksUntilTheDeadline) {
  ChildProcess process({example("ticker_deadline"), "--every", "10ms", "--deadline", "105ms"});
  EXPECT_EQ(process.wait(), 0) << process.errors();
  const std::size_t ticks = lines_with("tick ", process.output()).size();
  EXPECT_GE(ticks, 1U);  // 10, but for a busy machine
  EXPECT_EQ(lines_with("deadline ", process.output()),
            std::vector<std::string>{"deadline after " + std::to_string(ticks) + " ticks"});
}

TEST(PipelineExample, AddsWhatItsStagesComputeWhateverTheirNumber) {
  for (const char* workers : {"1", "3", "50"}) {
    ChildProcess process({example("pipeline"), "--count", "20", "--workers", workers});
    EXPECT_EQ(process.wait(), 0) << process.errors();
    EXPECT_EQ(process.output(), "sum: 2870\n") << workers;
  }
}

TEST(PipelineExample, EndsWithoutAnythingToDo) {
  ChildProcess process({example("pipeline"), "--count", "0"});
  EXPECT_EQ(process.wait(), 0) << process.errors();
  EXPECT_EQ(process.output(), "sum: 0\n");
}

TEST(SupervisedWorkersExample, RestartsEachWorkerWithABackOffUntilItEndsWell) {
  ChildProcess process({example("supervised_workers"), "--workers", "3", "--backoff", "2ms"});
  EXPECT_EQ(process.wait(), 0) << process.errors();
  EXPECT_EQ(lines_with("worker 1 ", process.output()),
            std::vector<std::string>{"worker 1 ends well"});
  EXPECT_EQ(lines_with("worker 3 ", process.output()),
            (std::vector<std::string>{"worker 3 failed; again in 2 ms",
                                      "worker 3 failed; again in 4 ms", "worker 3 ends well"}));
}

TEST(SupervisedWorkersExample, GivesAWorkerUpThatFailsTooOften) {
  ChildProcess process(
      {example("supervised_workers"), "--workers", "3", "--backoff", "1ms", "--max-restarts", "1"});
  EXPECT_EQ(process.wait(), 1) << process.errors();
  EXPECT_EQ(lines_with("worker 2 ", process.output()),
            (std::vector<std::string>{"worker 2 failed; again in 1 ms", "worker 2 ends well"}));
  EXPECT_EQ(
      lines_with("worker 3 ", process.output()),
      (std::vector<std::string>{"worker 3 failed; again in 1 ms", "worker 3 failed; given up"}));
}

TEST(GracefulShutdownExample, FinishesTheJobsThatRunAndStartsNone) {
  if (kDeaf) GTEST_SKIP() << kWhyDeaf;
  for (const int signo : {SIGINT, SIGTERM}) {
    ChildProcess process({example("graceful_shutdown"), "--every", "1h", "--job", "200ms"});
    ASSERT_TRUE(wait_for(process, "job 1 starts")) << process.errors();
    process.signal(signo);
    EXPECT_EQ(process.wait(), 0) << process.errors();
    EXPECT_EQ(lines_with("all ", process.output()).size(), 1U) << process.output();
    EXPECT_EQ(lines_with("job 2 ", process.output()).size(), 0U) << process.output();
  }
}

TEST(GracefulShutdownExample, CancelsTheJobsWhenTheGracePeriodIsOver) {
  if (kDeaf) GTEST_SKIP() << kWhyDeaf;
  ChildProcess process({example("graceful_shutdown"), "--job", "1h", "--grace", "10ms"});
  ASSERT_TRUE(wait_for(process, "job 1 starts")) << process.errors();
  process.signal(SIGTERM);
  EXPECT_EQ(process.wait(), 1) << process.errors();
  EXPECT_EQ(lines_with("grace ", process.output()).size(), 1U) << process.output();
}

TEST(GracefulShutdownExample, CancelsTheJobsAtASecondSignal) {
  if (kDeaf) GTEST_SKIP() << kWhyDeaf;
  ChildProcess process({example("graceful_shutdown"), "--job", "1h", "--grace", "1h"});
  ASSERT_TRUE(wait_for(process, "job 1 starts")) << process.errors();
  process.signal(SIGTERM);
  ASSERT_TRUE(wait_for(process, "stopping, jobs left: ")) << process.errors();
  process.signal(SIGINT);
  EXPECT_EQ(process.wait(), 1) << process.errors();
  EXPECT_EQ(lines_with("second ", process.output()).size(), 1U) << process.output();
}

TEST(CoroutineExamples, RefuseAWrongCommandLine) {
  for (const auto& [name, option] :
       std::vector<std::pair<const char*, const char*>>{{"ticker_deadline", "--every"},
                                                        {"pipeline", "--workers"},
                                                        {"supervised_workers", "--workers"},
                                                        {"graceful_shutdown", "--grace"}}) {
    ChildProcess process({example(name), option, "-1"});
    EXPECT_EQ(process.wait(), 1) << name;
    EXPECT_NE(process.errors().find(option), std::string::npos) << process.errors();
  }
}

}  // namespace
