#include "dns/hosts.hpp"

#include <algorithm>

#include "dns/name.hpp"
#include "dns/words.hpp"

namespace event_cpp::dns::detail {

Hosts::Hosts(std::string_view text) {
  while (!text.empty()) {
    const auto words = words_of(take_line(text), "#");
    if (words.size() < 2) continue;
    const auto address = literal(words[0], 0);
    if (!address) continue;
    std::string canonical;  // the first name that is one
    for (std::size_t i = 1; i < words.size(); ++i) {
      const auto name = parse_host_name(words[i]);
      if (!name) continue;
      if (canonical.empty()) canonical = name->text;
      Host& host = hosts_[name->text];
      if (host.canonical.empty()) host.canonical = canonical;
      auto& all = host.addresses;
      if (std::find(all.begin(), all.end(), *address) == all.end()) all.push_back(*address);
    }
  }
}

const Hosts::Host* Hosts::find(const std::string& name) const {
  const auto found = hosts_.find(name);
  return found != hosts_.end() ? &found->second : nullptr;
}

}  // namespace event_cpp::dns::detail
