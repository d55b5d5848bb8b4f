// What <sys/event.h> has in common on every system with it.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <time.h>

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

#ifndef EVENT_COUNT  // the type of the counts of kevent()
#define EVENT_COUNT int
#endif

struct kevent;
extern "C" {
int kqueue(void);
int kevent(int queue, const struct kevent* changes, EVENT_COUNT change_count,
           struct kevent* events, EVENT_COUNT event_count, const struct timespec* timeout);
}
