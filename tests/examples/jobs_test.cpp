// The example jobs: its scheduling without a process and without a clock, and the program.
#define main jobs_main
#include "../../examples/jobs.cpp"  // NOLINT(bugprone-suspicious-include)
#undef main

#include <gtest/gtest.h>

#include <event/manual_time.hpp>

#include "examples/child_process.hpp"
#include "examples/server.hpp"

namespace {

namespace co = event::co;
using namespace std::chrono_literals;
using examples_test::ChildProcess;
using examples_test::example;
using examples_test::kDeaf;
using examples_test::kWhyDeaf;

// Jobs that take as many milliseconds as their command says, in a time that only they move.
class JobsScheduleTest : public testing::Test {
 protected:
  static event::Options on(event::ManualTime& time) {
    event::Options options;
    options.backend = event::Backend::none;
    options.time = &time;
    return options;
  }
  // When each run has begun, as "job@milliseconds".
  std::string schedule(std::vector<jobs::Job> all, std::size_t at_once, std::size_t count) {
    jobs::Settings settings;
    settings.at_once = at_once;
    settings.count = count;
    std::string log;
    const event::TimePoint start = base.now();
    jobs::Scheduler scheduler(base, settings, [&](const jobs::Job& job) -> co::Task<> {
      const auto at = std::chrono::duration_cast<std::chrono::milliseconds>(base.now() - start);
      log += job.command + '@' + std::to_string(at.count()) + ' ';
      ++running;
      most = std::max(most, running);
      co_await co::sleep(std::chrono::milliseconds(std::stol(job.command)));
      --running;
    });
    co::run(base, scheduler.run(all));
    return log;
  }
  event::ManualTime time;
  event::Base base{on(time)};
  int running = 0;
  int most = 0;
};

TEST_F(JobsScheduleTest, RunsEachJobAtItsInterval) {
  EXPECT_EQ(schedule({{100ms, "1"}, {250ms, "2"}}, 4, 3), "1@0 2@0 1@100 1@200 2@250 2@500 ");
}

TEST_F(JobsScheduleTest, LeavesOutTimesThatAJobHasMissed) {
  EXPECT_EQ(schedule({{100ms, "250"}}, 4, 3), "250@0 250@300 250@600 ");
}

TEST_F(JobsScheduleTest, RunsSoManyAtOnceAndTheOthersInTheirTurn) {
  EXPECT_EQ(schedule({{1000ms, "10"}, {1000ms, "11"}, {1000ms, "12"}}, 2, 1), "10@0 11@0 12@10 ");
  EXPECT_EQ(most, 2);
}

TEST_F(JobsScheduleTest, UnderstandsTimes) {
  EXPECT_EQ(jobs::parse("500ms date").every, 500ms);
  EXPECT_EQ(jobs::parse("2h ls -l").every, 2h);
  EXPECT_EQ(jobs::parse("2h ls -l").command, "ls -l");
  for (const char* const text : {"", "date", "10 date", "s date", "10s", "10s ", "0s date", "-1s x",
                                 "99999999999999999999s x"}) {
    EXPECT_THROW(jobs::parse(text), std::invalid_argument) << text;
  }
}

TEST(JobsExample, PrintsWhatCommandsWriteAndHowTheyFail) {
  ChildProcess process({example("jobs"), "--count", "2", "10ms echo out; echo err >&2; exit 3"});
  EXPECT_EQ(process.wait(), 0) << process.errors();
  const std::string name = "[echo out; echo err >&2; exit 3] ";
  const std::string once = name + "out\n" + name + "err\n" + name + "exited with 3\n";
  EXPECT_EQ(process.output(), once + once);
}

TEST(JobsExample, StopsACommandAfterItsLimit) {
  ChildProcess process({example("jobs"), "--count", "1", "--limit", "10ms", "1s sleep 1000"});
  EXPECT_EQ(process.wait(), 0) << process.errors();
  EXPECT_EQ(process.output(), "[sleep 1000] stopped after its time limit\n");
}

TEST(JobsExample, StopsItsCommandsAtSigterm) {
  if (kDeaf) GTEST_SKIP() << kWhyDeaf;
  ChildProcess process({example("jobs"), "1h echo $$ > /proc/$PPID/fd/2; exec sleep 1000"});
  ASSERT_TRUE(process.wait_for_error("\n"));
  const pid_t command = std::stoi(process.errors());
  EXPECT_EQ(::kill(command, 0), 0);
  process.signal(SIGTERM);
  EXPECT_EQ(process.wait(), 0) << process.errors();
  EXPECT_EQ(::kill(command, 0), -1);
}

TEST(JobsExample, RefusesWhatIsNoJob) {
  ChildProcess process({example("jobs"), "date"});
  EXPECT_EQ(process.wait(), 1);
  EXPECT_NE(process.errors().find("not a time and a command"), std::string::npos);
}

}  // namespace
