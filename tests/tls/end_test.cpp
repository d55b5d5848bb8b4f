// How a connection ends: in order, cut, by cancelling, by destroying.
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <memory>

#include "support/forked.hpp"
#include "tls/support.hpp"

namespace event_cpp::test {
namespace {

using namespace std::chrono_literals;
using co::Task;

class TlsEndTest : public TlsFixture, public testing::WithParamInterface<tls::Version> {
 protected:
  Pair connect() {
    tls::ClientOptions options = client_options();
    options.most = GetParam();
    return shake_hands(tls::Context::client(options),
                       tls::Server(tls::Context::server(server_options())));
  }
  static std::string read(net::Stream& stream) {
    std::array<char, 100> room{};
    const net::Io io = stream.try_read(room);
    if (io < 0) return net::to_error(io).message();
    return io == 0 ? "(end)" : std::string(room.data(), static_cast<std::size_t>(io));
  }
  static std::string write(net::Stream& stream, std::string_view text) {
    const net::Io io = stream.try_write(text);
    return io < 0 ? net::to_error(io).message() : "(" + std::to_string(io) + ")";
  }
};

INSTANTIATE_TEST_SUITE_P(, TlsEndTest, testing::Values(tls::Version::tls12, tls::Version::tls13),
                         [](const testing::TestParamInfo<tls::Version>& tested) {
                           return tested.param == tls::Version::tls12 ? "tls12" : "tls13";
                         });

TEST_P(TlsEndTest, OfOneDirectionLeavesTheOther) {
  Pair pair = connect();
  EXPECT_EQ(write(*pair.client, "question"), "(8)");
  EXPECT_EQ(pair.client->try_shutdown(), 0);
  EXPECT_EQ(pair.client->try_shutdown(), 0);
  EXPECT_EQ(write(*pair.client, "x"), "Broken pipe");
  EXPECT_EQ(read(*pair.server), "question");
  EXPECT_EQ(read(*pair.server), "(end)");
  EXPECT_EQ(read(*pair.server), "(end)");
  EXPECT_EQ(write(*pair.server, "answer"), "(6)");
  EXPECT_EQ(read(*pair.client), "answer");
  EXPECT_EQ(write(*pair.server, "more"), "(4)");
  EXPECT_EQ(read(*pair.client), "more");
  EXPECT_EQ(pair.server->try_shutdown(), 0);
  EXPECT_EQ(read(*pair.client), "(end)");
}

TEST_P(TlsEndTest, ComesAfterWhatIsUnsent) {
  new_memory(100);
  Pair pair = connect();
  std::string text;
  co::TaskGroup tasks(base);
  tasks.spawn([&]() -> Task<> {
    co_await pair.client->write(std::string(5000, 'x'));
    co_await pair.client->close();
  });
  settle();
  tasks.spawn([&]() -> Task<> {
    text = co_await read_all(*pair.server);
    co_await pair.server->close();
  });
  run_until([&] { return tasks.size() == 0; });
  EXPECT_EQ(text.size(), 5000U);
}

TEST_P(TlsEndTest, WithUnreadDataLosesNothing) {
  Pair pair = connect();
  EXPECT_EQ(write(*pair.server, "unread"), "(6)");
  co::TaskGroup tasks(base);
  tasks.spawn([&]() -> Task<> { co_await pair.client->close(); });
  settle();
  EXPECT_EQ(tasks.size(), 1U);
  EXPECT_EQ(read(*pair.server), "(end)");
  EXPECT_EQ(write(*pair.server, "more"), "(4)");
  pair.server->close_now();
  settle();
  EXPECT_EQ(tasks.size(), 0U);
}

TEST_P(TlsEndTest, DoesNotWaitForEverForASilentPeer) {
  Pair pair = connect();
  co::TaskGroup tasks(base);
  tasks.spawn([&]() -> Task<> { co_await pair.client->close(); });
  settle();
  time.advance(1999ms);
  settle();
  EXPECT_EQ(tasks.size(), 1U);
  time.advance(1ms);
  settle();
  EXPECT_EQ(tasks.size(), 0U);
  EXPECT_EQ(write(*pair.client, "x"), "Bad file descriptor");
  EXPECT_EQ(read(*pair.client), "Bad file descriptor");
}

TEST_P(TlsEndTest, CanBeCancelledAndClosesAllTheSame) {
  Pair pair = connect();
  std::error_code code;
  co::TaskGroup tasks(base);
  tasks.spawn([&]() -> Task<> { code = co_await test::error_of(pair.client->close()); });
  settle();
  tasks.cancel();
  settle();
  EXPECT_EQ(tasks.size(), 0U);
  EXPECT_EQ(code, std::errc::operation_canceled);
  EXPECT_EQ(read(*pair.client), "Bad file descriptor");
}

TEST_P(TlsEndTest, IsToldByTheDestructorIfThatNeedsNoWait) {
  Pair pair = connect();
  pair.client.reset();
  EXPECT_EQ(read(*pair.server), "(end)");
}

TEST_P(TlsEndTest, ByCloseReachesWhoWaits) {
  Pair pair = connect();
  std::vector<std::error_code> codes;
  co::TaskGroup tasks(base);
  tasks.spawn([&]() -> Task<> {
    const auto chunk = co_await pair.client->try_receive();
    codes.push_back(chunk.error);
  });
  tasks.spawn([&]() -> Task<> {
    const std::error_code code = co_await pair.client->try_write_all(std::string(300'000, 'x'));
    codes.push_back(code);
  });
  settle();
  static_cast<net::Stream&>(*pair.client).close();
  EXPECT_TRUE(codes.empty());
  settle();
  ASSERT_EQ(codes.size(), 2U);
  for (const std::error_code& code : codes) EXPECT_EQ(code, std::errc::operation_canceled);
}

TEST_P(TlsEndTest, OfTheStreamBelowReachesWhoWaits) {
  Pair pair = connect();
  std::error_code code;
  co::TaskGroup tasks(base);
  tasks.spawn([&]() -> Task<> {
    const auto chunk = co_await pair.client->try_receive();
    code = chunk.error;
  });
  settle();
  pair.client->below().close();
  settle();
  EXPECT_EQ(code, std::errc::operation_canceled);
}

TEST_P(TlsEndTest, ByDestroyingReachesWhoWaits) {
  for (const bool flushing : {false, true}) {
    new_memory(100);
    Pair pair = connect();
    std::error_code code;
    co::TaskGroup tasks(base);
    if (flushing) {
      EXPECT_EQ(write(*pair.client, std::string(1000, 'x')), "(1000)");
    }
    tasks.spawn([&]() -> Task<> {
      const auto chunk = co_await pair.client->try_receive();
      code = chunk.error;
    });
    settle();
    pair.client.reset();
    settle();
    EXPECT_EQ(code, std::errc::operation_canceled);
  }
}

TEST_P(TlsEndTest, MayComeInItsOwnCallback) {
  Pair pair = connect();
  int calls = 0;
  pair.client->on_readable([&] {
    ++calls;
    pair.client.reset();
  });
  EXPECT_EQ(write(*pair.server, "x"), "(1)");
  settle();
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(pair.client, nullptr);
}

TEST_P(TlsEndTest, MayComeInACallbackThatIsSetAfterIt) {
  for (const bool by_below : {false, true}) {
    SCOPED_TRACE(by_below);
    new_memory();
    Pair pair = connect();
    by_below ? pair.client->below().close() : pair.client->close_now();
    int calls = 0;
    const auto end = std::make_shared<int>();
    pair.client->on_readable([&, end] {
      ++calls;
      pair.client.reset();
    });
    settle();
    EXPECT_EQ(calls, by_below ? 1 : 0);  // none if it has closed itself
    EXPECT_EQ(end.use_count(), 1);
    // Nor is a callback kept that was not called any more.
    pair.server->close_now();
    pair.server->on_writable([end] {});
    pair.server.reset();
    EXPECT_EQ(end.use_count(), 1);
  }
}

TEST_P(TlsEndTest, ByResetIsOne) {
  Pair pair = connect();
  pair.client->reset();
  EXPECT_EQ(read(*pair.server), "Connection reset by peer");
  EXPECT_EQ(read(*pair.client), "Bad file descriptor");
}

TEST_P(TlsEndTest, DestroysTasksWhereTheyWait) {
  new_memory(100);
  Pair pair = connect();
  auto tasks = std::make_unique<co::TaskGroup>(base);
  tasks->spawn([&]() -> Task<> { const net::Chunk chunk = co_await pair.client->receive(); });
  tasks->spawn([&]() -> Task<> { co_await pair.client->write(std::string(300'000, 'x')); });
  tasks->spawn([&]() -> Task<> { co_await pair.server->close(); });
  settle();
  tasks.reset();
  settle();
  EXPECT_EQ(net::to_error(pair.client->try_write("x")), event_cpp::Errc::torn);
}

TEST_P(TlsEndTest, IsLeftToTheParentByAChildProcess) {
  Pair pair = connect();
  const pid_t child = ::fork();
  if (child == 0) {
    pair.client.reset();
    std::array<char, 1> room{};
    ::_exit(memory->b().try_read(room) == 0 ? 0 : 1);  // no goodbye
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace event_cpp::test
