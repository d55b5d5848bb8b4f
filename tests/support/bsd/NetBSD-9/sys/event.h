// What the library uses of <sys/event.h> of NetBSD 9, to compile for it elsewhere.
#pragma once

#define EVENT_COUNT size_t
#include "../../common_event.h"

#define EVFILT_READ 0U
#define EVFILT_WRITE 1U
#define EVFILT_PROC 4U
#define EVFILT_SIGNAL 5U
#define EVFILT_TIMER 6U

struct kevent {
  uintptr_t ident;
  uint32_t filter;
  uint32_t flags;
  uint32_t fflags;
  int64_t data;
  intptr_t udata;
};
