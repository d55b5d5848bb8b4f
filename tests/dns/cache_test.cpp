// What is kept of answers, and for how long.
#include "dns/support.hpp"

namespace event_cpp::test {
namespace {

class CacheTest : public ToyNames {
 protected:
  void expect_cached(dns::Resolver& by, const std::string& name, bool cached) {
    const std::size_t before = server->seen().size();
    look_up(by, name, Family::v4);
    EXPECT_EQ(server->seen().size(), before + (cached ? 0 : 1)) << name;
  }

  dns::Resolver resolver{base, only({server->address()})};
};

TEST_F(CacheTest, KeepsAnAnswerForAsLongAsItHolds) {
  server->answer("a.test", {v4("192.0.2.1")}, 60s);
  look_up(resolver, "a.test", Family::v4);
  time.advance(59s);
  const Lookup again = look_up(resolver, "a.test", Family::v4);
  EXPECT_TRUE(again.answer.cached);
  EXPECT_EQ(again.answer.ttl, 1s);
  EXPECT_EQ(again.answer.addresses, std::vector{v4("192.0.2.1")});
  time.advance(1s);
  EXPECT_FALSE(look_up(resolver, "a.test", Family::v4).answer.cached);
  EXPECT_EQ(resolver.stats().hits, 1U);
  EXPECT_EQ(resolver.stats().misses, 2U);
}

TEST_F(CacheTest, GivesEachLookupThePortThatItAskedFor) {
  server->answer("a.test", {v4("192.0.2.1")});
  look_up(resolver, "a.test");
  const auto resolve = [](dns::Resolver& by, dns::Answer& answer) -> co::Task<> {
    dns::Answer found = co_await by.resolve("a.test", 443);
    answer = std::move(found);
  };
  dns::Answer answer;
  tasks->spawn(resolve(resolver, answer));
  EXPECT_EQ(answer.addresses, std::vector{v4("192.0.2.1", 443)});  // at once
}

co::Task<> look_up_often(dns::Resolver& by, std::string name, int& count) {
  constexpr int kBound = 1000;  // which is never reached, as the task waits before
  while (count < kBound) {
    ++count;
    try {
      co_await by.resolve(name);
    } catch (const std::system_error& error) {
      if (error.code() == std::errc::operation_canceled) throw;
    }
  }
}

TEST_F(CacheTest, LetsOthersHaveTheirTurnThoughItHasTheAnswer) {
  const TemporaryFile hosts("192.0.2.7 file.test\n");
  dns::Options options = only({server->address()});
  options.hosts_file = hosts.path();
  dns::Resolver both(base, options);
  server->answer("a.test", {v4("192.0.2.1")}, 60s);
  for (const char* const name :
       {"a.test", "no.test", "file.test", "localhost", "127.0.0.1", "::1", "a b", "x.onion"}) {
    look_up(both, name);
    int count = 0;
    tasks->spawn(look_up_often(both, name, count));
    EXPECT_LT(count, 20) << name;
    EXPECT_EQ(tasks->size(), 1U) << name;
    tasks->cancel();
    settle();
    EXPECT_EQ(tasks->size(), 0U) << name;
    EXPECT_LT(count, 20) << name;
    tasks = std::make_unique<co::TaskGroup>(base);
  }
}

TEST_F(CacheTest, KeepsAChainForAsLongAsItsShortestLink) {
  server->alias("www.test", "web.test", 5s);
  server->alias("web.test", "a.test", 1h);
  server->answer("a.test", {v4("192.0.2.1")}, 60s);
  EXPECT_EQ(look_up(resolver, "www.test", Family::v4).answer.ttl, 5s);
  time.advance(4s);
  expect_cached(resolver, "www.test", true);
  time.advance(1s);
  expect_cached(resolver, "www.test", false);
}

TEST_F(CacheTest, KeepsBothFamiliesForAsLongAsTheShorterOne) {
  server->answer("a.test", {v4("192.0.2.1")}, 60s);
  look_up(resolver, "a.test", Family::v4);
  server->answer("a.test", {v4("192.0.2.1"), v6("2001:db8::1")}, 10s);
  EXPECT_EQ(look_up(resolver, "a.test").answer.ttl, 10s);
  time.advance(10s);
  expect_cached(resolver, "a.test", true);
  EXPECT_FALSE(look_up(resolver, "a.test").answer.cached);
}

TEST_F(CacheTest, DoesNotKeepWhatHoldsForNoTime) {
  server->answer("a.test", {v4("192.0.2.1")}, 0s);
  const Lookup lookup = look_up(resolver, "a.test", Family::v4);
  EXPECT_EQ(lookup.answer.ttl, 0s);
  EXPECT_TRUE(lookup.found());
  expect_cached(resolver, "a.test", false);
}

TEST_F(CacheTest, ForgetsNothingForWhatHoldsForNoTime) {
  dns::Options options = only({server->address()});
  options.cache = 1;
  dns::Resolver small(base, options);
  server->answer("a.test", {v4("192.0.2.1")});
  server->answer("b.test", {v4("192.0.2.1")}, 0s);
  expect_cached(small, "a.test", false);
  expect_cached(small, "b.test", false);
  expect_cached(small, "a.test", true);
}

TEST_F(CacheTest, KeepsNothingForLongerThanTheOptionsSay) {
  server->answer("a.test", {v4("192.0.2.1")}, 24h);
  EXPECT_EQ(look_up(resolver, "a.test", Family::v4).answer.ttl, 1h);
  time.advance(1h);
  expect_cached(resolver, "a.test", false);
}

TEST_F(CacheTest, KeepsNothingIfTheOptionsSayATimeBelowZero) {
  for (const Duration most : {Duration(-1), Duration::min()}) {
    dns::Options options = only({server->address()});
    options.ttl_most = options.negative_most = most;
    dns::Resolver forgetful(base, options);
    server->answer("a.test", {v4("192.0.2.1")});
    Lookup lookup;
    start(forgetful, "a.test", lookup, Family::v4);
    for (int i = 0; i < 1000 && !lookup.done; ++i) {
      base.loop(RunMode::nonblock);
      time.advance(1ns);  // also between the answer of the server and that of the resolver
    }
    EXPECT_TRUE(lookup.found());
    EXPECT_EQ(lookup.answer.ttl, 0s);
    expect_cached(forgetful, "a.test", false);
    expect_cached(forgetful, "no.test", false);
    expect_cached(forgetful, "no.test", false);
  }
}

TEST_F(CacheTest, KeepsThatANameDoesNotExistForHalfAMinuteAtMost) {
  expect_cached(resolver, "no.test", false);
  time.advance(29s);
  expect_cached(resolver, "no.test", true);
  time.advance(1s);
  expect_cached(resolver, "no.test", false);
}

TEST_F(CacheTest, KeepsThatANameDoesNotExistForAsLongAsTheServerSays) {
  server->negative_ttl(10s);
  server->answer("empty.test", {});
  for (const char* const name : {"no.test", "empty.test"}) {
    expect_cached(resolver, name, false);
    time.advance(9s);
    expect_cached(resolver, name, true);
    time.advance(1s);
    expect_cached(resolver, name, false);
  }
}

TEST_F(CacheTest, KeepsNoAbsenceForWhichTheServerSetsNoTime) {
  server->negative_ttl(0s);
  expect_cached(resolver, "no.test", false);
  expect_cached(resolver, "no.test", false);
}

TEST_F(CacheTest, KeepsNoFailure) {
  server->answer("a.test", {v4("192.0.2.1")});
  server->fault("a.test", Fault::servfail, 2);
  EXPECT_EQ(look_up(resolver, "a.test", Family::v4).error, dns::Errc::server_failed);
  EXPECT_TRUE(look_up(resolver, "a.test", Family::v4).found());
  server->answer("b.test", {v4("192.0.2.1")});
  server->fault("b.test", Fault::drop, 2);
  EXPECT_EQ(look_up(resolver, "b.test", Family::v4).error, dns::Errc::timed_out);
  EXPECT_TRUE(look_up(resolver, "b.test", Family::v4).found());
}

TEST_F(CacheTest, AnswersASearchToo) {
  dns::Options options = only({server->address()});
  options.search = {"one.test", "two.test"};
  dns::Resolver searching(base, options);
  server->answer("a.two.test", {v4("192.0.2.2")});
  look_up(searching, "a");
  EXPECT_EQ(server->seen().size(), 4U);
  const Lookup again = look_up(searching, "a");
  EXPECT_TRUE(again.answer.cached);
  EXPECT_EQ(again.answer.addresses, std::vector{v4("192.0.2.2")});
  EXPECT_EQ(server->seen().size(), 4U);
}

TEST_F(CacheTest, ForgetsTheNameThatWasNotUsedForLongest) {
  dns::Options options = only({server->address()});
  options.cache = 2;
  dns::Resolver small(base, options);
  for (const char* const name : {"a.test", "b.test", "c.test"}) {
    server->answer(name, {v4("192.0.2.1")});
  }
  expect_cached(small, "a.test", false);
  expect_cached(small, "b.test", false);
  expect_cached(small, "a.test", true);
  expect_cached(small, "c.test", false);
  expect_cached(small, "a.test", true);
  expect_cached(small, "c.test", true);
  expect_cached(small, "b.test", false);
}

TEST_F(CacheTest, MayKeepNothing) {
  dns::Options options = only({server->address()});
  options.cache = 0;
  dns::Resolver forgetful(base, options);
  server->answer("a.test", {v4("192.0.2.1")});
  expect_cached(forgetful, "a.test", false);
  expect_cached(forgetful, "a.test", false);
}

TEST_F(CacheTest, IsEmptyAfterAFlush) {
  server->answer("a.test", {v4("192.0.2.1")});
  expect_cached(resolver, "a.test", false);
  resolver.flush();
  expect_cached(resolver, "a.test", false);
}

TEST_F(CacheTest, AnswersAtOnceAndAlsoIfEveryServerIsGone) {
  server->answer("a.test", {v4("192.0.2.1")});
  look_up(resolver, "a.test");
  server->fault("a.test", Fault::drop);
  Lookup lookup;
  start(resolver, "a.test", lookup);
  EXPECT_TRUE(lookup.found());
}

}  // namespace
}  // namespace event_cpp::test
