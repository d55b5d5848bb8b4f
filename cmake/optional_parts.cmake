# What is built beside the library: tests, examples, benchmarks. EVENT_BUILD_<PART> is
#   AUTO  built if what it needs is there; if not, a line says what is missing
#   ON    built, and an error if something is missing
#   OFF   not built
# Who works on the project says ON, as all presets do, so that nothing is left out unseen.
function(event_optional_part part needs)
  if(PROJECT_IS_TOP_LEVEL)
    set(default AUTO)
  else()
    set(default OFF)
  endif()
  set(EVENT_BUILD_${part} ${default} CACHE STRING "AUTO, ON or OFF; needs ${needs}")
  set_property(CACHE EVENT_BUILD_${part} PROPERTY STRINGS AUTO ON OFF)
endfunction()

# event_optional_library(PART NEEDS): the same for a library that needs another one. It is AUTO by
# default also where this project is a part of another one, as EXCLUDE_FROM_ALL costs nothing there.
function(event_optional_library part needs)
  set(EVENT_BUILD_${part} AUTO CACHE STRING "AUTO, ON or OFF; needs ${needs}")
  set_property(CACHE EVENT_BUILD_${part} PROPERTY STRINGS AUTO ON OFF)
endfunction()

# event_find_for(PART PACKAGE DEBIAN [argument of find_package]...): finds a package that the part
# needs; DEBIAN is its name in Debian. A macro, as find_package() sets variables of its caller.
macro(event_find_for part package debian)
  if(EVENT_BUILD_${part})
    find_package(${package} QUIET ${ARGN})
    if(NOT ${package}_FOUND)
      if(EVENT_BUILD_${part} STREQUAL AUTO)
        message(STATUS "EVENT_BUILD_${part}=OFF: ${package} was not found (Debian: ${debian})")
        set(EVENT_BUILD_${part} OFF)
      else()
        message(FATAL_ERROR "EVENT_BUILD_${part}=${EVENT_BUILD_${part}} needs ${package}, which was "
          "not found (Debian: ${debian})")
      endif()
    endif()
  endif()
endmacro()
