// The servers, and which of them have failed.
#pragma once

#include <vector>

#include "event/net/address.hpp"
#include "event/time.hpp"

namespace event_cpp::dns::detail {

class Servers {
 public:
  // What is known of a server that stays is kept.
  void set(const std::vector<net::Address>& addresses);
  void forget_failures() noexcept;

  // Those that have not failed for a while first. `rotate` begins with another one each time.
  std::vector<net::Address> in_order(TimePoint now, bool rotate);

  void failed(const net::Address& address, TimePoint now) noexcept;
  void worked(const net::Address& address) noexcept;

 private:
  struct Server {
    net::Address address;
    TimePoint last_until = TimePoint::min();  // it is asked last until then
  };

  Server* find(const net::Address& address) noexcept;

  std::vector<Server> servers_;
  std::size_t turn_ = 0;
};

}  // namespace event_cpp::dns::detail
