# Says what is built for a system, as if every library was found, and builds nothing:
#   cmake -DEVENT_PLATFORM=FreeBSD [-DCMAKE_SYSTEM_VERSION=14] -P cmake/print_platform.cmake
cmake_minimum_required(VERSION 3.25)

function(find_path)
endfunction()
function(find_library)
endfunction()
set(URING_INCLUDE_DIR there)
set(URING_LIBRARY there)
include(${CMAKE_CURRENT_LIST_DIR}/platform.cmake)

foreach(what EVENT_BACKENDS EVENT_PARTS EVENT_PLATFORM_DEFINITIONS)
  message(STATUS "${what}: ${${what}}")
endforeach()
