# Says what is built for a system, and builds nothing:
#   cmake -DEVENT_PLATFORM=FreeBSD [-DCMAKE_SYSTEM_VERSION=14] -P cmake/print_platform.cmake
cmake_minimum_required(VERSION 3.25)

include(${CMAKE_CURRENT_LIST_DIR}/platform.cmake)

foreach(what EVENT_BACKENDS EVENT_PARTS EVENT_PLATFORM_DEFINITIONS)
  message(STATUS "${what}: ${${what}}")
endforeach()
