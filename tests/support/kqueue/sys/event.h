// kqueue(2) for Linux, for tests only: what <sys/event.h> declares on FreeBSD, with its values.
#pragma once

#include <stdint.h>
#include <time.h>

#define EVFILT_READ (-1)
#define EVFILT_WRITE (-2)
#define EVFILT_PROC (-5)
#define EVFILT_SIGNAL (-6)
#define EVFILT_TIMER (-7)
#define EVFILT_USER (-11)
#define EVFILT_EXCEPT (-15)  // of macOS: FreeBSD tells nobody of urgent data

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

#define NOTE_LOWAT 0x00000001    // read, write: at least `data` bytes
#define NOTE_OOB 0x00000002      // except
#define NOTE_TRIGGER 0x01000000  // user
#define NOTE_FFNOP 0x00000000    // user: what becomes of fflags
#define NOTE_FFAND 0x40000000    //
#define NOTE_FFOR 0x80000000     //
#define NOTE_FFCOPY 0xc0000000   //
#define NOTE_FFCTRLMASK 0xc0000000
#define NOTE_FFLAGSMASK 0x00ffffff
#define NOTE_EXIT 0x80000000      // proc
#define NOTE_SECONDS 0x00000001   // timer: the unit of `data`, milliseconds by default
#define NOTE_MSECONDS 0x00000002  //
#define NOTE_USECONDS 0x00000004  //
#define NOTE_NSECONDS 0x00000008  //

struct kevent {
  uintptr_t ident;
  short filter;
  unsigned short flags;
  unsigned int fflags;
  int64_t data;
  void* udata;
  uint64_t ext[4];
};

#define EV_SET(event, ident_, filter_, flags_, fflags_, data_, udata_) \
  (*(event) = {(uintptr_t)(ident_),                                    \
               (short)(filter_),                                       \
               (unsigned short)(flags_),                               \
               (unsigned int)(fflags_),                                \
               (int64_t)(data_),                                       \
               (void*)(uintptr_t)(udata_),                             \
               {0, 0, 0, 0}})

extern "C" {

int kqueue(void);
int kevent(int queue, const struct kevent* changes, int change_count, struct kevent* events,
           int event_count, const struct timespec* timeout);

// The same, under a name that a test can put itself before.
int kqueue_model_open(void);
int kqueue_model_kevent(int queue, const struct kevent* changes, int change_count,
                        struct kevent* events, int event_count, const struct timespec* timeout);
}
