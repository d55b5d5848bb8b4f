// The chat server, run as a user runs it.
#include <gtest/gtest.h>

#include <algorithm>
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

class ChatServerTest : public testing::TestWithParam<event::Backend> {
 protected:
  explicit ChatServerTest(const std::vector<std::string>& options = {"--max-backlog", "65536"})
      : server_("chat_server", options,
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

  // The number that follows a word in what the server says at its end.
  static std::size_t number_after(const std::string& word, const std::string& statistics) {
    const std::size_t place = statistics.find(word);
    if (place == std::string::npos) {
      ADD_FAILURE() << "no '" << word << "' in: " << statistics;
      return 0;
    }
    return std::stoul(statistics.substr(place + word.size()));
  }

  Server server_;
  std::deque<TcpClient> clients_;
};

INSTANTIATE_TEST_SUITE_P(Backends, ChatServerTest,
                         testing::ValuesIn(event_cpp::test::usable_backends()),
                         [](const auto& tested) { return examples_test::name_of(tested.param); });

TEST_P(ChatServerTest, PassesEachLineOnToAllTheOthers) {
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

TEST_P(ChatServerTest, NeverMixesTheLinesOfTwoClients) {
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

TEST_P(ChatServerTest, PassesOnALastLineWithoutALineEnd) {
  const TcpClient& anna = join();
  const TcpClient& boris = join();

  anna.send("bye");
  anna.finish();

  EXPECT_EQ(boris.receive_line(), "bye\n");
  EXPECT_EQ(anna.receive_all(), "");
}

TEST_P(ChatServerTest, DropsASlowReaderWhileTheOthersReceiveEverything) {
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
  EXPECT_NE(statistics.find("errors 0, dropped 1, "), std::string::npos) << statistics;
  // For the slow one, and a line for the other.
  EXPECT_LE(number_after("kept at most ", statistics), 65536U + line.size());
}

TEST_P(ChatServerTest, DropsAClientWhoseLineNeverEnds) {
  const TcpClient& endless = join();
  endless.send_until_blocked(1024 * 1024);
  EXPECT_TRUE(endless.dropped_within(kPatience));
}

TEST_P(ChatServerTest, StopsCleanlyWithItsStatistics) {
  join();
  join();
  EXPECT_EQ(server_.stop(),
            "connections 2, lines 1, sent 6 bytes, errors 0, dropped 0, "
            "kept at most 6 bytes\n");
}

// One that may keep 256 KiB for all together, which is less than for each of them alone.
class CrampedChatServerTest : public ChatServerTest {
 protected:
  static constexpr std::size_t kTotal = 256 * 1024;

  CrampedChatServerTest() : ChatServerTest({"--max-backlog", "1048576", "--max-total", "262144"}) {}

  // Ends the server. What it has kept came close to what it may keep, and not above.
  void expect_full_at_most() {
    const std::string statistics = server_.stop().value_or("");
    EXPECT_LE(number_after("kept at most ", statistics), kTotal);
    EXPECT_GT(number_after("kept at most ", statistics), kTotal / 2);
  }
};

INSTANTIATE_TEST_SUITE_P(Backends, CrampedChatServerTest,
                         testing::ValuesIn(event_cpp::test::usable_backends()),
                         [](const auto& tested) { return examples_test::name_of(tested.param); });

TEST_P(CrampedChatServerTest, KeepsNoMoreForACrowdThatDoesNotReadThanItMay) {
  std::vector<const TcpClient*> crowd;
  for (int i = 0; i < 6; ++i) crowd.push_back(&join({.receive_buffer = 4096}));
  const TcpClient& speaker = join();
  const TcpClient& listener = join();
  const std::string line = std::string(4095, 'x') + "\n";

  std::size_t lines = 0;
  while (!std::ranges::all_of(crowd, [](auto* slow) { return slow->dropped_within(0ms); })) {
    ASSERT_LT(++lines, 16U * 1024) << "64 MiB for each went somewhere";
    speaker.send(line);
    ASSERT_EQ(listener.receive(line.size()), line);
  }

  expect_full_at_most();
}

TEST_P(CrampedChatServerTest, KeepsNoMoreOfUnfinishedLinesThanItMay) {
  std::vector<const TcpClient*> crowd;
  for (int i = 0; i < 6; ++i) crowd.push_back(&join());
  for (const TcpClient* client : crowd) client->send(std::string(60'000, 'x'));

  const auto begin = std::chrono::steady_clock::now();
  while (std::ranges::none_of(crowd, [](auto* client) { return client->dropped_within(5ms); })) {
    ASSERT_LT(std::chrono::steady_clock::now() - begin, kPatience);
  }

  expect_full_at_most();
}

}  // namespace
