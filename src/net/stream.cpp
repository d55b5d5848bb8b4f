#include "event/net/stream.hpp"

#include <array>
#include <atomic>
#include <cerrno>
#include <stdexcept>
#include <string>
#include <utility>

#include "net/callback_waiter.hpp"

namespace event_cpp::net {
namespace {

constexpr Io kCodes = 0x10000;  // for each category

// Filled from the front.
constinit std::array<std::atomic<const std::error_category*>, 8> categories{};

}  // namespace

Io register_errors(const std::error_category& category) {
  for (std::size_t i = 0; i < categories.size(); ++i) {
    const std::error_category* found = nullptr;
    if (categories[i].compare_exchange_strong(found, &category) || *found == category)
      return kOtherErrors + static_cast<Io>(i) * kCodes;
  }
  throw std::length_error("event::net: too many categories of errors");
}

std::error_code to_error(Io result) noexcept {
  if (result >= 0) return {};
  if (result <= -kOtherErrors) {
    const auto index = static_cast<std::size_t>((-result - kOtherErrors) / kCodes);
    const std::error_category* const category =
        index < categories.size() ? categories[index].load() : nullptr;
    const auto value = static_cast<int>((-result - kOtherErrors) % kCodes);
    return {value, category != nullptr ? *category : std::generic_category()};
  }
  if (result <= -kOwnErrors) return static_cast<Errc>(-result - kOwnErrors);
  return {static_cast<int>(-result), std::system_category()};
}

void detail::throw_io(Io result, const char* what) {
  throw std::system_error(to_error(result), std::string("event::net: ") + what);
}

void Stream::throw_error(Io error, const char* what) const { detail::throw_io(error, what); }

void Stream::on_ready(Want want, std::function<void()> f) {
  // Nothing would end the calls on a closed stream. Reading into no room makes no system call.
  if (try_read(Room()) == -EBADF) return;
  detail::set_callback(*this, want, std::move(f));
}

}  // namespace event_cpp::net
