# The one list of platforms, with what each brings: backends, which are src/poller/<name>.cpp, best
# first; parts of which there is one file for each way to have them, src/<floor>/<part>_<way>.cpp;
# and other features that the sources ask for.
#
# Sets EVENT_BACKENDS, EVENT_PARTS, and EVENT_PLATFORM_DEFINITIONS: EVENT_HAVE_<NAME>=0 or 1 for
# each known name.

set(known_names epoll kqueue poll ppoll sigtimedwait clone)

# "posix" is what any POSIX system has: for systems that are not in the list, and to test that part
# on those that are. "kqueue-model" is for tests on Linux: what the BSDs have, over a model of it.
set(EVENT_PLATFORM ${CMAKE_SYSTEM_NAME} CACHE STRING "Platform to build for, posix or kqueue-model")
mark_as_advanced(EVENT_PLATFORM)

if(EVENT_PLATFORM MATCHES "^(Linux|Android)$")
  set(EVENT_BACKENDS epoll poll)
  set(EVENT_PARTS sys/wakeup_eventfd poller/pending_signals_signalfd sys/timer_fd_timerfd sys/process_fd_pidfd)
  set(features ppoll sigtimedwait)
  # How processes are started. Where clone(2) is left out, posix_spawn(3) and fork(2) do it, as elsewhere.
  option(EVENT_POSIX_SPAWN "Start processes as on systems other than Linux" OFF)
  mark_as_advanced(EVENT_POSIX_SPAWN)
  # The thread sanitizer takes a child that borrows our memory for one of fork(2), and ends the program.
  if(NOT EVENT_POSIX_SPAWN AND NOT "${CMAKE_CXX_FLAGS} ${CMAKE_CXX_FLAGS_DEBUG}" MATCHES "sanitize=thread")
    list(APPEND features clone)
  endif()
elseif(EVENT_PLATFORM MATCHES "^(FreeBSD|DragonFly|Darwin|kqueue-model)$" OR
       (EVENT_PLATFORM STREQUAL NetBSD AND CMAKE_SYSTEM_VERSION VERSION_GREATER_EQUAL 10))
  set(EVENT_BACKENDS kqueue poll)
  set(EVENT_PARTS sys/wakeup_pipe poller/pending_signals_poller sys/timer_fd_none sys/process_fd_none)
  set(features sigtimedwait)
  if(EVENT_PLATFORM STREQUAL Darwin)
    set(features)
  endif()
elseif(EVENT_PLATFORM MATCHES "^(NetBSD|OpenBSD)$")
  set(EVENT_BACKENDS kqueue poll)
  set(EVENT_PARTS sys/wakeup_pipe poller/pending_signals_poller sys/timer_fd_none sys/process_fd_none)
  set(features)
else()
  set(EVENT_BACKENDS poll)
  set(EVENT_PARTS sys/wakeup_pipe poller/pending_signals_none sys/timer_fd_none sys/process_fd_none)
  set(features)
endif()

if(EVENT_PLATFORM MATCHES "^(Linux|Android)$")
  list(APPEND EVENT_PARTS sys/privileges_auxv)
elseif(EVENT_PLATFORM MATCHES "^(FreeBSD|DragonFly|Darwin|NetBSD|OpenBSD)$")
  list(APPEND EVENT_PARTS sys/privileges_issetugid)
else()
  list(APPEND EVENT_PARTS sys/privileges_ids)
endif()

list(JOIN EVENT_BACKENDS ", " backends)
message(STATUS "Backends: ${backends}")

set(EVENT_PLATFORM_DEFINITIONS)
foreach(name IN LISTS known_names)
  string(TOUPPER EVENT_HAVE_${name} macro)
  if(name IN_LIST EVENT_BACKENDS OR name IN_LIST features)
    list(APPEND EVENT_PLATFORM_DEFINITIONS ${macro}=1)
  else()
    list(APPEND EVENT_PLATFORM_DEFINITIONS ${macro}=0)
  endif()
endforeach()
