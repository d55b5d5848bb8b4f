#!/usr/bin/env bash
# Checks what others get: installs the library, moves the installed tree, and builds and runs
# tests/consumer/ against it in every way that the README names.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

scripts/setup.sh build test check
source=$PWD
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
prefix=$work/moved

fail() {
  echo "check_install.sh: $*" >&2
  exit 1
}

# beside COMMAND...: without waiting for it, as it keeps one processor busy. wait_for_all does.
declare -A jobs
beside() {
  "$@" &
  jobs[$!]=$*
}

wait_for_all() {
  local job
  for job in "${!jobs[@]}"; do wait "$job" || fail "${jobs[$job]}"; done
  jobs=()
}

# The commands of the README build these two as well, and are tried on these folders later; the first
# is also that of check_costs.sh.
install_and_move() {
  cmake --preset release -B build/optimized -DEVENT_BUILD_{TESTS,EXAMPLES,BENCH}=OFF >/dev/null
  cmake -S . -B build/debug-library -G Ninja -DCMAKE_BUILD_TYPE=Debug -DCMAKE_DEBUG_POSTFIX=-debug \
    -DEVENT_BUILD_{TESTS,EXAMPLES,BENCH}=OFF -DCMAKE_UNITY_BUILD=ON >/dev/null
  local folder
  for folder in build/optimized build/debug-library; do
    cmake --build "$folder" --parallel "$(nproc)"
    cmake --install "$folder" --prefix "$work/first" >/dev/null
  done
  mv "$work/first" "$prefix"
  ! grep -rIl "$work/first" "$prefix" || fail "the files above name the prefix"
  ! grep -rIl "$source" "$prefix" || fail "the files above name the source folder"
}

# The soname carries the version that binaries depend on, and nothing but the library's own names
# can be seen from outside.
shared_object_is_tidy() {
  local library foreign
  library=$(find "$prefix" -name "$1.so")
  readelf --dynamic --wide "$library" | grep -Eq "SONAME.*\[$1\.so\.[0-9]+\.[0-9]+\]" ||
    fail "no versioned soname"
  nm --dynamic --defined-only --demangle "$library" >"$work/symbols"
  grep -q " T $2" "$work/symbols" || fail "$2 is not exported"
  # Templates of the standard library are weak, and in every program.
  foreign=$(grep -Ev '^[0-9a-f]+ . ((typeinfo|typeinfo name|vtable|guard variable) for )?event_cpp::' \
    "$work/symbols" | grep -Ev '^[0-9a-f]+ [WVu] ((typeinfo|typeinfo name|vtable) for )?std::' || true)
  [[ -z $foreign ]] || fail "exports what is not its own:"$'\n'"$foreign"
}

# consumer_with_cmake NAME PARTS [cmake option]...: PARTS are the libraries above event::event
consumer_with_cmake() {
  local build=$work/$1 parts=$2 part
  shift 2
  cmake -G Ninja -S tests/consumer -B "$build" -DPARTS="${parts// /;}" "$@" >/dev/null
  cmake --build "$build" --parallel "$(nproc)" >/dev/null
  "$build/consumer"
  for part in $parts; do "$build/consumer_$part"; done
}

# has_assertions NAME: whether the shared library that a consumer uses has them.
has_assertions() {
  local library
  library=$(ldd "$work/$1/consumer" | sed -n 's/.*=> \(.*libevent-cpp[^ ]*\).*/\1/p')
  [[ -n $library ]] || fail "$1 does not use the shared library"
  nm --dynamic --undefined-only "$library" | grep __assert_fail >/dev/null
}

# Of two that are installed beside each other, a project gets what goes with its own configuration.
each_configuration_gets_its_library() {
  local type
  for type in Debug Release RelWithDebInfo None; do
    beside consumer_with_cmake "package_$type" tls -DUSE=package -DCMAKE_PREFIX_PATH="$prefix" \
      -DBUILD_SHARED_LIBS=ON -DCMAKE_BUILD_TYPE="${type/None/}"
  done
  wait_for_all
  has_assertions package_Debug || fail "the library for Debug has no assertions"
  for type in Release RelWithDebInfo None; do
    ! has_assertions "package_$type" || fail "the library for $type has assertions"
  done
}

# consumer_with_pkg_config SOURCE NAME PACKAGE [pkg-config option]...
consumer_with_pkg_config() {
  local source=tests/consumer/$1.cpp program=$work/$2 package=$3 directory flags
  shift 3
  directory=$(dirname "$(find "$prefix" -name event-cpp.pc)")
  read -ra flags < <(PKG_CONFIG_PATH=$directory pkg-config "$@" --cflags --libs "$package")
  g++ -std=c++20 "$source" -o "$program" "${flags[@]}"
  LD_LIBRARY_PATH=$(dirname "$directory") "$program"
}

