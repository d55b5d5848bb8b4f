// The backends that TEST_P(Signals, ...) and TEST_P(BlockedSignals, ...) run on.
#include "support/signals.hpp"

namespace event_cpp::test {

INSTANTIATE_TEST_SUITE_P(, Signals, testing::ValuesIn(usable_backends()),
                         [](const auto& chosen) { return to_string(chosen.param); });
INSTANTIATE_TEST_SUITE_P(, BlockedSignals, testing::ValuesIn(usable_backends()),
                         [](const auto& chosen) { return to_string(chosen.param); });

}  // namespace event_cpp::test
