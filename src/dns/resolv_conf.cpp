#include "dns/resolv_conf.hpp"

#include <algorithm>
#include <charconv>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "dns/name.hpp"
#include "dns/words.hpp"

namespace event_cpp::dns::detail {
namespace {

constexpr std::size_t kMostServers = 8;
constexpr std::size_t kMostDomains = 32;
constexpr int kMostDots = 15;

void read_option(std::string_view option, ResolvConf& conf) {
  constexpr std::string_view kNdots = "ndots:";
  if (option == "rotate") conf.rotate = true;
  if (!option.starts_with(kNdots)) return;
  option.remove_prefix(kNdots.size());
  int dots = 0;
  const auto [end, error] = std::from_chars(option.data(), option.data() + option.size(), dots);
  const bool is_number = error == std::errc() && end == option.data() + option.size();
  if (is_number && dots >= 0) conf.ndots = std::min(dots, kMostDots);
}

// The last line counts.
void read_domains(const std::vector<std::string_view>& words, ResolvConf& conf) {
  conf.search.clear();
  const std::size_t most = words[0] == "domain" ? 2 : words.size();
  for (std::size_t i = 1; i < most && conf.search.size() < kMostDomains; ++i) {
    if (auto domain = parse_domain(words[i])) conf.search.push_back(std::move(*domain));
  }
}

}  // namespace

ResolvConf parse_resolv_conf(std::string_view text) {
  ResolvConf conf;
  while (!text.empty()) {
    const auto words = words_of(take_line(text), "#;");
    if (words.size() < 2) continue;
    if (words[0] == "nameserver") {
      const auto server = net::Address::parse(words[1], kPort);
      const bool is_good = server && server->is_ip() && server->port() != 0;
      if (is_good && conf.servers.size() < kMostServers) conf.servers.push_back(*server);
    } else if (words[0] == "search" || words[0] == "domain") {
      read_domains(words, conf);
    } else if (words[0] == "options") {
      for (std::size_t i = 1; i < words.size(); ++i) read_option(words[i], conf);
    }
  }
  return conf;
}

}  // namespace event_cpp::dns::detail
