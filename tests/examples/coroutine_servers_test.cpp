// The servers in coroutines, on one thread and on several, and the clients.
#include <gtest/gtest.h>

#include <csignal>
#include <memory>
#include <string>
#include <tuple>
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
using examples_test::example;
using examples_test::kPatience;
using examples_test::Server;
using examples_test::shell;
using examples_test::TcpClient;

// echo_coroutine and workers.
class CoroutineServerTest : public testing::TestWithParam<std::tuple<const char*, event::Backend>> {
 protected:
  std::unique_ptr<Server> start(std::vector<std::string> options = {}) const {
    const auto [name, backend] = GetParam();
    options.insert(options.end(), {"--backend", examples_test::name_of(backend)});
    if (name == std::string("workers")) options.insert(options.end(), {"--threads", "3"});
    return std::make_unique<Server>(name, options);
  }
};

INSTANTIATE_TEST_SUITE_P(Backends, CoroutineServerTest,
                         testing::Combine(testing::Values("echo_coroutine", "workers"),
                                          testing::ValuesIn(event_cpp::test::usable_backends())),
                         [](const auto& tested) {
                           return std::string(std::get<0>(tested.param)) + "_" +
                                  examples_test::name_of(std::get<1>(tested.param));
                         });

TEST_P(CoroutineServerTest, AnswersNetcat) {
  NEEDS_PROGRAM("nc.openbsd");
  const auto server = start();
  EXPECT_EQ(shell("printf hello | nc.openbsd -N 127.0.0.1 " + std::to_string(server->port())),
            "hello");
}

TEST_P(CoroutineServerTest, SendsEveryByteOfACrowdBackInOrder) {
  const auto server = start();
  Crowd crowd(server->port(), 200, std::size_t{64} * 1024, 2);
  EXPECT_TRUE(crowd.run());
  EXPECT_EQ(crowd.failed(), 0);
  EXPECT_EQ(crowd.finish(), 0);
}

TEST_P(CoroutineServerTest, SurvivesResetsAndClientsThatNeverRead) {
  const auto server = start();
  for (int i = 0; i < 20; ++i) {
    TcpClient client(server->port());
    client.send("hello");
    client.reset();
  }
  TcpClient never_reads(server->port());
  EXPECT_LT(never_reads.send_until_blocked(), TcpClient::kMoreThanSocketsHold);
  never_reads.reset();
  EXPECT_TRUE(TcpClient(server->port()).echoes("still there?"));
}

TEST_P(CoroutineServerTest, ClosesItsConnectionsAtASignal) {
  for (const int signal : {SIGTERM, SIGINT}) {
    const auto server = start();
    const TcpClient client(server->port());
    ASSERT_TRUE(client.echoes("hello"));
    EXPECT_TRUE(server->stop(signal)) << server->process().errors();
    EXPECT_EQ(client.receive_all(), "");
  }
}

TEST_P(CoroutineServerTest, LetsConnectionsEndWithinItsGracePeriod) {
  const auto server = start({"--grace", "1h"});
  const TcpClient client(server->port());
  ASSERT_TRUE(client.echoes("hello"));
  server->process().signal(SIGTERM);
  EXPECT_TRUE(client.echoes("still there?"));
  client.finish();
  EXPECT_EQ(client.receive_all(), "");
  EXPECT_EQ(server->process().wait(), 0) << server->process().errors();
}

