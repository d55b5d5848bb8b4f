// The small examples, and what the servers have in common.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <event/event.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "examples/child_process.hpp"
#include "examples/server.hpp"
#include "examples/tcp_client.hpp"
#include "support/seccomp.hpp"

namespace {

using examples_test::ChildProcess;
using examples_test::example;
using examples_test::Family;
using examples_test::Server;
using examples_test::TcpClient;

// A program that fails: its exit status and what it says about that.
void expect_failure(const std::vector<std::string>& command, const std::string& message) {
  ChildProcess process(command);
  EXPECT_EQ(process.wait(), 1) << command.back();
  EXPECT_NE(process.errors().find(message), std::string::npos) << process.errors();
}

TEST(TimerExampleTest, FiresItsTimerOnceAndItsTickerFiveTimesNeverEarly) {
  ChildProcess process({example("timer")});
  ASSERT_EQ(process.wait(), 0) << process.errors();

  std::vector<int> timers;
  std::vector<int> ticks;
  std::istringstream lines(process.output());
  int milliseconds = 0;
  std::string unit;
  for (std::string what; lines >> milliseconds >> unit >> what;) {
    (what == "timer" ? timers : ticks).push_back(milliseconds);
  }
  ASSERT_EQ(timers.size(), 1U) << process.output();
  EXPECT_GE(timers[0], 500);
  ASSERT_EQ(ticks.size(), 5U) << process.output();
  for (int i = 0; i < 5; ++i) EXPECT_GE(ticks[static_cast<std::size_t>(i)], 200 * (i + 1));
}

TEST(PriorityExampleTest, RunsHighBeforeMiddleBeforeLow) {
  ChildProcess process({example("priority")});
  EXPECT_EQ(process.wait(), 0) << process.errors();
  EXPECT_EQ(process.output(), "order: high middle low\nlow is high now: low high middle\n");
}

TEST(ExampleServerTest, SaysThatThePortIsInUseAndFails) {
  for (const char* name : {"echo_server", "chat_server"}) {
    const Server first(name);
    const std::string port = std::to_string(first.port());
    expect_failure({example(name), port}, name + (": port " + port) + ": Address already in use");
  }
}

TEST(ExampleServerTest, RefusesAWrongCommandLine) {
  for (const char* name : {"echo_server", "chat_server"}) {
    expect_failure({example(name), "70000"}, "70000");
    expect_failure({example(name), "-1"}, "-1");
    expect_failure({example(name), "http"}, "http");
    expect_failure({example(name), "--backend", "pigeon"}, "pigeon");
  }
  for (const char* time : {"soon", "5", "5parsecs", "-5s", "99999999h"}) {
    expect_failure({example("echo_server"), "--idle", time}, "--idle: ");
  }
  expect_failure({example("chat_server"), "--max-backlog", "-5"}, "-5");
}

TEST(ExampleServerTest, RefusesABackendThatThisSystemLacks) {
  const std::vector<event::Backend> present = event::Base::backends();
  for (const event::Backend backend :
       {event::Backend::epoll, event::Backend::kqueue, event::Backend::poll}) {
    if (std::ranges::find(present, backend) != present.end()) continue;
    expect_failure({example("echo_server"), "0", "--backend", examples_test::name_of(backend)},
                   "echo_server: ");
  }
}

TEST(ExampleServerTest, RefusesAnUnknownBackendInTheEnvironment) {
  ChildProcess process({example("echo_server"), "0"},
                       {.environment = {{"EVENT_BACKEND", "pigeon"}}});
  EXPECT_EQ(process.wait(), 1);
  EXPECT_EQ(process.errors().rfind("echo_server: ", 0), 0U) << process.errors();
}

TEST(ExampleServerTest, TakesIdleTimesInEveryUnit) {
  for (const char* time : {"500ms", "60s", "5m", "1h", "0s"}) {
    Server server("echo_server", {"--idle", time});
    EXPECT_TRUE(TcpClient(server.port()).echoes("hello")) << time;
  }
}

TEST(ExampleServerTest, ServesIpv4WhereThereIsNoIpv6) {
  const auto refuse_ipv6 = [] {
    if (!event_cpp::test::refuse_ipv6()) ::_exit(125);
  };
  Server server("echo_server", {}, {.before_exec = refuse_ipv6});
  EXPECT_TRUE(TcpClient(server.port()).echoes("hello"));
}

TEST(ExampleServerTest, ServesIpv4AndIpv6OnOnePort) {
  if (!examples_test::has_ipv6()) GTEST_SKIP() << "this machine has no IPv6";
  Server server("echo_server");
  EXPECT_TRUE(TcpClient(server.port(), {.family = Family::ipv4}).echoes("hello"));
  EXPECT_TRUE(TcpClient(server.port(), {.family = Family::ipv6}).echoes("hello"));
}

}  // namespace
