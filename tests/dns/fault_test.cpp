// Servers that fail, lie, or say nothing.
#include "dns/support.hpp"

namespace event_cpp::test {
namespace {

// What can be seen without moving the time.
class FaultTest : public EveryNetworkWithNames {
 protected:
  FaultTest() { server.answer("a.test", {v4("192.0.2.1"), v6("2001:db8::1")}); }

  Server second{base};
  dns::Resolver resolver{base, only({server.address(), second.address()})};
};
ON_EVERY_NETWORK(FaultTest);

TEST_P(FaultTest, AsksTheNextServerIfOneCannotOrWillNot) {
  second.answer("a.test", {v4("192.0.2.2")});
  for (const Fault fault : {Fault::servfail, Fault::refused}) {
    resolver.flush();
    server.fault("a.test", fault);
    EXPECT_EQ(addresses_of(resolver, "a.test"), std::vector{v4("192.0.2.2")});
  }
}

TEST_P(FaultTest, FailsIfNoServerCanOrWill) {
  for (const Fault fault : {Fault::servfail, Fault::refused}) {
    server.fault("a.test", fault);
    second.fault("a.test", fault);
    EXPECT_EQ(look_up(resolver, "a.test").error, dns::Errc::server_failed);
  }
  EXPECT_EQ(server.seen().size(), 8U);  // two tries of two families
}

TEST_P(FaultTest, DoesNotKeepThatAServerFailed) {
  server.fault("a.test", Fault::servfail);
  second.fault("a.test", Fault::servfail, 4);
  EXPECT_EQ(look_up(resolver, "a.test").error, dns::Errc::server_failed);
  second.answer("a.test", {v4("192.0.2.2")});
  EXPECT_EQ(addresses_of(resolver, "a.test"), std::vector{v4("192.0.2.2")});
}

TEST_P(FaultTest, AsksOverTcpIfTheAnswerDoesNotFit) {
  server.fault("a.test", Fault::truncate);
  EXPECT_EQ(addresses_of(resolver, "a.test").size(), 2U);
  EXPECT_EQ(resolver.stats().tcp, 2U);
  EXPECT_TRUE(second.seen().empty());
}

TEST_P(FaultTest, AsksOverTcpForMoreAddressesThanFit) {
  std::vector<net::Address> many;
  for (int i = 1; i <= 60; ++i) many.push_back(v6(("2001:db8::" + std::to_string(i)).c_str()));
  server.answer("many.test", many);
  EXPECT_EQ(addresses_of(resolver, "many.test", Family::v6).size(), 60U);
  EXPECT_EQ(resolver.stats().tcp, 1U);
}

TEST_P(FaultTest, AsksTheNextServerIfHalfAnAnswerComesOverTcp) {
  server.fault("a.test", Fault::half_tcp);
  second.answer("a.test", {v4("192.0.2.2")});
  EXPECT_EQ(addresses_of(resolver, "a.test"), std::vector{v4("192.0.2.2")});
}

TEST_P(FaultTest, FailsIfOnlyHalfAnAnswerComesOverTcp) {
  dns::Resolver alone(base, only({server.address()}));
  server.fault("a.test", Fault::half_tcp);
  EXPECT_EQ(look_up(alone, "a.test").error, dns::Errc::bad_answer);
}

TEST_P(FaultTest, AsksWithoutEdnsIfTheServerDoesNotUnderstandIt) {
  server.fault("a.test", Fault::formerr_on_edns);
  EXPECT_EQ(addresses_of(resolver, "a.test", Family::v4), std::vector{v4("192.0.2.1")});
  server.answer("b.test", {v4("192.0.2.3")});
  EXPECT_EQ(addresses_of(resolver, "b.test", Family::v4), std::vector{v4("192.0.2.3")});
  const auto queries = server.queries();
  ASSERT_EQ(queries.size(), 3U);
  EXPECT_EQ(queries[0].edns_size, 1232);
  EXPECT_EQ(queries[1].edns_size, 0);
  EXPECT_EQ(queries[2].edns_size, 1232);  // that was for one query alone
}

TEST_P(FaultTest, AsksWithoutEdnsIfTheServerDoesNotKnowItsVersion) {
  server.fault("a.test", Fault::badvers_on_edns);
  EXPECT_EQ(addresses_of(resolver, "a.test", Family::v4), std::vector{v4("192.0.2.1")});
  const auto queries = server.queries();
  ASSERT_EQ(queries.size(), 2U);
  EXPECT_EQ(queries[0].edns_size, 1232);
  EXPECT_EQ(queries[1].edns_size, 0);
}

TEST_P(FaultTest, AsksWithoutEdnsIfToldTo) {
  dns::Options options = only({server.address()});
  options.edns = false;
  dns::Resolver plain(base, options);
  EXPECT_EQ(addresses_of(plain, "a.test").size(), 2U);
  EXPECT_EQ(server.queries().front().edns_size, 0);
}

TEST_P(FaultTest, OffersToTakeWhatAMessageCanHaveAndNoLessThan512Bytes) {
  dns::Options options = only({server.address()});
  const std::pair<int, int> sizes[] = {{-1, 512}, {511, 512}, {65535, 65535}, {65536, 65535}};
  for (const auto& [given, offered] : sizes) {
    options.edns_size = given;
    dns::Resolver offering(base, options);
    EXPECT_EQ(addresses_of(offering, "a.test").size(), 2U);
    EXPECT_EQ(server.queries().back().edns_size, offered);
  }
}

TEST_P(FaultTest, AsksTheNextServerAtOnceIfNobodyListens) {
  net::Address nobody;
  {
    const Server gone(base);
    nobody = gone.address();
  }
  dns::Resolver by(base, only({nobody, server.address()}));
  EXPECT_EQ(addresses_of(by, "a.test").size(), 2U);
}

TEST_P(FaultTest, WorksAgainOnceTheServerIsBack) {
  auto passing = std::make_unique<Server>(base);
  dns::Resolver by(base, only({passing->address()}));
  const net::Address address = passing->address();
  passing.reset();
  EXPECT_EQ(look_up(by, "a.test").error, dns::Errc::refused);
  net::Datagram back(base, address);
  Lookup lookup;
  co::TaskGroup tasks(base);
  tasks.spawn(test::look_up(by, "a.test", Family::v4, lookup));
  net::Packet packet;
  run_until([&] { return back.try_receive(packet) == 0; });  // it is asked again
  EXPECT_GT(packet.bytes.size(), 12U);
}

TEST_P(FaultTest, TakesAPortAndAnIdOfItsOwnForEachQuery) {
  dns::Options options = only({server.address()});
  options.cache = 0;
  dns::Resolver by(base, options);
  constexpr std::size_t kQueries = 20;
  for (std::size_t i = 0; i < kQueries; ++i) look_up(by, "a.test", Family::v4);
  std::set<net::Address> sources;
  std::set<std::uint16_t> ids;
  for (const auto& query : server.queries()) {
    sources.insert(query.from);
    ids.insert(query.id);
  }
  EXPECT_GT(sources.size(), kQueries / 2);  // by chance one may come twice
  EXPECT_GT(ids.size(), kQueries / 2);
}

// What takes time.
class SlowServerTest : public ToyNames {
 protected:
  SlowServerTest() {
    server->answer("a.test", {v4("192.0.2.1"), v6("2001:db8::1")});
    second.answer("a.test", {v4("192.0.2.2")});
  }

