# event_add_library(NAME OBJECTS [USES NAME...]): a library of these objects, twice.
#   event     event_static, event_shared: event::static, event::shared, libevent-cpp.{a,so}
#   event_co  event_co_static, event_co_shared: event::co_static ..., libevent-cpp-co.{a,so}
# event::event and event::co are the shared one where BUILD_SHARED_LIBS is set, else the static one.
# USES names the libraries below it.
#
# Before 1.0 a minor version may break binaries, so it is part of the soname.
function(event_add_library name objects)
  cmake_parse_arguments(PARSE_ARGV 2 arg "" "" USES)
  string(REGEX REPLACE "^event_?" "" part ${name})
  string(JOIN "-" file event cpp ${part})
  set(prefix)
  if(part)
    set(prefix ${part}_)
  endif()
  foreach(kind static shared)
    string(TOUPPER ${kind} type)
    set(library ${name}_${kind})
    add_library(${library} ${type} $<TARGET_OBJECTS:${objects}>)
    set_target_properties(${library} PROPERTIES
      EXPORT_NAME ${prefix}${kind}
      OUTPUT_NAME ${file}
      LINKER_LANGUAGE CXX)
    target_include_directories(${library} INTERFACE
      $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
      $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
    target_compile_features(${library} INTERFACE cxx_std_20)
    target_link_libraries(${library} PRIVATE Threads::Threads)
    foreach(used IN LISTS arg_USES)
      target_link_libraries(${library} PUBLIC ${used}_${kind})
    endforeach()
    add_library(event::${prefix}${kind} ALIAS ${library})
  endforeach()
  set_target_properties(${name}_shared PROPERTIES
    VERSION ${PROJECT_VERSION}
    SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
  # The flags of the linker alone: a target that is exported must not name one that is not.
  target_link_options(${name}_shared PRIVATE
    $<TARGET_PROPERTY:event_hardening,INTERFACE_LINK_OPTIONS>)

  set(short ${part})
  if(NOT part)
    set(short event)
  endif()
  if(BUILD_SHARED_LIBS)
    add_library(event::${short} ALIAS ${name}_shared)
  else()
    add_library(event::${short} ALIAS ${name}_static)
  endif()
endfunction()
