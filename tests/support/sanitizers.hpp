// Which sanitizers this program was built with: g++ says so in one way, clang in another.
#pragma once

#ifdef __has_feature
#define EVENT_HAS_FEATURE(name) __has_feature(name)
#else
#define EVENT_HAS_FEATURE(name) 0
#endif

#if defined(__SANITIZE_ADDRESS__) || EVENT_HAS_FEATURE(address_sanitizer)
#define EVENT_HAS_ASAN 1
#else
#define EVENT_HAS_ASAN 0
#endif

#if defined(__SANITIZE_THREAD__) || EVENT_HAS_FEATURE(thread_sanitizer)
#define EVENT_HAS_TSAN 1
#else
#define EVENT_HAS_TSAN 0
#endif

// Each slows a program several times, and takes its memory over: so random tests are fewer, and a
// child that was forked beside threads may find the allocator locked for good.
#define EVENT_HAS_ASAN_OR_TSAN (EVENT_HAS_ASAN || EVENT_HAS_TSAN)