# Runs a command with a /usr/local and an /etc of its own, which takes root.
with_own_places() {
  mkdir -p "$work/local"
  [[ -e $work/etc ]] || cp -a /etc "$work/etc"
  unshare --mount bash -c 'mount --bind "$0/local" /usr/local && mount --bind "$0/etc" /etc && "$@"' \
    "$work" "$@"
}

# What the README says to type, from the installation in /usr/local to a program that runs.
commands_of_readme() {
  if [[ $(id -u) -ne 0 ]] || ! with_own_places true 2>/dev/null; then
    echo "  not tried: it takes root, and mounts of its own"
    return
  fi
  mkdir "$work/readme"
  python3 - "$work/readme" >"$work/readme/commands.sh" <<'EOF'
import pathlib, re, sys
blocks = re.findall(r"^```sh\n(.*?)^```$", pathlib.Path("README.md").read_text(encoding="utf-8"), re.M | re.S)
install = "".join(block for block in blocks if "--install" in block)
compile = "".join(block for block in blocks if block.startswith("c++")).splitlines()
assert install.count("--install") == 2 and len(compile) == 2, "the README has other commands"
print("set -ex")
for written, folder in (("build-debug", "build/debug-library"), ("build", "build/optimized")):
    install = re.sub(rf"(?<= ){written}(?=\s)", folder, install)
print(install)
for i, line in enumerate(compile):
    print(line.replace("program.cpp", "tests/consumer/consumer.cpp"), f"-o {sys.argv[1]}/program{i}")
    print(f"{sys.argv[1]}/program{i}")
EOF
  CMAKE_BUILD_PARALLEL_LEVEL=$(nproc) with_own_places env -u LD_LIBRARY_PATH -u PKG_CONFIG_PATH \
    bash "$work/readme/commands.sh" >"$work/readme/log" 2>&1 ||
    { tail -n 20 "$work/readme/log" && fail "the commands of the README do not work"; }
}

echo "Install, and move what was installed"
install_and_move
echo "The public headers, all together"
scripts/check_headers.sh --together "$prefix/include"
echo "Symbols of the shared libraries"
shared_object_is_tidy libevent-cpp "event_cpp::Base::dispatch()"
shared_object_is_tidy libevent-cpp-co "event_cpp::co::TaskGroup::cancel()"
shared_object_is_tidy libevent-cpp-dns "event_cpp::dns::Resolver::close()"
shared_object_is_tidy libevent-cpp-tls "event_cpp::tls::Server::current() const"
echo "find_package, static and shared"
beside consumer_with_cmake package_static "co dns tls" -DUSE=package -DCMAKE_PREFIX_PATH="$prefix"
beside consumer_with_cmake package_shared "co dns tls" -DUSE=package -DCMAKE_PREFIX_PATH="$prefix" \
  -DBUILD_SHARED_LIBS=ON
wait_for_all
echo "find_package, each configuration"
each_configuration_gets_its_library
echo "pkg-config, shared and static"
beside consumer_with_pkg_config consumer pkg_config_shared event-cpp
beside consumer_with_pkg_config consumer_co pkg_config_co event-cpp-co
beside consumer_with_pkg_config consumer_dns pkg_config_dns event-cpp-dns
beside consumer_with_pkg_config consumer_tls pkg_config_tls event-cpp-tls
beside consumer_with_pkg_config consumer pkg_config_debug event-cpp-debug
beside consumer_with_pkg_config consumer pkg_config_static event-cpp --static -static
beside consumer_with_pkg_config consumer_co pkg_config_co_static event-cpp-co --static -static
beside consumer_with_pkg_config consumer_dns pkg_config_dns_static event-cpp-dns --static -static
beside consumer_with_pkg_config consumer_tls pkg_config_tls_static event-cpp-tls --static -static
wait_for_all
echo "The commands of the README, in /usr/local"
commands_of_readme
echo "add_subdirectory"
consumer_with_cmake subdirectory "co dns tls" -DUSE=subdirectory -DEVENT_SOURCE="$source" \
  -DCMAKE_UNITY_BUILD=ON -DCMAKE_CXX_COMPILER=clang++
echo "FetchContent, shared"
consumer_with_cmake fetch co -DUSE=fetch -DEVENT_SOURCE="$source" -DBUILD_SHARED_LIBS=ON \
  -DEVENT_BUILD_{DNS,TLS}=OFF -DCMAKE_UNITY_BUILD=ON
