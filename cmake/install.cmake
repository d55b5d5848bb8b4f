# Headers, the libraries, the CMake package and the pkg-config files. Nothing that is installed
# names the prefix: the tree may be moved.
include(CMakePackageConfigHelpers)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/event)
set(pkgconfig_dir ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

install(DIRECTORY include/event DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN *.hpp)
install(TARGETS event_static event_shared event_co_static event_co_shared
  event_net_static event_net_shared EXPORT event-targets)

install(EXPORT event-targets NAMESPACE event:: DESTINATION ${package_dir})
write_basic_package_version_file(event-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/event-config-version.cmake DESTINATION ${package_dir})
install(FILES cmake/event-config.cmake.in RENAME event-config.cmake DESTINATION ${package_dir})

# From the pkg-config file back to the prefix; a directory given as an absolute path stays as it is.
cmake_path(ABSOLUTE_PATH pkgconfig_dir BASE_DIRECTORY ${CMAKE_INSTALL_PREFIX} OUTPUT_VARIABLE from)
cmake_path(RELATIVE_PATH CMAKE_INSTALL_PREFIX BASE_DIRECTORY ${from} OUTPUT_VARIABLE up)
set(pc_prefix "\${pcfiledir}/${up}")
set(pc_libdir "\${prefix}")
cmake_path(APPEND pc_libdir ${CMAKE_INSTALL_LIBDIR})
set(pc_includedir "\${prefix}")
cmake_path(APPEND pc_includedir ${CMAKE_INSTALL_INCLUDEDIR})
# A build with CMAKE_DEBUG_POSTFIX is installed beside one without.
string(TOUPPER "${CMAKE_BUILD_TYPE}" config)
# event_pkg_config(NAME DESCRIPTION [REQUIRED]...): pc_libs and pc_libs_private are what else to link
# with, always and only statically, each with a blank before it.
set(pc_libs)
set(pc_libs_private)
function(event_pkg_config name description)
  set(pc_name ${name}${CMAKE_${config}_POSTFIX})
  set(pc_description ${description})
  list(TRANSFORM ARGN APPEND "${CMAKE_${config}_POSTFIX}" OUTPUT_VARIABLE required)
  list(JOIN required " " pc_requires)
  configure_file(cmake/event-cpp.pc.in ${pc_name}.pc @ONLY)
  install(FILES ${CMAKE_CURRENT_BINARY_DIR}/${pc_name}.pc DESTINATION ${pkgconfig_dir})
endfunction()
event_pkg_config(event-cpp "${PROJECT_DESCRIPTION}")
event_pkg_config(event-cpp-co "Coroutines on event-cpp" event-cpp)
event_pkg_config(event-cpp-net "Networking on event-cpp" event-cpp-co)

if(EVENT_BUILD_DNS)
  install(TARGETS event_dns_static event_dns_shared EXPORT event-targets)
  string(REPLACE @ -levent-cpp-dns${CMAKE_${config}_POSTFIX} keep "${dns_keep_shared}")
  set(pc_libs " ${keep} -Wl,${dns_take_static}")
  set(pc_libs_private " -lcares")
  event_pkg_config(event-cpp-dns "Name resolution on event-cpp" event-cpp-net)
endif()
if(EVENT_BUILD_TLS)
  install(TARGETS event_tls_static event_tls_shared EXPORT event-targets)
  set(pc_libs)
  set(pc_libs_private " -lssl -lcrypto")
  event_pkg_config(event-cpp-tls "TLS on event-cpp, by OpenSSL" event-cpp-net)
endif()
