// The fixture of tests that run over the system's network, on each backend, and over a simulated
// one:
//   class SubjectTest : public EveryNetwork {};
//   ON_EVERY_NETWORK(SubjectTest);
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "net/support.hpp"
#include "net/toy_kernel.hpp"

namespace event_cpp::test {

class EveryNetwork : public testing::TestWithParam<Backend> {
 protected:
  EveryNetwork() : base(options()) {
    if (is_toy()) net::set_kernel(base, &kernel);
  }

  bool is_toy() const { return GetParam() == Backend::none; }

  template <class T>
  T run(co::Task<T> task) {
    const Bounded bounded(base);
    return co::run(base, std::move(task));
  }
  template <class F>
  void run_until(F done) {
    const Bounded bounded(base);
    bool is_done = done();
    for (int i = 0; !is_done && i < 1'000'000; ++i) {
      base.loop(is_toy() ? RunMode::nonblock : RunMode::once);
      is_done = done();
    }
    EXPECT_TRUE(is_done);
  }
  // Lets whatever can happen now happen.
  void settle() {
    for (int i = 0; i < 20; ++i) base.loop(RunMode::nonblock);
  }

  ManualTime time{ManualTime::Mode::advance_only};
  ToyKernel kernel;
  Base base;

 private:
  Options options() {
    Options chosen;
    chosen.backend = GetParam();
    chosen.time = &time;
    return chosen;
  }
};

inline std::vector<Backend> every_network() {
  std::vector<Backend> all = usable_backends();
  all.push_back(Backend::none);
  return all;
}

inline std::string network_name(const testing::TestParamInfo<Backend>& info) {
  return info.param == Backend::none ? "toy" : to_string(info.param);
}

}  // namespace event_cpp::test

#define ON_EVERY_NETWORK(Suite) \
  INSTANTIATE_TEST_SUITE_P(, Suite, testing::ValuesIn(every_network()), network_name)
