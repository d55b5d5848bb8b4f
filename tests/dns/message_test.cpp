// Messages: what is asked, and what is believed of an answer.
#include "dns/message.hpp"

#include "dns/support.hpp"
#include "dns/test_message.hpp"

namespace event_cpp::test {
namespace {

using dns::Errc;
using dns::detail::make_query;
using dns::detail::parse_reply;
using dns::detail::Reply;
using dns::detail::Type;
using dns::test::Entry;
using dns::test::Said;
using dns::test::write_authority;
using dns::test::write_name;
using Kind = Reply::Kind;
using namespace std::string_literals;

constexpr std::uint16_t kId = 0x1234;

Entry address(std::string owner, const char* text, std::uint32_t ttl = 60) {
  const net::Address of = v4(text, 0);
  return {std::move(owner), of.family() == AF_INET6 ? dns::test::kTypeAaaa : dns::test::kTypeA, ttl,
          dns::test::write_address(of)};
}
Entry alias(std::string owner, std::string_view target, std::uint32_t ttl = 60) {
  return {std::move(owner), dns::test::kTypeAlias, ttl, write_name(target)};
}

Said to_a_test(std::vector<Entry> answers) {
  Said said;
  said.id = kId;
  said.name = "a.test";
  said.type = dns::test::kTypeA;
  said.answers = std::move(answers);
  return said;
}

Reply parse(const std::string& message) { return parse_reply(message, "a.test", Type::a, kId); }
Reply parse(const Said& said) { return parse(write_reply(said)); }
Reply parse(std::vector<Entry> answers) { return parse(to_a_test(std::move(answers))); }

TEST(QueryMessageTest, AsksForANameAndOffersToTakeMoreThan512Bytes) {
  const std::string query = make_query("a.test", Type::aaaa, kId, 1232);
  const auto asked = dns::test::parse_query(query);
  ASSERT_TRUE(asked.has_value());
  EXPECT_EQ(asked->id, kId);
  EXPECT_EQ(asked->name, "a.test");
  EXPECT_EQ(asked->type, dns::test::kTypeAaaa);
  EXPECT_EQ(asked->edns_size, 1232);
  EXPECT_EQ(query[2], 1);  // recursion, please
  EXPECT_EQ(dns::test::parse_query(make_query("a.test", Type::a, kId, 0))->edns_size, 0);
}

TEST(ReplyTest, HasAddressesInTheirOrder) {
  const Reply reply = parse({address("A.TEST", "192.0.2.2"), address("b.test", "192.0.2.9"),
                             address("a.test", "192.0.2.1", 30), address("a.test", "2001:db8::1")});
  EXPECT_EQ(reply.kind, Kind::complete);
  EXPECT_EQ(reply.error, Errc::none);
  ASSERT_EQ(reply.addresses.size(), 2U);
  EXPECT_EQ(reply.addresses[0].with_port(80), v4("192.0.2.2"));
  EXPECT_EQ(reply.addresses[1].with_port(80), v4("192.0.2.1"));
  EXPECT_EQ(reply.ttl, 30s);
  EXPECT_EQ(reply.canonical, "a.test");
}

TEST(ReplyTest, HasAddressesOfIpv6) {
  Said said = to_a_test({address("a.test", "2001:db8::1"), address("a.test", "192.0.2.1")});
  said.type = dns::test::kTypeAaaa;
  const Reply reply = parse_reply(write_reply(said), "a.test", Type::aaaa, kId);
  ASSERT_EQ(reply.addresses.size(), 1U);
  EXPECT_EQ(reply.addresses[0].with_port(80), v6("2001:db8::1"));
}

TEST(ReplyTest, FollowsAliasesWhereverTheyStand) {
  const Reply reply = parse(
      {address("c.test", "192.0.2.3"), alias("b.test", "C.test", 7), alias("a.test", "b.test")});
  EXPECT_EQ(reply.canonical, "c.test");
  EXPECT_EQ(reply.ttl, 7s);
  EXPECT_EQ(reply.addresses.size(), 1U);
}

TEST(ReplyTest, FollowsSixteenAliasesAndNoMore) {
  for (const int count : {16, 17}) {
    std::vector<Entry> answers;
    std::string owner = "a.test";
    for (int i = 0; i < count; ++i) {
      std::string target = "n" + std::to_string(i) + ".test";
      answers.push_back(alias(owner, target));
      owner = std::move(target);
    }
    answers.push_back(address(owner, "192.0.2.1"));
    EXPECT_EQ(parse(answers).error, count == 16 ? Errc::none : Errc::bad_answer);
  }
}

TEST(ReplyTest, EndsIfAnAliasLeadsToItself) {
  EXPECT_EQ(parse({alias("a.test", "b.test"), alias("b.test", "a.test")}).error, Errc::bad_answer);
}

TEST(ReplyTest, HasNoAddressIfAnAliasLeadsNowhere) {
  EXPECT_EQ(parse({alias("a.test", "b.test")}).error, Errc::no_address);
}

TEST(ReplyTest, RefusesNamesThatAreNone) {
  for (const std::string& bad :
       {"a\0.test"s, "a b.test"s, "a\x7f.test"s, "a\n.test"s, "\xc3\xbc.test"s, "a\\.test"s,
        "a@b.test"s, ""s, "a<b>.test"s, "a'b.test"s, "*.test"s, "a/b.test"s, "192.0.2.1"s}) {
    EXPECT_EQ(parse({alias("a.test", bad), address(bad, "192.0.2.1")}).error, Errc::bad_answer)
        << testing::PrintToString(bad);
  }
}

TEST(ReplyTest, HoldsForNoTimeIfItsTtlIsOutOfRange) {
  EXPECT_EQ(parse({address("a.test", "192.0.2.1", 0x80000000)}).ttl, 0s);
  EXPECT_EQ(parse({address("a.test", "192.0.2.1", 0x7fffffff)}).ttl, 0x7fffffffs);
}

TEST(ReplyTest, KeepsNoMoreThan64Addresses) {
  std::vector<Entry> answers;
  for (int i = 0; i < 100; ++i) answers.push_back(address("a.test", "192.0.2.1"));
  EXPECT_EQ(parse(answers).addresses.size(), 64U);
}

TEST(ReplyTest, SaysForHowLongSomethingDoesNotExist) {
  for (const int code : {0, 3}) {
    Said said = to_a_test({});
    said.code = static_cast<std::uint8_t>(code);
    const Errc expected = code == 0 ? Errc::no_address : Errc::no_such_name;
    EXPECT_EQ(parse(said).error, expected);
    EXPECT_EQ(parse(said).ttl, 0s);
    said.authorities.push_back({"test", dns::test::kTypeAuthority, 20, write_authority(10)});
    EXPECT_EQ(parse(said).ttl, 10s);
    said.authorities[0].ttl = 5;
    EXPECT_EQ(parse(said).ttl, 5s);
    said.authorities[0].data = "short";
    EXPECT_EQ(parse(said).ttl, 0s);
  }
}

TEST(ReplyTest, IsNotOursIfItAnswersSomethingElse) {
  const Said ours = to_a_test({address("a.test", "192.0.2.1")});
  EXPECT_EQ(parse(ours).kind, Kind::complete);
  Said other = ours;
  other.id = kId + 1;
  EXPECT_EQ(parse(other).kind, Kind::not_ours);
  other = ours;
  other.name = "b.test";
  EXPECT_EQ(parse(other).kind, Kind::not_ours);
  other = ours;
  other.type = dns::test::kTypeAaaa;
  EXPECT_EQ(parse(other).kind, Kind::not_ours);
  other = ours;
  other.name = "A.Test";
  EXPECT_EQ(parse(other).kind, Kind::complete);

  std::string message = write_reply(ours);
  message[2] = static_cast<char>(message[2] & 0x7f);  // a query
  EXPECT_EQ(parse(message).kind, Kind::not_ours);
  message = write_reply(ours);
  message[2] = static_cast<char>(message[2] | 0x10);  // another operation
  EXPECT_EQ(parse(message).kind, Kind::not_ours);
  for (const char questions : {'\0', '\2'}) {
    message = write_reply(ours);
    message[5] = questions;
    EXPECT_EQ(parse(message).kind, Kind::not_ours);
  }
  message = write_reply(ours);
  message[12 + 8 + 3] = '\3';  // another class
  EXPECT_EQ(parse(message).kind, Kind::not_ours);
}

TEST(ReplyTest, MayLeaveOutTheQuestionIfItWasNotUnderstood) {
  Said said = to_a_test({});
  said.code = 1;
  EXPECT_EQ(parse(said).kind, Kind::not_understood);
  std::string header = write_reply(said).substr(0, 12);
  header[5] = 0;
  EXPECT_EQ(parse(header).kind, Kind::not_understood);
  header[0] = 0;
  EXPECT_EQ(parse(header).kind, Kind::not_ours);
}

TEST(ReplyTest, IsTruncatedWhateverElseIsInIt) {
  Said said = to_a_test({address("a.test", "192.0.2.1")});
  said.truncated = true;
  EXPECT_EQ(parse(said).kind, Kind::truncated);
}

TEST(ReplyTest, OfAServerThatCannotOrWillNot) {
  for (const int code : {2, 5, 9}) {
    Said said = to_a_test({});
    said.code = static_cast<std::uint8_t>(code);
    EXPECT_EQ(parse(said).kind, Kind::complete);
    EXPECT_EQ(parse(said).error, Errc::server_failed);
  }
}

TEST(ReplyTest, HasACodeOfMoreBitsIfItHasEdns) {
  Said said = to_a_test({});
  said.edns = true;
  for (const bool has_authority : {false, true}) {
    said.code = 16;
    EXPECT_EQ(parse(said).kind, Kind::not_understood);
    for (const unsigned code : {0x13U, 0x20U, 0xff0U}) {
      said.code = code;
      EXPECT_EQ(parse(said).kind, Kind::complete);
      EXPECT_EQ(parse(said).error, Errc::server_failed);
    }
    said.code = 0;
    EXPECT_EQ(parse(said).error, Errc::no_address);
    if (!has_authority)
      said.authorities = {{"", dns::test::kTypeAuthority, 60, write_authority(1)}};
  }
}

TEST(ReplyTest, IsBadOrNotOursWhereverItIsCut) {
  const std::string whole =
      write_reply(to_a_test({alias("a.test", "b.test"), address("b.test", "192.0.2.1")}));
  constexpr std::size_t kQuestion = 12 + 8 + 4;
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const Reply reply = parse(whole.substr(0, size));
    if (size < kQuestion) {
      EXPECT_EQ(reply.kind, Kind::not_ours) << size;
    } else {
      EXPECT_EQ(reply.error, Errc::bad_answer) << size;
    }
  }
}

TEST(ReplyTest, IsBadIfAnAddressHasTheWrongSize) {
  Entry three = address("a.test", "192.0.2.1");
  three.data.pop_back();
  EXPECT_EQ(parse({three}).error, Errc::bad_answer);
}

TEST(ReplyTest, IsBadIfAnAliasIsLongerOrShorterThanItsName) {
  Entry longer = alias("a.test", "b.test");
  longer.data += "x";
  EXPECT_EQ(parse({longer, address("b.test", "192.0.2.1")}).error, Errc::bad_answer);
  Entry shorter = alias("a.test", "b.test");
  shorter.data.pop_back();
  EXPECT_EQ(parse({shorter, address("b.test", "192.0.2.1")}).error, Errc::bad_answer);
}

// A name that starts here, as bytes, in the place of an owner.
std::string with_owner(const std::string& owner, const std::string& before = "") {
  std::string message = write_reply(to_a_test({}));
  message[7] = 1;  // an answer
  return message + before + owner + std::string("\0\1\0\1\0\0\0\x3c\0\4\xc0\0\2\1", 14);
}

TEST(ReplyTest, ReadsNamesThatPointBack) {
  EXPECT_EQ(parse(with_owner("\xc0\x0c"s)).addresses.size(), 1U);
}

TEST(ReplyTest, IsBadIfANamePointsToItselfOrOutside) {
  const auto here = static_cast<char>(write_reply(to_a_test({})).size());
  EXPECT_EQ(parse(with_owner("\xc0"s + here)).error, Errc::bad_answer);
  EXPECT_EQ(parse(with_owner("\xff\xff"s)).error, Errc::bad_answer);
  EXPECT_EQ(parse(with_owner("\x01x\xc0"s + here)).error, Errc::bad_answer);
  EXPECT_EQ(parse(with_owner("\x80x"s)).error, Errc::bad_answer);
}

TEST(ReplyTest, IsBadIfANameIsTooLong) {
  std::string longest;
  for (int i = 0; i < 8; ++i) longest += "\x1f"s + std::string(31, 'x');
  EXPECT_EQ(parse(with_owner(longest + '\0')).error, Errc::bad_answer);
  std::string deep;
  for (int i = 0; i < 200; ++i) deep += "\1x"s;
  EXPECT_EQ(parse(with_owner(deep + '\0')).error, Errc::bad_answer);
}

TEST(ReplyTest, IsBadIfItHasMoreRecordsThanAnyNeeds) {
  std::string message = write_reply(to_a_test({}));
  message[6] = 4;
  message[7] = 1;  // 1,025
  for (int i = 0; i < 1025; ++i) {
    message += std::string("\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\xc0\0\2\1", 16);
  }
  EXPECT_EQ(parse(message).error, Errc::bad_answer);
}

}  // namespace
}  // namespace event_cpp::test
