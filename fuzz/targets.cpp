// The drivers of the random tests, which here take their choices from the bytes of a fuzzer.
#include "targets.hpp"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdlib>
#include <string>

#include "support/active_script.hpp"
#include "support/fd_script.hpp"
#include "support/loop_script.hpp"
#include "support/printing.hpp"
#include "support/seeded_random.hpp"
#include "support/task_script.hpp"
#include "support/timer_script.hpp"
#include "support/usable_backends.hpp"

namespace event_cpp::fuzz {

using test::Random;

void run_timer_queue(Bytes bytes) {
  Random random(bytes);
  test::TimerScript script(random, 1 + random.below(60), 1 + random.below(40));
  while (!random.used_up()) {
    script.step();
    script.expect_agreement();
  }
  script.take_all();
  script.expect_agreement();
}

void run_active_queues(Bytes bytes) {
  Random random(bytes);
  constexpr std::size_t kFew = 30;
  constexpr std::size_t kMany = 300;  // the queues grow
  test::ActiveScript script(random, random.one_in(2) ? kFew : kMany);
  while (!random.used_up()) {
    script.step();
    script.expect_as_models();
  }
  script.pop_everything();
  script.expect_as_models();
}

void run_fd_table(Bytes bytes) {
  Random random(bytes);
  test::FdScript script(random, random.one_in(2));
  constexpr int kSteps = 50;  // between two looks at everything
  while (!random.used_up()) {
    for (int i = 0; i < kSteps && !random.used_up(); ++i) script.step();
    script.expect_calm();
  }
}

void run_loop(Bytes bytes) {
  static const char* const only = std::getenv("EVENT_FUZZ_BACKEND");
  for (const Backend backend : test::usable_backends()) {
    if (only != nullptr && to_string(backend) != only) continue;
    Random random(bytes);
    test::LoopScript script(backend, random);
    constexpr int kRuns = 300;
    const std::string wrong = script.run(kRuns);
    EXPECT_TRUE(wrong.empty()) << "on " << to_string(backend) << ", " << wrong;
  }
}

void run_tasks(Bytes bytes) {
  Random random(bytes);
  test::TaskScript script(Backend::none, random);
  constexpr int kChoices = 200;
  const std::string wrong = script.run(kChoices);
  EXPECT_TRUE(wrong.empty()) << "not so: " << wrong;
}

}  // namespace event_cpp::fuzz
