// Random scripts of everything a program may do with events, in callbacks and outside, compared
// with a model that knows what must fire in each iteration. The fuzzer runs the same ones.
#include <filesystem>
#include <numeric>
#include <string>
#include <system_error>
#include <vector>

#include "support/every_backend.hpp"
#include "support/loop_script.hpp"
#include "support/sanitizers.hpp"

namespace event_cpp::test {
namespace {

class RandomScriptTest : public EveryBackend {};

// The first ones, and those that found a mistake, in the library or in the model.
std::vector<unsigned> seeds() {
  std::vector<unsigned> chosen(EVENT_HAS_ASAN_OR_TSAN ? 6 : 30);
  std::iota(chosen.begin(), chosen.end(), 1);
  chosen.insert(chosen.end(), {390, 569, 1119, 1173, 1323, 1896});
  return chosen;
}

// What a script does also depends on which numbers the system gives its files: those that are not
// taken, also if it is only kept from being given out, in a build that checks the use of
// descriptors.
std::string taken_numbers() {
  std::string text;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd", error)) {
    text += ' ' + entry.path().filename().string();
  }
  return text;
}

BACKEND_TEST(RandomScriptTest, DoesWhatTheModelSaysHoweverAProgramMixesItsCalls) {
  for (const unsigned seed : seeds()) {
    const std::string taken = taken_numbers();
    Random random(seed);
    LoopScript script(GetParam(), random);

    const std::string wrong = script.run(300);
    EXPECT_TRUE(wrong.empty()) << "with seed " << seed << " and descriptors" << taken << ", "
                               << wrong;
  }
}

}  // namespace
}  // namespace event_cpp::test
