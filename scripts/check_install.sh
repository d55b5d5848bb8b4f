#!/usr/bin/env bash
# Checks what others get: installs the library, moves the installed tree, and builds and runs
# tests/consumer/ against it in every way that the README names.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

scripts/setup.sh build check
source=$PWD
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
prefix=$work/moved

fail() {
  echo "check_install.sh: $*" >&2
  exit 1
}

install_and_move() {
  cmake --preset release -B build/optimized -DEVENT_BUILD_{TESTS,EXAMPLES,BENCH}=OFF \
    -DCMAKE_INSTALL_PREFIX="$work/first" >/dev/null
  cmake --build build/optimized --parallel "$(nproc)"
  cmake --install build/optimized >/dev/null
  mv "$work/first" "$prefix"
  ! grep -rIl "$work/first" "$prefix" || fail "the files above name the prefix"
  ! grep -rIl "$source" "$prefix" || fail "the files above name the source folder"
}

# compile_header COMPILER STANDARD HEADER
compile_header() {
  "$1" -std="$2" -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wundef -Werror \
    -fsyntax-only -I"$prefix/include" -include "$3" "$work/empty.cpp"
}

# All of them with the oldest standard, and what includes all of them with a newer one.
headers_compile_alone() {
  local compiler
  export -f compile_header
  export prefix work
  : >"$work/empty.cpp"
  for compiler in g++ clang++; do
    (cd "$prefix/include" && find event -name '*.hpp' -print0) |
      xargs -0 -P "$(nproc)" -I{} bash -c 'compile_header "$@"' _ "$compiler" c++20 {} ||
      fail "the public headers do not compile alone with $compiler"
    compile_header "$compiler" c++2b event/event.hpp || fail "$compiler -std=c++2b"
  done
}

# The soname carries the version that binaries depend on, and nothing but the library's own names
# can be seen from outside.
shared_object_is_tidy() {
  local library foreign
  library=$(find "$prefix" -name 'libevent-cpp.so')
  readelf --dynamic --wide "$library" | grep -Eq 'SONAME.*\[libevent-cpp\.so\.[0-9]+\.[0-9]+\]' ||
    fail "no versioned soname"
  nm --dynamic --defined-only --demangle "$library" >"$work/symbols"
  grep -q ' T event::Base::dispatch()' "$work/symbols" || fail "Base::dispatch() is not exported"
  foreign=$(grep -Ev '^[0-9a-f]+ . ((typeinfo|typeinfo name|vtable|guard variable) for )?event::' \
    "$work/symbols" || true)
  [[ -z $foreign ]] || fail "exports what is not its own:"$'\n'"$foreign"
}

# consumer_with_cmake NAME [cmake option]...
consumer_with_cmake() {
  local build=$work/$1
  shift
  cmake -G Ninja -S tests/consumer -B "$build" "$@" >/dev/null
  cmake --build "$build" --parallel "$(nproc)" >/dev/null
  "$build/consumer"
}

# consumer_with_pkg_config NAME [pkg-config option]...
consumer_with_pkg_config() {
  local program=$work/$1 directory flags
  shift
  directory=$(dirname "$(find "$prefix" -name event-cpp.pc)")
  read -ra flags < <(PKG_CONFIG_PATH=$directory pkg-config "$@" --cflags --libs event-cpp)
  g++ -std=c++20 tests/consumer/consumer.cpp -o "$program" "${flags[@]}"
  LD_LIBRARY_PATH=$(dirname "$directory") "$program"
}

echo "Install, and move what was installed"
install_and_move
echo "Each public header alone, with both compilers"
headers_compile_alone
echo "Symbols of the shared library"
shared_object_is_tidy
echo "find_package, static"
consumer_with_cmake package_static -DUSE=package -DCMAKE_PREFIX_PATH="$prefix"
echo "find_package, shared"
consumer_with_cmake package_shared -DUSE=package -DCMAKE_PREFIX_PATH="$prefix" -DBUILD_SHARED_LIBS=ON
echo "pkg-config, shared"
consumer_with_pkg_config pkg_config_shared
echo "pkg-config, static"
consumer_with_pkg_config pkg_config_static --static -static
echo "add_subdirectory"
consumer_with_cmake subdirectory -DUSE=subdirectory -DEVENT_SOURCE="$source" -DCMAKE_UNITY_BUILD=ON
echo "FetchContent, shared"
consumer_with_cmake fetch -DUSE=fetch -DEVENT_SOURCE="$source" -DBUILD_SHARED_LIBS=ON \
  -DCMAKE_UNITY_BUILD=ON
