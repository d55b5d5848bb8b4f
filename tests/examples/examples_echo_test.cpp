// The echo server, run as a user runs it, with netcat and with a thousand clients.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <event/event.hpp>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "examples/child_process.hpp"
#include "examples/crowd.hpp"
#include "examples/peers.hpp"
#include "examples/server.hpp"
#include "examples/tcp_client.hpp"
#include "support/usable_backends.hpp"

namespace {

using examples_test::ChildProcess;
using examples_test::Crowd;
using examples_test::kPatience;
using examples_test::Server;
using examples_test::shell;
using examples_test::TcpClient;
using namespace std::chrono_literals;

class EchoServerTest : public testing::TestWithParam<event::Backend> {
 protected:
  // Chosen through the environment, as a user can for any program.
  std::unique_ptr<Server> start(const std::vector<std::string>& options = {},
                                ChildProcess::Options how = {}) const {
    how.environment["EVENT_BACKEND"] = examples_test::name_of(GetParam());
    return std::make_unique<Server>("echo_server", options, how);
  }
};

INSTANTIATE_TEST_SUITE_P(Backends, EchoServerTest,
                         testing::ValuesIn(event_cpp::test::usable_backends()),
                         [](const auto& tested) { return examples_test::name_of(tested.param); });

// So many descriptors, if the system allows it.
bool allow_descriptors(rlim_t count) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_max < count) return false;
  limit.rlim_cur = std::max(limit.rlim_cur, count);
  return ::setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

TEST_P(EchoServerTest, AnswersNetcatOverIpv4) {
  const auto server = start();
  const std::string port = std::to_string(server->port());
  EXPECT_EQ(shell("printf hello | nc.openbsd -N 127.0.0.1 " + port), "hello");
}

TEST_P(EchoServerTest, AnswersNetcatOverIpv6) {
  if (!examples_test::has_ipv6()) GTEST_SKIP() << "this machine has no IPv6";
  const auto server = start();
  const std::string port = std::to_string(server->port());
  EXPECT_EQ(shell("printf hello | nc.openbsd -N ::1 " + port), "hello");
}

TEST_P(EchoServerTest, SendsEveryByteOfAThousandClientsBackInOrder) {
  constexpr std::size_t kClients = 1000;
  constexpr unsigned kSeed = 20240607;
  if (!allow_descriptors(kClients + 100)) GTEST_SKIP() << "the limit of descriptors is too low";
  std::cout << "seed " << kSeed << std::endl;
  const auto server = start();

  Crowd crowd(server->port(), kClients, 64 * 1024, kSeed);
  EXPECT_TRUE(crowd.run());
  EXPECT_EQ(crowd.failed(), 0);
  EXPECT_EQ(crowd.finish(), 0);

  const std::string bytes = std::to_string(crowd.bytes());
  EXPECT_EQ(server->stop(), "connections 1000, received " + bytes + " bytes, sent " + bytes +
                                " bytes, errors 0, idle closes 0\n");
}

TEST_P(EchoServerTest, SendsTheRestToAClientThatHasFinishedSending) {
  const auto server = start();
  const TcpClient client(server->port(), {.receive_buffer = 4096});
  const std::size_t sent = client.send_until_blocked();
  ASSERT_LT(sent, TcpClient::kMoreThanSocketsHold)
      << "the server took everything without an answer being read";

  client.finish();
  const std::string answer = client.receive_all();

  EXPECT_EQ(answer.size(), sent);
  EXPECT_EQ(answer.find_first_not_of('x'), std::string::npos);
}

