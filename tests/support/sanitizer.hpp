// Which sanitizer this is built with, where a test must know.
#pragma once

#if defined(__SANITIZE_THREAD__)
#define EVENT_THREAD_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define EVENT_THREAD_SANITIZER 1
#endif
#endif
#ifndef EVENT_THREAD_SANITIZER
#define EVENT_THREAD_SANITIZER 0
#endif
