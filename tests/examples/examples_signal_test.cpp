// The examples about signals, child processes, the time of day and other loops, run as a user runs
// them, and what ends the servers.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <event/event.hpp>
#include <filesystem>
#include <iterator>
#include <optional>
#include <sstream>
#include <string>
#include <system_error>
#include <tuple>
#include <utility>
#include <vector>

#include "../../examples/support/stop_on_signal.hpp"
#include "examples/child_process.hpp"
#include "examples/server.hpp"
#include "examples/tcp_client.hpp"
#include "support/usable_backends.hpp"

namespace {

using examples_test::ChildProcess;
using examples_test::example;
using examples_test::kDeaf;
using examples_test::kWhyDeaf;
using examples_test::Server;
using examples_test::TcpClient;

ChildProcess::Options on_backend(event::Backend backend) {
  return {.environment = {{"EVENT_BACKEND", examples_test::name_of(backend)}}};
}

bool has_descriptor(event::Backend backend) { return event::Base({.backend = backend}).fd() >= 0; }

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

// Reads lines until one has `text` in it; nothing if the program ends or is silent before that.
std::optional<std::string> line_with(ChildProcess& process, const std::string& text) {
  for (;;) {
    std::optional<std::string> line = process.read_line();
    if (!line || line->find(text) != std::string::npos) return line;
  }
}

constexpr auto kBackend = [](const testing::TestParamInfo<event::Backend>& tested) {
  return examples_test::name_of(tested.param);
};

constexpr auto kBackendAndSignal =
    [](const testing::TestParamInfo<std::tuple<event::Backend, int>>& tested) {
      const auto [backend, signo] = tested.param;
      return examples_test::name_of(backend) + (signo == SIGINT ? "Sigint" : "Sigterm");
    };

// What ends a program, on each backend.
class SignalExampleTest : public testing::TestWithParam<std::tuple<event::Backend, int>> {
 protected:
  static event::Backend backend() { return std::get<0>(GetParam()); }
  static int signo() { return std::get<1>(GetParam()); }
};

class ProcessStoppedBySignal : public SignalExampleTest {
 protected:
  void SetUp() override {
    if (kDeaf) GTEST_SKIP() << kWhyDeaf;
  }
};

class ServerStoppedBySignalTest : public ProcessStoppedBySignal {};
INSTANTIATE_TEST_SUITE_P(Backends, ServerStoppedBySignalTest,
                         testing::Combine(testing::ValuesIn(event_cpp::test::usable_backends()),
                                          testing::Values(SIGINT, SIGTERM)),
                         kBackendAndSignal);

TEST_P(ServerStoppedBySignalTest, PrintsStatisticsOfTheEchoServer) {
  Server server("echo_server", {"--backend", examples_test::name_of(backend())});
  const TcpClient client(server.port());
  ASSERT_TRUE(client.echoes("hello"));

  server.process().signal(signo());
  EXPECT_EQ(server.process().wait(), 0);
  EXPECT_EQ(server.process().output(),
            "connections 1, received 5 bytes, sent 5 bytes, errors 0, idle closes 0\n");
  EXPECT_EQ(client.receive_all(), "");
}

TEST_P(ServerStoppedBySignalTest, PrintsStatisticsOfTheChatServer) {
  Server server("chat_server", {"--backend", examples_test::name_of(backend())});
  const TcpClient anna(server.port());
  const TcpClient boris(server.port());
  boris.send("morning\n");
  ASSERT_EQ(anna.receive_line(), "morning\n");

  server.process().signal(signo());
  EXPECT_EQ(server.process().wait(), 0);
  EXPECT_EQ(server.process().output(),
            "connections 2, lines 1, sent 8 bytes, errors 0, dropped 0, kept at most 8 bytes\n");
}

// A loop in this process, and the disposition that each signal has at the beginning.
class StopOnSignalTest : public SignalExampleTest {
 protected:
  StopOnSignalTest()
      : interrupt_(::signal(SIGINT, SIG_DFL)), terminate_(::signal(SIGTERM, SIG_DFL)) {}
  ~StopOnSignalTest() override {
    ::signal(SIGINT, interrupt_);
    ::signal(SIGTERM, terminate_);
  }

  static bool is_default(int number) {
    struct sigaction now {};
    return ::sigaction(number, nullptr, &now) == 0 && now.sa_handler == SIG_DFL;
  }

  event::Base base_{{.backend = backend()}};

