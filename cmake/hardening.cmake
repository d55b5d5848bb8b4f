# What makes a fault of memory harder to exploit, in builds that are for use: those without a debug
# build's assertions. For the library's own objects and the examples; users who add this project to
# theirs decide for themselves, and nothing of it is installed.
#
# Each flag is tried with the compiler and the linker, and left out where it is unknown.
# scripts/check_hardening.sh looks at what came out of it.
option(EVENT_HARDENING "Harden release builds" ${PROJECT_IS_TOP_LEVEL})

add_library(event_hardening INTERFACE)
if(NOT EVENT_HARDENING OR CMAKE_BUILD_TYPE STREQUAL "Debug")
  return()
endif()

include(CheckCXXCompilerFlag)
include(CheckCXXSourceCompiles)
include(CheckLinkerFlag)
include(CheckPIESupported)

set(for_use $<CONFIG:Release,RelWithDebInfo,MinSizeRel>)

# Compilers only warn of flags that another processor has.
function(event_harden_compiler flag)
  string(MAKE_C_IDENTIFIER "EVENT_COMPILER_HAS${flag}" known)
  set(CMAKE_REQUIRED_FLAGS -Werror)
  check_cxx_compiler_flag(${flag} ${known})
  if(${known})
    target_compile_options(event_hardening INTERFACE $<${for_use}:${flag}>)
  endif()
endfunction()

function(event_harden_linker flag)
  string(MAKE_C_IDENTIFIER "EVENT_LINKER_HAS${flag}" known)
  check_linker_flag(CXX ${flag} ${known})
  if(${known})
    target_link_options(event_hardening INTERFACE $<${for_use}:${flag}>)
  endif()
endfunction()

event_harden_compiler(-fstack-protector-strong)
event_harden_compiler(-fstack-clash-protection)
# Returns by a second stack, which costs nothing. Landing pads for indirect jumps are an instruction
# a call, some 3 % of what the library does for an attach or a timer, and no Linux looks at a
# program's.
event_harden_compiler(-fcf-protection=return)
event_harden_compiler(-mbranch-protection=standard)

# Level 3 where the compiler and the C library know it: their headers warn otherwise.
foreach(level IN ITEMS 3 2)
  set(CMAKE_REQUIRED_FLAGS "-O2 -Werror -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=${level}")
  check_cxx_source_compiles("#include <cstdio>\nint main() { return 0; }" EVENT_FORTIFY_${level})
  unset(CMAKE_REQUIRED_FLAGS)
  if(EVENT_FORTIFY_${level})
    target_compile_options(event_hardening INTERFACE
      $<${for_use}:-U_FORTIFY_SOURCE> $<${for_use}:-D_FORTIFY_SOURCE=${level}>)
    break()
  endif()
endforeach()

foreach(keyword IN ITEMS relro now noexecstack separate-code)
  event_harden_linker(-Wl,-z,${keyword})
endforeach()

# Executables that ask for it with POSITION_INDEPENDENT_CODE.
check_pie_supported(LANGUAGES CXX)
