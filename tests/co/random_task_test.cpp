// Random lives of tasks that spawn, wait, cancel, throw, time out, and destroy groups and bases.
// The fuzzer runs the same ones.
#include <string>

#include "co/support.hpp"
#include "support/sanitizers.hpp"
#include "support/task_script.hpp"

namespace event_cpp::test {
namespace {

// What must hold is named in task_script.hpp.
void expect_lives(Backend backend, unsigned first, unsigned count) {
  constexpr int kChoices = 60;
  for (unsigned seed = first; seed < first + count; ++seed) {
    Random random(seed);
    TaskScript script(backend, random);
    const std::string wrong = script.run(kChoices);
    ASSERT_TRUE(wrong.empty()) << "with seed " << seed << ", not so: " << wrong;
  }
}

TEST(RandomTaskTest, KeepsEveryPromiseHoweverTasksLiveAndDie) {
  expect_lives(Backend::none, 1, EVENT_HAS_ASAN_OR_TSAN ? 200 : 3'000);
}

TEST(RandomTaskTest, KeepsEveryPromiseOnEveryBackend) {
  for (const Backend backend : usable_backends()) {
    expect_lives(backend, 10'001, EVENT_HAS_ASAN_OR_TSAN ? 40 : 200);
  }
}

}  // namespace
}  // namespace event_cpp::test
