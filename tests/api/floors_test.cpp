// What a floor above the core keeps for a base: found without a search, destroyed with the base.
#include "event/detail/floors.hpp"

#include <functional>
#include <memory>

#include "support/every_backend.hpp"

namespace event_cpp::test {
namespace {

using detail::Floor;
using detail::floors_of;

// Notes its destruction, and does something then.
struct State {
  State(Recorder& recorder, int name) : noted(recorder), number(name) {}
  ~State() {
    noted.order.push_back(number);
    if (at_the_end) at_the_end();
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  Recorder& noted;
  int number;
  std::function<void()> at_the_end;
};

class FloorsTest : public testing::Test {
 protected:
  State& add(Base& base, Floor floor, int name) {
    return floors_of(base).set(floor, std::make_unique<State>(recorder, name));
  }

  Recorder recorder;
};

TEST_F(FloorsTest, HaveNothingOnABaseThatUsesNone) {
  Base base;
  for (const Floor floor :
       {Floor::co, Floor::net, Floor::tls, Floor::dns, Floor::sim, Floor::inspect}) {
    EXPECT_EQ(floors_of(base).get<State>(floor), nullptr);
  }
}

TEST_F(FloorsTest, KeepAStateForEachFloorOfEachBase) {
  Base one;
  Base other;
  State& co = add(one, Floor::co, 1);
  State& net = add(one, Floor::net, 2);
  State& others = add(other, Floor::co, 3);

  EXPECT_EQ(floors_of(one).get<State>(Floor::co), &co);
  EXPECT_EQ(floors_of(one).get<State>(Floor::net), &net);
  EXPECT_EQ(floors_of(other).get<State>(Floor::co), &others);
  EXPECT_EQ(floors_of(other).get<State>(Floor::net), nullptr);
}

TEST_F(FloorsTest, AreDestroyedTheHighestFirstWhateverCameFirst) {
  {
    Base base;
    add(base, Floor::net, 2);
    add(base, Floor::inspect, 3);
    add(base, Floor::co, 1);
  }
  EXPECT_EQ(recorder.order, (Order{3, 2, 1}));
}

TEST_F(FloorsTest, MayUseTheBaseAndLowerFloorsInTheirDestructors) {
  bool attached = false;
  bool ran = false;
  auto owner = std::make_unique<Base>();
  Base& base = *owner;
  const State& co = add(base, Floor::co, 1);
  Timer timer(base, [&] { ran = true; });
  add(base, Floor::net, 2).at_the_end = [&] {
    EXPECT_EQ(floors_of(base).get<State>(Floor::net), nullptr);
    EXPECT_EQ(floors_of(base).get<State>(Floor::co), &co);
    attached = !timer.try_attach(-1s);
    EXPECT_EQ(base.loop(RunMode::nonblock), 1U);
  };
  owner.reset();
  EXPECT_TRUE(attached);
  EXPECT_TRUE(ran);
  EXPECT_EQ(recorder.order, (Order{2, 1}));
}

TEST_F(FloorsTest, AreDestroyedAlsoIfADestructorMakesThemAnew) {
  {
    Base base;
    add(base, Floor::net, 2);
    add(base, Floor::co, 1).at_the_end = [&] { add(base, Floor::net, 3); };
    // Its destructor runs when nothing can be attached any more.
    auto posted = std::make_unique<State>(recorder, 4);
    posted->at_the_end = [&] { add(base, Floor::tls, 5); };
    base.post([owned = std::move(posted)] {});
  }
  EXPECT_EQ(recorder.order, (Order{2, 1, 3, 4, 5}));
}

}  // namespace
}  // namespace event_cpp::test
