#include "dns/random.hpp"

#include <unistd.h>
#if __has_include(<sys/random.h>)
#include <sys/random.h>  // for getentropy() on macOS; OpenBSD has no such header
#endif

#include <cerrno>
#include <system_error>

namespace event_cpp::dns::detail {

std::uint16_t random_id(Base& base) {
  constexpr std::uint32_t kIds = 0x10000;
  if (Order* const order = event_cpp::detail::order_of(base)) {
    return static_cast<std::uint16_t>(order->pick(kIds) % kIds);
  }
  std::uint16_t id = 0;
  if (::getentropy(&id, sizeof id) != 0) {
    throw std::system_error(errno, std::system_category(), "getentropy");
  }
  return id;
}

}  // namespace event_cpp::dns::detail