TEST_P(EchoServerTest, NeitherGrowsNorBlocksOthersForClientsThatNeverRead) {
  // A sanitizer keeps freed memory for a while, which is not what this is about.
  const auto server = start({}, {.environment = {{"ASAN_OPTIONS", "quarantine_size_mb=1"}}});
  const TcpClient polite(server->port());
  ASSERT_TRUE(polite.echoes("hello"));
  const std::size_t before = server->process().private_memory();

  std::vector<std::unique_ptr<TcpClient>> greedy;
  for (int i = 0; i < 4; ++i) {
    greedy.push_back(std::make_unique<TcpClient>(server->port()));
    EXPECT_LT(greedy.back()->send_until_blocked(), TcpClient::kMoreThanSocketsHold);
  }

  EXPECT_LT(server->process().private_memory(), before + 16 * 1024);
  EXPECT_TRUE(polite.echoes(std::string(10'000, 'p')));
}

TEST_P(EchoServerTest, SurvivesResetsWhileItReceivesAndWhileItSends) {
  const auto server = start();
  for (int i = 0; i < 20; ++i) {
    TcpClient client(server->port());
    client.send("hello");
    client.reset();
  }
  TcpClient never_reads(server->port());
  never_reads.send_until_blocked();
  never_reads.reset();

  EXPECT_TRUE(TcpClient(server->port()).echoes("still there?"));
  const std::string statistics = server->stop().value_or("");
  EXPECT_EQ(statistics.rfind("connections 22, ", 0), 0U) << statistics;
  EXPECT_EQ(statistics.find("errors 0"), std::string::npos) << statistics;
}

TEST_P(EchoServerTest, ClosesAnIdleClientAndNotAnActiveOne) {
  const auto server = start({"--idle", "3s"});
  const auto begin = std::chrono::steady_clock::now();
  const TcpClient idle(server->port());
  const TcpClient active(server->port());

  for (auto last = begin; !idle.readable_within(20ms);) {
    const auto now = std::chrono::steady_clock::now();
    if (now - last > 2s) GTEST_SKIP() << "this machine is too slow to keep a client active";
    last = now;
    ASSERT_TRUE(active.echoes("tick")) << "the active client was closed";
    ASSERT_LT(now - begin, kPatience);
  }

  EXPECT_EQ(idle.receive_all(), "");
  EXPECT_GE(std::chrono::steady_clock::now() - begin, 3s);
  EXPECT_TRUE(active.echoes("tick"));
  const std::string statistics = server->stop().value_or("");
  EXPECT_NE(statistics.find("errors 0, idle closes 1\n"), std::string::npos) << statistics;
}

TEST_P(EchoServerTest, ClosesAClientThatDoesNotTakeItsAnswerForTheIdleTime) {
  const auto server = start({"--idle", "1s"});
  const TcpClient client(server->port());
  client.send_until_blocked();

  EXPECT_TRUE(client.dropped_within(kPatience));
  const std::string statistics = server->stop().value_or("");
  EXPECT_NE(statistics.find("idle closes 1\n"), std::string::npos) << statistics;
}

TEST_P(EchoServerTest, WaitsWithoutSpinningWhileItHasNoDescriptorForANewClient) {
  const auto server = start({}, {.max_descriptors = 40});
  // UBSan opens a pipe when it meets a class for the first time, and takes it for a fault if it
  // cannot: so show the server an error, and that it lives, before it gets tight.
  TcpClient(server->port()).reset();
  ASSERT_TRUE(TcpClient(server->port()).echoes("hello"));
  std::vector<std::unique_ptr<TcpClient>> clients;
  for (int i = 0; i < 100; ++i) clients.push_back(std::make_unique<TcpClient>(server->port()));
  ASSERT_TRUE(server->process().wait_for_error("new connections wait"));

  // The only way to see that something does not happen is to give it time to happen.
  const auto begin = std::chrono::steady_clock::now();
  const std::size_t reports_before = server->process().errors().size();
  const auto cpu_before = server->process().cpu_time();
  while (std::chrono::steady_clock::now() - begin < 2s) {
    ASSERT_TRUE(clients.front()->echoes("hello"));
    clients.back()->readable_within(50ms);
  }
  const auto cpu = server->process().cpu_time() - cpu_before;
  const std::string reports = server->process().errors().substr(reports_before);
  const auto time = std::chrono::steady_clock::now() - begin;
  EXPECT_LT(cpu, time / 5);
  EXPECT_LE(std::ranges::count(reports, '\n'), time / 1s + 2) << "about one a second";

  // Each that leaves makes room for one that waits.
  for (auto& client : clients) {
    ASSERT_TRUE(client->echoes("my turn"));
    client.reset();
  }
}

TEST_P(EchoServerTest, LetsOthersWaitWhileItHasAsManyClientsAsItMay) {
  const auto server = start({"--max-connections", "3"});
  std::vector<std::unique_ptr<TcpClient>> clients;
  for (int i = 0; i < 6; ++i) clients.push_back(std::make_unique<TcpClient>(server->port()));
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(clients[static_cast<std::size_t>(i)]->echoes("hello"));

  // The only way to see that something does not happen is to give it time to happen.
  const auto cpu_before = server->process().cpu_time();
  clients.back()->send("may I?");
  EXPECT_FALSE(clients.back()->readable_within(500ms));
  EXPECT_LT(server->process().cpu_time() - cpu_before, 250ms) << "it spins while they wait";

  // Each that leaves makes room for one that waits.
  for (std::size_t i = 0; i + 1 < clients.size(); ++i) {
    ASSERT_TRUE(clients[i]->echoes("my turn"));
    clients[i]->reset();
  }
  EXPECT_EQ(clients.back()->receive(6), "may I?");
}

TEST_P(EchoServerTest, StopsCleanlyWithItsStatistics) {
  for (const int signal : {SIGTERM, SIGINT}) {
    const auto server = start();
    const TcpClient client(server->port());
    ASSERT_TRUE(client.echoes("hello"));
    EXPECT_EQ(server->stop(signal),
              "connections 1, received 5 bytes, sent 5 bytes, errors 0, idle closes 0\n");
  }
}

TEST(EchoServerOptionTest, TakesTheBackendAsAnOption) {
  for (const event::Backend backend : event_cpp::test::usable_backends()) {
    const Server server("echo_server", {"--backend", examples_test::name_of(backend)});
    EXPECT_TRUE(TcpClient(server.port()).echoes("hello"));
  }
}

}  // namespace
