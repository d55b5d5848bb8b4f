# The libraries that include/event/adapters has adapters for. Nothing here is needed to build the
# library; tests, examples and benchmarks of an adapter are left out where its library is missing.
#
# Sets EVENT_ADAPTERS, the adapters whose library was found; event_adapter_<name> links to it.
find_package(PkgConfig QUIET)
set(EVENT_ADAPTERS)

# event_find_adapter(NAME MODULE DEBIAN...): MODULE is the library's name for pkg-config.
function(event_find_adapter name module)
  if(PkgConfig_FOUND)
    pkg_check_modules(EVENT_ADAPTER_${name} QUIET ${module})
  endif()
  if(NOT EVENT_ADAPTER_${name}_FOUND)
    list(JOIN ARGN " " debian)
    message(STATUS "Tests and examples of the adapter ${name} are left out: ${module} was not found (Debian: pkg-config ${debian})")
    return()
  endif()
  add_library(event_adapter_${name} INTERFACE)
  # Not its definitions, such as _FILE_OFFSET_BITS: what is precompiled is without them.
  target_include_directories(event_adapter_${name} SYSTEM INTERFACE ${EVENT_ADAPTER_${name}_INCLUDE_DIRS})
  target_link_libraries(event_adapter_${name} INTERFACE ${EVENT_ADAPTER_${name}_LINK_LIBRARIES})
  set(EVENT_ADAPTERS ${EVENT_ADAPTERS} ${name} PARENT_SCOPE)
endfunction()

event_find_adapter(redis hiredis libhiredis-dev)
event_find_adapter(pg libpq libpq-dev)
event_find_adapter(curl libcurl libcurl4-openssl-dev)
event_find_adapter(glib glib-2.0 libglib2.0-dev)
