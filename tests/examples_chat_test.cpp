// The chat server, run as a user runs it.
#include <gtest/gtest.h>

#include <chrono>
#include <cstddef>
#include <deque>
#include <event/event.hpp>
#include <memory>
#include <string>
#include <vector>

#include "examples/child_process.hpp"
#include "examples/server.hpp"
#include "examples/tcp_client.hpp"
#include "support/usable_backends.hpp"

namespace {

using examples_test::ChildProcess;
using examples_test::kPatience;
using examples_test::Server;
using examples_test::TcpClient;
using namespace std::chrono_literals;

class ChatServerOnEveryBackend : public testing::TestWithParam<event::Backend> {
 protected:
  ChatServerOnEveryBackend()
      : server_("chat_server", {"--max-backlog", "65536"},
                {.environment = {{"EVENT_BACKEND", examples_test::name_of(GetParam())}}}) {}

  // One more client, when all who came before have seen that it is there.
  TcpClient& join(const TcpClient::Options& options = {}) {
    TcpClient& client = clients_.emplace_back(server_.port(), options);
    if (clients_.size() > 1) client.send("hello\n");
    for (std::size_t i = 0; i + 1 < clients_.size(); ++i) {
      EXPECT_EQ(clients_[i].receive_line(), "hello\n");
    }
    return client;
  }

  Server server_;
  std::deque<TcpClient> clients_;
};

INSTANTIATE_TEST_SUITE_P(Backends, ChatServerOnEveryBackend,
                         testing::ValuesIn(event::test::usable_backends()),
                         [](const auto& tested) { return examples_test::name_of(tested.param); });

TEST_P(ChatServerOnEveryBackend, PassesEachLineOnToAllTheOthers) {
  const TcpClient& anna = join();
  const TcpClient& boris = join();
  const TcpClient& clara = join();

  anna.send("good morning\n");
  EXPECT_EQ(boris.receive_line(), "good morning\n");
  EXPECT_EQ(clara.receive_line(), "good morning\n");

  // What comes first to the one who spoke is not its own line.
  boris.send("morning, anna\n");
  EXPECT_EQ(anna.receive_line(), "morning, anna\n");
}

TEST_P(ChatServerOnEveryBackend, NeverMixesTheLinesOfTwoClients) {
  const TcpClient& anna = join();
  const TcpClient& boris = join();
  const TcpClient& clara = join();

  anna.send("first half, ");
  boris.send("in between\n");
  EXPECT_EQ(clara.receive_line(), "in between\n");
  anna.send("second half\nand one ");
  anna.send("more\n");

  EXPECT_EQ(clara.receive_line(), "first half, second half\n");
  EXPECT_EQ(clara.receive_line(), "and one more\n");
}

TEST_P(ChatServerOnEveryBackend, PassesOnALastLineWithoutALineEnd) {
  const TcpClient& anna = join();
  const TcpClient& boris = join();

  anna.send("bye");
  anna.finish();

  EXPECT_EQ(boris.receive_line(), "bye\n");
  EXPECT_EQ(anna.receive_all(), "");
}

TEST_P(ChatServerOnEveryBackend, DropsASlowReaderWhileTheOthersReceiveEverything) {
  const TcpClient& slow = join({.receive_buffer = 4096});
  const TcpClient& speaker = join();
  const TcpClient& listener = join();
  const std::string line = std::string(1023, 'x') + "\n";

  // Until what the kernel and the server keep for the slow one is full.
  std::size_t lines = 0;
  while (!slow.dropped_within(0ms)) {
    ASSERT_LT(++lines, 64U * 1024) << "64 MiB went somewhere";
    speaker.send(line);
    ASSERT_EQ(listener.receive(line.size()), line);
  }

  speaker.send("still here?\n");
  EXPECT_EQ(listener.receive_line(), "still here?\n");
  const std::string statistics = server_.stop().value_or("");
  EXPECT_NE(statistics.find("errors 0, dropped 1\n"), std::string::npos) << statistics;
}

TEST_P(ChatServerOnEveryBackend, DropsAClientWhoseLineNeverEnds) {
  const TcpClient& endless = join();
  endless.send_until_blocked(1024 * 1024);
  EXPECT_TRUE(endless.dropped_within(kPatience));
}

TEST_P(ChatServerOnEveryBackend, StopsCleanlyWithItsStatistics) {
  join();
  join();
  EXPECT_EQ(server_.stop(), "connections 2, lines 1, sent 6 bytes, errors 0, dropped 0\n");
}

}  // namespace
