#include "event/net/stream.hpp"

#include <string>
#include <utility>

#include "net/callback_waiter.hpp"

namespace event_cpp::net {

std::error_code to_error(Io result) noexcept {
  if (result >= 0) return {};
  if (result <= -kOwnErrors) return static_cast<Errc>(-result - kOwnErrors);
  return {static_cast<int>(-result), std::system_category()};
}

void detail::throw_io(Io result, const char* what) {
  throw std::system_error(to_error(result), std::string("event::net: ") + what);
}

void Stream::on_ready(Want want, std::function<void()> f) {
  detail::set_callback(*this, want, std::move(f));
}

}  // namespace event_cpp::net
