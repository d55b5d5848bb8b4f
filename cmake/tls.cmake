# event::tls.
event_add_library(event_tls event_tls_objects USES event_net)
target_include_directories(event_tls_objects SYSTEM PRIVATE ${OPENSSL_INCLUDE_DIR})

# By their names where the linker looks anyway, so that what is installed fits other machines.
foreach(library IN ITEMS ssl crypto)
  string(TOUPPER ${library} variable)
  set(file ${OPENSSL_${variable}_LIBRARY})
  cmake_path(GET file PARENT_PATH directory)
  if(directory IN_LIST CMAKE_CXX_IMPLICIT_LINK_DIRECTORIES)
    set(file ${library})
  endif()
  foreach(kind static shared)
    target_link_libraries(event_tls_${kind} PRIVATE ${file})
  endforeach()
endforeach()
