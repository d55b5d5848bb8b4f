// The drivers of the random tests, which here take their choices from the bytes of a fuzzer.
#include "targets.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

#include "event/net.hpp"
#include "support/active_script.hpp"
#include "support/fd_script.hpp"
#include "support/loop_script.hpp"
#include "support/printing.hpp"
#include "support/seeded_random.hpp"
#include "support/task_script.hpp"
#include "support/timer_script.hpp"
#include "support/usable_backends.hpp"

namespace event_cpp::fuzz {

using test::Random;

void run_timer_queue(Bytes bytes) {
  Random random(bytes);
  const auto grid = static_cast<Duration::rep>(1 + random.below(40));
  test::TimerScript script(random, 1 + random.below(60), grid);
  while (!random.used_up()) {
    script.step();
    script.expect_agreement();
  }
  script.take_all();
  script.expect_agreement();
}

void run_active_queues(Bytes bytes) {
  Random random(bytes);
  constexpr std::size_t kFew = 30;
  constexpr std::size_t kMany = 300;  // the queues grow
  test::ActiveScript script(random, random.one_in(2) ? kFew : kMany);
  while (!random.used_up()) {
    script.step();
    script.expect_as_models();
  }
  script.pop_everything();
  script.expect_as_models();
}

void run_fd_table(Bytes bytes) {
  Random random(bytes);
  test::FdScript script(random, random.one_in(2));
  constexpr int kSteps = 50;  // between two looks at everything
  while (!random.used_up()) {
    for (int i = 0; i < kSteps && !random.used_up(); ++i) script.step();
    script.expect_calm();
  }
}

void run_loop(Bytes bytes) {
  static const char* const only = std::getenv("EVENT_FUZZ_BACKEND");
  for (const Backend backend : test::usable_backends()) {
    if (only != nullptr && to_string(backend) != only) continue;
    Random random(bytes);
    test::LoopScript script(backend, random);
    constexpr int kRuns = 300;
    const std::string wrong = script.run(kRuns);
    EXPECT_TRUE(wrong.empty()) << "on " << to_string(backend) << ", " << wrong;
  }
}

void run_tasks(Bytes bytes) {
  Random random(bytes);
  test::TaskScript script(Backend::none, random);
  constexpr int kChoices = 200;
  const std::string wrong = script.run(kChoices);
  EXPECT_TRUE(wrong.empty()) << "not so: " << wrong;
}

void run_address(Bytes bytes) {
  const std::string text(bytes.begin(), bytes.end());
  const std::optional<net::Address> address = net::Address::parse(text, 80);
  if (!address) return;
  const std::optional<net::Address> again = net::Address::parse(address->text(), 0);
  ASSERT_TRUE(again.has_value()) << address->text();
  EXPECT_EQ(*again, *address);
  EXPECT_EQ(again->text(), address->text());
  EXPECT_EQ(again->hash(), address->hash());
}

namespace {

// What is left of the text is what has not been read.
co::Task<> read_everything(Random& random, net::Buffered& io, std::string text) {
  std::string_view left = text;
  for (;;) {
    switch (random.below(4)) {
      case 0: {
        const std::optional<std::string_view> line = co_await io.read_line();
        if (!line.has_value()) {
          EXPECT_TRUE(left.empty());
          co_return;
        }
        const std::size_t end = left.find('\n');
        std::string_view expected = left.substr(0, end);
        left.remove_prefix(end == std::string_view::npos ? left.size() : end + 1);
        if (end != std::string_view::npos && expected.ends_with('\r')) expected.remove_suffix(1);
        EXPECT_EQ(*line, expected);
        break;
      }
      case 1: {
        const std::size_t count = random.below(20);
        if (count > left.size()) break;
        const std::string_view some = co_await io.read_exactly(count);
        EXPECT_EQ(some, left.substr(0, count));
        left.remove_prefix(count);
        break;
      }
      case 2: {
        const std::string_view delimiter = "ab";
        const std::size_t end = left.find(delimiter);
        if (end == std::string_view::npos) break;
        const std::string_view before = co_await io.read_until(delimiter);
        EXPECT_EQ(before, left.substr(0, end));
        left.remove_prefix(end + delimiter.size());
        break;
      }
      default: {
        const net::Chunk chunk = co_await io.receive();
        if (!chunk) {
          EXPECT_TRUE(left.empty());
          co_return;
        }
        EXPECT_TRUE(left.starts_with(chunk.text()));
        left.remove_prefix(std::min(left.size(), chunk.size()));
        break;
      }
    }
  }
}

co::Task<> write_everything(net::Stream& stream, std::string text) {
  co_await stream.write(text);
  co_await stream.shutdown();
}

}  // namespace

void run_buffered(Bytes bytes) {
  constexpr std::size_t kChoices = 64;  // bytes: the rest is the text
  const Bytes choices = bytes.first(std::min(bytes.size(), kChoices));
  const Bytes rest = bytes.subspan(choices.size());
  std::string text(rest.begin(), rest.end());
  if (text.size() > 4096) text.resize(4096);
  Random random(choices);
  ManualTime time;
  Options options;
  options.backend = Backend::none;
  options.time = &time;
  Base base(options);
  net::Memory memory(base, 1 + random.below(100));
  memory.at_most(1 + random.below(30));
  if (random.one_in(2)) memory.delay(Duration(1000));
  net::Buffered io(memory.b());
  co::TaskGroup tasks(base);
  tasks.spawn(write_everything(memory.a(), text));
  tasks.spawn(read_everything(random, io, text));
  base.dispatch();
  EXPECT_EQ(tasks.size(), 0U);
}

}  // namespace event_cpp::fuzz
