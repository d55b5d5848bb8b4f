// Servers over streams, instead of over the descriptors that bench/main.cpp has programs read
// themselves. Compiled once for each library, with its header.
//
//   bench_streams_NAME KIND
//
// Listens on the loopback interface, says "ready" and the port, and serves until its process is
// ended. Without a KIND: lists them. The kinds, where the library has them:
//
//   echo         sends back what it gets
//   lines        sends back lines of text, and gathers what it sends
//   lines-apart  the same, each sent by itself
//   download     sends kBulk bytes for each message
//   upload       sends a message of kMessage bytes for each kBulk that it gets
//
// What follows in the name of a kind is how: "echo-callbacks".
#include BENCH_STREAMS_HEADER

#include <cstdio>
#include <map>
#include <string_view>

#include "support/listen.hpp"

int main(int argc, char** argv) {
  const std::map<std::string_view, void (*)(int)> kinds = bench::servers();
  const auto kind = kinds.find(argc > 1 ? argv[1] : "");
  if (kind == kinds.end()) {
    for (const auto& known : kinds) std::fprintf(stderr, "%s\n", known.first.data());
    return 2;
  }
  bench::raise_descriptor_limit();
  const bench::Listening listening = bench::listen_on_loopback();
  std::printf("ready %d\n", listening.port);
  std::fflush(stdout);
  kind->second(listening.fd);
}
