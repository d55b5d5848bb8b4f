// Bytes that are changed or cut on their way: an error, never a byte that did not verify.
#include "tls/support.hpp"

namespace event_cpp::test {
namespace {

using namespace std::chrono_literals;
using co::Task;

const std::string kText = "the first record of many bytes|the second one|and a third";

class TlsDamageTest : public TlsFixture {
 protected:
  // What has come of a connection whose client writes kText in three records and closes.
  struct Outcome {
    bool ended = false;  // in order
    std::string text;
    std::error_code error;
  };
  Task<> serve(Outcome& outcome) {
    try {
      tls::Stream stream = co_await tls::accept(end_b(), server);
      for (;;) {
        const net::Chunk chunk = co_await stream.receive();
        if (!chunk) break;
        outcome.text += chunk.text();
      }
      outcome.ended = true;
    } catch (const std::system_error& failure) {
      outcome.error = failure.code();
    }
  }
  Task<> write_and_close() {
    try {
      tls::Stream stream = co_await tls::client(end_a(), client, "localhost");
      handshake = way.written;
      std::size_t from = 0;
      while (from < kText.size()) {
        const std::size_t end = std::min(kText.find('|', from), kText.size() - 1) + 1;
        co_await stream.write(std::string_view(kText).substr(from, end - from));
        from = end;
      }
      co_await stream.close();
    } catch (const std::system_error&) {
    }
    all = way.written;
  }
  Outcome connect() {
    Outcome outcome;
    way.written = 0;
    from_a = &way;
    new_memory();
    co::TaskGroup tasks(base);
    tasks.spawn(serve(outcome));
    tasks.spawn(write_and_close());
    // Whoever waits for a length that was changed gives up in time.
    for (int i = 0; i < 20 && tasks.size() > 0; ++i) {
      settle();
      time.advance(1s);
    }
    EXPECT_EQ(tasks.size(), 0U);
    return outcome;
  }

  const tls::Context client = authority().trusting();
  const tls::Server server{tls::Context::server(server_options())};
  Tampering way;
  std::size_t handshake = 0;  // bytes of the client's part
  std::size_t all = 0;
};

TEST_F(TlsDamageTest, DeliversAllThatIsNotDamaged) {
  const Outcome outcome = connect();
  EXPECT_TRUE(outcome.ended) << outcome.error.message();
  EXPECT_EQ(outcome.text, kText);
}

TEST_F(TlsDamageTest, OfAnyByteIsAnErrorAndDeliversNothingBehindIt) {
  connect();
  const std::size_t begin = handshake;
  const std::size_t end = all;
  ASSERT_GT(begin, 300U);
  ASSERT_GT(end, begin + 100);
  // In the handshake some of the bytes, behind it each.
  for (std::size_t i = 0; i < end; i += i < begin ? 7 : 1) {
    way.flip = i;
    const Outcome outcome = connect();
    EXPECT_FALSE(outcome.ended) << i;
    EXPECT_TRUE(outcome.error) << i;
    EXPECT_TRUE(kText.starts_with(outcome.text)) << i << ": " << outcome.text;
    if (i < begin) {
      EXPECT_EQ(outcome.text, "");
    }
  }
}

TEST_F(TlsDamageTest, CutAtAnyByteIsTruncatedAndNotTheEnd) {
  connect();
  const std::size_t begin = handshake;
  const std::size_t end = all;
  for (std::size_t i = 0; i < end; i += i < begin ? 13 : 1) {
    way.cut = i;
    const Outcome outcome = connect();
    EXPECT_FALSE(outcome.ended) << i;
    EXPECT_EQ(outcome.error, event_cpp::Errc::truncated) << i << outcome.error.message();
    EXPECT_TRUE(kText.starts_with(outcome.text)) << i << ": " << outcome.text;
  }
}

TEST_F(TlsDamageTest, CutReadsAsTheEndForWhoSaysSo) {
  Pair pair = shake_hands();
  pair.server->lenient_end = true;
  EXPECT_EQ(pair.client->try_write("hello"), 5);
  memory->a().try_shutdown();
  EXPECT_EQ(run(read_all(*pair.server)), "hello");
}

}  // namespace
}  // namespace event_cpp::test
