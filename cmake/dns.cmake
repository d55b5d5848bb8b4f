# event::dns.
event_add_library(event_dns event_dns_objects USES event_net)
target_include_directories(event_dns_objects SYSTEM PRIVATE ${Cares_INCLUDE_DIR})

# By its name where the linker looks anyway, so that what is installed fits other machines.
cmake_path(GET Cares_LIBRARY PARENT_PATH cares_dir)
set(cares ${Cares_LIBRARY})
if(cares_dir IN_LIST CMAKE_CXX_IMPLICIT_LINK_DIRECTORIES)
  set(cares cares)
endif()

# That a program links this library is enough for net::connect() to use it, though nothing in the
# program may refer to it: the linker is asked for event_cpp::dns::detail::registration, by the name
# that compilers give it. This takes its file out of the static library, and keeps the shared one
# needed under --as-needed.
set(registration _ZN9event_cpp3dns6detail12registrationE)
if(APPLE)
  set(EVENT_DNS_LINK_OPTION -u,_${registration})
else()
  set(EVENT_DNS_LINK_OPTION --undefined=${registration})
endif()
foreach(kind static shared)
  target_link_libraries(event_dns_${kind} PRIVATE ${cares})
  target_link_options(event_dns_${kind} INTERFACE "LINKER:${EVENT_DNS_LINK_OPTION}")
endforeach()
