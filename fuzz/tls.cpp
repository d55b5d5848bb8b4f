// TLS over memory: what arrives is what was sent, or an error.
#include "event/tls.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <memory>
#include <string>
#include <system_error>
#include <utility>

#include "event/tls/test.hpp"
#include "support/borrowed_stream.hpp"
#include "support/seeded_random.hpp"
#include "targets.hpp"

namespace event_cpp::fuzz {
namespace {

using test::Random;

struct Contexts {
  tls::test::Authority authority;
  tls::Context client = authority.trusting();
  tls::Server server{tls::Context::server(options())};

  tls::ServerOptions options() const {
    tls::ServerOptions options;
    options.names.push_back({{}, authority.issue({"localhost"})});
    return options;
  }
};

const Contexts& contexts() {
  static const Contexts instance;
  return instance;
}

constexpr int kTickets = 2;  // that a server sends

// The text that each end sends: a byte says where it stands.
char letter(std::size_t at) { return static_cast<char>('a' + at % 23); }

struct Way {
  std::size_t sent = 0;
  std::size_t received = 0;
  int messages = 0;  // besides data, that nobody has asked for
  bool ended = false;
};

// Passes bytes on until they end, and changes one now and then. Bytes for an end that has closed
// are dropped: who sends them need not be reading, and would wait for ever.
co::Task<> pass_on(net::Stream& from, net::Stream& to, Random& random, bool& changed) {
  std::array<char, 500> room{};
  bool lost = false;
  for (;;) {
    const std::size_t most = 1 + random.below(room.size());
    const std::size_t got = co_await from.read_some(net::Room(room).first(most));
    if (got == 0) break;
    if (!random.used_up() && random.below(64) == 1) {
      char& byte = room[random.below(got)];
      byte = static_cast<char>(byte ^ (1 << random.below(8)));
      changed = true;
    }
    if (!lost) {
      const std::error_code error = co_await to.try_write_all(net::Bytes(room.data(), got));
      lost = static_cast<bool>(error);
    }
  }
  co_await to.shutdown();
}

co::Task<> send(tls::Stream& stream, Random& random, Way& way) {
  std::string text;
  while (!random.used_up()) {
    switch (random.below(8)) {
      case 0:
        if (!random.one_in(2)) break;
        ++way.messages;
        stream.update_keys(random.one_in(2));
        break;
      case 1:
        co_await co::yield();
        break;
      default: {
        constexpr std::size_t kSizes[] = {1, 100, 1400, 16'384, 20'000};
        text.resize(1 + random.below(kSizes[random.below(std::size(kSizes))]));
        for (char& c : text) c = letter(way.sent++);
        co_await stream.write(text);
      }
    }
  }
  co_await stream.shutdown();
}

co::Task<> receive(tls::Stream& stream, Random& random, Way& way) {
  std::string room(70'000, '\0');
  for (;;) {
    const std::size_t size = 1 + random.below(random.one_in(2) ? 10 : room.size());
    const std::size_t got = co_await stream.read_some(net::Room(room).first(size));
    if (got == 0) break;
    for (std::size_t i = 0; i < got; ++i) {
      EXPECT_EQ(room[i], letter(way.received + i));
      if (room[i] != letter(way.received + i)) break;
    }
    way.received += got;
  }
  way.ended = true;
}

// Both directions of one end, as far as they come.
co::Task<> use(tls::Stream stream, Random& random, Way& out, Way& in) {
  Base& base = co_await co::base();
  co::TaskGroup directions(base);
  directions.spawn(send(stream, random, out));
  directions.spawn(receive(stream, random, in));
  co_await directions.join();
  co_await stream.close();
}

co::Task<> be_client(net::Stream& below, Random& random, Way& out, Way& in) {
  co::Task<tls::Stream> handshake =
      tls::client(std::make_unique<test::BorrowedStream>(below), contexts().client, "localhost");
  tls::Stream stream = co_await std::move(handshake);
  co::Task<> task = use(std::move(stream), random, out, in);
  co_await std::move(task);
}

co::Task<> be_server(net::Stream& below, Random& random, Way& out, Way& in) {
  co::Task<tls::Stream> handshake =
      tls::accept(std::make_unique<test::BorrowedStream>(below), contexts().server);
  tls::Stream stream = co_await std::move(handshake);
  co::Task<> task = use(std::move(stream), random, out, in);
  co_await std::move(task);
}

co::Task<> write_raw(net::Stream& stream, std::string text) {
  co_await stream.write(text);
  co_await stream.shutdown();
}

Options options_for(ManualTime& time) {
  Options options;
  options.backend = Backend::none;
  options.time = &time;
  return options;
}

// Failures are as good as the end.
std::error_code code_of(const std::exception_ptr& failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const std::system_error& error) {
    return error.code();
  }
}
void ignore(const std::exception_ptr& failure) { static_cast<void>(code_of(failure)); }

// No byte comes that was not sent, and the end is not told before all have come.
void check(const Way& way) {
  EXPECT_LE(way.received, way.sent);
  EXPECT_TRUE(!way.ended || way.received == way.sent);
}

void run_connection(Random& random) {
  ManualTime time;
  Base base(options_for(time));
  net::Memory left(base, 1 + random.below(2000));
  net::Memory right(base, 1 + random.below(2000));
  if (random.one_in(2)) left.at_most(1 + random.below(100));
  if (random.one_in(2)) right.delay(Duration(1000));
  Way to_server;
  Way to_client;
  to_client.messages = kTickets;
  bool changed = false;
  bool limited = false;
  co::TaskGroup tasks(base, [&](const std::exception_ptr& failure) {
    if (code_of(failure) == tls::Errc::too_many_updates) limited = true;
  });
  tasks.spawn(pass_on(left.b(), right.a(), random, changed));
  tasks.spawn(pass_on(right.a(), left.b(), random, changed));
  tasks.spawn(be_server(right.b(), random, to_client, to_server));
  tasks.spawn(be_client(left.a(), random, to_server, to_client));
  base.dispatch();
  EXPECT_EQ(tasks.size(), 0U);
  check(to_server);
  check(to_client);
  const int most = std::max(to_server.messages, to_client.messages);
  EXPECT_TRUE(!limited || most > tls::Limits().updates);
  if (changed || limited) return;
  EXPECT_TRUE(to_server.ended && to_client.ended);
}

void run_raw(Random& random, Bytes bytes) {
  ManualTime time;
  Base base(options_for(time));
  net::Memory memory(base);
  memory.at_most(1 + random.below(200));
  Way out;
  Way in;
  const bool is_server = random.one_in(2);
  co::TaskGroup tasks(base, &ignore);
  tasks.spawn(write_raw(memory.a(), std::string(bytes.begin(), bytes.end())));
  if (is_server) {
    tasks.spawn(be_server(memory.b(), random, out, in));
  } else {
    tasks.spawn(be_client(memory.b(), random, out, in));
  }
  base.dispatch();
  EXPECT_EQ(tasks.size(), 0U);
  EXPECT_EQ(in.received, 0U);
  EXPECT_FALSE(in.ended);
}

}  // namespace

void run_tls(Bytes bytes) {
  constexpr std::size_t kChoices = 8;  // of what bytes are for
  Random random(bytes);
  if (random.below(4) != 1) return run_connection(random);
  const Bytes choices = bytes.first(std::min(bytes.size(), kChoices));
  Random few(choices);
  run_raw(few, bytes.subspan(choices.size()));
}

}  // namespace event_cpp::fuzz
