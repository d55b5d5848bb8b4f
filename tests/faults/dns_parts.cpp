// The DNS act: lookups, and a name server beside them that answers over loopback.
#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "event/co.hpp"
#include "event/dns.hpp"
#include "parts.hpp"

namespace event_cpp::faults {
namespace {

using namespace std::chrono_literals;
using co::Task;
using dns::Answer;
using dns::Family;
using net::Address;
using Fault = dns::test::Server::Fault;

Address address_named(const char* text) { return *Address::parse(text, 80); }

// An answer that the server cannot send is asked for again: often enough, and soon.
dns::Options options_for(const std::vector<Address>& servers) {
  dns::Options options;
  options.servers = servers;
  options.timeout = 200ms;
  options.tries = 4;
  options.resolv_conf.clear();
  options.hosts_file.clear();
  return options;
}

// A name server, and who asks it.
struct Names {
  explicit Names(Base& base) : server(base), resolver(base, options_for({server.address()})) {}

  dns::test::Server server;
  dns::Resolver resolver;
};

// The only address of a name, or of one of its families if both are asked for. That something goes
// wrong is no proof that a name does not exist.
Task<Answer> look_up(dns::Resolver& resolver, std::string name, const char* address,
                     Family family = Family::v4) {
  std::optional<Answer> answer;
  try {
    Answer found = co_await resolver.resolve(std::move(name), 80, family);
    answer = std::move(found);
  } catch (const std::system_error& error) {
    const bool is_lie =
        error.code() == dns::Errc::no_such_name || error.code() == dns::Errc::no_address ||
        error.code() == dns::Errc::bad_name || error.code() == dns::Errc::no_servers;
    if (!is_lie) throw;
  }
  if (!answer || answer->addresses.size() != 1 || answer->addresses[0] != address_named(address)) {
    throw Cut{"the address of a name"};
  }
  co_return std::move(*answer);
}

// Over UDP, and then from the cache; over TCP, since the answer is too long; by an alias.

Task<> use_servers(World& world) {
  Names names(world.base);
  names.server.answer("a.test", {address_named("192.0.2.1")});
  names.server.alias("alias.test", "a.test");
  const Answer first = co_await look_up(names.resolver, "a.test", "192.0.2.1");
  const Answer again = co_await look_up(names.resolver, "a.test", "192.0.2.1");
  // Without memory to keep it an answer is still one.
  if (first.cached || (nothing_fails() && !again.cached)) throw Cut{"an answer that is kept"};
  const Answer aliased = co_await look_up(names.resolver, "alias.test", "192.0.2.1");
  if (aliased.canonical != "a.test") throw Cut{"the name behind an alias"};
}

Task<> use_tcp(World& world) {
  Names names(world.base);
  names.server.answer("long.test", {address_named("192.0.2.2")});
  names.server.fault("long.test", Fault::truncate);
  const Answer answer = co_await look_up(names.resolver, "long.test", "192.0.2.2");
  if (names.resolver.stats().tcp == 0) throw Cut{"a question over TCP"};
}

// The addresses of both families, in the order of how near they are.

Task<> use_both_families(World& world) {
  Names names(world.base);
  const Address v4 = address_named("127.0.0.1");
  const Address v6 = address_named("2001:db8::1");
  names.server.answer("both.test", {v4, v6});
  const Answer answer = co_await names.resolver.resolve("both.test", 80, Family::any);
  // One family may fail, or come too late.
  const bool is_whole = answer.addresses.size() == 2;
  for (const Address& address : answer.addresses) {
    if (address != v4 && address != v6) throw Cut{"the addresses of a name"};
  }
  if (answer.addresses.empty() || (nothing_fails() && !is_whole)) throw Cut{"both addresses"};
}

// Nobody listens where the first server should be.

Task<> use_next_server(World& world) {
  std::optional<dns::test::Server> gone(std::in_place, world.base);
  const Address nobody = gone->address();
  gone.reset();
  dns::test::Server server(world.base);
  server.answer("a.test", {address_named("192.0.2.3")});
  dns::Resolver resolver(world.base, options_for({nobody, server.address()}));
  const Answer answer = co_await look_up(resolver, "a.test", "192.0.2.3");
}

// Files: resolv.conf, which says where to search, and hosts, which says more than the server.

Task<> use_files(World& world) {
  const Path conf("resolv.conf");
  const Path hosts("hosts");
  conf.write("search sub.test\noptions ndots:1\n");
  hosts.write("192.0.2.4 box.test\n");
  dns::test::Server server(world.base);
  server.answer("www.sub.test", {address_named("192.0.2.5")});
  server.answer("box.test", {address_named("192.0.2.99")});
  dns::Options options = options_for({server.address()});
  options.resolv_conf = conf.text();
  options.hosts_file = hosts.text();
  dns::Resolver resolver(world.base, std::move(options));
  const Answer box = co_await look_up(resolver, "box.test", "192.0.2.4");
  const Answer www = co_await look_up(resolver, "www", "192.0.2.5");
  server.answer("www.other.test", {address_named("192.0.2.7")});
  conf.write("search other.test\n");
  hosts.write("192.0.2.6 box.test\n");
  for (int tries = 0;; ++tries) {
    resolver.reload();
    // While one cannot be read, what it said before holds.
    const Answer now = co_await resolver.resolve("box.test", 80, Family::v4);
    const Answer where = co_await resolver.resolve("www", 80, Family::v4);
    const bool is_new = now.addresses[0] == address_named("192.0.2.6") &&
                        where.addresses[0] == address_named("192.0.2.7");
    if (is_new) break;
    if (nothing_fails()) throw Cut{"what the files say"};
    const bool is_old = now.addresses[0] == address_named("192.0.2.4") ||
                        where.addresses[0] == address_named("192.0.2.5");
    if (!is_old) throw Cut{"what the files say"};
    if (tries == 3) break;
  }
}

// What needs no server.

Task<> use_literals(World& world) {
  dns::Resolver resolver(world.base, options_for({}));
  const Answer v4 = co_await look_up(resolver, "192.0.2.8", "192.0.2.8");
  const Answer v6 = co_await look_up(resolver, "[2001:db8::2]", "2001:db8::2", Family::v6);
  const Answer here = co_await look_up(resolver, "localhost", "127.0.0.1");
}

// Two ask for one name, and share a query; a third one has no time.

Task<> use_shared(World& world) {
  Names names(world.base);
  names.server.answer("shared.test", {address_named("192.0.2.9")});
  names.server.fault("shared.test", Fault::delay, -1, Family::any, 10ms);
  names.server.fault("silent.test", Fault::drop);
  co::Task<Answer> hasty = look_up(names.resolver, "silent.test", "192.0.2.10");
  const auto [one, other, none] =
      co_await co::when_all(look_up(names.resolver, "shared.test", "192.0.2.9"),
                            look_up(names.resolver, "shared.test", "192.0.2.9"),
                            co::try_with_timeout(5ms, std::move(hasty)));
  if (none) throw Cut{"a lookup that ends at its limit"};
  if (names.resolver.under_way() != 0) throw Cut{"a query that ends with its lookup"};
}

Task<> wait_for_no_answer(Journal& journal) {
  Base& base = co_await co::base();
  Names names(base);
  names.server.fault("silent.test", Fault::drop);
  const Answer answer = co_await names.resolver.resolve("silent.test", 80, Family::any);
  journal.miss("what waits to be dropped");
}

constexpr Part kDnsParts[] = {{"servers", use_servers},
                              {"TCP", use_tcp},
                              {"both families", use_both_families},
                              {"the next server", use_next_server},
                              {"files", use_files},
                              {"literals", use_literals},
                              {"shared queries", use_shared}};

}  // namespace

const Act& dns_act() noexcept {
  static constexpr Act kAct{kDnsParts, wait_for_no_answer};
  return kAct;
}

}  // namespace event_cpp::faults