TEST_P(CoroutineServerTest, EndsAtOnceAtASecondSignal) {
  const auto server = start({"--grace", "1h"});
  const TcpClient client(server->port());
  ASSERT_TRUE(client.echoes("hello"));
  for (int i = 0; i < 20'000 && !client.readable_within(std::chrono::milliseconds(1)); ++i)
    server->process().signal(SIGTERM);
  EXPECT_EQ(client.receive_all(), "");
  EXPECT_EQ(server->process().wait(), std::nullopt) << "no signal has ended it";
}

TEST(EchoCoroutineTest, ClosesAnIdleClient) {
  const Server server("echo_coroutine", {"--idle", "200ms"});
  const TcpClient client(server.port());
  EXPECT_TRUE(client.readable_within(kPatience));
  EXPECT_EQ(client.receive_all(), "");
}

TEST(LineClientTest, PrintsTheAnswersToItsLines) {
  const Server server("echo_server");
  ChildProcess client(
      {example("line_client"), "--port", std::to_string(server.port()), "one", "and two", ""});
  EXPECT_EQ(client.wait(), 0) << client.errors();
  EXPECT_EQ(client.output(), "one\nand two\n\n");
}

TEST(LineClientTest, ReadsWhatSocatSendsAtItsEnd) {
  NEEDS_PROGRAM("socat");
  const std::uint16_t port = examples_test::free_port(SOCK_STREAM);
  const ChildProcess socat({"socat", "-t", "30",
                            "TCP-LISTEN:" + std::to_string(port) + ",bind=127.0.0.1,fork",
                            "EXEC:wc -l"});
  ASSERT_TRUE(examples_test::wait_until_listening(port));
  ChildProcess client({example("line_client"), "--port", std::to_string(port), "one", "two"});
  EXPECT_EQ(client.wait(), 0) << client.errors();
  EXPECT_EQ(client.output(), "2\n");
}

TEST(LineClientTest, SaysThatNobodyListens) {
  ChildProcess client({example("line_client"), "--port",
                       std::to_string(examples_test::free_port(SOCK_STREAM)), "hello"});
  EXPECT_EQ(client.wait(), 1);
  EXPECT_NE(client.errors().find("refused"), std::string::npos) << client.errors();
}

TEST(LineClientTest, GivesUpWhenNoAnswerComesInTime) {
  const examples_test::BoundPort silent(SOCK_STREAM);
  ChildProcess client({example("line_client"), "--port", std::to_string(silent.port()), "--limit",
                       "100ms", "hello"});
  EXPECT_EQ(client.wait(), 1);
  EXPECT_NE(client.errors().find("timed out"), std::string::npos) << client.errors();
}

class UdpEchoTest : public testing::TestWithParam<event::Backend> {
 protected:
  static std::unique_ptr<Server> start(std::vector<std::string> options = {}) {
    options.insert(options.end(), {"--backend", examples_test::name_of(GetParam())});
    return std::make_unique<Server>("udp_echo", options);
  }
  static std::string at(std::uint16_t port) { return "127.0.0.1:" + std::to_string(port); }
};

INSTANTIATE_TEST_SUITE_P(Backends, UdpEchoTest,
                         testing::ValuesIn(event_cpp::test::usable_backends()),
                         [](const auto& tested) { return examples_test::name_of(tested.param); });

TEST_P(UdpEchoTest, AsksAgainUntilAnAnswerComes) {
  const auto server = start({"--lose", "2"});
  ChildProcess client(
      {example("udp_echo"), "--ask", at(server->port()), "--wait", "100ms", "--tries", "300"});
  EXPECT_EQ(client.wait(), 0) << client.errors();
  const std::string start_of = "answered at try ";
  EXPECT_EQ(client.output().rfind(start_of, 0), 0U) << client.output();
  // More only if the server was slow.
  EXPECT_GE(std::stoi(client.output().substr(start_of.size())), 3);
  EXPECT_EQ(server->stop(), "");
}

TEST_P(UdpEchoTest, GivesUpAfterSoManyTries) {
  const examples_test::BoundPort silent(SOCK_DGRAM);
  ChildProcess client({example("udp_echo"), "--backend", examples_test::name_of(GetParam()),
                       "--ask", at(silent.port()), "--wait", "5ms", "--tries", "3"});
  EXPECT_EQ(client.wait(), 1) << client.errors();
  EXPECT_EQ(client.output(), "no answer\n");
}

TEST_P(UdpEchoTest, AnswersSocat) {
  NEEDS_PROGRAM("socat");
  const auto server = start();
  ChildProcess socat(
      {"/bin/sh", "-c", "echo hello | exec socat -t 60 - UDP:" + at(server->port())});
  EXPECT_EQ(socat.read_line(), "hello");
}

TEST_P(UdpEchoTest, AsksSocat) {
  NEEDS_PROGRAM("socat");
  const std::uint16_t port = examples_test::free_port(SOCK_DGRAM);
  const ChildProcess socat({"socat", "-t", "30",
                            "UDP4-RECVFROM:" + std::to_string(port) + ",bind=127.0.0.1",
                            "EXEC:cat"});
  ChildProcess client({example("udp_echo"), "--backend", examples_test::name_of(GetParam()),
                       "--ask", at(port), "--wait", "100ms", "--tries", "300"});
  EXPECT_EQ(client.wait(), 0) << client.errors();
}

}  // namespace