 private:
  using Handler = void (*)(int);
  Handler interrupt_;
  Handler terminate_;
};
INSTANTIATE_TEST_SUITE_P(Backends, StopOnSignalTest,
                         testing::Combine(testing::ValuesIn(event_cpp::test::usable_backends()),
                                          testing::Values(SIGINT, SIGTERM)),
                         kBackendAndSignal);

TEST_P(StopOnSignalTest, StopsOnceAndLeavesASecondSignalToItsFormerDisposition) {
  const support::StopOnSignal stop(base_);
  event::Timer never(base_, [] { FAIL() << "nothing has stopped the base"; });
  never.attach(examples_test::kPatience);
  ASSERT_FALSE(is_default(SIGINT));
  ASSERT_FALSE(is_default(SIGTERM));

  ASSERT_EQ(::raise(signo()), 0);
  base_.dispatch();

  EXPECT_TRUE(is_default(SIGINT));
  EXPECT_TRUE(is_default(SIGTERM));
}

TEST_P(StopOnSignalTest, DoesNotKeepABaseRunningThatHasNothingElse) {
  const support::StopOnSignal stop(base_);
  EXPECT_EQ(base_.dispatch(), 0U);
}

class SignalShutdownTest : public ProcessStoppedBySignal {
 protected:
  static Server start(const std::string& delay) {
    return Server("signal_shutdown",
                  {"--backend", examples_test::name_of(backend()), "--delay", delay});
  }
};
INSTANTIATE_TEST_SUITE_P(Backends, SignalShutdownTest,
                         testing::Combine(testing::ValuesIn(event_cpp::test::usable_backends()),
                                          testing::Values(SIGINT, SIGTERM)),
                         kBackendAndSignal);

TEST_P(SignalShutdownTest, EndsWithStatus0WhenNobodyIsConnected) {
  Server server = start("0s");
  EXPECT_EQ(server.stop(signo()), "stopping: 0 connections left\nstopped\n");
}

TEST_P(SignalShutdownTest, ClosesConnectionsThatHaveAskedForNothing) {
  Server server = start("0s");
  const TcpClient client(server.port());
  client.send("hello\n");
  ASSERT_EQ(client.receive_line(), "done: hello\n");

  EXPECT_EQ(server.stop(signo()), "stopping: 0 connections left\nstopped\n");
  EXPECT_EQ(client.receive_all(), "");
}

TEST_P(SignalShutdownTest, AnswersEverythingThatItWasAskedBeforeItEnds) {
  Server server = start("500ms");
  const TcpClient idle(server.port());
  const TcpClient busy(server.port());
  for (const TcpClient* client : {&idle, &busy}) {
    client->send("hello\n");
    ASSERT_EQ(client->receive_line(), "done: hello\n");
  }

  busy.send("one\ntwo\n");
  EXPECT_EQ(server.stop(signo()), "stopping: 1 connections left\nstopped\n");

  EXPECT_EQ(busy.receive_all(), "done: one\ndone: two\n");
  EXPECT_EQ(idle.receive_all(), "");
}

TEST_P(SignalShutdownTest, ReadsNoFurtherThanTheLineThatItWorksOn) {
  Server server = start("1h");
  const TcpClient greedy(server.port());
  greedy.send("first\n");
  EXPECT_LT(greedy.send_until_blocked(), TcpClient::kMoreThanSocketsHold);
}

TEST_P(SignalShutdownTest, DropsAClientWhoseLineNeverEnds) {
  Server server = start("0s");
  const TcpClient endless(server.port());
  endless.send_until_blocked(1024 * 1024);
  EXPECT_TRUE(endless.dropped_within(examples_test::kPatience));
}

TEST_P(SignalShutdownTest, TakesNobodyWhileItStopsAndEndsAtTheSecondSignal) {
  Server server = start("1h");
  const TcpClient client(server.port());
  client.send("hello\n");

  server.process().signal(signo());
  ASSERT_EQ(server.process().read_line(), "stopping: 1 connections left");
  EXPECT_THROW(TcpClient{server.port()}, std::system_error);

  server.process().signal(signo());
  EXPECT_EQ(server.process().wait(), 1);
  EXPECT_EQ(server.process().output(), "stopped at once: 1 connections dropped\n");
}

// The supervisor, with a command of the shell.
class SupervisorTest : public testing::TestWithParam<event::Backend> {
 protected:
  static std::vector<std::string> command(std::vector<std::string> options,
                                          const std::string& script) {
    options.insert(options.begin(), example("supervisor"));
    options.insert(options.end(), {"--", "sh", "-c", script});
    return options;
  }

