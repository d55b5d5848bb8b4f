#include <gtest/gtest.h>

#include <array>
#include <csignal>
#include <optional>
#include <string>
#include <vector>

#include "adapters/services.hpp"
#include "event/adapters/hiredis.hpp"
#include "event/net.hpp"
#include "support/children.hpp"
#include "support/forked.hpp"
#include "support/signals.hpp"

namespace event_cpp::test {
namespace {

using redis::Connection;
using redis::Errc;
using redis::Reply;

class RedisTest : public EveryBackendCo {
 protected:
  RedisServer server;
};

co::Task<std::string> get(Connection& redis, std::string key) {
  const Reply reply = co_await redis.command("GET %s", key.c_str());
  co_return std::string(reply.text());
}

co::Task<> set_and_get(Connection& redis, int port) {
  co_await redis.connect("127.0.0.1", port);
  const Reply set = co_await redis.command("SET %s %d", "n", 42);
  EXPECT_EQ(set.text(), "OK");
  const Reply got = co_await redis.command("GET %s", "n");
  EXPECT_EQ(got.text(), "42");
  const Reply missing = co_await redis.command("GET missing");
  EXPECT_TRUE(missing.is_nil());
  const std::string binary("a\0\r\n b", 6);
  co_await redis.call("SET", "binary", binary);
  const Reply back = co_await redis.command("GET binary");
  EXPECT_EQ(back.text(), binary);
  const Reply counted = co_await redis.command("INCRBY %s %d", "n", 8);
  EXPECT_EQ(counted.integer(), 50);
  co_await redis.call("RPUSH", "list", "a", "b");
  const Reply list = co_await redis.command("LRANGE list 0 -1");
  EXPECT_EQ(list.size(), 2U);
  EXPECT_EQ(list[1].text(), "b");
  EXPECT_EQ(list[2].type(), 0);
  const Reply refused = co_await redis.command("INCR list");
  EXPECT_TRUE(refused.is_error());
  EXPECT_EQ(refused.text().substr(0, 9), "WRONGTYPE");
}

BACKEND_TEST(RedisTest, SendsCommandsAndReturnsReplies) {
  Base base(real_time());
  Connection redis(base);
  run_task(base, set_and_get(redis, server.port()));
}

co::Task<> over_unix(Connection& redis, std::string path) {
  co_await redis.connect(net::Address::unix_path(path));
  const Reply pong = co_await redis.command("PING");
  EXPECT_EQ(pong.text(), "PONG");
}

BACKEND_TEST(RedisTest, ConnectsOverAUnixSocket) {
  Base base(real_time());
  Connection redis(base);
  run_task(base, over_unix(redis, server.unix_socket()));
}

BACKEND_TEST(RedisTest, CallsFunctionsWithRepliesInOrder) {
  Base base(real_time());
  Connection redis(base);
  std::vector<std::string> replies;
  const auto keep = [&replies](adapters::Outcome<Reply> reply) {
    replies.emplace_back(reply.take().text());
  };
  redis.connect(net::Address::loopback(server.port()), [&](adapters::Outcome<std::monostate> done) {
    EXPECT_TRUE(done);
    redis.command(keep, "SET %s %s", "a", "1");
    redis.command(keep, "GET %s", "a");
    redis.call(keep, "ECHO", "x y");
  });
  run(base);  // ends: an idle connection does not keep the base
  EXPECT_EQ(replies, (std::vector<std::string>{"OK", "1", "x y"}));
}

BACKEND_TEST(RedisTest, LetsTheExceptionOfAFunctionLeaveDispatchAndLosesNoReply) {
  Base base(real_time());
  Connection redis(base);
  int replies = 0;
  redis.connect(net::Address::loopback(server.port()), [&](adapters::Outcome<std::monostate>) {
    redis.command([&](adapters::Outcome<Reply>) { ++replies, throw std::runtime_error("first"); },
                  "PING");
    redis.command([&](adapters::Outcome<Reply>) { ++replies, throw std::runtime_error("second"); },
                  "PING");
    redis.command([&](adapters::Outcome<Reply>) { ++replies; }, "PING");
  });
  EXPECT_THROW(run(base), std::runtime_error);
  EXPECT_THROW(run(base), std::runtime_error);
  run(base);
  EXPECT_EQ(replies, 3);
}

co::Task<> many(Connection& redis, int port, int& calls) {
  co_await redis.connect("127.0.0.1", port);
  Base& base = co_await co::base();
  co::TaskGroup group(base);
  for (int i = 0; i < 500; ++i) {
    group.spawn(
        [](Connection& shared, int n, int& count) -> co::Task<> {
          const Reply echoed = co_await shared.command("ECHO %d", n);
          EXPECT_EQ(echoed.text(), std::to_string(n));
          ++count;
        },
        std::ref(redis), i, std::ref(calls));
  }
  EXPECT_EQ(redis.in_flight(), 100U);
  EXPECT_EQ(redis.waiting(), 400U);
  co_await group.join();
}

BACKEND_TEST(RedisTest, KeepsToMostInFlightAndServesAllInOrder) {
  Base base(real_time());
  Connection redis(base, {.most_in_flight = 100});
  int calls = 0;
  run_task(base, many(redis, server.port(), calls));
  EXPECT_EQ(calls, 500);
}

// How often the server has read from a client.
co::Task<long> reads(Connection& redis) {
  const Reply info = co_await redis.command("INFO stats");
  const std::string name = "total_reads_processed:";
  const std::string text(info.text());
  co_return std::stol(text.substr(text.find(name) + name.size()));
}

co::Task<> pipelined(Connection& redis, int port) {
  co_await redis.connect("127.0.0.1", port);
  Base& base = co_await co::base();
  co::TaskGroup group(base);
  const long before = co_await reads(redis);
  const std::uint64_t registrations = base.stats().registrations;
  for (int i = 0; i < 50; ++i) {
    group.spawn([](Connection& shared) -> co::Task<> { co_await shared.command("PING"); },
                std::ref(redis));
  }
  co_await group.join();
  EXPECT_EQ(base.stats().registrations, registrations);
  const long after = co_await reads(redis);
  EXPECT_EQ(after - before, 2);  // the last one is for the question
}

BACKEND_TEST(RedisTest, SendsTheCommandsOfAnIterationInOneWriteAndRegistersNothing) {
  Base base(real_time());
  Connection redis(base);
  run_task(base, pipelined(redis, server.port()));
}

BACKEND_TEST(RedisTest, KeepsABaseInAnotherLoopAwakeUntilACommandIsSent) {
  Base base(real_time());
  Connection redis(base);
  run_task(base, [&]() -> co::Task<> { co_await redis.connect("127.0.0.1", server.port()); }());
  base.post([&] { redis.command([](adapters::Outcome<Reply>) {}, "PING"); });
  base.loop(RunMode::nonblock);
  EXPECT_EQ(base.next_timeout(), Duration::zero());
  base.loop(RunMode::nonblock);
  EXPECT_NE(base.next_timeout(), Duration::zero()) << "it waits for the reply";
}

// Ends a BLPOP of another connection, which has waited until then.
co::Task<> end_pop(std::string list, int port) {
  Connection other(co_await co::base());
  co_await other.connect("127.0.0.1", port);
  co_await other.call("RPUSH", list, "x");
}

co::Task<> cancel_one(Connection& redis, int port) {
  co_await redis.connect("127.0.0.1", port);
  co_await redis.call("SET", "key", "value");
  // Its reply comes before that of GET, and must not be taken for it.
  const auto blocked = co_await co::try_with_timeout(20ms, redis.command("BLPOP nothing 0"));
  EXPECT_FALSE(blocked.has_value());
  EXPECT_EQ(redis.in_flight(), 1U);
  co_await end_pop("nothing", port);
  const std::string value = co_await get(redis, "key");
  EXPECT_EQ(value, "value");
  EXPECT_EQ(redis.in_flight(), 0U);
}

BACKEND_TEST(RedisTest, DropsTheReplyOfACancelledCommandAndKeepsTheConnection) {
  Base base(real_time());
  Connection redis(base);
  run_task(base, cancel_one(redis, server.port()));
}

co::Task<> cancel_unsent(Connection& redis, int port) {
  co_await redis.connect("127.0.0.1", port);
  Base& base = co_await co::base();
  co::TaskGroup group(base);
  group.spawn([](Connection& shared) -> co::Task<> { co_await shared.command("BLPOP no 0"); },
              std::ref(redis));
  const auto late = co_await co::try_with_timeout(20ms, redis.command("SET cancelled 1"));
  EXPECT_FALSE(late.has_value());
  EXPECT_EQ(redis.waiting(), 0U);
  co_await end_pop("no", port);
  co_await group.join();
  const Reply missing = co_await redis.command("GET cancelled");
  EXPECT_TRUE(missing.is_nil());
}

BACKEND_TEST(RedisTest, SendsNothingOfACommandThatIsCancelledWhileItWaitsForRoom) {
  Base base(real_time());
  Connection redis(base, {.most_in_flight = 1});
  run_task(base, cancel_unsent(redis, server.port()));
}

co::Task<std::error_code> code_of(Connection& redis, const char* command) {
  try {
    co_await redis.command(command);
  } catch (const std::system_error& error) {
    co_return error.code();
  }
  co_return std::error_code();
}

co::Task<> lose(Connection& redis, RedisServer& server) {
  co_await redis.connect("127.0.0.1", server.port());
  Base& base = co_await co::base();
  co::TaskGroup group(base);
  std::error_code sent;
  std::error_code unsent;
  group.spawn([&]() -> co::Task<> { sent = co_await code_of(redis, "BLPOP nothing 0"); });
  group.spawn([&]() -> co::Task<> { unsent = co_await code_of(redis, "PING"); });
  co_await co::sleep(20ms);
  server.kill();
  co_await group.join();
  EXPECT_EQ(sent, Errc::unknown_outcome);
  EXPECT_EQ(unsent, Errc::not_sent);
  EXPECT_FALSE(redis.connected());
  const std::error_code dead = co_await code_of(redis, "PING");
  EXPECT_EQ(dead, Errc::not_sent);
  std::error_code refused = co_await error_of(redis.connect("127.0.0.1", server.port()));
  EXPECT_EQ(refused, std::errc::connection_refused);
  server.start();
  co_await redis.connect("127.0.0.1", server.port());
  const Reply pong = co_await redis.command("PING");
  EXPECT_EQ(pong.text(), "PONG");
}

BACKEND_TEST(RedisTest, SaysWhatBecameOfCommandsWhenTheServerDiesAndConnectsAgain) {
  Base base(real_time());
  Connection redis(base, {.most_in_flight = 1});
  run_task(base, lose(redis, server));
}

co::Task<> connect_without_descriptors(Connection& redis, net::Address address) {
  std::error_code code;
  {
    const NoDescriptorLeft none;
    try {
      co_await redis.connect(address);
    } catch (const std::system_error& error) {
      code = error.code();
    }
  }
  EXPECT_EQ(code, std::errc::too_many_files_open) << address.text();
  co_await redis.connect(address);
}

BACKEND_TEST(RedisTest, SaysThatNoDescriptorIsLeftForAConnection) {
  Base base(real_time());
  Connection redis(base);
  run_task(base, connect_without_descriptors(redis, net::Address::loopback(server.port())));
  redis.close_now();
  run_task(base, connect_without_descriptors(redis, net::Address::unix_path(server.unix_socket())));
}

co::Task<> two_pings(Connection& redis, int port) {
  co_await redis.connect("127.0.0.1", port);
  for (int i = 0; i < 2; ++i) {
    const auto pong = co_await co::try_with_timeout(60s, redis.command("PING"));
    EXPECT_TRUE(pong.has_value());
  }
}

BACKEND_TEST(RedisTest, SendsOneCommandAtATimeIfNoneMayBeInFlight) {
  Base base(real_time());
  Connection redis(base, {.most_in_flight = 0});
  run_task(base, two_pings(redis, server.port()));
}

co::Task<> big_write(Connection& redis, RedisServer& server, std::error_code& code) {
  co_await redis.connect("127.0.0.1", server.port());
  server.signal(SIGSTOP);
  Base& base = co_await co::base();
  co::TaskGroup group(base);
  group.spawn([&]() -> co::Task<> {
    const std::string value(32U << 20U, 'x');  // more than the kernel takes
    try {
      co_await redis.call("SET", "big", value);
    } catch (const std::system_error& error) {
      code = error.code();
    }
  });
  co_await co::sleep(50ms);
  server.kill();
  co_await group.join();
}

BACKEND_TEST(RedisTest, KnowsThatACommandOfWhichPartWasWrittenIsNotExecuted) {
  Base base(real_time());
  Connection redis(base);
  std::error_code code;
  run_task(base, big_write(redis, server, code));
  EXPECT_EQ(code, Errc::not_sent);
}

co::Task<> big_values(Connection& redis, int port) {
  co_await redis.connect("127.0.0.1", port);
  const std::string value(8U << 20U, 'y');
  co_await redis.call("SET", "big", value);
  const Reply back = co_await redis.command("GET big");
  EXPECT_TRUE(back.text() == value);
}

BACKEND_TEST(RedisTest, WritesWhatIsMoreThanTheKernelTakesAtOnce) {
  Base base(real_time());
  Connection redis(base);
  run_task(base, big_values(redis, server.port()));
}

co::Task<> destroyer(std::optional<Connection>& redis, int port) {
  co_await redis->connect("127.0.0.1", port);
  Base& base = co_await co::base();
  co::TaskGroup group(base);
  std::error_code other;
  group.spawn([&]() -> co::Task<> {
    co_await redis->command("PING");
    redis.reset();  // while others wait, and their replies are there
  });
  group.spawn([&]() -> co::Task<> { co_await redis->command("PING"); });
  group.spawn([&]() -> co::Task<> { other = co_await code_of(*redis, "BLPOP nothing 0"); });
  co_await group.join();
  EXPECT_EQ(other, Errc::unknown_outcome);
}

BACKEND_TEST(RedisTest, MayBeDestroyedByATaskThatItResumes) {
  Base base(real_time());
  std::optional<Connection> redis(std::in_place, base);
  run_task(base, destroyer(redis, server.port()));
}

struct Forked {
  explicit Forked(Base& base)
      : group(std::in_place, base),
        redis(std::in_place, base, Connection::Options{.most_in_flight = 1}),
        subscriber(std::in_place, base) {}
  void destroy() {
    group.reset();
    subscriber.reset();
    redis.reset();
  }

