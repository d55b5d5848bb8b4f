// Where TEST_P(Children, ...) runs.
#include "support/children.hpp"

namespace event_cpp::test {

INSTANTIATE_TEST_SUITE_P(, Children,
                         testing::Combine(testing::ValuesIn(usable_backends()),
                                          testing::Values(0, ENOSYS, EPERM)),
                         [](const auto& chosen) {
                           const int refusal = std::get<1>(chosen.param);
                           return to_string(std::get<0>(chosen.param)) +
                                  (refusal == 0        ? ""
                                   : refusal == ENOSYS ? "_refused_by_ENOSYS"
                                                       : "_refused_by_EPERM");
                         });

}  // namespace event_cpp::test
