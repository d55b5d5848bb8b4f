// What the tests of name resolution share.
#pragma once

#include <algorithm>
#include <fstream>
#include <memory>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "event/dns.hpp"
#include "net/networks.hpp"

namespace event_cpp::test {

using dns::Family;
using dns::test::Server;
using Fault = dns::test::Server::Fault;

// How a lookup ended.
struct Lookup {
  dns::Answer answer;
  std::error_code error;
  bool done = false;

  bool found() const { return done && !error; }
};

inline co::Task<> look_up(dns::Resolver& resolver, std::string name, Family family,
                          Lookup& lookup) {
  try {
    dns::Answer answer = co_await resolver.resolve(std::move(name), 80, family);
    lookup.answer = std::move(answer);
  } catch (const std::system_error& error) {
    lookup.error = error.code();
  } catch (const std::bad_alloc&) {
    lookup.error = std::make_error_code(std::errc::not_enough_memory);
  }
  lookup.done = true;
}

inline net::Address v4(const char* text, int port = 80) { return *net::Address::parse(text, port); }
inline net::Address v6(const char* text, int port = 80) { return *net::Address::parse(text, port); }

// Asks these servers alone, and reads no file.
inline dns::Options only(std::vector<net::Address> servers) {
  dns::Options options;
  options.servers = std::move(servers);
  options.resolv_conf.clear();
  options.hosts_file.clear();
  return options;
}

// A file of its own, which it removes.
class TemporaryFile {
 public:
  explicit TemporaryFile(const std::string& text)
      : path_("/tmp/event_dns_" + std::to_string(::getpid()) + "_" + std::to_string(next_++)) {
    write(text);
  }
  ~TemporaryFile() { std::filesystem::remove(path_); }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;

  // Another file takes its place, as programs do that write resolv.conf.
  void write(const std::string& text) const {
    const std::filesystem::path other = path_.string() + ".new";
    std::ofstream(other) << text;
    std::filesystem::rename(other, path_);
  }
  const std::filesystem::path& path() const { return path_; }

 private:
  inline static int next_ = 0;
  std::filesystem::path path_;
};

// Over the system's network on each backend, and over a simulated one. The time stands still.
class EveryNetworkWithNames : public EveryNetwork {
 protected:
  Lookup look_up(dns::Resolver& resolver, std::string name, Family family = Family::any) {
    Lookup lookup;
    co::TaskGroup tasks(base);
    tasks.spawn(test::look_up(resolver, std::move(name), family, lookup));
    run_until([&] { return lookup.done; });
    return lookup;
  }
  std::vector<net::Address> addresses_of(dns::Resolver& resolver, std::string name,
                                         Family family = Family::any) {
    return look_up(resolver, std::move(name), family).answer.addresses;
  }

  Server server{base};
};

// Over a simulated network, where the test moves the time.
class ToyNames : public testing::Test, protected FrozenBase {
 protected:
  // In small steps, so that nothing that waits for another thing comes late.
  void pass(Duration duration) {
    settle();
    const TimePoint end = time.now() + duration;
    while (time.now() < end) {
      time.advance(std::min<Duration>(end - time.now(), 10ms));
      settle();
    }
  }

  // Begins a lookup. Its result must not move.
  void start(dns::Resolver& resolver, std::string name, Lookup& lookup,
             Family family = Family::any) {
    tasks->spawn(test::look_up(resolver, std::move(name), family, lookup));
  }
  // A lookup that needs at most so long.
  Lookup look_up(dns::Resolver& resolver, std::string name, Family family = Family::any,
                 Duration most = 30s) {
    Lookup lookup;
    start(resolver, std::move(name), lookup, family);
    settle();
    for (Duration passed{}; passed < most && !lookup.done; passed += 10ms) pass(10ms);
    EXPECT_TRUE(lookup.done);
    return lookup;
  }
  std::size_t queries_for(const std::string& name) const {
    const std::vector<std::string> seen = server->seen();
    return static_cast<std::size_t>(std::count(seen.begin(), seen.end(), name));
  }

  std::unique_ptr<co::TaskGroup> tasks = std::make_unique<co::TaskGroup>(base);

 private:
  // The base, over which the server is made, must have the kernel by then.
  struct ServerOnToy : std::unique_ptr<Server> {
    ServerOnToy(Base& base, ToyKernel& kernel) {
      net::set_kernel(base, &kernel);
      reset(new Server(base));
    }
  };

 protected:
  ServerOnToy server{base, kernel};
};

}  // namespace event_cpp::test
