// IPv4 and IPv6 are asked for beside each other, and neither waits long for the other.
#include "dns/support.hpp"

namespace event_cpp::test {
namespace {

class BothFamiliesTest : public ToyNames {
 protected:
  BothFamiliesTest() { server->answer("a.test", {v4("192.0.2.1"), v6("2001:db8::1")}); }

  dns::Resolver resolver{base, only({server->address()})};
  Lookup lookup;
};

TEST_F(BothFamiliesTest, IsAnsweredWithout50MillisecondsAfterTheFirstOne) {
  for (const Family silent : {Family::v4, Family::v6}) {
    resolver.flush();
    server->fault("a.test", Fault::drop, -1, silent);
    lookup = Lookup();
    start(resolver, "a.test", lookup);
    pass(49ms);
    EXPECT_FALSE(lookup.done);
    pass(1ms);
    EXPECT_TRUE(lookup.found());
    EXPECT_EQ(lookup.answer.addresses,
              std::vector{silent == Family::v6 ? v4("192.0.2.1") : v6("2001:db8::1")});
    pass(10s);
    server->fault("a.test", Fault::drop, 0, silent);
  }
}

TEST_F(BothFamiliesTest, CountsThe50MillisecondsFromTheFirstAnswer) {
  server->fault("a.test", Fault::delay, -1, Family::v4, 100ms);
  server->fault("a.test", Fault::delay, -1, Family::v6, 140ms);
  start(resolver, "a.test", lookup);
  pass(139ms);
  EXPECT_FALSE(lookup.done);
  pass(1ms);
  EXPECT_EQ(lookup.answer.addresses.size(), 2U);
}

TEST_F(BothFamiliesTest, KeepsALateAnswerForTheNextLookup) {
  server->fault("a.test", Fault::delay, -1, Family::v6, 500ms);
  start(resolver, "a.test", lookup);
  pass(50ms);
  EXPECT_EQ(lookup.answer.addresses.size(), 1U);
  EXPECT_EQ(resolver.under_way(), 1U);
  pass(450ms);
  EXPECT_EQ(resolver.under_way(), 0U);
  const Lookup next = look_up(resolver, "a.test");
  EXPECT_TRUE(next.answer.cached);
  EXPECT_EQ(next.answer.addresses.size(), 2U);
}

TEST_F(BothFamiliesTest, AsksOnceWhileALateAnswerIsOnItsWay) {
  server->fault("a.test", Fault::delay, -1, Family::v6, 500ms);
  look_up(resolver, "a.test");
  look_up(resolver, "a.test");
  EXPECT_EQ(server->seen().size(), 2U);
}

TEST_F(BothFamiliesTest, GivesUpALateAnswerAtTheLimit) {
  dns::Options options = only({server->address()});
  options.tries = 100;
  dns::Resolver patient(base, options);
  server->fault("a.test", Fault::drop, -1, Family::v6);
  start(patient, "a.test", lookup);
  pass(50ms);
  EXPECT_TRUE(lookup.found());
  pass(9s);
  EXPECT_EQ(patient.under_way(), 1U);
  pass(1s);
  EXPECT_EQ(patient.under_way(), 0U);
}

TEST_F(BothFamiliesTest, IsAnsweredWithOneAtTheLimit) {
  dns::Options options = only({server->address()});
  options.limit = 30ms;
  dns::Resolver hasty(base, options);
  for (const Family late : {Family::v4, Family::v6}) {
    const std::string name = late == Family::v4 ? "late4.test" : "late6.test";
    server->answer(name, {v4("192.0.2.1"), v6("2001:db8::1")});
    server->fault(name, Fault::drop, -1, late);
    const Lookup found = look_up(hasty, name, Family::any, 30ms);
    EXPECT_EQ(found.answer.addresses.size(), 1U) << name;
  }
  server->fault("neither.test", Fault::drop);
  EXPECT_EQ(look_up(hasty, "neither.test", Family::any, 30ms).error, dns::Errc::timed_out);
}

TEST_F(BothFamiliesTest, WaitsForTheOtherOneIfTheFirstHasNoAddress) {
  server->answer("six.test", {v6("2001:db8::6")});
  server->fault("six.test", Fault::delay, -1, Family::v6, 1s);
  start(resolver, "six.test", lookup);
  pass(990ms);
  EXPECT_FALSE(lookup.done);
  pass(10ms);
  EXPECT_EQ(lookup.answer.addresses, std::vector{v6("2001:db8::6")});
}

TEST_F(BothFamiliesTest, DoesWithOneIfTheOtherFails) {
  server->fault("a.test", Fault::servfail, -1, Family::v6);
  EXPECT_EQ(look_up(resolver, "a.test").answer.addresses, std::vector{v4("192.0.2.1")});
}

TEST_F(BothFamiliesTest, DoesNotSayThatANameDoesNotExistIfOneFails) {
  server->fault("b.test", Fault::servfail, -1, Family::v4);
  EXPECT_EQ(look_up(resolver, "b.test").error, dns::Errc::server_failed);
  for (const Family failing : {Family::v4, Family::v6}) {
    const std::string name = failing == Family::v4 ? "c.test" : "d.test";
    server->answer(name, {});
    server->fault(name, Fault::servfail, -1, failing);
    EXPECT_EQ(look_up(resolver, name).error, dns::Errc::server_failed);
  }
}

}  // namespace
}  // namespace event_cpp::test
