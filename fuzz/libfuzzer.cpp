// What libFuzzer calls: the target that EVENT_FUZZ_TARGET names. See scripts/fuzz.sh.
#include <gtest/gtest.h>

#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "targets.hpp"

namespace {

const event_cpp::fuzz::Target* target = nullptr;

}  // namespace

extern "C" int LLVMFuzzerInitialize(int*, char***);
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

int LLVMFuzzerInitialize(int*, char***) {
  const char* const name = std::getenv("EVENT_FUZZ_TARGET");
  target = event_cpp::fuzz::find_target(name != nullptr ? name : "");
  if (target == nullptr) {
    std::fputs("EVENT_FUZZ_TARGET names no target\n", stderr);
    std::exit(2);
  }
  // A failed expectation is a crash: libFuzzer keeps what led to it. It does not know the signal
  // that GoogleTest raises.
  testing::InitGoogleTest();
  testing::GTEST_FLAG(break_on_failure) = true;
  std::signal(SIGTRAP, [](int) { std::abort(); });
  return 0;
}

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  target->run({data, size});
  return 0;
}
