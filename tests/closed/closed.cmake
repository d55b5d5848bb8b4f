# EVENT_CHECK_DESCRIPTORS: the static library calls functions of this folder where it would call the
# system's, so that a use of a descriptor that it has closed, or that is not its own, ends the
# process. Whatever is linked with it takes part: the tests, and the examples that they run.
find_program(OBJCOPY objcopy REQUIRED)

add_library(event_closed OBJECT
  tests/closed/checked_calls.cpp
  tests/closed/numbers.cpp
  tests/closed/other_calls.cpp)
target_include_directories(event_closed PRIVATE tests)
target_link_libraries(event_closed PRIVATE event_internals event_warnings)
set_target_properties(event_closed PROPERTIES POSITION_INDEPENDENT_CODE ON)

# Calls are redirected in what is compiled, so that nothing in the sources is written for this.
add_custom_command(TARGET event_static POST_BUILD
  COMMAND ${OBJCOPY} --redefine-syms=${CMAKE_CURRENT_SOURCE_DIR}/tests/closed/symbols.txt
    $<TARGET_FILE:event_static>
  VERBATIM)
target_link_libraries(event_static INTERFACE $<BUILD_INTERFACE:$<TARGET_OBJECTS:event_closed>>)
add_dependencies(event_static event_closed)
