// hosts(5).
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "event/net/address.hpp"

namespace event_cpp::dns::detail {

class Hosts {
 public:
  struct Host {
    std::string canonical;  // the first name of its first line
    std::vector<net::Address> addresses;
  };

  Hosts() = default;
  explicit Hosts(std::string_view text);

  // By the name in lower case. Null if it is not there.
  const Host* find(const std::string& name) const;

 private:
  std::unordered_map<std::string, Host> hosts_;
};

}  // namespace event_cpp::dns::detail
