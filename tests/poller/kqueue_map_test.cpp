// What kqueue(2) says in our words, with the constants of every system that has it.
#include "poller/kqueue_map.hpp"

#include <gtest/gtest.h>

#include <cerrno>
#include <ostream>

#include "support/printing.hpp"

namespace event_cpp::test {
namespace {

using detail::EndMeans;
using detail::from_kqueue;
using detail::KqueueConstants;
using detail::KqueueWatch;
using detail::ReadyEvent;
using detail::to_kqueue;
using detail::Watching;

struct System {
  const char* name;
  KqueueConstants constants;
};

void PrintTo(const System& system, std::ostream* out) { *out << system.name; }

constexpr Events kNobodyReads = Events::write | Events::error;
constexpr Events kHangUp = ReadyEvent::kHangupMeans | ReadyEvent::kHangup;

// From <sys/event.h> of each.
constexpr System kSystems[] = {
    {"FreeBSD", {-1, -2, false, 0, 0x8000, 0}}, {"DragonFly", {-1, -2, true, -8, 0x8000, 2}},
    {"macOS", {-1, -2, true, -15, 0x8000, 2}},  {"NetBSD", {0, 1, false, 0, 0x8000, 0}},
    {"OpenBSD", {-1, -2, true, -9, 0x8000, 4}},
};

class KqueueMapTest : public testing::TestWithParam<System> {
 protected:
  const KqueueConstants& system() const { return GetParam().constants; }
  Events socket(std::int64_t filter, std::uint32_t flags, std::uint32_t fflags = 0) const {
    return from_kqueue(system(), filter, flags, fflags, EndMeans::direction);
  }
  Events file(EndMeans end, std::int64_t filter, std::uint32_t flags) const {
    return from_kqueue(system(), filter, flags, 0, end);
  }
};

TEST_P(KqueueMapTest, ComparesFiltersAndDoesNotTestTheirBits) {
  EXPECT_EQ(socket(system().read, 0), Events::read);
  EXPECT_EQ(socket(system().write, 0), Events::write);
  for (const EndMeans end : {EndMeans::hang_up, EndMeans::error, EndMeans::either}) {
    EXPECT_EQ(file(end, system().read, 0), Events::read);
    EXPECT_EQ(file(end, system().write, 0), Events::write);
  }
}

TEST_P(KqueueMapTest, TakesNoOtherFilterForOneOfThem) {
  for (std::int64_t filter = -32; filter < 32; ++filter) {
    const bool known = filter == system().read || filter == system().write ||
                       (system().has_except && filter == system().except);
    if (known) continue;
    EXPECT_EQ(socket(filter, system().eof, 0xffffffff), Events::none) << filter;
  }
}

TEST_P(KqueueMapTest, TakesNoOtherFlagForAnEnd) {
  for (std::uint32_t bit = 1; bit < 0x10000; bit <<= 1) {
    if (bit == system().eof) continue;
    EXPECT_EQ(socket(system().read, bit), Events::read) << bit;
  }
}

TEST_P(KqueueMapTest, EndsEachDirectionOfASocketByItself) {
  EXPECT_EQ(socket(system().read, system().eof), Events::read | Events::closed);
  EXPECT_EQ(socket(system().write, system().eof), Events::write);
}

TEST_P(KqueueMapTest, EndsBothDirectionsOfASocketByAnError) {
  for (const std::int64_t filter : {system().read, system().write}) {
    EXPECT_EQ(socket(filter, system().eof, ECONNRESET), kHangUp | Events::error);
  }
}

TEST_P(KqueueMapTest, TakesNoParameterForAnErrorWithoutAnEnd) {
  EXPECT_EQ(socket(system().read, 0, ECONNRESET), Events::read);
  EXPECT_EQ(socket(system().write, 0, ECONNRESET), Events::write);
}

TEST_P(KqueueMapTest, EndsAnythingElseAsAWhole) {
  for (const std::int64_t filter : {system().read, system().write}) {
    EXPECT_EQ(file(EndMeans::hang_up, filter, system().eof), kHangUp);
    EXPECT_EQ(file(EndMeans::error, filter, system().eof), kNobodyReads);
  }
}

TEST_P(KqueueMapTest, TellsByTheFilterWhichEndOfAPipeForBothDirectionsHasGone) {
  EXPECT_EQ(file(EndMeans::either, system().read, system().eof), kHangUp);
  EXPECT_EQ(file(EndMeans::either, system().write, system().eof), kNobodyReads);
}

TEST_P(KqueueMapTest, TellsOfUrgentDataWhereTheSystemDoes) {
  if (!system().has_except) GTEST_SKIP() << "this system does not";
  EXPECT_EQ(socket(system().except, 0, system().oob), Events::urgent);
  EXPECT_EQ(socket(system().except, 0, 0), Events::none);
  EXPECT_EQ(socket(system().except, system().eof, 0), kHangUp);
}

INSTANTIATE_TEST_SUITE_P(, KqueueMapTest, testing::ValuesIn(kSystems),
                         [](const auto& system) { return std::string(system.param.name); });

constexpr std::size_t kReadAt = KqueueWatch::kRead;
constexpr std::size_t kWriteAt = KqueueWatch::kWrite;
constexpr std::size_t kExcept = KqueueWatch::kExcept;

TEST(KqueueRequestTest, IsAFilterForEachCondition) {
  const KqueueWatch watch = to_kqueue(Events::read | Events::write | Events::urgent);
  EXPECT_EQ(watch.by[kReadAt], Watching::level);
  EXPECT_EQ(watch.by[kWriteAt], Watching::level);
  EXPECT_EQ(watch.by[kExcept], Watching::level);
  EXPECT_EQ(to_kqueue(Events::none), KqueueWatch{});
  EXPECT_EQ(to_kqueue(Events::write).by[kReadAt], Watching::none);
}

TEST(KqueueRequestTest, IsTheEndAloneForWhoWaitsForNothingElseToRead) {
  EXPECT_EQ(to_kqueue(Events::closed).by[kReadAt], Watching::end);
  EXPECT_EQ(to_kqueue(Events::closed | Events::write).by[kReadAt], Watching::end);
  EXPECT_EQ(to_kqueue(Events::closed | Events::read).by[kReadAt], Watching::level);
}

TEST(KqueueRequestTest, IsAnErrorAloneForWhoHasNoOtherFilterThatShowsIt) {
  EXPECT_EQ(to_kqueue(Events::error).by[kReadAt], Watching::error);
  EXPECT_EQ(to_kqueue(Events::error | Events::urgent).by[kReadAt], Watching::error);
  for (const Events other : {Events::read, Events::write, Events::closed}) {
    EXPECT_EQ(to_kqueue(Events::error | other), to_kqueue(other));
  }
}

TEST(KqueueRequestTest, IsAChangeForAnEdge) {
  EXPECT_EQ(to_kqueue(Events::read | Events::edge).by[kReadAt], Watching::edge);
  EXPECT_EQ(to_kqueue(Events::write | Events::edge).by[kWriteAt], Watching::edge);
  EXPECT_EQ(to_kqueue(Events::closed | Events::edge).by[kReadAt], Watching::end_edge);
  EXPECT_EQ(to_kqueue(Events::error | Events::edge).by[kReadAt], Watching::end_edge);
  EXPECT_EQ(to_kqueue(Events::edge), KqueueWatch{});
}

}  // namespace
}  // namespace event_cpp::test
