// The small examples, and what the servers have in common.
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <event/event.hpp>
#include <iostream>
#include <sstream>
#include <streambuf>
#include <string>
#include <utility>
#include <vector>

#include "../../examples/support/acceptor.hpp"
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
using namespace std::chrono_literals;

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

TEST(AcceptorTest, TakesAtMostSixteenConnectionsBeforeOthersHaveTheirTurn) {
  event::Base base;
  UniqueFd listener = support::listen_on(0);
  const std::uint16_t port = support::port_of(listener.get());
  std::vector<TcpClient> clients;
  for (int i = 0; i < 100; ++i) clients.emplace_back(port);

  std::vector<UniqueFd> accepted;
  const support::Acceptor acceptor(base, std::move(listener),
                                   [&](UniqueFd fd) { accepted.push_back(std::move(fd)); });
  std::size_t most = 0;
  for (std::size_t before = 0; accepted.size() < clients.size(); before = accepted.size()) {
    base.loop(event::RunMode::once);
    most = std::max(most, accepted.size() - before);
  }

  EXPECT_EQ(most, 16U);
}

TEST(AcceptorTest, HasNoMoreConnectionsOpenThanItMay) {
  event::Base base;
  UniqueFd listener = support::listen_on(0);
  const std::uint16_t port = support::port_of(listener.get());
  std::vector<TcpClient> clients;
  for (int i = 0; i < 30; ++i) clients.emplace_back(port);

  std::size_t open = 0;
  support::Acceptor acceptor(
      base, std::move(listener), [&](UniqueFd) { ++open; }, 20);
  while (base.loop(event::RunMode::nonblock) > 0) {
  }
  EXPECT_EQ(open, 20U);
  EXPECT_EQ(base.size(), 0U) << "it does not look at the door while it is full";

  acceptor.resume(3);
  while (base.loop(event::RunMode::nonblock) > 0) {
  }
  EXPECT_EQ(open, 23U);
}

// What is written to std::cerr while this lives.
class CapturedErrors {
 public:
  CapturedErrors() : previous_(std::cerr.rdbuf(text_.rdbuf())) {}
  ~CapturedErrors() { std::cerr.rdbuf(previous_); }
  CapturedErrors(const CapturedErrors&) = delete;
  CapturedErrors& operator=(const CapturedErrors&) = delete;

  std::string text() const { return text_.str(); }

 private:
  std::ostringstream text_;
  std::streambuf* previous_;
};

// An acceptor whose every attempt fails, on a time of its own.
class FailingAcceptorTest : public testing::Test {
 protected:
  static UniqueFd shut_listener() {
    UniqueFd listener = support::listen_on(0);
    EXPECT_EQ(::shutdown(listener.get(), SHUT_RDWR), 0);
    return listener;
  }

  CapturedErrors errors_;
  event::ManualTime time_;
  void SetUp() override {
    if (!EVENT_HAVE_EPOLL) GTEST_SKIP() << "such a listener is never ready";
  }

  event::Base base_{{.time = &time_}};
  support::Acceptor acceptor_{base_, shut_listener(), [](UniqueFd) { FAIL(); }};
};

TEST_F(FailingAcceptorTest, TriesTenTimesASecondAndReportsOnce) {
  const event::TimePoint begin = time_.now();

  std::size_t callbacks = 0;
  while (time_.now() - begin < 10s) callbacks += base_.loop(event::RunMode::once);

  // An attempt and a timer each time; a report at the begin and then each second.
  EXPECT_LE(callbacks, 202U);
  const std::string reports = errors_.text();
  EXPECT_GE(std::ranges::count(reports, '\n'), 10);
  EXPECT_LE(std::ranges::count(reports, '\n'), 11);
}

TEST_F(FailingAcceptorTest, TriesAtOnceWhenADescriptorBecomesFree) {
  base_.loop(event::RunMode::once);
  ASSERT_EQ(base_.loop(event::RunMode::nonblock), 0U);

  acceptor_.resume();
  EXPECT_EQ(base_.loop(event::RunMode::nonblock), 1U);
}

}  // namespace