  std::optional<co::TaskGroup> group;
  std::optional<Connection> redis;
  std::optional<redis::Subscriber> subscriber;
};

co::Task<> fork_and_go_on(Forked& all, int port) {
  co_await all.redis->connect("127.0.0.1", port);
  co_await all.subscriber->connect("127.0.0.1", port);
  co_await all.subscriber->subscribe("news");
  std::vector<std::string> got;
  all.group->spawn([&]() -> co::Task<> {
    const redis::Message message = co_await all.subscriber->next();
    got.emplace_back(message.text());
  });
  for (const char* const text : {"a", "b"}) {  // one in flight, and one that waits
    all.group->spawn([&, text]() -> co::Task<> {
      const Reply echoed = co_await all.redis->call("ECHO", text);
      got.emplace_back(echoed.text());
    });
  }
  EXPECT_TRUE(succeeds_in_child([&] { all.destroy(); }));
  co_await all.redis->call("PUBLISH", "news", "c");
  co_await all.group->join();
  EXPECT_EQ(got, (std::vector<std::string>{"a", "b", "c"}));
}

BACKEND_TEST(RedisTest, GoesOnInTheParentIfAForkedChildDestroysIt) {
  Base base(real_time());
  Forked all(base);
  run_task(base, fork_and_go_on(all, server.port()));
}

BACKEND_TEST(RedisTest, MayOutliveItsBaseAndItsTasks) {
  std::optional<Base> base(std::in_place, real_time());
  Connection redis(*base);
  co::TaskGroup group(*base);
  group.spawn([&]() -> co::Task<> {
    co_await redis.connect("127.0.0.1", server.port());
    co_await redis.command("BLPOP nothing 0");
  });
  while (redis.in_flight() == 0) run(*base, RunMode::once);
  base.reset();
  EXPECT_EQ(group.size(), 0U);
}

co::Task<> graceful(Connection& redis, int port) {
  co_await redis.connect("127.0.0.1", port);
  Base& base = co_await co::base();
  co::TaskGroup group(base);
  std::string value;
  co_await redis.call("SET", "key", "kept");
  group.spawn([&]() -> co::Task<> { value = co_await get(redis, "key"); });
  co_await redis.close(10s);
  co_await group.join();
  EXPECT_EQ(value, "kept");
  EXPECT_FALSE(redis.connected());
  co_await redis.connect("127.0.0.1", port);
  std::error_code code;
  group.spawn([&]() -> co::Task<> { code = co_await code_of(redis, "BLPOP nothing 0"); });
  co_await redis.close(20ms);
  co_await group.join();
  EXPECT_EQ(code, Errc::unknown_outcome);
}

BACKEND_TEST(RedisTest, ClosesWhenWhatIsUnderWayHasEndedOrTheLimitHasPassed) {
  Base base(real_time());
  Connection redis(base);
  run_task(base, graceful(redis, server.port()));
}

co::Task<> given_up_close(Connection& redis, int port) {
  co_await redis.connect("127.0.0.1", port);
  Base& base = co_await co::base();
  for (const bool destroyed : {false, true}) {
    std::optional<co::TaskGroup> group(std::in_place, base);
    group->spawn([&]() -> co::Task<> { co_await redis.command("BLPOP nothing 0"); });
    group->spawn([&]() -> co::Task<> { co_await redis.close(1000s); });
    co_await co::sleep(1ms);
    const std::error_code refused = co_await code_of(redis, "PING");
    EXPECT_EQ(refused, Errc::not_sent);
    if (destroyed) {
      group.reset();
    } else {
      group->cancel();
      co_await group->join();
    }
    EXPECT_TRUE(redis.connected());
    co_await end_pop("nothing", port);
    const std::error_code code = co_await code_of(redis, "PING");
    EXPECT_EQ(code, std::error_code()) << destroyed;
  }
}

BACKEND_TEST(RedisTest, TakesCommandsAgainIfTheTaskThatClosesItIsGone) {
  Base base(real_time());
  Connection redis(base);
  run_task(base, given_up_close(redis, server.port()));
}

BACKEND_TEST(RedisTest, RefusesCommandsThatChangeSubscriptions) {
  Base base(real_time());
  Connection redis(base);
  EXPECT_THROW(static_cast<void>(redis.command("SUBSCRIBE x")), std::system_error);
  EXPECT_THROW(static_cast<void>(redis.call("psubscribe", "x")), std::system_error);
  EXPECT_THROW(static_cast<void>(redis.command("MONITOR")), std::system_error);
  for (const char* const word : {"UNSUBSCRIBE", "punsubscribe", "SUnsubscribe", "ssubscribe"}) {
    try {
      static_cast<void>(redis.call(word));
      ADD_FAILURE() << word;
    } catch (const std::system_error& error) {
      EXPECT_EQ(error.code(), std::errc::invalid_argument) << word;
    }
  }
  EXPECT_NO_THROW(static_cast<void>(redis.command("UNLINK x")));
  EXPECT_NO_THROW(static_cast<void>(redis.command("MONITORS")));
  EXPECT_NO_THROW(static_cast<void>(redis.command("s")));
  EXPECT_THROW(static_cast<void>(redis.command("GET %y", 1)), std::system_error);
}

// hiredis aborts the process at it.
BACKEND_TEST(RedisTest, RefusesAnEmptyCommand) {
  Base base(real_time());
  Connection redis(base);
  const auto never = [](adapters::Outcome<Reply>) { ADD_FAILURE(); };
  for (const char* const empty : {"", " ", "   "}) {
    const auto code = [](auto make) {
      try {
        make();
      } catch (const std::system_error& error) {
        return error.code();
      }
      return std::error_code();
    };
    const std::error_code awaited = code([&] { static_cast<void>(redis.command(empty)); });
    EXPECT_EQ(awaited, std::errc::invalid_argument) << '"' << empty << '"';
    const std::error_code called = code([&] { redis.command(never, empty); });
    EXPECT_EQ(called, std::errc::invalid_argument) << '"' << empty << '"';
  }
  run_task(base, [](Connection& shared, int port) -> co::Task<> {
    co_await shared.connect("127.0.0.1", port);
    const Reply refused = co_await shared.call("");
    EXPECT_TRUE(refused.is_error());
    const Reply pong = co_await shared.command("PING");
    EXPECT_EQ(pong.text(), "PONG");
  }(redis, server.port()));
}

BACKEND_TEST(RedisTest, CancelsAConnectionThatIsBeingMade) {
  Base base(real_time());
  Connection redis(base);
  // A listener whose queue is full answers nothing.
  const examples_test::BoundPort silent(SOCK_STREAM);
  run_task(base, [](Connection& shared, int port) -> co::Task<> {
    const auto done = co_await co::try_with_timeout(1ms, shared.connect("127.0.0.1", port));
    static_cast<void>(done);
    shared.close_now();
    EXPECT_FALSE(shared.connected());
  }(redis, silent.port()));
}

co::Task<> publish(Connection& redis, int from, int to) {
  for (int i = from; i < to; ++i) {
    const std::string text = std::to_string(i);
    co_await redis.call("PUBLISH", "news", text);
  }
}

co::Task<> subscribe(Base& base, int port) {
  redis::Subscriber subscriber(base);
  Connection redis(base);
  co_await subscriber.connect("127.0.0.1", port);
  co_await redis.connect("127.0.0.1", port);
  const Reply name = co_await subscriber.call("CLIENT", "SETNAME", "reader");
  EXPECT_EQ(name.text(), "OK");
  co_await subscriber.unsubscribe("never");
  co_await subscriber.subscribe("news");
  co_await subscriber.psubscribe("ne*");
  EXPECT_THROW(static_cast<void>(subscriber.call("PING")), std::system_error);
  co_await publish(redis, 0, 1);
  const redis::Message by_name = co_await subscriber.next();
  EXPECT_EQ(by_name.channel(), "news");
  EXPECT_EQ(by_name.text(), "0");
  EXPECT_EQ(by_name.pattern(), "");
  const redis::Message by_pattern = co_await subscriber.next();
  EXPECT_EQ(by_pattern.pattern(), "ne*");
  EXPECT_EQ(by_pattern.channel(), "news");
  co_await subscriber.punsubscribe("ne*");
  const auto nothing = co_await co::try_with_timeout(10ms, subscriber.next());
  EXPECT_FALSE(nothing.has_value());
  co_await publish(redis, 1, 3);
  const redis::Message second = co_await subscriber.next();
  EXPECT_EQ(second.text(), "1");
  const redis::Message third = co_await subscriber.next();
  EXPECT_EQ(third.text(), "2");
}

BACKEND_TEST(RedisTest, ReceivesWhatIsPublished) {
  Base base(real_time());
  run_task(base, subscribe(base, server.port()));
}

// Tasks wait for messages, which come in one read. The first one cancels the second one.
co::Task<> cancel_a_receiver(Base& base, int port) {
  redis::Subscriber subscriber(base);
  Connection redis(base);
  co_await subscriber.connect("127.0.0.1", port);
  co_await redis.connect("127.0.0.1", port);
  co_await subscriber.subscribe("news");
  for (const int waiters : {2, 3, 4}) {
    std::vector<std::string> got;
    co::TaskGroup group(base);
    co::TaskGroup second(base);
    const auto receive = [&](bool cancels) -> co::Task<> {
      const redis::Message message = co_await subscriber.next();
      got.emplace_back(message.text());
      if (cancels) second.cancel();
    };
    group.spawn(receive(true));
    second.spawn(receive(false));
    for (int i = 2; i < waiters; ++i) group.spawn(receive(false));
    co_await redis.call("MULTI");  // so that the server writes them at once
    for (const char* const text : {"1", "2", "3"}) co_await redis.call("PUBLISH", "news", text);
    co_await redis.call("EXEC");
    co_await group.join();
    co_await second.join();
    while (got.size() < 3) {
      const redis::Message message = co_await subscriber.next();
      got.emplace_back(message.text());
    }
    EXPECT_EQ(got, (std::vector<std::string>{"1", "2", "3"})) << waiters;
    EXPECT_EQ(subscriber.waiting(), 0U);
  }
}

BACKEND_TEST(RedisTest, PassesAMessageOnIfTheTaskThatItWasForIsCancelled) {
  Base base(real_time());
  run_task(base, cancel_a_receiver(base, server.port()));
}

co::Task<> flood(Base& base, RedisServer& server) {
  redis::Subscriber subscriber(base, {.most_waiting = 10});
  Connection redis(base);
  co_await subscriber.connect("127.0.0.1", server.port());
  co_await redis.connect("127.0.0.1", server.port());
  co_await subscriber.subscribe("news");
  const std::string large(4000, 'z');
  for (int i = 0; i < 1000; ++i) co_await redis.call("PUBLISH", "news", large);
  EXPECT_GE(subscriber.waiting(), 10U);
  EXPECT_LE(subscriber.waiting(), 10U + 5);
  for (int i = 0; i < 1000; ++i) {
    const redis::Message message = co_await subscriber.next();
    EXPECT_EQ(message.text().size(), large.size());
  }
  co_await redis.call("PUBLISH", "news", "last");
  while (subscriber.waiting() == 0) co_await co::sleep(1ms);
  server.kill();
  while (subscriber.connected()) co_await co::sleep(1ms);
  const redis::Message last = co_await subscriber.next();
  EXPECT_EQ(last.text(), "last");
  const std::error_code code = co_await error_of(
      [](redis::Subscriber& gone) -> co::Task<> { co_await gone.next(); }(subscriber));
  EXPECT_EQ(code, std::errc::connection_reset);
  server.start();
  co_await subscriber.connect("127.0.0.1", server.port());
  co_await subscriber.subscribe("news");
}

// What it fails with; empty: nothing.
co::Task<std::string> refusal_of(co::Task<> change) {
  std::string why;
  try {
    co_await std::move(change);
  } catch (const std::system_error& error) {
    EXPECT_EQ(error.code(), Errc::refused);
    why = error.what();
  }
  co_return why;
}
co::Task<> subscribe_to(redis::Subscriber& subscriber, std::string channel) {
  co_await subscriber.subscribe(channel);
}
co::Task<> psubscribe_to(redis::Subscriber& subscriber, std::string pattern) {
  co_await subscriber.psubscribe(pattern);
}
co::Task<> unsubscribe_from(redis::Subscriber& subscriber, std::string channel) {
  co_await subscriber.unsubscribe(channel);
}

// A server that reads once, answers or does not, and closes.
class RedisPeerTest : public EveryBackendCo {
 protected:
  co::Task<> serve_once(bool answers) {
    net::Socket socket = co_await listener.accept();
    net::SocketStream peer(base, std::move(socket));
    std::array<char, 1000> room{};
    co_await peer.read_some(room);
    if (answers) co_await peer.write("+PONG\r\n");
  }
  co::Task<> write_after_the_end() {
    co::TaskGroup tasks(base);
    tasks.spawn(serve_once(true));
    co_await redis.connect(listener.address());
    const Reply pong = co_await redis.command("PING");
    EXPECT_EQ(pong.text(), "PONG");
    // The server has closed, which nobody has read yet.
    const std::error_code code = co_await code_of(redis, "PING");
    EXPECT_EQ(code, Errc::not_sent);
    EXPECT_FALSE(redis.connected());
  }
  co::Task<> write_on_after_the_end() {
    co::TaskGroup tasks(base);
    tasks.spawn(serve_once(false));
    co_await redis.connect(listener.address());
    const std::string value(32U << 20U, 'x');  // more than the kernel takes
    std::error_code code;
    try {
      co_await redis.call("SET", "big", value);
    } catch (const std::system_error& error) {
      code = error.code();
    }
    EXPECT_EQ(code, Errc::not_sent);
  }

