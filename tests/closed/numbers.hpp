// Whose each descriptor number is: what a build that checks the library's use of them knows.
#pragma once

#include <cstdint>

namespace event_cpp::closed {

enum class Owner : std::uint8_t {
  unknown,  // the program's, or nobody's
  epoll,    // the library's, and what it is
  eventfd,
  process,
  signalfd,
  timerfd,
  poison,  // the library closed it, and it is kept from being given out again
  taken    // the library's, until somebody else closed it or put another file in its place
};

Owner owner_of(int number) noexcept;

// The library has opened it. Returns it, also -1.
int opened(int number, Owner kind) noexcept;

// The library closes it. The file is closed at once; of the number, calls see a closed one for a
// while. Ends the process if it is not the library's own. Returns as close(2) does.
int close_own(int number) noexcept;

// Somebody else closes it, or is about to put another file in its place.
void taken(int number) noexcept;
void taken_from(unsigned first, unsigned last) noexcept;

// End the process, and say which call was made on what, if the number
void expect_own(const char* call, int number,
                Owner kind) noexcept;                           // is not the library's, as that
void expect_not_poison(const char* call, int number) noexcept;  // was closed by the library

[[noreturn]] void fail(const char* call, int number) noexcept;

}  // namespace event_cpp::closed