  // What the supervisor says comes with the number of the command.
  static std::vector<std::string> said(const std::string& output) {
    std::vector<std::string> lines = lines_of(output);
    std::erase_if(lines, [](const std::string& line) {
      return line.rfind("command ", 0) != 0 || line.find(": started") != std::string::npos;
    });
    return lines;
  }
};
INSTANTIATE_TEST_SUITE_P(Backends, SupervisorTest,
                         testing::ValuesIn(event_cpp::test::usable_backends()), kBackend);

TEST_P(SupervisorTest, EndsWithStatus0WhenTheCommandEndsWell) {
  ChildProcess process(command({}, "echo hello"), on_backend(GetParam()));
  EXPECT_EQ(process.wait(), 0) << process.errors();
  EXPECT_EQ(said(process.output()), std::vector<std::string>{"command 1: exited with status 0"});
  EXPECT_NE(process.output().find("hello\n"), std::string::npos) << process.output();
}

TEST_P(SupervisorTest, DoublesTheDelayUpToItsLimitAndGivesUpWithStatus1) {
  ChildProcess process(command({"--backoff", "10ms", "--max-backoff", "35ms", "--stable", "1h",
                                "--max-restarts", "4"},
                               "exit 3"),
                       on_backend(GetParam()));
  EXPECT_EQ(process.wait(), 1) << process.errors();
  EXPECT_EQ(said(process.output()),
            (std::vector<std::string>{"command 1: exited with status 3; again in 10 ms",
                                      "command 1: exited with status 3; again in 20 ms",
                                      "command 1: exited with status 3; again in 35 ms",
                                      "command 1: exited with status 3; again in 35 ms",
                                      "command 1: exited with status 3; given up"}));
}

TEST_P(SupervisorTest, ForgetsFailuresOfACommandThatHasRunForAWhile) {
  if (kDeaf) GTEST_SKIP() << kWhyDeaf;
  ChildProcess process(command({"--backoff", "10ms", "--stable", "1ms", "--max-restarts", "1"},
                               "sleep 0.01; exit 3"),
                       on_backend(GetParam()));
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(line_with(process, "status 3"), "command 1: exited with status 3; again in 10 ms");
  }
  process.signal(SIGTERM);
  EXPECT_EQ(process.wait(), 0);
}

TEST_P(SupervisorTest, RestartsACommandThatWasKilled) {
  ChildProcess process(command({"--backoff", "0ms", "--max-restarts", "1"}, "kill -KILL $$"),
                       on_backend(GetParam()));
  EXPECT_EQ(process.wait(), 1) << process.errors();
  EXPECT_EQ(said(process.output()),
            (std::vector<std::string>{"command 1: killed by signal 9; again in 0 ms",
                                      "command 1: killed by signal 9; given up"}));
}

TEST_P(SupervisorTest, EndsWithStatus0WhenARestartedCommandEndsWell) {
  const std::string file = testing::TempDir() + "supervisor." + std::to_string(::getpid()) + "." +
                           examples_test::name_of(GetParam());
  std::filesystem::remove(file);
  ChildProcess process(
      command({"--backoff", "1ms"}, "test -e " + file + " && exit 0; : >" + file + "; exit 3"),
      on_backend(GetParam()));
  EXPECT_EQ(process.wait(), 0) << process.errors();
  EXPECT_EQ(said(process.output()),
            (std::vector<std::string>{"command 1: exited with status 3; again in 1 ms",
                                      "command 1: exited with status 0"}));
  std::filesystem::remove(file);
}

TEST_P(SupervisorTest, PassesSigintAndSigtermOnAndEndsWithTheCommand) {
  if (kDeaf) GTEST_SKIP() << kWhyDeaf;
  for (const auto& [signo, name] : {std::pair(SIGINT, "INT"), std::pair(SIGTERM, "TERM")}) {
    const std::string script = std::string("trap 'echo got it; exit 3' ") + name +
                               "; echo ready; for i in $(seq 600); do sleep 0.05; done";
    ChildProcess process(command({}, script), on_backend(GetParam()));
    ASSERT_TRUE(line_with(process, "ready"));

    process.signal(signo);
    EXPECT_EQ(line_with(process, "got it"), "got it");
    EXPECT_EQ(process.wait(), 0) << process.errors();
    EXPECT_EQ(process.output(), "command 1: exited with status 3\n");
  }
}

TEST_P(SupervisorTest, PassesSignalsOnToEveryCommand) {
  if (kDeaf) GTEST_SKIP() << kWhyDeaf;
  ChildProcess process({example("supervisor"), "--count", "3", "--", "sleep", "60"},
                       on_backend(GetParam()));
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(line_with(process, "started"));

  process.signal(SIGTERM);
  EXPECT_EQ(process.wait(), 0) << process.errors();
  std::vector<std::string> lines = said(process.output());
  std::ranges::sort(lines);
  EXPECT_EQ(lines, (std::vector<std::string>{"command 1: killed by signal 15",
                                             "command 2: killed by signal 15",
                                             "command 3: killed by signal 15"}));
}

