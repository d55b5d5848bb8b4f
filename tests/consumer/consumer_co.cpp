// Uses something of the coroutines. Exit status 0 if it works.
#include <cstdio>
#include <event/co.hpp>
#include <event/manual_time.hpp>
#include <optional>

namespace co = event::co;
using namespace std::chrono_literals;

namespace {

co::Task<> count(co::Channel<int>& numbers) {
  for (int i = 1; i <= 3; ++i) {
    co_await co::sleep(1h);
    co_await numbers.send(i);
  }
  numbers.close();
}

co::Task<int> sum() {
  event::Base& base = co_await co::base();
  co::Channel<int> numbers(1);
  co::TaskGroup group(base);
  group.spawn(count(numbers));
  int total = 0;
  for (;;) {
    const std::optional<int> number = co_await numbers.receive();
    if (!number) break;
    total += *number;
  }
  co_await group.join();
  co_return total;
}

}  // namespace

int main() {
  event::ManualTime time;
  event::Base base({.time = &time});
  const bool works = co::run(base, sum()) == 6;
  std::printf("%s\n", works ? "works" : "does not work");
  return works ? 0 : 1;
}
