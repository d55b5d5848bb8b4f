// What a program may say to the library that makes its calls fail; all of it does nothing where
// that is not preloaded.
#pragma once

#include <cstdint>

extern "C" {

// Weak: they are there only if the library is preloaded.
[[gnu::weak]] void event_faults_exempt(int change) noexcept;
[[gnu::weak]] std::int64_t event_faults_blocks() noexcept;
[[gnu::weak]] bool event_faults_fails_in_openssl() noexcept;
}

namespace event_cpp::faults {

// While one lives, the calls of this thread are neither counted nor do they fail: for what a
// program does to look at itself.
class Exempt {
 public:
  Exempt() noexcept { change(1); }
  ~Exempt() { change(-1); }
  Exempt(const Exempt&) = delete;
  Exempt& operator=(const Exempt&) = delete;

 private:
  static void change(int by) noexcept {
    if (&event_faults_exempt != nullptr) event_faults_exempt(by);
  }
};

// Pieces of memory that the program holds; 0 if nobody counts them.
inline std::int64_t blocks() noexcept {
  return &event_faults_blocks != nullptr ? event_faults_blocks() : 0;
}

// Whether memory that OpenSSL wants now is to fail: to be asked where it is allocated.
inline bool fails_in_openssl() noexcept {
  return &event_faults_fails_in_openssl != nullptr && event_faults_fails_in_openssl();
}

}  // namespace event_cpp::faults