TEST_P(SupervisorTest, DoesNotRestartAfterASignal) {
  if (kDeaf) GTEST_SKIP() << kWhyDeaf;
  ChildProcess process(command({"--backoff", "1h", "--max-backoff", "1h"}, "exit 3"),
                       on_backend(GetParam()));
  ASSERT_EQ(line_with(process, "status 3"), "command 1: exited with status 3; again in 3600000 ms");
  process.signal(SIGTERM);
  EXPECT_EQ(process.wait(), 0) << process.errors();
  EXPECT_EQ(process.output(), "");
}

// As a careless parent leaves it.
void block_sigterm_and_ignore_sigint() {
  sigset_t blocked;
  ::sigemptyset(&blocked);
  ::sigaddset(&blocked, SIGTERM);
  ::sigprocmask(SIG_BLOCK, &blocked, nullptr);
  ::signal(SIGINT, SIG_IGN);
}

// What a careless parent leaves open is not the supervisor's.
void close_all_but_the_standard_three() { ::close_range(STDERR_FILENO + 1, ~0U, 0); }

TEST_P(SupervisorTest, GivesTheCommandDefaultSignalsWhateverItsOwnAre) {
  ChildProcess::Options how = on_backend(GetParam());
  how.before_exec = block_sigterm_and_ignore_sigint;
  // A shell may change what it gets, so there is none.
  ChildProcess process(
      {example("supervisor"), "--", "grep", "-E", "^(SigBlk|SigIgn):", "/proc/self/status"}, how);
  const std::optional<std::string> blocked = line_with(process, "SigBlk:");
  const std::optional<std::string> ignored = line_with(process, "SigIgn:");
  ASSERT_TRUE(blocked && ignored) << process.errors();
  const std::uint64_t ours = 1U << (SIGINT - 1) | 1U << (SIGTERM - 1);
  EXPECT_EQ(std::stoull(blocked->substr(8), nullptr, 16) & ours, 0U);
  EXPECT_EQ(std::stoull(ignored->substr(8), nullptr, 16) & ours, 0U);
  EXPECT_EQ(process.wait(), 0) << process.errors();
}

TEST_P(SupervisorTest, HearsOfItsOwnSignalsEvenIfTheyAreBlockedOrIgnored) {
  if (kDeaf) GTEST_SKIP() << kWhyDeaf;
  if (!EVENT_HAVE_EPOLL && GetParam() != event::Backend::kqueue)
    GTEST_SKIP() << "this backend cannot tell of blocked signals";
  for (const int signo : {SIGINT, SIGTERM}) {
    ChildProcess::Options how = on_backend(GetParam());
    how.before_exec = block_sigterm_and_ignore_sigint;
    ChildProcess process({example("supervisor"), "--", "sleep", "60"}, how);
    ASSERT_TRUE(line_with(process, "started"));
    process.signal(signo);
    EXPECT_EQ(process.wait(), 0) << process.errors();
    EXPECT_EQ(process.output(), "command 1: killed by signal " + std::to_string(signo) + "\n");
  }
}

TEST_P(SupervisorTest, GivesTheCommandNoneOfItsDescriptors) {
  ChildProcess::Options how = on_backend(GetParam());
  how.before_exec = close_all_but_the_standard_three;
  // A shell that has nothing to do after it becomes the last command itself.
  ChildProcess process(command({"--max-restarts", "0"}, "ls /proc/$$/fd; exit 3"), how);
  EXPECT_EQ(process.wait(), 1) << process.errors();
  // That it was started, the supervisor may say before or after the command's first lines.
  std::vector<std::string> lines = lines_of(process.output());
  std::erase_if(lines, [](const auto& line) { return line.find("started") != std::string::npos; });
  EXPECT_EQ(lines,
            (std::vector<std::string>{"0", "1", "2", "command 1: exited with status 3; given up"}));
}

TEST(SupervisorTest, SaysThatACommandCannotBeStarted) {
  ChildProcess process({example("supervisor"), "--max-restarts", "0", "--", "/no/such/command"});
  EXPECT_EQ(process.wait(), 1);
  EXPECT_EQ(process.output(),
            "command 1: cannot be started: No such file or directory; given up\n");
}

