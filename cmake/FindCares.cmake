# c-ares, whose own package for CMake many systems leave out. Sets Cares_FOUND, Cares_INCLUDE_DIR and
# Cares_LIBRARY.
find_path(Cares_INCLUDE_DIR ares.h)
find_library(Cares_LIBRARY cares)
mark_as_advanced(Cares_INCLUDE_DIR Cares_LIBRARY)
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(Cares REQUIRED_VARS Cares_LIBRARY Cares_INCLUDE_DIR)
