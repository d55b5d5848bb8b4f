// What the library uses of <sys/event.h> of NetBSD, to compile for it elsewhere.
#pragma once

#define EVENT_COUNT size_t
#include "../../common_event.h"

#define EVFILT_READ 0U
#define EVFILT_WRITE 1U
#define EVFILT_PROC 4U
#define EVFILT_SIGNAL 5U
#define EVFILT_TIMER 6U
#define EVFILT_USER 8U

#define NOTE_TRIGGER 0x01000000U

struct kevent {
  uintptr_t ident;
  uint32_t filter;
  uint32_t flags;
  uint32_t fflags;
  int64_t data;
  void* udata;
  uint64_t ext[4];
};
