// tls::Stream over memory: bytes in both directions, however they are cut.
#include <openssl/err.h>

#include <algorithm>
#include <array>
#include <limits>

#include "net/mixed_calls.hpp"
#include "tls/support.hpp"

namespace event_cpp::test {
namespace {

using co::Task;

class TlsStreamTest : public TlsFixture {
 protected:
  Task<> write_and_shut_down(net::Stream& stream, std::string text) {
    co_await stream.write(text);
    co_await stream.shutdown();
  }
  Task<> shut_down(net::Stream& stream) { co_await stream.shutdown(); }
  Task<> read_into(net::Stream& stream, std::string& text) { text = co_await read_all(stream); }
  // The client says goodbye, and the server gets it after so many bytes.
  void expect_goodbye_after(Pair& pair, net::Io bytes) {
    std::string text;
    co::TaskGroup tasks(base);
    tasks.spawn(shut_down(*pair.client));
    tasks.spawn(read_into(*pair.server, text));
    run_until([&] { return tasks.size() == 0; });
    EXPECT_EQ(text.size(), static_cast<std::size_t>(bytes));
  }

  // Returns 0, or the error that came before there was so much.
  net::Io read_so_much(net::Stream& stream, std::size_t size) {
    std::string room(65'536, '\0');
    net::Io io = 0;
    const bool done = run_until([&] {
      io = stream.try_read(net::Room(room).first(std::min(size, room.size())));
      if (io > 0) size -= static_cast<std::size_t>(io);
      return size == 0 || io == 0 || (io < 0 && io != net::kWouldBlock);
    });
    return done && size == 0 ? 0 : io;
  }

  static tls::Limits many_updates() {
    tls::Limits limits;
    limits.updates = std::numeric_limits<int>::max();
    return limits;
  }
  Task<> accept_within(tls::Limits limits, std::unique_ptr<tls::Stream>& stream) {
    const tls::Server server(tls::Context::server(server_options()));
    co::Task<tls::Stream> handshake = tls::accept(end_b(), server, limits);
    tls::Stream accepted = co_await std::move(handshake);
    stream = std::make_unique<tls::Stream>(std::move(accepted));
  }
  Task<> connect_within(tls::Limits limits, std::unique_ptr<tls::Stream>& stream) {
    co::Task<tls::Stream> handshake =
        tls::client(end_a(), authority().trusting(), "localhost", limits);
    tls::Stream connected = co_await std::move(handshake);
    stream = std::make_unique<tls::Stream>(std::move(connected));
  }
  Pair shake_hands_within(const tls::Limits& client, const tls::Limits& server) {
    Pair pair;
    co::TaskGroup tasks(base);
    tasks.spawn(accept_within(server, pair.server));
    tasks.spawn(connect_within(client, pair.client));
    run_until([&] { return tasks.size() == 0; });
    return pair;
  }

  // Sends `text` both ways at once, to the end.
  void exchange(Pair& pair, const std::string& text) {
    std::string at_client;
    std::string at_server;
    co::TaskGroup tasks(base);
    tasks.spawn(write_and_shut_down(*pair.client, text));
    tasks.spawn(write_and_shut_down(*pair.server, text));
    tasks.spawn(read_into(*pair.client, at_client));
    tasks.spawn(read_into(*pair.server, at_server));
    run_until([&] { return tasks.size() == 0; });
    EXPECT_TRUE(at_client == text);
    EXPECT_TRUE(at_server == text);
  }
};

TEST_F(TlsStreamTest, CarriesBytesBothWays) {
  Pair pair = shake_hands();
  exchange(pair, "hello");
}

TEST_F(TlsStreamTest, CarriesManyBytesBothWays) {
  Pair pair = shake_hands();
  exchange(pair, std::string(1'000'000, 'x'));
}

TEST_F(TlsStreamTest, CarriesBytesThatComeOneAtATime) {
  memory->at_most(1);
  Pair pair = shake_hands();
  exchange(pair, std::string(3000, 'x'));
}

TEST_F(TlsStreamTest, CarriesBytesThatComeLate) {
  using namespace std::chrono_literals;
  memory->delay(1s);
  Pair pair;
  co::TaskGroup tasks(base);
  const tls::Server server(tls::Context::server(server_options()));
  tasks.spawn(accept_into(end_b(), server, pair.server, server_failure));
  tasks.spawn(
      connect_into(end_a(), authority().trusting(), "localhost", pair.client, client_failure, {}));
  for (int i = 0; i < 9 && tasks.size() > 0; ++i) {
    time.advance(1s);
    settle();
  }
  ASSERT_TRUE(pair.client != nullptr && pair.server != nullptr);
  std::string text;
  tasks.spawn(write_and_shut_down(*pair.client, std::string(200'000, 'x')));
  tasks.spawn(read_into(*pair.server, text));
  for (int i = 0; i < 20 && tasks.size() > 0; ++i) {
    time.advance(1s);
    settle();
  }
  EXPECT_EQ(text.size(), 200'000U);
}

TEST_F(TlsStreamTest, CarriesBytesThroughSevenBytesOfRoom) {
  new_memory(7);
  Pair pair = shake_hands();
  exchange(pair, std::string(40'000, 'x'));
}

TEST_F(TlsStreamTest, CarriesAnotherTlsStream) {
  Pair outer = shake_hands();
  Pair inner;
  const tls::Server server(tls::Context::server(server_options({"inner.test"})));
  co::TaskGroup tasks(base);
  tasks.spawn(accept_into(std::move(outer.server), server, inner.server, server_failure));
  tasks.spawn(connect_into(std::move(outer.client), authority().trusting(), "inner.test",
                           inner.client, client_failure, {}));
  ASSERT_TRUE(run_until([&] { return tasks.size() == 0; }));
  ASSERT_TRUE(inner.client != nullptr && inner.server != nullptr) << text_of(client_failure);
  exchange(inner, std::string(300'000, 'x'));
}

TEST_F(TlsStreamTest, SendsARecordForEachWriteAndSixteenKibibytesAtMost) {
  Tampering way;
  from_a = &way;
  Pair pair = shake_hands();
  way.written = way.writes = 0;
  EXPECT_EQ(pair.client->try_write(std::string(100, 'x')), 100);
  EXPECT_EQ(way.written, 122U);
  EXPECT_EQ(way.writes, 1U);
  // 64 KiB fit into four records, and are two writes below.
  new_memory(std::size_t{1} << 20);
  pair = shake_hands();
  way.written = way.writes = 0;
  EXPECT_EQ(pair.client->try_write(std::string(65'536, 'x')), 65'536);
  EXPECT_EQ(way.written, 65'536U + 4 * 22);
  EXPECT_EQ(way.writes, 2U);
  // Of more a part is left to the next try, so that others have their turn. Four records go out in
  // one piece of TCP, which is less than 64 KiB.
  new_memory(std::size_t{1} << 20);
  pair = shake_hands();
  way.written = way.writes = 0;
  EXPECT_EQ(pair.client->try_write(std::string(200'000, 'x')), 64'640);
  EXPECT_EQ(way.written, 64'640U + 4 * 22);
  EXPECT_EQ(way.writes, 1U);
}

TEST_F(TlsStreamTest, IsNoStreamOnceItWasMovedFrom) {
  Pair pair = shake_hands();
  ASSERT_TRUE(*pair.client);
  tls::Stream moved = std::move(*pair.client);
  EXPECT_TRUE(moved);
  EXPECT_FALSE(*pair.client);
  EXPECT_EQ(moved.try_write("hello"), 5);
#ifndef NDEBUG
  moved.on_readable([] {});
  EXPECT_DEATH(tls::Stream(std::move(moved)), "something waits");
#endif
}

TEST_F(TlsStreamTest, GathersPiecesIntoOneRecord) {
  Tampering way;
  from_a = &way;
  Pair pair = shake_hands();
  way.written = way.writes = 0;
  const std::array<net::Bytes, 4> pieces{"head", "", "er", std::string_view("body")};
  EXPECT_EQ(pair.client->try_write(std::span<const net::Bytes>(pieces)), 10);
  EXPECT_EQ(way.written, 32U);
  std::array<char, 100> room{};
  EXPECT_EQ(pair.server->try_read(room), 10);
  EXPECT_EQ(std::string_view(room.data(), 10), "headerbody");
}

TEST_F(TlsStreamTest, GathersLinesOfBufferedIntoOneRecord) {
  Tampering way;
  from_a = &way;
  Pair pair = shake_hands();
  way.written = way.writes = 0;
  net::Buffered lines(*pair.client);
  for (int i = 0; i < 16; ++i) lines.put("a line of text\n");
  settle();
  EXPECT_EQ(way.written, 16U * 15 + 22);
  EXPECT_EQ(way.writes, 1U);
}

TEST_F(TlsStreamTest, WritesNothingForNothing) {
  Pair pair = shake_hands();
  EXPECT_EQ(pair.client->try_write(net::Bytes()), 0);
  EXPECT_EQ(pair.client->try_write(std::span<const net::Bytes>()), 0);
  EXPECT_EQ(pair.client->try_read({}), 0);
  EXPECT_EQ(pair.client->why(), "");
}

TEST_F(TlsStreamTest, IsReadInAnySizes) {
  Pair pair = shake_hands();
  std::string text(16'384 + 576, 'x');
  for (std::size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>('a' + i % 26);
  for (const std::size_t size : {std::size_t{1}, std::size_t{1024}, std::size_t{16'384}}) {
    ASSERT_EQ(pair.client->try_write(text), static_cast<net::Io>(text.size()));
    std::string got;
    co::TaskGroup tasks(base);
    tasks.spawn([&]() -> Task<> {
      std::string room(size, '\0');
      while (got.size() < text.size()) {
        const std::size_t count = co_await pair.server->read_some(room);
        got.append(room, 0, count);
      }
    });
    run_until([&] { return tasks.size() == 0; });
    EXPECT_TRUE(got == text) << size;
  }
}

TEST_F(TlsStreamTest, TellsWhatIsLeftOfARecord) {
  Pair pair = shake_hands();
  EXPECT_EQ(pair.client->try_write("0123456789"), 10);
  std::array<char, 4> room{};
  EXPECT_EQ(pair.server->pending(), 0U);
  EXPECT_EQ(pair.server->try_read(room), 4);
  EXPECT_EQ(pair.server->pending(), 6U);
  EXPECT_TRUE(pair.server->may(net::Want::read));
}

TEST_F(TlsStreamTest, CallsBackWhatWaitsForEitherDirection) {
  Pair pair = shake_hands();
  std::string got;
  int writable = 0;
  pair.server->on_readable([&] {
    std::array<char, 3> room{};
    const net::Io io = pair.server->try_read(room);
    if (io > 0) got.append(room.data(), static_cast<std::size_t>(io));
    if (io == 0) pair.server->on_readable({});
  });
  pair.client->on_writable([&] {
    if (++writable < 4) {
      EXPECT_EQ(pair.client->try_write("hello "), 6);
    } else {
      pair.client->on_writable({});
      EXPECT_EQ(pair.client->try_shutdown(), 0);
    }
  });
  settle();
  EXPECT_EQ(got, "hello hello hello ");
}

TEST_F(TlsStreamTest, NeitherKeepsNorCallsACallbackThatIsSetAfterItWasClosed) {
  Pair pair = shake_hands();
  const auto kept = std::make_shared<int>();
  int calls = 0;
  static_cast<net::Stream&>(*pair.server).close();
  pair.server->on_readable([&, kept] { ++calls; });
  pair.server->on_writable([&, kept] { ++calls; });
  EXPECT_EQ(kept.use_count(), 1);
  settle();
  EXPECT_EQ(calls, 0);
}

TEST_F(TlsStreamTest, IsDestroyedWithACallbackThatOwnsItHoweverThatEnds) {
  enum class How : std::uint8_t { closed, reset, closed_below, reset_below, removed };
  for (const How how :
       {How::closed, How::reset, How::closed_below, How::reset_below, How::removed}) {
    for (const bool has_task : {true, false}) {
      new_memory();
      Pair pair = shake_hands();
      memory.reset();  // the two have it alone
      auto tasks = std::make_unique<co::TaskGroup>(base);
      std::shared_ptr<void> owner(nullptr, [&](void*) {
        tasks.reset();
        pair.client.reset();
        pair.server.reset();
      });
      tls::Stream& stream = *pair.client;
      if (has_task) {
        tasks->spawn(write_and_shut_down(stream, std::string(200'000, 'x')));
      } else {
        stream.on_writable([] {});
      }
      stream.on_readable([kept = std::exchange(owner, nullptr)] {});
      ASSERT_NE(tasks, nullptr);
      switch (how) {
        case How::closed:
          stream.close_now();
          break;
        case How::reset:
          stream.reset();
          break;
        case How::closed_below:
          stream.below().close();
          break;
        case How::reset_below:
          stream.below().reset();
          break;
        case How::removed:
          stream.on_readable({});
          break;
      }
      EXPECT_EQ(tasks, nullptr);
      settle();
    }
  }
}

TEST_F(TlsStreamTest, CallsBothDirectionsInTurnWhileBothMakeSense) {
  Pair pair = shake_hands();
  EXPECT_EQ(pair.client->try_write("nobody reads this"), 17);
  int reads = 0;
  int writes = 0;
  pair.server->on_readable([&] { ++reads; });
  pair.server->on_writable([&] { ++writes; });
  settle();
  EXPECT_GT(reads, 10);
  EXPECT_GT(writes, 10);
  EXPECT_LE(std::abs(reads - writes), 2);
}

TEST_F(TlsStreamTest, CallsBackAWriterThoughOtherCodeHasSentTheRest) {
  Pair pair = shake_hands();
  const std::string much(65'536, 'x');
  while (pair.client->try_write(much) > 0) {
  }
  int writable = 0;
  pair.client->on_writable([&] { ++writable; });
  settle();
  EXPECT_EQ(writable, 0);
  for (std::string room(65'536, '\0'); pair.server->try_read(room) > 0;) {
  }
  EXPECT_EQ(pair.client->try_write("x"), 1);
  settle();
  EXPECT_GT(writable, 1);
}

TEST_F(TlsStreamTest, EndsAWriteThatWaitsWhenOtherCodeShutsDown) {
  Pair pair = shake_hands();
  std::error_code code;
  co::TaskGroup tasks(base);
  tasks.spawn(
      [&]() -> Task<> { code = co_await pair.client->try_write_all(std::string(1'000'000, 'x')); });
  settle();
  std::string room(65'536, '\0');
  while (pair.server->try_read(room) > 0) {
  }
  EXPECT_EQ(pair.client->try_shutdown(), 0);
  run_until([&] { return tasks.size() == 0; });
  EXPECT_EQ(code, std::errc::broken_pipe);
}

TEST_F(TlsStreamTest, DropsWhatIsBufferedWhenATaskShutsItDown) {
  Pair pair = shake_hands();
  net::Buffered io(*pair.client);
  io.put(std::string(1'000'000, 'x'));
  std::error_code code;
  std::string text;
  co::TaskGroup tasks(base);
  tasks.spawn([&]() -> Task<> {
    try {
      co_await io.flush();
    } catch (const std::system_error& error) {
      code = error.code();
    }
  });
  settle();
  EXPECT_EQ(tasks.size(), 1U);
  tasks.spawn(shut_down(*pair.client));
  settle();
  EXPECT_EQ(code, std::errc::operation_canceled);
  tasks.spawn(read_into(*pair.server, text));
  run_until([&] { return tasks.size() == 0; });
  EXPECT_GT(text.size(), 0U);
}

TEST_F(TlsStreamTest, GoesOnSendingWhatIsBufferedAfterAReadHasSentTheRest) {
  for (const std::size_t size : {150'000U, 229'000U}) {
    new_memory(100'000);
    Pair pair = shake_hands();
    net::Buffered io(*pair.client);
    std::string room(65'536, '\0');
    std::size_t got = 0;
    const auto server_reads = [&] {
      net::Io read = 0;
      while ((read = pair.server->try_read(room)) > 0) got += static_cast<std::size_t>(read);
    };
    for (int i = 0; i < 3; ++i) {  // takes the tickets
      EXPECT_EQ(pair.client->try_read(net::Room(room).first(1)), net::kWouldBlock);
      settle();
    }
    io.put(std::string(size, 'x'));
    settle();
    EXPECT_GT(io.unsent(), 0U);
    server_reads();
    co::TaskGroup reader(base);
    co::TaskGroup tasks(base);
    reader.spawn([&]() -> Task<> { co_await io.read_line(); });  // sends before it waits
    tasks.spawn([&]() -> Task<> {
      co_await io.flush();
      io.put("more\n");
      co_await io.flush();
      co_await pair.client->shutdown();
    });
    run_until([&] {
      server_reads();
      return tasks.size() == 0;
    });
    run_until([&] { return pair.server->try_read(room) == 0; });
    EXPECT_EQ(got, size + 5);
    reader.cancel();
    settle();
  }
}

TEST_F(TlsStreamTest, SendsWhatIsBufferedBeforeItIsClosed) {
  for (const bool has_waited : {false, true}) {
    new_memory();
    Pair pair = shake_hands();
    net::Buffered io(*pair.client);
    std::string got;
    co::TaskGroup tasks(base);
    tasks.spawn([&]() -> Task<> {
      if (has_waited) co_await io.read_line();
      io.put("QUIT\r\n");
      co_await pair.client->close(std::chrono::seconds(1));
    });
    if (has_waited) {
      settle();
      EXPECT_EQ(pair.server->try_write("hello\n"), 6);
    }
    tasks.spawn([&]() -> Task<> {
      got = co_await read_all(*pair.server);
      co_await pair.server->close(std::chrono::seconds(1));
    });
    run_until([&] { return tasks.size() == 0; });
    EXPECT_EQ(got, "QUIT\r\n");
  }
}

TEST_F(TlsStreamTest, LosesNothingHoweverTheCallsOfABufferedAreMixed) {
  for (unsigned seed = 1; seed <= 40 && !HasFailure(); ++seed) {
    SCOPED_TRACE(seed);
    new_memory(seed % 4 == 0 ? 100'000 : 1 + seed * seed * 20);
    Pair pair = shake_hands_within(many_updates(), many_updates());
    ASSERT_TRUE(pair.client != nullptr && pair.server != nullptr);
    MixedCalls calls(base, *pair.client, *pair.server, seed);
    calls.disturb = [&] { (seed % 2 == 0 ? pair.client : pair.server)->update_keys(true); };
    calls.run(400);
  }
}

TEST_F(TlsStreamTest, LetsOthersHaveTheirTurn) {
  Pair pair = shake_hands();
  for (int i = 0; i < 100; ++i) EXPECT_EQ(pair.client->try_write("x"), 1);
  int reads = 0;
  int turns = 0;
  co::TaskGroup tasks(base);
  tasks.spawn([&]() -> Task<> {
    std::array<char, 1> room{};
    for (; reads < 100; ++reads) {
      const std::size_t got = co_await pair.server->read_some(room);
      EXPECT_EQ(got, 1U);
    }
  });
  while (reads < 100 && turns < 1000) {
    base.loop(RunMode::nonblock);
    ++turns;
  }
  EXPECT_GE(turns, 10);
}

TEST_F(TlsStreamTest, KeepsAnErrorUntilWhatCameBeforeIsRead) {
  Pair pair = shake_hands();
  EXPECT_EQ(pair.client->try_write("hello"), 5);
  const std::string forged = std::string("\x17\x03\x03\x00\x20", 5) + std::string(32, 'x');
  EXPECT_EQ(memory->a().try_write(forged), 37);
  std::array<char, 100> room{};
  EXPECT_EQ(pair.server->try_read(room), 5);
  EXPECT_EQ(net::to_error(pair.server->try_read(room)), tls::Errc::bad_record);
  EXPECT_EQ(net::to_error(pair.server->try_read(room)), tls::Errc::bad_record);
  EXPECT_EQ(net::to_error(pair.server->try_write("x")), tls::Errc::bad_record);
  EXPECT_NE(pair.server->why(), "");
  // The peer is told.
  const net::Io io = pair.client->try_read(room);
  EXPECT_EQ(net::to_error(io), tls::Errc::bad_record);
  EXPECT_NE(pair.client->why().find("alert 20"), std::string_view::npos) << pair.client->why();
}

TEST_F(TlsStreamTest, DoesNotTakeAnOldErrorOfTheThreadForItsOwn) {
  Pair pair = shake_hands();
  ERR_put_error(ERR_LIB_SSL, 0, 1, "test", 1);
  std::array<char, 100> room{};
  EXPECT_EQ(pair.client->try_read(room), net::kWouldBlock);
  ERR_put_error(ERR_LIB_SSL, 0, 1, "test", 1);
  EXPECT_EQ(pair.client->try_write("hello"), 5);
  ERR_put_error(ERR_LIB_SSL, 0, 1, "test", 1);
  EXPECT_EQ(pair.server->try_read(room), 5);
  EXPECT_EQ(pair.client->why(), "");
}

TEST_F(TlsStreamTest, ReadsOnWhenTheStreamBelowTakesNoMore) {
  Pair pair = shake_hands();
  EXPECT_EQ(pair.server->try_write("answer"), 6);
  memory->break_after(0, std::make_error_code(std::errc::broken_pipe));
  EXPECT_EQ(net::to_error(pair.client->try_write("x")), std::errc::broken_pipe);
  std::array<char, 100> room{};
  EXPECT_EQ(pair.client->try_read(room), 6);
  EXPECT_EQ(net::to_error(pair.client->try_write("x")), std::errc::broken_pipe);
  EXPECT_EQ(pair.client->why(), "the stream below has failed");
}

TEST_F(TlsStreamTest, TellsALaterCallOfAnErrorInTheBackground) {
  new_memory(100);
  Pair pair = shake_hands();
  EXPECT_EQ(pair.client->try_write(std::string(1000, 'x')), 1000);  // most of it waits
  EXPECT_EQ(pair.client->try_write("x"), net::kWouldBlock);
  memory->break_after(0, std::make_error_code(std::errc::connection_reset));
  settle();
  EXPECT_EQ(net::to_error(pair.client->try_write("x")), std::errc::connection_reset);
}

TEST_F(TlsStreamTest, PassesIdleTimeoutsOn) {
  using namespace std::chrono_literals;
  Pair pair = shake_hands();
  pair.server->idle_timeout(5s);
  std::error_code code;
  co::TaskGroup tasks(base);
  tasks.spawn([&]() -> Task<> {
    const auto chunk = co_await pair.server->try_receive();
    code = chunk.error;
  });
  settle();
  time.advance(5s);
  settle();
  EXPECT_EQ(code, std::errc::timed_out);
  pair.server->idle_timeout(0s);
  EXPECT_EQ(pair.client->try_write("hello"), 5);
  std::array<char, 100> room{};
  EXPECT_EQ(pair.server->try_read(room), 5);
  EXPECT_EQ(pair.server->try_write("hello"), 5);
  EXPECT_EQ(pair.client->try_read(room), 5);
}

TEST_F(TlsStreamTest, FailsToReadWhatItHasDecryptedOnceItHasTimedOut) {
  using namespace std::chrono_literals;
  Pair pair = shake_hands();
  EXPECT_EQ(pair.client->try_write("hello"), 5);
  std::array<char, 4> room{};
  pair.server->idle_timeout(5s);
  EXPECT_EQ(pair.server->try_read(net::Room(room).first(1)), 1);
  time.advance(5s);
  settle();
  EXPECT_EQ(pair.server->try_read(room), -ETIMEDOUT);
  EXPECT_EQ(pair.server->try_read(net::Room()), -ETIMEDOUT);
  EXPECT_EQ(pair.server->try_write(net::Bytes()), -ETIMEDOUT);
  pair.server->idle_timeout(0s);
  EXPECT_EQ(pair.server->try_read(room), 4);
}

TEST_F(TlsStreamTest, SendsNothingOfAWriteThatFailedWithATimeout) {
  using namespace std::chrono_literals;
  Pair pair = shake_hands();
  pair.client->idle_timeout(5s);
  time.advance(5s);
  settle();
  EXPECT_EQ(pair.client->try_write("lost"), -ETIMEDOUT);
  pair.client->idle_timeout(0s);
  EXPECT_EQ(pair.client->try_write("sent"), 4);
  std::array<char, 100> room{};
  EXPECT_EQ(pair.server->try_read(room), 4);
  EXPECT_EQ(std::string_view(room.data(), 4), "sent");
  EXPECT_EQ(pair.server->try_read(room), net::kWouldBlock);
}

// The answers to new keys have no room.
TEST_F(TlsStreamTest, PassesIdleTimeoutsOnHoweverManyNewKeysHaveCome) {
  using namespace std::chrono_literals;
  for (const int keys : {0, 8, 12, 20, 30}) {
    new_memory(70'000);
    Pair pair = shake_hands();
    const std::string much(65'536, 'x');
    while (pair.server->try_write(much) > 0) {
    }
    std::error_code code;
    co::TaskGroup tasks(base);
    tasks.spawn([&]() -> Task<> {
      const auto chunk = co_await pair.server->try_receive();
      code = chunk.error;
    });
    for (int i = 0; i < keys; ++i) {
      pair.client->update_keys(true);
      base.loop(RunMode::nonblock);
    }
    pair.server->idle_timeout(5s);
    settle();
    EXPECT_EQ(tasks.size(), 1U) << keys;
    time.advance(5s);
    settle();
    EXPECT_EQ(code, std::errc::timed_out) << keys;
    std::array<char, 100> room{};
    EXPECT_EQ(net::to_error(pair.server->try_read(room)), std::errc::timed_out) << keys;
    EXPECT_EQ(net::to_error(pair.server->try_write("x")), std::errc::timed_out) << keys;
    pair.server->idle_timeout(0s);
    for (std::string all(65'536, '\0'); pair.client->try_read(all) > 0;) settle();
    EXPECT_EQ(pair.client->try_write("hello"), 5) << keys;
    EXPECT_EQ(pair.server->try_read(room), 5) << keys;
  }
}

TEST_F(TlsStreamTest, GivesBothEndsTheSameSecret) {
  Pair pair = shake_hands();
  const std::string secret = pair.client->exporter("EXPORTER-test", 32, "context");
  EXPECT_EQ(secret.size(), 32U);
  EXPECT_EQ(pair.server->exporter("EXPORTER-test", 32, "context"), secret);
  EXPECT_NE(pair.server->exporter("EXPORTER-other", 32, "context"), secret);
}

// Keys.

TEST_F(TlsStreamTest, GoesOnWithNewKeys) {
  Pair pair = shake_hands();
  std::array<char, 100> room{};
  for (const bool both : {false, true}) {
    pair.client->update_keys(both);
    EXPECT_EQ(pair.client->try_write("hello"), 5);
    EXPECT_EQ(pair.server->try_read(room), 5);
    EXPECT_EQ(pair.server->try_write("answer"), 6);
    EXPECT_EQ(pair.client->try_read(room), 6);
  }
}

TEST_F(TlsStreamTest, RefusesNewKeysWithTls12) {
  tls::ClientOptions options = client_options();
  options.most = tls::Version::tls12;
  Pair pair = shake_hands(tls::Context::client(options),
                          tls::Server(tls::Context::server(server_options())));
  EXPECT_THROW(pair.client->update_keys(), tls::Error);
}

TEST_F(TlsStreamTest, ChangesKeysWhileAWriteWaitsForThePeer) {
  new_memory(7);
  Pair pair = shake_hands();
  const std::string text(100'000, 'x');
  std::string at_server;
  co::TaskGroup tasks(base);
  tasks.spawn(write_and_shut_down(*pair.client, text));
  settle();
  pair.client->update_keys(true);
  pair.server->update_keys(true);
  std::string at_client;
  tasks.spawn(read_into(*pair.client, at_client));
  tasks.spawn(read_into(*pair.server, at_server));
  run_until([&] { return at_server.size() == text.size(); });
  EXPECT_TRUE(at_server == text);
}

TEST_F(TlsStreamTest, EndsAPeerThatOnlyChangesItsKeys) {
  new_memory(std::size_t{1} << 20);
  Pair pair = shake_hands();
  for (int i = 0; i < 32; ++i) pair.client->update_keys();
  EXPECT_EQ(pair.client->try_write("hello"), 5);
  std::array<char, 100> room{};
  EXPECT_EQ(pair.server->try_read(room), 5);
  pair.client->update_keys();
  EXPECT_EQ(pair.client->try_write("hello"), 5);
  EXPECT_EQ(net::to_error(pair.server->try_read(room)), tls::Errc::too_many_updates);
}

TEST_F(TlsStreamTest, CountsNewKeysThatAskForAnAnswerAsOneMessage) {
  new_memory(std::size_t{1} << 20);
  Pair pair = shake_hands();
  for (int i = 0; i < 32; ++i) pair.client->update_keys(true);
  EXPECT_EQ(pair.client->try_write("hello"), 5);
  std::array<char, 100> room{};
  EXPECT_EQ(pair.server->try_read(room), 5);
  pair.client->update_keys(true);
  EXPECT_EQ(pair.client->try_write("hello"), 5);
  EXPECT_EQ(net::to_error(pair.server->try_read(room)), tls::Errc::too_many_updates);
}

TEST_F(TlsStreamTest, DoesNotCountWhatAnswersItsOwnNewKeys) {
  new_memory(std::size_t{1} << 20);
  Pair pair = shake_hands_within(tls::Limits(), many_updates());
  std::array<char, 100> room{};
  for (int i = 0; i < 100; ++i) pair.client->update_keys(true);
  EXPECT_EQ(pair.client->try_write("hello"), 5);
  EXPECT_EQ(pair.server->try_read(room), 5);
  EXPECT_EQ(pair.server->try_write("hello"), 5);
  EXPECT_EQ(pair.client->try_read(room), 5);
  // Two tickets of the server count: 30 others are left.
  for (int i = 0; i < 30; ++i) pair.server->update_keys();
  EXPECT_EQ(pair.server->try_write("hello"), 5);
  EXPECT_EQ(pair.client->try_read(room), 5);
  pair.server->update_keys();
  EXPECT_EQ(pair.server->try_write("hello"), 5);
  EXPECT_EQ(net::to_error(pair.client->try_read(room)), tls::Errc::too_many_updates);
}

TEST_F(TlsStreamTest, AwaitsAnswersToItsOwnNewKeysHoweverMuchDataComes) {
  new_memory(std::size_t{4} << 20);
  Pair pair = shake_hands();
  std::array<char, 100> room{};
  for (int i = 0; i < 32; ++i) pair.client->update_keys(true);
  for (int i = 0; i < 17; ++i) {
    const std::string text(65'536, 'x');
    ASSERT_EQ(pair.server->try_write(text), 65'536);
    ASSERT_EQ(read_so_much(*pair.client, text.size()), 0) << i;
  }
  EXPECT_EQ(pair.client->try_write("hello"), 5);
  EXPECT_EQ(pair.server->try_read(room), 5);
  for (int i = 0; i < 30; ++i) pair.server->update_keys();
  EXPECT_EQ(pair.server->try_write("hello"), 5);
  EXPECT_EQ(pair.client->try_read(room), 5);
}

TEST_F(TlsStreamTest, DoesNotCountItsOwnNewKeysThatHaveWaitedForRoom) {
  new_memory(1000);
  Pair pair = shake_hands_within(many_updates(), tls::Limits());
  std::array<char, 100> room{};
  for (int i = 0; i < 100; ++i) {
    const net::Io written = pair.server->try_write(std::string(65'536, 'x'));
    ASSERT_GT(written, 0) << i;
    for (int keys = 0; keys < 100; ++keys) pair.server->update_keys();
    ASSERT_EQ(read_so_much(*pair.client, static_cast<std::size_t>(written)), 0) << i;
  }
  EXPECT_EQ(pair.client->try_write("hello"), 5);
  EXPECT_EQ(pair.server->try_read(room), 5);
}

TEST_F(TlsStreamTest, SendsNewKeysThatHadNoRoomBeforeWhatIsWrittenNext) {
  constexpr std::size_t kRecord = 27;  // with new keys, or "hello"
  new_memory(1000);
  Tampering way;
  from_a = &way;
  Pair pair = shake_hands_within(tls::Limits(), many_updates());
  const net::Io written = pair.client->try_write(std::string(65'536, 'x'));
  ASSERT_GT(written, 0);
  for (int keys = 0; keys < 100; ++keys) pair.client->update_keys();
  EXPECT_EQ(read_so_much(*pair.server, static_cast<std::size_t>(written)), 0);
  settle();
  std::array<char, 100> room{};
  EXPECT_EQ(pair.server->try_read(room), net::kWouldBlock);
  const std::size_t before = way.written;
  EXPECT_EQ(pair.client->try_write("hello"), 5);
  // What OpenSSL has kept, what had to wait for that, and the text.
  EXPECT_EQ(way.written - before, 3 * kRecord);
  EXPECT_EQ(pair.server->try_read(room), 5);
}

// OpenSSL cannot be asked for new keys, and says no goodbye, before it has sent earlier ones.
TEST_F(TlsStreamTest, TakesAnyNumberOfNewKeysAndAGoodbyeWithoutRoom) {
  for (const bool both : {false, true}) {
    new_memory(1000);
    Pair pair = shake_hands_within(many_updates(), many_updates());
    const net::Io written = pair.client->try_write(std::string(65'536, 'x'));
    ASSERT_GT(written, 0);
    for (int keys = 0; keys < 100; ++keys) pair.client->update_keys(both);
    expect_goodbye_after(pair, written);
  }
}

TEST_F(TlsStreamTest, SaysGoodbyeAfterAnswersThatHaveHadNoRoom) {
  new_memory(4000);
  Pair pair = shake_hands_within(many_updates(), many_updates());
  const net::Io written = pair.client->try_write(std::string(65'536, 'x'));
  ASSERT_GT(written, 0);
  for (int keys = 0; keys < 100; ++keys) pair.server->update_keys(true);
  std::array<char, 100> room{};
  EXPECT_EQ(pair.client->try_read(room), net::kWouldBlock);
  EXPECT_NO_THROW(pair.client->update_keys());
  expect_goodbye_after(pair, written);
}

TEST_F(TlsStreamTest, TakesAnyNumberAsALimitOfUpdates) {
  for (const int updates : {std::numeric_limits<int>::max(), 0, -1}) {
    SCOPED_TRACE(updates);
    new_memory(std::size_t{1} << 20);
    tls::Limits limits;
    limits.updates = updates;
    Pair pair = shake_hands_within(tls::Limits(), limits);
    std::array<char, 100> room{};
    EXPECT_EQ(pair.client->try_write("hello"), 5);
    EXPECT_EQ(pair.server->try_read(room), 5);
    for (int i = 0; i < 100; ++i) pair.client->update_keys();
    EXPECT_EQ(pair.client->try_write("hello"), 5);
    const net::Io io = pair.server->try_read(room);
    if (updates > 0) {
      EXPECT_EQ(io, 5);
    } else {
      EXPECT_EQ(net::to_error(io), tls::Errc::too_many_updates);
    }
  }
}

TEST_F(TlsStreamTest, RefusesNewKeysWhenItIsClosed) {
  for (const bool closed : {false, true}) {
    new_memory();
    Pair pair = shake_hands();
    if (closed) {
      pair.client->close_now();
    } else {
      pair.client->try_shutdown();
    }
    EXPECT_THROW(pair.client->update_keys(), tls::Error);
    EXPECT_EQ(pair.client->try_write("x"), closed ? -EBADF : -EPIPE);
    EXPECT_EQ(pair.client->try_write(std::array<net::Bytes, 2>()), closed ? -EBADF : -EPIPE);
    EXPECT_FALSE(pair.client->why().starts_with("the stream below")) << pair.client->why();
  }
}

TEST_F(TlsStreamTest, CountsNewKeysAgainstTheDataBetweenThem) {
  new_memory(std::size_t{1} << 20);
  Pair pair = shake_hands();
  std::string room(65'536, '\0');
  const std::string text(65'536, 'x');
  for (int i = 0; i < 200; ++i) {
    pair.client->update_keys();
    ASSERT_EQ(pair.client->try_write(text), 65'536);
    std::size_t got = 0;
    while (got < text.size()) {
      const net::Io io = pair.server->try_read(room);
      ASSERT_GT(io, 0) << i;
      got += static_cast<std::size_t>(io);
    }
  }
}

// Cancelling.

TEST_F(TlsStreamTest, LosesNothingByACancelledRead) {
  Pair pair = shake_hands();
  const std::string text = "0123456789";
  // The peer's record arrives byte by byte, and a read is cancelled after each.
  new_memory(std::size_t{1} << 10);
  memory->at_most(1);
  pair = shake_hands();
  EXPECT_EQ(pair.client->try_write(text), 10);
  std::string got;
  for (int i = 0; i < 1000 && got.size() < text.size(); ++i) {
    std::array<char, 4> room{};
    co::TaskGroup tasks(base);
    tasks.spawn([&]() -> Task<> {
      const std::size_t count = co_await pair.server->read_some(room);
      got.append(room.data(), count);
    });
    base.loop(RunMode::nonblock);
    tasks.cancel();
    settle();
  }
  EXPECT_EQ(got, text);
}

TEST_F(TlsStreamTest, IsTornByAWriteThatIsCancelledHalfWayAndStillEndsInOrder) {
  const std::string text(100'000, 'x');
  for (const int steps : {1, 2, 5, 20, 100}) {
    new_memory(1000);
    Pair pair = shake_hands();
    co::TaskGroup tasks(base);
    tasks.spawn([&]() -> Task<> { co_await pair.client->write(text); });
    std::array<char, 300> room{};
    std::string got;
    for (int i = 0; i < steps; ++i) {
      base.loop(RunMode::nonblock);
      const net::Io io = pair.server->try_read(room);
      if (io > 0) got.append(room.data(), static_cast<std::size_t>(io));
    }
    tasks.cancel();
    base.loop(RunMode::nonblock);
    EXPECT_EQ(net::to_error(pair.client->try_write("x")), event_cpp::Errc::torn);
    std::error_code code;
    tasks.spawn([&]() -> Task<> { code = co_await pair.client->try_write_all("x"); });
    base.loop(RunMode::nonblock);
    EXPECT_EQ(code, event_cpp::Errc::torn);
    // Reading goes on, complete records go out, and the end is one.
    EXPECT_EQ(pair.server->try_write("hello"), 5);
    std::string at_client;
    std::string rest;
    tasks.spawn([&]() -> Task<> {
      std::array<char, 5> hello{};
      const std::size_t count = co_await pair.client->read_exactly(hello);
      at_client.assign(hello.data(), count);
      co_await pair.client->close();
    });
    tasks.spawn(read_into(*pair.server, rest));
    run_until([&] { return tasks.size() == 1 || tasks.size() == 0; });
    co::TaskGroup end(base);
    end.spawn([&]() -> Task<> { co_await pair.server->close(); });
    run_until([&] { return tasks.size() == 0; });
    EXPECT_EQ(at_client, "hello");
    EXPECT_TRUE(text.starts_with(got + rest));
  }
}

}  // namespace
}  // namespace event_cpp::test