TEST(SupervisorTest, RefusesAWrongCommandLine) {
  for (const std::vector<std::string>& options : {std::vector<std::string>{},
                                                  {"--count", "0", "--", "true"},
                                                  {"--backoff", "5", "--", "true"}}) {
    std::vector<std::string> all{example("supervisor")};
    all.insert(all.end(), options.begin(), options.end());
    ChildProcess process(all);
    EXPECT_EQ(process.wait(), 1);
    EXPECT_NE(process.errors(), "");
  }
}

class CronTest : public testing::TestWithParam<event::Backend> {};
INSTANTIATE_TEST_SUITE_P(Backends, CronTest, testing::ValuesIn(event_cpp::test::usable_backends()),
                         kBackend);

TEST_P(CronTest, FiresAtFullPeriodsOnlyNeverEarlyAndEndsWhenAllAreCounted) {
  ChildProcess process({example("cron"), "--every", "250ms", "--count", "4"},
                       on_backend(GetParam()));
  ASSERT_EQ(process.wait(), 0) << process.errors();
  const std::vector<std::string> lines = lines_of(process.output());
  ASSERT_EQ(lines.size(), 4U) << process.output();
  for (const std::string& line : lines) {
    int milliseconds = 0;
    int late = 0;
    ASSERT_EQ(
        std::sscanf(line.c_str(), "%*d-%*d-%*d %*d:%*d:%*d.%d, %d ms late", &milliseconds, &late),
        2)
        << line;
    EXPECT_EQ(milliseconds % 250, 0) << line;
    EXPECT_GE(late, 0) << line;
  }
  // As they are written the later is the greater, and none comes twice.
  EXPECT_TRUE(std::ranges::is_sorted(lines)) << process.output();
  EXPECT_EQ(std::ranges::adjacent_find(lines), lines.end()) << process.output();
}

TEST(CronTest, RefusesAPeriodOfNothing) {
  ChildProcess process({example("cron"), "--every", "0s"});
  EXPECT_EQ(process.wait(), 1);
  EXPECT_NE(process.errors().find("--every: "), std::string::npos) << process.errors();
}

// The examples that run a base inside another loop.
class EmbeddedExample : public testing::TestWithParam<event::Backend> {
 protected:
  static void expect_refusal(const std::string& name) {
    ChildProcess process({example(name)}, on_backend(GetParam()));
    EXPECT_EQ(process.wait(), 1);
    EXPECT_EQ(process.errors(),
              name + ": this backend has no descriptor to wait for; it needs epoll\n");
    EXPECT_EQ(process.output(), "");
  }
};

class GlibTest : public EmbeddedExample {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(example("glib"))) GTEST_SKIP() << "built without GLib";
  }
};
INSTANTIATE_TEST_SUITE_P(Backends, GlibTest, testing::ValuesIn(event_cpp::test::usable_backends()),
                         kBackend);

TEST_P(GlibTest, RunsATickerAndAPipeInsideTheMainLoopOfGlibOrSaysThatItCannot) {
  if (!has_descriptor(GetParam())) return expect_refusal("glib");
  ChildProcess process({example("glib")}, on_backend(GetParam()));
  EXPECT_EQ(process.wait(), 0) << process.errors();

  std::vector<std::string> lines = lines_of(process.output());
  const auto of = [&lines](const std::string& who) {
    std::vector<std::string> found;
    std::ranges::copy_if(lines, std::back_inserter(found),
                         [&](const std::string& line) { return line.rfind(who, 0) == 0; });
    return found;
  };
  EXPECT_EQ(of("glib: "),
            (std::vector<std::string>{"glib: timeout 1", "glib: timeout 2", "glib: timeout 3",
                                      "glib: timeout 4", "glib: timeout 5"}));
  EXPECT_EQ(of("event: tick"),
            (std::vector<std::string>{"event: tick 1", "event: tick 2", "event: tick 3",
                                      "event: tick 4", "event: tick 5", "event: tick 6"}));
  EXPECT_EQ(of("event: byte").size(), 4U) << process.output();
  EXPECT_EQ(of("event: end of stream").size(), 1U) << process.output();
}

class NestedTest : public EmbeddedExample {};
INSTANTIATE_TEST_SUITE_P(Backends, NestedTest,
                         testing::ValuesIn(event_cpp::test::usable_backends()), kBackend);

TEST_P(NestedTest, RunsTickersAndPostsOfBothBasesOrSaysThatItCannot) {
  if (!has_descriptor(GetParam())) return expect_refusal("nested");
  ChildProcess process({example("nested")}, on_backend(GetParam()));
  EXPECT_EQ(process.wait(), 0) << process.errors();
  EXPECT_EQ(process.output(),
            "outer: 5 ticks, 3 posted functions\ninner: 5 ticks, 3 posted functions\n");
}

}  // namespace
