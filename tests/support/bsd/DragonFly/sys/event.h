// What the library uses of <sys/event.h> of DragonFly, to compile for it elsewhere.
#pragma once

#include "../../common_event.h"

#define EVFILT_READ (-1)
#define EVFILT_WRITE (-2)
#define EVFILT_PROC (-5)
#define EVFILT_SIGNAL (-6)
#define EVFILT_TIMER (-7)
#define EVFILT_EXCEPT (-8)
#define EVFILT_USER (-9)

#define NOTE_OOB 0x00000002
#define NOTE_TRIGGER 0x01000000

struct kevent {
  uintptr_t ident;
  short filter;
  unsigned short flags;
  unsigned int fflags;
  intptr_t data;
  void* udata;
};
