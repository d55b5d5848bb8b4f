// Stages that are connected by channels. One task makes numbers, several square them beside each
// other, and one adds the squares. A full channel makes its senders wait, so a fast stage never
// runs far ahead of a slow one. Each stage closes its channel at its end, which ends the next
// stage.
//
// Try it:   pipeline --count 100 --workers 4

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <event/co.hpp>
#include <event/event.hpp>
#include <exception>
#include <iostream>
#include <optional>
#include <tuple>

#include "support/command_line.hpp"

namespace {

namespace co = event::co;
using namespace std::chrono_literals;
using Numbers = co::Channel<std::uint64_t>;

constexpr std::size_t kCapacity = 4;

co::Task<> count_to(std::size_t count, Numbers& out) {
  for (std::uint64_t n = 1; n <= count; ++n) co_await out.send(n);
  out.close();
}

co::Task<> square(Numbers& in, Numbers& out) {
  while (const std::optional<std::uint64_t> n = co_await in.receive()) {
    co_await co::sleep(1ms);  // as if it were work
    co_await out.send(*n * *n);
  }
}

// A channel with several senders is closed by the one who waits for all of them.
co::Task<> square_all(std::size_t workers, Numbers& in, Numbers& out) {
  event::Base& base = co_await co::base();
  co::TaskGroup group(base, "squares");
  for (std::size_t i = 0; i < workers; ++i) group.spawn(square(in, out));
  co_await group.join();
  out.close();
}

co::Task<std::uint64_t> add(Numbers& in) {
  std::uint64_t sum = 0;
  while (const std::optional<std::uint64_t> n = co_await in.receive()) sum += *n;
  co_return sum;
}

// If one stage fails, the others are cancelled, and this throws what that one threw.
co::Task<std::uint64_t> sum_of_squares(std::size_t count, std::size_t workers) {
  Numbers numbers(kCapacity);
  Numbers squares(kCapacity);
  const auto results = co_await co::when_all(count_to(count, numbers),
                                             square_all(workers, numbers, squares), add(squares));
  co_return std::get<2>(results);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    support::CommandLine command_line("Adds the squares of the numbers from 1 on.");
    std::size_t count = 100;
    std::size_t workers = 4;
    command_line.add_number("--count", count, "Add so many squares", 0, 1'000'000);
    command_line.add_number("--workers", workers, "Square so many at once", 1, 1'000);
    if (const auto exit_code = command_line.parse(argc, argv)) return *exit_code;

    event::Base base;
    std::cout << "sum: " << co::run(base, sum_of_squares(count, workers)) << std::endl;
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "pipeline: " << error.what() << std::endl;
    return 1;
  }
}