  Base base{real_time()};
  examples_test::TemporaryFolder folder;
  net::Listener listener{base, net::Address::unix_path(folder.file("socket"))};
  Connection redis{base};
};

BACKEND_TEST(RedisPeerTest, MayCloseBeforeACommandWithoutASignal) {
  const Disposition counted(SIGPIPE, &count_stray);
  strays = 0;
  run_task(base, write_after_the_end());
  EXPECT_EQ(strays, 0);
}

BACKEND_TEST(RedisPeerTest, MayCloseInACommandWithoutASignal) {
  const Disposition counted(SIGPIPE, &count_stray);
  strays = 0;
  run_task(base, write_on_after_the_end());
  EXPECT_EQ(strays, 0);
}

class RedisRightsTest : public RedisTest {
 protected:
  // A subscriber and a publisher, of whom the former may use the channels "news" and "weather".
  co::Task<> connect() {
    co_await redis.connect("127.0.0.1", server.port());
    co_await redis.call("ACL", "SETUSER", "reader", "on", "nopass", "+@all", "resetchannels",
                        "&news", "&weather");
    co_await subscriber.connect("127.0.0.1", server.port());
    co_await subscriber.call("AUTH", "reader", "any");
  }
  co::Task<> expect_message(std::string channel) {
    co_await redis.call("PUBLISH", channel, "text");
    const redis::Message message = co_await subscriber.next();
    EXPECT_EQ(message.channel(), channel);
  }

