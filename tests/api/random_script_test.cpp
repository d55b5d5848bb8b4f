// Random scripts of everything a program may do with events, in callbacks and outside, compared
// with a model that knows what must fire in each iteration. The fuzzer runs the same ones.
#include <string>

#include "support/every_backend.hpp"
#include "support/loop_script.hpp"

namespace event_cpp::test {
namespace {

class RandomScriptTest : public EveryBackend {};
ON_EVERY_BACKEND(RandomScriptTest);

TEST_P(RandomScriptTest, DoesWhatTheModelSaysHoweverAProgramMixesItsCalls) {
  for (unsigned seed = 1; seed <= 30; ++seed) {
    Random random(seed);
    LoopScript script(GetParam(), random);

    const std::string wrong = script.run(300);
    EXPECT_TRUE(wrong.empty()) << "with seed " << seed << ", " << wrong;
  }
}

}  // namespace
}  // namespace event_cpp::test
