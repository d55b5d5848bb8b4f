#!/usr/bin/env bash
# Installs what a set of tasks needs and this machine lacks, with Debian's packages:
#   scripts/setup.sh [build|test|format|check|fuzz|costs|measure|bench|foreign|arm64|x86-32]...
# By default all but the last four.
# It asks for nothing and changes nothing if everything is there. Needs root or sudo if not, and says
# what it installs, and how much that is, before it does.
set -euo pipefail

# set, what must be there (a command or a file), the Debian package that brings it
needs='
build    g++                                g++
build    cmake                              cmake
build    ninja                              ninja-build
build    /usr/include/CLI/CLI.hpp           libcli11-dev
test     pkg-config                         pkg-config
test     /usr/include/glib-2.0/glib.h       libglib2.0-dev
test     /usr/include/event2/event.h        libevent-dev
test     python3                            python3
test     objcopy                            binutils
test     /usr/include/http_parser.h         libhttp-parser-dev
test     nc.openbsd                         netcat-openbsd
test     socat                              socat
test     curl                               curl
test     ab                                 apache2-utils
test     wrk                                wrk
test     /usr/sbin/lighttpd                 lighttpd
test     /usr/include/hiredis/hiredis.h     libhiredis-dev
test     redis-server                       redis-server
test     /usr/include/postgresql/libpq-fe.h libpq-dev
test     /usr/lib/postgresql/15/bin/initdb  postgresql-15
test     curl-config                        libcurl4-openssl-dev
test     /usr/include/gtest/gtest.h         libgtest-dev
test     /usr/include/ares.h                libc-ares-dev
test     dnsmasq                            dnsmasq-base
test     /usr/include/openssl/ssl.h         libssl-dev
test     openssl                            openssl
test     /usr/src/googletest/googletest     googletest
format   clang-format-16                    clang-format-16
check    clang++                            clang
check    clang-tidy                         clang-tidy
check    readelf                            binutils
check    valgrind                           valgrind
check    gcovr                              gcovr
check    /usr/include/ares.h                libc-ares-dev
check    pkg-config                         pkg-config
check    /usr/include/openssl/ssl.h         libssl-dev
check    git                                git
fuzz     clang++                            clang
fuzz     /usr/lib/llvm-14/lib/clang/14.0.6/include/fuzzer libclang-rt-14-dev
costs    python3                            python3
costs    valgrind                           valgrind
measure  strace                             strace
measure  valgrind                           valgrind
measure  gcovr                              gcovr
bench    python3                            python3
bench    strace                             strace
bench    valgrind                           valgrind
bench    /usr/include/event2/event.h        libevent-dev
bench    /usr/include/ev.h                  libev-dev
bench    /usr/include/uv.h                  libuv1-dev
bench    /usr/include/asio.hpp              libasio-dev
bench    /usr/include/openssl/ssl.h         libssl-dev
bench    /usr/include/liburing.h            liburing-dev
foreign  dpkg-source                        dpkg-dev
foreign  perl                               perl
foreign  /usr/include/event2/event.h        libevent-dev
foreign  /usr/include/openssl/ssl.h         libssl-dev
foreign  /usr/include/zlib.h                zlib1g-dev
arm64    aarch64-linux-gnu-g++              g++-aarch64-linux-gnu
arm64    qemu-aarch64                       qemu-user
arm64    /usr/src/googletest/googletest     googletest
arm64    python3                            python3
x86-32   i686-linux-gnu-g++                 g++-i686-linux-gnu
x86-32   /usr/src/googletest/googletest     googletest
x86-32   python3                            python3
'

fail() {
  echo "setup.sh: $*" >&2
  exit 1
}

present() {
  if [[ $1 == /* ]]; then [[ -e $1 ]]; else command -v "$1" >/dev/null; fi
}

sets=("$@")
[[ ${#sets[@]} -gt 0 ]] || sets=(build test format check fuzz costs measure)

missing=()
for set in "${sets[@]}"; do
  [[ $needs == *$'\n'"$set "* ]] || fail "no such set: $set"
  while read -r of what package; do
    [[ $of == "$set" ]] || continue
    present "$what" || missing+=("$package")
  done <<<"$needs"
done
[[ ${#missing[@]} -gt 0 ]] || exit 0

# Elsewhere packages and paths are others, and what is missing shows when it is looked for.
if [[ $(uname -s) != Linux ]]; then
  # shellcheck disable=SC2016  # for the shell of who reads it
  echo "setup.sh: not a Linux; on macOS: brew install ninja googletest cli11 pkg-config glib c-ares openssl@3," \
    'export OPENSSL_ROOT_DIR=$(brew --prefix openssl@3);' \
    "on FreeBSD: pkg install bash cmake ninja googletest cli11 pkgconf glib python3 c-ares" >&2
  exit 0
fi
command -v apt-get >/dev/null ||
  fail "these are missing, and there is no apt-get to install them with: ${missing[*]}"
if [[ $(id -u) -eq 0 ]]; then
  as_root=()
elif command -v sudo >/dev/null; then
  as_root=(sudo)
else
  fail "these are missing: ${missing[*]}. Run this as root, or install sudo."
fi

mapfile -t missing < <(printf '%s\n' "${missing[@]}" | sort -u)
echo "setup.sh: missing: ${missing[*]}. Asking Debian how much that is."
apt=("${as_root[@]}" env LC_ALL=C DEBIAN_FRONTEND=noninteractive apt-get -q)
install=(install --no-install-recommends "${missing[@]}")
"${apt[@]}" -y update </dev/null >/dev/null
# What apt-get would say before it asked whether to go on. Answered with no, it fails.
summary=$("${apt[@]}" --assume-no "${install[@]}" </dev/null 2>&1 || true)
size=$(grep -E '^(Need to get|After this operation)' <<<"$summary" | tr '\n' ' ' || true)
count=$(sed -n 's/.* \([0-9]*\) newly installed.*/\1/p' <<<"$summary")
echo "setup.sh: installs ${missing[*]} and what they need: ${count:-some} packages. $size"
"${apt[@]}" -y -o Dpkg::Use-Pty=0 "${install[@]}" </dev/null >/dev/null ||
  fail "apt-get could not install them: ${missing[*]}"