  co::Task<> refuse_one() {
    co_await connect();
    const std::string first = co_await refusal_of(subscribe_to(subscriber, "secret"));
    EXPECT_EQ(first.find("redis: NOPERM"), 0U) << first;
    const Reply list = co_await subscriber.call("COMMAND", "COUNT");
    EXPECT_GT(list.integer(), 0);
    const Reply array = co_await subscriber.call("ACL", "USERS");
    EXPECT_EQ(array.size(), 2U);  // it is no subscriber yet
    co_await subscriber.subscribe("news");
    const std::string pattern = co_await refusal_of(psubscribe_to(subscriber, "*"));
    EXPECT_EQ(pattern.find("redis: NOPERM"), 0U) << pattern;
    const std::string again = co_await refusal_of(subscribe_to(subscriber, "secret"));
    EXPECT_NE(again, "");
    co_await subscriber.unsubscribe("secret");
    co_await expect_message("news");
    EXPECT_TRUE(subscriber.connected());
  }
  // Without a subscription a subscriber takes commands.
  co::Task<> expect_commands_again() {
    const Reply users = co_await subscriber.call("ACL", "USERS");
    EXPECT_EQ(users.size(), 2U);
  }
  co::Task<> refuse_some_of_many() {
    co_await connect();
    std::vector<std::string> refusals(6);
    co::TaskGroup changes(base);
    const auto spawn = [&](std::size_t i, co::Task<> change) {
      changes.spawn(
          [](co::Task<> its, std::string& why) -> co::Task<> {
            std::string text = co_await refusal_of(std::move(its));
            why = std::move(text);
          },
          std::move(change), std::ref(refusals[i]));
    };
    spawn(0, subscribe_to(subscriber, "secret"));
    spawn(1, subscribe_to(subscriber, "news"));
    spawn(2, subscribe_to(subscriber, "secret"));
    spawn(3, unsubscribe_from(subscriber, "secret"));
    spawn(4, psubscribe_to(subscriber, "*"));
    spawn(5, subscribe_to(subscriber, "weather"));
    co_await changes.join();
    for (const std::size_t i : {0U, 2U, 4U}) EXPECT_NE(refusals[i], "") << i;
    for (const std::size_t i : {1U, 3U, 5U}) EXPECT_EQ(refusals[i], "") << i;
    co_await expect_message("news");
    co_await expect_message("weather");
    co_await subscriber.unsubscribe("news");
    co_await subscriber.unsubscribe("weather");
    co_await expect_commands_again();
  }
  // Not even to end a subscription.
  co::Task<> refuse_all() {
    co_await connect();
    co_await redis.call("ACL", "SETUSER", "reader", "-@pubsub");
    for (int i = 0; i < 2; ++i) {
      const std::string channel = co_await refusal_of(subscribe_to(subscriber, "news"));
      EXPECT_EQ(channel.find("redis: NOPERM"), 0U) << channel;
      const std::string pattern = co_await refusal_of(psubscribe_to(subscriber, "*"));
      EXPECT_EQ(pattern.find("redis: NOPERM"), 0U) << pattern;
    }
    co_await expect_commands_again();
    co_await redis.call("ACL", "SETUSER", "reader", "+@pubsub");
    co_await subscriber.subscribe("news");
    co_await expect_message("news");
  }
  // The server goes on sending what was published.
  co::Task<> refuse_an_end() {
    co_await connect();
    co_await subscriber.subscribe("news");
    co_await redis.call("ACL", "SETUSER", "reader", "-unsubscribe");
    const std::string refusal = co_await refusal_of(unsubscribe_from(subscriber, "news"));
    EXPECT_EQ(refusal.find("redis: NOPERM"), 0U) << refusal;
    const std::string other = co_await refusal_of(subscribe_to(subscriber, "secret"));
    EXPECT_NE(other, "");
    for (int i = 0; i < 10; ++i) {  // the first ones have come before the last one is answered
      const Reply receivers = co_await redis.call("PUBLISH", "news", "text");
      EXPECT_EQ(receivers.integer(), 1);
    }
    EXPECT_THROW(static_cast<void>(subscriber.call("PING")), std::system_error);
    co_await subscriber.subscribe("weather");
    co_await expect_message("weather");
    co_await redis.call("ACL", "SETUSER", "reader", "+unsubscribe");
    co_await subscriber.subscribe("news");
    co_await expect_message("news");
    co_await subscriber.unsubscribe("news");
    co_await subscriber.unsubscribe("weather");
    co_await expect_commands_again();
  }
  co::Task<> refuse_whom_nobody_waits_for() {
    co_await connect();
    const auto done = co_await co::try_with_timeout(0s, subscribe_to(subscriber, "secret"));
    static_cast<void>(done);
    co_await subscriber.subscribe("news");
    co_await expect_message("news");
  }

  Base base{real_time()};
  Connection redis{base};
  redis::Subscriber subscriber{base};
};

BACKEND_TEST(RedisRightsTest, RefuseASubscriptionAndKeepTheConnection) {
  run_task(base, refuse_one());
}

BACKEND_TEST(RedisRightsTest, RefuseEverySubscriptionAndItsEnd) { run_task(base, refuse_all()); }

BACKEND_TEST(RedisRightsTest, RefuseTheEndOfASubscriptionThatGoesOn) {
  run_task(base, refuse_an_end());
}

BACKEND_TEST(RedisRightsTest, RefuseSomeOfManyChangesUnderWay) {
  run_task(base, refuse_some_of_many());
}

BACKEND_TEST(RedisRightsTest, RefuseASubscriptionThatNobodyWaitsForAnyMore) {
  run_task(base, refuse_whom_nobody_waits_for());
}

BACKEND_TEST(RedisTest, StopsReadingMessagesThatNobodyTakesAndLosesNone) {
  Base base(real_time());
  run_task(base, flood(base, server));
}

}  // namespace
}  // namespace event_cpp::test
