// Replaces operator new and delete, all of them: a sanitizer's own would not match ours.
#include "support/failing_new.hpp"

#include <cassert>
#include <cstdlib>
#include <limits>
#include <new>

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define EVENT_KEEPS_ITS_NEW 1
#endif
#endif
#ifndef EVENT_KEEPS_ITS_NEW
#define EVENT_KEEPS_ITS_NEW 0
#endif

namespace event_cpp::test {
namespace {

constexpr std::size_t kUnlimited = std::numeric_limits<std::size_t>::max();

thread_local std::size_t successes_left = kUnlimited;
thread_local std::size_t failure_count = 0;
thread_local std::size_t call_count = 0;

[[maybe_unused]] bool may_succeed() noexcept {
  ++call_count;
  if (successes_left == kUnlimited) return true;
  if (successes_left > 0) {
    --successes_left;
    return true;
  }
  ++failure_count;
  return false;
}

[[maybe_unused]] void* allocate(std::size_t size) noexcept {
  return may_succeed() ? std::malloc(size > 0 ? size : 1) : nullptr;
}

[[maybe_unused]] void* allocate(std::size_t size, std::align_val_t alignment) noexcept {
  const auto multiple = static_cast<std::size_t>(alignment);
  const std::size_t rounded = (size + multiple - 1) / multiple * multiple;
  return may_succeed() ? std::aligned_alloc(multiple, rounded > 0 ? rounded : multiple) : nullptr;
}

[[maybe_unused]] void* or_throw(void* memory) {
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace

FailingNew::FailingNew(std::size_t successes) noexcept {
  assert(successes_left == kUnlimited && "one at a time");
  successes_left = successes;
  failure_count = 0;
}

FailingNew::~FailingNew() { successes_left = kUnlimited; }

bool FailingNew::works() noexcept { return !EVENT_KEEPS_ITS_NEW; }

std::size_t FailingNew::failures() const noexcept { return failure_count; }

CountingNew::CountingNew() noexcept : before_(call_count) {}

std::size_t CountingNew::count() const noexcept { return call_count - before_; }

}  // namespace event_cpp::test

#if !EVENT_KEEPS_ITS_NEW

using event_cpp::test::allocate;
using event_cpp::test::or_throw;

void* operator new(std::size_t size) { return or_throw(allocate(size)); }
void* operator new[](std::size_t size) { return or_throw(allocate(size)); }
void* operator new(std::size_t size, std::align_val_t a) { return or_throw(allocate(size, a)); }
void* operator new[](std::size_t size, std::align_val_t a) { return or_throw(allocate(size, a)); }

void* operator new(std::size_t size, const std::nothrow_t&) noexcept { return allocate(size); }
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept { return allocate(size); }
void* operator new(std::size_t size, std::align_val_t a, const std::nothrow_t&) noexcept {
  return allocate(size, a);
}
void* operator new[](std::size_t size, std::align_val_t a, const std::nothrow_t&) noexcept {
  return allocate(size, a);
}

void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, const std::nothrow_t&) noexcept { std::free(memory); }
void operator delete[](void* memory, const std::nothrow_t&) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t, const std::nothrow_t&) noexcept {
  std::free(memory);
}
void operator delete[](void* memory, std::align_val_t, const std::nothrow_t&) noexcept {
  std::free(memory);
}

#endif