  Server second{base};
  dns::Resolver resolver{base, only({server->address()})};
  dns::Resolver both{base, only({server->address(), second.address()})};
};

TEST_F(SlowServerTest, IsAskedAsOftenAndWaitedForAsLongAsTheOptionsSay) {
  server->fault("a.test", Fault::drop);
  Lookup lookup;
  start(resolver, "a.test", lookup, Family::v4);
  pass(3990ms);
  EXPECT_FALSE(lookup.done);
  pass(10ms);
  EXPECT_EQ(lookup.error, dns::Errc::timed_out);
  EXPECT_EQ(lookup.error, std::errc::timed_out);
  EXPECT_EQ(server->seen().size(), 2U);
  EXPECT_EQ(resolver.stats().timeouts, 2U);
}

TEST_F(SlowServerTest, HasNoMoreThanTheLimitInAll) {
  dns::Options options = only({server->address(), second.address()});
  options.tries = 50;
  options.search = {"one.test", "two.test"};
  dns::Resolver patient(base, options);
  for (const char* const name : {"a.one.test", "a.two.test", "a"}) {
    server->fault(name, Fault::drop);
    second.fault(name, Fault::drop);
  }
  Lookup lookup;
  start(patient, "a", lookup);
  pass(9990ms);
  EXPECT_FALSE(lookup.done);
  pass(10ms);
  EXPECT_EQ(lookup.error, dns::Errc::timed_out);
  EXPECT_EQ(patient.under_way(), 0U);
}

TEST_F(SlowServerTest, MayAnswerLate) {
  server->fault("a.test", Fault::delay, -1, Family::any, 1900ms);
  const Lookup lookup = look_up(resolver, "a.test");
  EXPECT_EQ(lookup.answer.addresses.size(), 2U);
  EXPECT_EQ(resolver.stats().timeouts, 0U);
}

TEST_F(SlowServerTest, IsFollowedByTheNextOne) {
  server->fault("a.test", Fault::drop);
  Lookup lookup;
  start(both, "a.test", lookup, Family::v4);
  pass(1990ms);
  EXPECT_FALSE(lookup.done);
  pass(10ms);
  EXPECT_EQ(lookup.answer.addresses, std::vector{v4("192.0.2.2")});
}

TEST_F(SlowServerTest, IsAskedLastForHalfAMinute) {
  server->fault("a.test", Fault::drop);
  look_up(both, "a.test", Family::v4);
  EXPECT_EQ(server->seen().size(), 1U);
  second.answer("b.test", {v4("192.0.2.3")});
  EXPECT_EQ(look_up(both, "b.test", Family::v4).answer.addresses, std::vector{v4("192.0.2.3")});
  EXPECT_EQ(server->seen().size(), 1U);
  pass(30s);
  server->answer("c.test", {v4("192.0.2.4")});
  EXPECT_EQ(look_up(both, "c.test", Family::v4).answer.addresses, std::vector{v4("192.0.2.4")});
  EXPECT_EQ(server->seen().size(), 2U);
}

TEST_F(SlowServerTest, IsAskedLastAlsoIfNoOtherOneAnswers) {
  dns::Options options = only({server->address(), second.address()});
  options.tries = 1;
  dns::Resolver once(base, options);
  server->fault("a.test", Fault::drop, 1);
  second.fault("a.test", Fault::drop);
  look_up(once, "a.test", Family::v4);
  const Lookup lookup = look_up(once, "a.test", Family::v4);
  EXPECT_EQ(lookup.answer.addresses, std::vector{v4("192.0.2.1")});
}

// What the machine itself is to blame for passes, for instance when a network comes up.
TEST_F(SlowServerTest, IsNotBlamedIfThisMachineHasNoWayToIt) {
  dns::Options options = only({server->address(), second.address()});
  options.cache = 0;
  dns::Resolver by(base, options);
  for (const int error : {ENETUNREACH, ENETDOWN, EADDRNOTAVAIL, EACCES, EPERM, EAFNOSUPPORT}) {
    kernel.no_way[server->address()] = error;
    EXPECT_EQ(look_up(by, "a.test", Family::v4).answer.addresses, std::vector{v4("192.0.2.2")});
    kernel.no_way.clear();
    EXPECT_EQ(look_up(by, "a.test", Family::v4).answer.addresses, std::vector{v4("192.0.2.1")});
  }
  kernel.no_way = {{server->address(), ENETUNREACH}, {second.address(), ENETUNREACH}};
  EXPECT_EQ(look_up(by, "a.test", Family::v4).error, dns::Errc::refused);
}

TEST_F(SlowServerTest, MayTakeItsTimeBetweenTheHalvesOfAnAnswerOverTcp) {
  server->fault("a.test", Fault::half_tcp, -1, Family::any, 1s);
  EXPECT_EQ(look_up(resolver, "a.test").answer.addresses.size(), 2U);
}

TEST_F(SlowServerTest, MayNotKeepTheTcpConnectionForever) {
  dns::Options options = only({server->address()});
  options.tries = 1;
  dns::Resolver once(base, options);
  const std::size_t open = kernel.open();
  server->fault("a.test", Fault::half_tcp, -1, Family::any, 1h);
  EXPECT_EQ(look_up(once, "a.test", Family::v4).error, dns::Errc::timed_out);
  EXPECT_LE(kernel.open(), open + 1);  // what the server has not closed
}

TEST_F(SlowServerTest, TakesTurnsWithTheOthersIfAskedTo) {
  dns::Options options = only({server->address(), second.address()});
  options.rotate = true;
  dns::Resolver turns(base, options);
  for (int i = 0; i < 4; ++i) {
    const std::string name = "n" + std::to_string(i) + ".test";
    server->answer(name, {v4("192.0.2.1")});
    second.answer(name, {v4("192.0.2.2")});
    look_up(turns, name, Family::v4);
  }
  EXPECT_EQ(server->seen().size(), 2U);
  EXPECT_EQ(second.seen().size(), 2U);
}

// Somebody answers who was not asked, or the server answers something else. The right answer, which
// comes later, is taken.
class LieTest : public ToyNames, public testing::WithParamInterface<Fault> {};
std::string name_of_lie(const testing::TestParamInfo<Fault>& chosen) {
  if (chosen.param == Fault::wrong_id) return "id";
  if (chosen.param == Fault::wrong_question) return "question";
  return chosen.param == Fault::wrong_source ? "source" : "garbage";
}
INSTANTIATE_TEST_SUITE_P(, LieTest,
                         testing::Values(Fault::wrong_id, Fault::wrong_question,
                                         Fault::wrong_source, Fault::garbage),
                         name_of_lie);

TEST_P(LieTest, IsNotBelieved) {
  dns::Resolver resolver(base, only({server->address()}));
  server->answer("a.test", {v4("192.0.2.1")});
  server->fault("a.test", GetParam());
  EXPECT_EQ(look_up(resolver, "a.test", Family::v4).error, dns::Errc::timed_out);
  EXPECT_EQ(resolver.stats().rejected, 2U);
}

TEST_P(LieTest, DoesNotKeepTheTruthOut) {
  dns::Resolver resolver(base, only({server->address()}));
  server->answer("a.test", {v4("192.0.2.1")});
  server->fault("a.test", GetParam(), 1);
  EXPECT_EQ(look_up(resolver, "a.test", Family::v4).answer.addresses, std::vector{v4("192.0.2.1")});
}

TEST_P(LieTest, IsNotBelievedOverTheSystemsNetworkEither) {
  Base real;
  const Bounded bounded(real);
  Server lying(real);
  dns::Options options = only({lying.address()});
  options.timeout = 50ms;
  options.tries = 1;
  dns::Resolver resolver(real, options);
  lying.answer("a.test", {v4("192.0.2.1")});
  lying.fault("a.test", GetParam());
  Lookup lookup;
  co::run(real, test::look_up(resolver, "a.test", Family::v4, lookup));
  EXPECT_EQ(lookup.error, dns::Errc::timed_out);
}

class GuessTest : public ToyNames {};

TEST_F(GuessTest, HasTcpAskedInstead) {
  dns::Resolver resolver(base, only({server->address()}));
  server->answer("a.test", {v4("192.0.2.1")});
  server->fault("a.test", Fault::delay, 1, Family::any, 1s);
  Lookup lookup;
  start(resolver, "a.test", lookup, Family::v4);
  settle();
  net::Datagram guesser(base, net::Address::loopback(0));
  const net::Address victim = server->queries().front().from;
  for (int i = 0; i < 64; ++i) EXPECT_EQ(guesser.try_send("guess", victim), 0);
  settle();
  EXPECT_TRUE(lookup.found());
  EXPECT_EQ(resolver.stats().tcp, 1U);
}

}  // namespace
}  // namespace event_cpp::test
