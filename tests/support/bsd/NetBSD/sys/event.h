// What the library uses of <sys/event.h> of NetBSD, to compile for it elsewhere.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <time.h>

#define EVFILT_READ 0U
#define EVFILT_WRITE 1U
#define EVFILT_PROC 4U
#define EVFILT_SIGNAL 5U
#define EVFILT_TIMER 6U
#define EVFILT_USER 8U

#define EV_ADD 0x0001
#define EV_DELETE 0x0002
#define EV_ENABLE 0x0004
#define EV_DISABLE 0x0008
#define EV_ONESHOT 0x0010
#define EV_CLEAR 0x0020
#define EV_RECEIPT 0x0040
#define EV_DISPATCH 0x0080
#define EV_ERROR 0x4000
#define EV_EOF 0x8000
#define NOTE_LOWAT 0x00000001
#define NOTE_EXIT 0x80000000
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

extern "C" {
int kqueue(void);
int kevent(int queue, const struct kevent* changes, size_t change_count, struct kevent* events,
           size_t event_count, const struct timespec* timeout);
}
