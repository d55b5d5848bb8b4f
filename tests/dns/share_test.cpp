// Lookups that share their queries, that are cancelled, and that wait for their turn.
#include "dns/support.hpp"

namespace event_cpp::test {
namespace {

class ShareTest : public ToyNames {
 protected:
  ShareTest() {
    server->answer("a.test", {v4("192.0.2.1")});
    server->answer("b.test", {v4("192.0.2.2")});
    for (const char* const name : {"a.test", "b.test"}) {
      server->fault(name, Fault::delay, -1, Family::any, 1s);
    }
  }

  dns::Resolver resolver{base, only({server->address()})};
};

TEST_F(ShareTest, AsksOnceForAHundred) {
  std::vector<Lookup> lookups(100);
  for (Lookup& lookup : lookups) start(resolver, "a.test", lookup);
  pass(1s);
  for (const Lookup& lookup : lookups) EXPECT_TRUE(lookup.found());
  EXPECT_EQ(server->seen().size(), 2U);
}

TEST_F(ShareTest, LeavesTheOthersIfOneIsCancelled) {
  Lookup cancelled;
  Lookup left;
  co::TaskGroup first(base);
  first.spawn(test::look_up(resolver, "a.test", Family::v4, cancelled));
  start(resolver, "a.test", left, Family::v4);
  settle();
  first.cancel();
  settle();
  EXPECT_EQ(cancelled.error, std::errc::operation_canceled);
  EXPECT_EQ(resolver.under_way(), 1U);
  pass(1s);
  EXPECT_TRUE(left.found());
  EXPECT_EQ(server->seen().size(), 1U);
}

TEST_F(ShareTest, LeavesOtherNamesIfOneIsCancelled) {
  Lookup cancelled;
  Lookup left;
  co::TaskGroup first(base);
  first.spawn(test::look_up(resolver, "a.test", Family::v4, cancelled));
  start(resolver, "b.test", left, Family::v4);
  settle();
  first.cancel();
  pass(1s);
  EXPECT_EQ(cancelled.error, std::errc::operation_canceled);
  EXPECT_TRUE(left.found());
}

TEST_F(ShareTest, EndsAQueryThatNobodyWaitsForAnyMore) {
  const std::size_t open = kernel.open();
  Lookup lookup;
  start(resolver, "a.test", lookup);
  settle();
  EXPECT_EQ(resolver.under_way(), 2U);
  tasks->cancel();
  settle();
  EXPECT_EQ(lookup.error, std::errc::operation_canceled);
  EXPECT_EQ(resolver.under_way(), 0U);
  EXPECT_EQ(kernel.open(), open);
}

TEST_F(ShareTest, TouchesNothingOfALookupThatWasDestroyed) {
  const std::size_t open = kernel.open();
  {
    Lookup gone;
    start(resolver, "a.test", gone);
    settle();
    tasks = std::make_unique<co::TaskGroup>(base);
  }
  EXPECT_EQ(resolver.under_way(), 0U);
  EXPECT_EQ(kernel.open(), open);
  pass(2s);  // the server answers
}

TEST_F(ShareTest, AsksAgainAfterAFailure) {
  server->fault("b.test", Fault::servfail, 2);
  EXPECT_EQ(look_up(resolver, "b.test", Family::v4).error, dns::Errc::server_failed);
  EXPECT_TRUE(look_up(resolver, "b.test", Family::v4).found());
}

TEST_F(ShareTest, GoesOnInALaterIterationThanTheAnswer) {
  // Two that wait for the same answer: the first destroys the second.
  Lookup first;
  Lookup second;
  auto others = std::make_unique<co::TaskGroup>(base);
  tasks->spawn([&]() -> co::Task<> {
    co_await test::look_up(resolver, "a.test", Family::v4, first);
    others.reset();
  });
  others->spawn(test::look_up(resolver, "a.test", Family::v4, second));
  pass(1s);
  EXPECT_TRUE(first.found());
  EXPECT_FALSE(second.done);
}

TEST_F(ShareTest, LetsALookupDestroyTheResolver) {
  auto passing = std::make_unique<dns::Resolver>(base, only({server->address()}));
  Lookup first;
  Lookup second;
  tasks->spawn([&]() -> co::Task<> {
    co_await test::look_up(*passing, "a.test", Family::v4, first);
    passing.reset();
  });
  start(*passing, "b.test", second);
  start(*passing, "b.test", second);
  server->fault("b.test", Fault::drop);
  pass(2s);
  EXPECT_TRUE(first.found());
  EXPECT_EQ(second.error, std::errc::operation_canceled);
}

TEST_F(ShareTest, EndsEveryLookupWhenItIsClosed) {
  const std::size_t open = kernel.open();
  Lookup a;
  Lookup b;
  start(resolver, "a.test", a);
  start(resolver, "b.test", b);
  settle();
  resolver.close();
  EXPECT_FALSE(a.done);
  settle();
  EXPECT_EQ(a.error, std::errc::operation_canceled);
  EXPECT_EQ(b.error, std::errc::operation_canceled);
  EXPECT_EQ(kernel.open(), open);
  EXPECT_EQ(look_up(resolver, "a.test").error, std::errc::operation_canceled);
  resolver.close();
}

TEST_F(ShareTest, StopsASearchWhenItIsClosed) {
  dns::Options options = only({server->address()});
  options.search = {"one.test", "two.test"};
  dns::Resolver searching(base, options);
  Lookup lookup;
  start(searching, "x", lookup);
  while (server->seen().size() < 2) base.loop(RunMode::nonblock);
  while (searching.under_way() > 0) base.loop(RunMode::nonblock);
  searching.close();
  settle();
  EXPECT_EQ(lookup.error, std::errc::operation_canceled);
  EXPECT_EQ(queries_for("x.two.test"), 0U);
}

TEST_F(ShareTest, EndsLateAnswersWhenItIsDestroyed) {
  server->fault("a.test", Fault::drop, -1, Family::v6);
  auto passing = std::make_unique<dns::Resolver>(base, only({server->address()}));
  const std::size_t open = kernel.open();
  look_up(*passing, "a.test");
  EXPECT_EQ(passing->under_way(), 1U);
  passing.reset();
  EXPECT_EQ(kernel.open(), open);
  pass(10s);
}

TEST_F(ShareTest, AsksFor256AtOnceAndHasTheOthersWait) {
  constexpr std::size_t kLookups = 10'000;
  dns::Options options = only({server->address()});
  options.limit = 1h;
  dns::Resolver busy(base, options);
  const std::size_t open = kernel.open();
  std::vector<Lookup> lookups(kLookups);
  std::size_t most_open = 0;
  std::size_t most_under_way = 0;
  for (std::size_t i = 0; i < kLookups; ++i) {
    start(busy, "n" + std::to_string(i) + ".test", lookups[i], Family::v4);
  }
  for (std::size_t done = 0; done < kLookups;) {
    base.loop(RunMode::nonblock);
    most_open = std::max(most_open, kernel.open());
    most_under_way = std::max(most_under_way, busy.under_way());
    while (done < kLookups && lookups[done].done) ++done;
  }
  EXPECT_EQ(most_open, open + 256);
  EXPECT_EQ(most_under_way, 256U);
  for (const Lookup& lookup : lookups) EXPECT_EQ(lookup.error, dns::Errc::no_such_name);
}

TEST_F(ShareTest, CountsTheTimeInTheQueueToTheLimit) {
  dns::Options options = only({server->address()});
  options.at_once = 1;
  options.limit = 1500ms;
  dns::Resolver slow(base, options);
  Lookup first;
  Lookup second;
  start(slow, "a.test", first, Family::v4);
  start(slow, "b.test", second, Family::v4);
  pass(1s);
  EXPECT_TRUE(first.found());
  pass(490ms);
  EXPECT_FALSE(second.done);
  pass(10ms);
  EXPECT_EQ(second.error, dns::Errc::timed_out);
}

TEST_F(ShareTest, GivesATurnBackIfALookupInTheQueueIsCancelled) {
  dns::Options options = only({server->address()});
  options.at_once = 1;
  dns::Resolver slow(base, options);
  Lookup first;
  Lookup second;
  Lookup third;
  start(slow, "a.test", first, Family::v4);
  auto others = std::make_unique<co::TaskGroup>(base);
  others->spawn(test::look_up(slow, "x.test", Family::v4, second));
  start(slow, "b.test", third, Family::v4);
  settle();
  others.reset();
  pass(2s);
  EXPECT_TRUE(third.found());
  EXPECT_EQ(queries_for("x.test"), 0U);
}

}  // namespace
}  // namespace event_cpp::test
