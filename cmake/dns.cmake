# event::dns.
event_add_library(event_dns event_dns_objects USES event_net)
target_include_directories(event_dns_objects SYSTEM PRIVATE ${Cares_INCLUDE_DIR})

# By its name where the linker looks anyway, so that what is installed fits other machines.
cmake_path(GET Cares_LIBRARY PARENT_PATH cares_dir)
set(cares ${Cares_LIBRARY})
if(cares_dir IN_LIST CMAKE_CXX_IMPLICIT_LINK_DIRECTORIES)
  set(cares cares)
endif()

foreach(kind static shared)
  target_link_libraries(event_dns_${kind} PRIVATE ${cares})
endforeach()

# That a program links this library is enough for net::connect() to use it, though nothing in the
# program may refer to it. From the static library the linker takes the file with the variable
# event_cpp::dns::detail::registration, which it is asked for by the name that compilers give it. The
# shared one is kept also by a linker that leaves out what nobody refers to.
set(registration _ZN9event_cpp3dns6detail12registrationE)
if(APPLE)
  set(dns_take_static -u,_${registration})
  set(dns_keep_shared)
else()
  set(dns_take_static --undefined=${registration})
  set(dns_keep_shared "-Wl,--push-state,--no-as-needed,@,--pop-state")  # @: the library
  string(REPLACE @ $<TARGET_FILE:event::dns_shared> keep ${dns_keep_shared})
  target_link_libraries(event_dns_shared INTERFACE ${keep})
endif()
target_link_options(event_dns_static INTERFACE "LINKER:${dns_take_static}")
