// What a base can be asked for when it is made.
#include <algorithm>
#include <cstdlib>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "support/backend_variable.hpp"
#include "support/every_backend.hpp"

namespace event_cpp::test {
namespace {

class OptionsTest : public EveryBackend {};

TEST(BackendListTest, HasEachOnceBestFirstAndNeverAutomatic) {
  const BackendVariable unset(nullptr);
  std::vector<Backend> all = Base::backends();

  ASSERT_FALSE(all.empty());
  EXPECT_EQ(Base().backend(), all.front()) << "automatic takes the best";
  EXPECT_EQ(std::count(all.begin(), all.end(), Backend::automatic), 0);
  EXPECT_EQ(std::count(all.begin(), all.end(), Backend::poll), 1) << "it works everywhere";
  std::sort(all.begin(), all.end());
  EXPECT_EQ(std::adjacent_find(all.begin(), all.end()), all.end());
}

TEST(BackendListTest, LacksWhatThisBuildRefusesByName) {
  const std::vector<Backend> all = Base::backends();
  for (const Backend backend : {Backend::epoll, Backend::kqueue}) {
    if (std::count(all.begin(), all.end(), backend) > 0) continue;

    Options options;
    options.backend = backend;
    EXPECT_EQ(thrown_by([&] { const Base base(options); }), Errc::unsupported);
    const BackendVariable variable(to_string(backend).c_str());
    EXPECT_EQ(thrown_by([] { const Base base; }), Errc::unsupported);
  }
}

TEST(BackendListTest, IsNotFallenBackToIfTheEnvironmentNamesNone) {
  for (const char* const name : {"fastest", "EPOLL", " poll"}) {
    const BackendVariable variable(name);

    EXPECT_EQ(thrown_by([] { const Base base; }), std::errc::invalid_argument) << name;
  }
}

BACKEND_TEST(OptionsTest, RunsOnTheBackendThatWasAskedFor) {
  Base base(options());

  EXPECT_EQ(base.backend(), GetParam());
}

BACKEND_TEST(OptionsTest, RunsOnTheBackendThatTheEnvironmentNames) {
  const BackendVariable variable(to_string(GetParam()).c_str());
  Base base;

  EXPECT_EQ(base.backend(), GetParam());
}

BACKEND_TEST(OptionsTest, RunsOnTheBackendThatWasAskedForWhateverTheEnvironmentNames) {
  for (const char* const name : {"epoll", "poll", "kqueue", "nonsense"}) {
    const BackendVariable variable(name);
    Base base(options());

    EXPECT_EQ(base.backend(), GetParam());
  }
}

BACKEND_TEST(OptionsTest, EndsAWaitLateByTheSlackAtMostAndNeverEarly) {
  Options chosen = options();
  chosen.slack = 10ms;
  Base base(chosen);
  const TimePoint start = time.now();
  std::deque<Timer> timers;
  int fired = 0;
  for (const Duration due : {Duration(1s), Duration(1s + 4ms), Duration(1s + 9ms), Duration(2s)}) {
    timers.emplace_back(base, [&, due] {
      ++fired;
      EXPECT_GE(time.now(), start + due);
      EXPECT_LE(time.now(), start + due + 10ms);
    });
    timers.back().attach(due);
  }

  EXPECT_EQ(run(base, RunMode::once), 3U) << "they share a wake-up";
  run(base);

  EXPECT_EQ(fired, 4);
}

BACKEND_TEST(OptionsTest, TakesALargeSlackForLongWaits) {
  Options chosen = options();
  chosen.slack = Duration::max();
  Base base(chosen);
  const Pipe pipe = readable_pipe();
  Event event(base, pipe.reader.get(), Events::read, recorder.note_fired());

  event.attach(1s);
  EXPECT_EQ(run(base), 1U);

  EXPECT_EQ(recorder.fired, Fired{Events::read});
}

BACKEND_TEST(OptionsTest, WorksTheSameAfterReserve) {
  Base base(options());
  base.reserve(1000, 1000);
  const Pipe pipe = readable_pipe();
  Event event(base, pipe.reader.get(), Events::read, recorder.note(1));
  Timer timer(base, recorder.note(2));

  event.attach();
  timer.attach(1s);
  base.reserve(10, 10);
  base.reserve(100'000, 100'000);
  run(base);

  EXPECT_EQ(recorder.order, (Order{1, 2}));
}

BACKEND_TEST(OptionsTest, KeepsSeveralBasesApart) {
  const Pipe pipe = readable_pipe();
  Base one(options());
  Base other(options());
  Event in_one(one, pipe.reader.get(), Events::read, recorder.note(1));
  Event in_other(other, pipe.reader.get(), Events::read, recorder.note(2));

  in_one.attach();
  in_other.attach();
  one.stop();
  run(one);
  run(other);
  EXPECT_EQ(recorder.order, Order{2});
  run(one);

  EXPECT_EQ(recorder.order, (Order{2, 1}));
}

}  // namespace
}  // namespace event_cpp::test
