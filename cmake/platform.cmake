# The one list of platforms, with what each brings: backends, which are src/backend/<name>.cpp, best
# first; parts of which there is one file for each way to have them, src/backend/<part>_<way>.cpp;
# and other features that the sources ask for.
#
# Sets EVENT_BACKENDS, EVENT_PARTS, and EVENT_PLATFORM_DEFINITIONS: EVENT_HAVE_<NAME>=0 or 1 for
# each known name.

set(known_names epoll poll ppoll)

# "posix" is what any POSIX system has: for systems that are not in the list, and to test that part
# on those that are.
set(EVENT_PLATFORM ${CMAKE_SYSTEM_NAME} CACHE STRING "Platform to build for, or posix")
mark_as_advanced(EVENT_PLATFORM)

if(EVENT_PLATFORM MATCHES "^(Linux|Android)$")
  set(EVENT_BACKENDS epoll poll)
  set(EVENT_PARTS wakeup_eventfd blocked_signals_signalfd clock_timer_timerfd process_pidfd)
  set(features ppoll)
else()
  set(EVENT_BACKENDS poll)
  set(EVENT_PARTS wakeup_pipe blocked_signals_none clock_timer_none process_none)
  set(features)
endif()

set(EVENT_PLATFORM_DEFINITIONS)
foreach(name IN LISTS known_names)
  string(TOUPPER EVENT_HAVE_${name} macro)
  if(name IN_LIST EVENT_BACKENDS OR name IN_LIST features)
    list(APPEND EVENT_PLATFORM_DEFINITIONS ${macro}=1)
  else()
    list(APPEND EVENT_PLATFORM_DEFINITIONS ${macro}=0)
  endif()
endforeach()
