// The fixture of tests that run over the system's network, on each backend, and over a simulated
// one:
//   class SubjectTest : public EveryNetwork {};
//   ON_EVERY_NETWORK(SubjectTest);
#pragma once

#include <sys/resource.h>
#include <unistd.h>

#include <functional>
#include <memory>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "net/frozen_base.hpp"
#include "net/support.hpp"
#include "support/descriptors.hpp"

namespace event_cpp::test {

// No descriptor can be opened while it lives.
class NoDescriptors {
 public:
  NoDescriptors() {
    show_to_sanitizer<std::function<void(std::error_code)>>();
    show_to_sanitizer<std::function<void(net::Socket)>>();
    show_to_sanitizer<bool>();
    ::getrlimit(RLIMIT_NOFILE, &before_);
    const Fd next(::dup(0));
    rlimit none = before_;
    none.rlim_cur = static_cast<rlim_t>(next.get());
    ::setrlimit(RLIMIT_NOFILE, &none);
  }
  ~NoDescriptors() { ::setrlimit(RLIMIT_NOFILE, &before_); }
  NoDescriptors(const NoDescriptors&) = delete;
  NoDescriptors& operator=(const NoDescriptors&) = delete;

 private:
  // The undefined-behaviour sanitizer opens a pipe to look at an object of a kind that it has not
  // seen, and takes it for something else if it cannot.
  template <class T>
  static void show_to_sanitizer() {
    const auto owned = std::make_shared<T>();
    const auto copy = owned;
  }

  rlimit before_{};
};

class EveryNetwork : public testing::TestWithParam<Backend>, protected FrozenBase {
 protected:
  EveryNetwork() : FrozenBase(GetParam()) {
    if (is_toy()) net::set_kernel(base, &kernel);
  }

  bool is_toy() const { return GetParam() == Backend::none; }
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
