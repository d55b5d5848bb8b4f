#include "closed/numbers.hpp"

#include <execinfo.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdio>
#include <cstdlib>

namespace event_cpp::closed {
namespace {

constexpr int kNumbers = 1 << 20;  // higher ones are not looked at
constexpr int kFrames = 12;

struct Place {
  std::array<void*, kFrames> frames;
  int count;
};

std::array<std::atomic<Owner>, kNumbers> owners{};

// Where each was closed. Only for the message: two threads may mix their lines.
std::array<Place, 4096> places{};

// How many are kept from being given out again at a time.
std::array<std::atomic<int>, 64> kept{};
std::atomic<std::size_t> next_kept{0};

bool is_looked_at(int number) noexcept { return number >= 0 && number < kNumbers; }

std::atomic<Owner>& owner(int number) noexcept { return owners[static_cast<std::size_t>(number)]; }

Place& place(int number) noexcept {
  return places[static_cast<std::size_t>(number) % places.size()];
}

// These are the system's own: the functions of the C library may be those of this build.
int close_really(int number) noexcept { return static_cast<int>(::syscall(SYS_close, number)); }

// A path and nothing more: almost every call that is made on such a descriptor fails with EBADF, as
// on a closed one.
std::atomic<int> poison{-1};

int poison_number() noexcept {
  if (poison < 0) poison = ::open("/", O_PATH | O_CLOEXEC);
  return poison;
}

// Before main(), so that a test that counts descriptors finds it open before and after.
[[maybe_unused]] const int opened_early = poison_number();

// The first call allocates: not where tests count what the library does.
[[maybe_unused]] const int looked_early = ::backtrace(places[0].frames.data(), 1);

// The number is taken by the poison. What was kept the longest is free again.
void keep(int number) noexcept {
  owner(number) = Owner::poison;
  // Zero is nothing: the standard input is not closed here.
  const int before = kept.at(next_kept++ % kept.size()).exchange(number);
  if (before == 0 || owner(before) != Owner::poison) return;
  owner(before) = Owner::unknown;
  close_really(before);
}

const char* name_of(Owner kind) noexcept {
  static constexpr std::array<const char*, 8> kNames{"not the library's",
                                                     "an epoll set",
                                                     "an eventfd",
                                                     "a pidfd",
                                                     "a signalfd",
                                                     "a timerfd",
                                                     "closed by the library",
                                                     "taken from the library"};
  return kNames.at(static_cast<std::size_t>(kind));
}

}  // namespace

Owner owner_of(int number) noexcept {
  return is_looked_at(number) ? owner(number).load() : Owner::unknown;
}

int opened(int number, Owner kind) noexcept {
  if (is_looked_at(number)) owner(number) = kind;
  return number;
}

int close_own(int number) noexcept {
  if (!is_looked_at(number)) return close_really(number);
  const Owner kind = owner(number);
  if (kind == Owner::unknown || kind == Owner::poison) fail("close", number);
  place(number).count = ::backtrace(place(number).frames.data(), kFrames);
  // One step closes the file and keeps the number.
  const bool is_kept =
      kind != Owner::taken && ::syscall(SYS_dup3, poison_number(), number, O_CLOEXEC) == number;
  if (is_kept) {
    keep(number);
    return 0;
  }
  owner(number) = Owner::unknown;
  return close_really(number);
}

void taken(int number) noexcept {
  if (!is_looked_at(number)) return;
  if (number == poison) poison = -1;
  const Owner before = owner(number);
  if (before == Owner::unknown) return;
  owner(number) = before == Owner::poison ? Owner::unknown : Owner::taken;
}

void taken_from(unsigned first, unsigned last) noexcept {
  for (unsigned number = first; number <= std::min(last, unsigned{kNumbers - 1}); ++number) {
    taken(static_cast<int>(number));
  }
}

void expect_own(const char* call, int number, Owner kind) noexcept {
  if (!is_looked_at(number)) return;
  const Owner is = owner(number);
  if (is != kind && is != Owner::taken) fail(call, number);
}

void expect_not_poison(const char* call, int number) noexcept {
  if (owner_of(number) == Owner::poison) fail(call, number);
}

void fail(const char* call, int number) noexcept {
  std::array<void*, kFrames> frames{};
  const int count = ::backtrace(frames.data(), kFrames);
  std::fprintf(stderr, "%s() of the library on descriptor %d, which is %s. It was called by\n",
               call, number, name_of(owner_of(number)));
  ::backtrace_symbols_fd(frames.data(), count, STDERR_FILENO);
  if (owner_of(number) == Owner::poison) {
    std::fputs("and closed by\n", stderr);
    ::backtrace_symbols_fd(place(number).frames.data(), place(number).count, STDERR_FILENO);
  }
  std::abort();
}

}  // namespace event_cpp::closed
