#include "dns/name.hpp"

#include <algorithm>

namespace event_cpp::dns::detail {
namespace {

// Not by the locale.
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_hex_digit(char c) { return is_digit(c) || (c >= 'a' && c <= 'f'); }
char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }
bool is_host_character(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'z') || c == '-' || c == '_';
}

std::string in_lower_case(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(), lower);
  return result;
}

bool has_good_labels(std::string_view name) {
  if (name.empty() || name.size() > kLongestName) return false;
  std::size_t length = 0;
  for (const char c : name) {
    if (c == '.') {
      if (length == 0) return false;
      length = 0;
      continue;
    }
    if (!is_host_character(c) || ++length > kLongestLabel) return false;
  }
  return length > 0;
}

// Such a name is meant as an IPv4 address, in a form that is none: 1.2, 0x7f.1, 300.1.1.1.
bool ends_in_number(std::string_view name) {
  const std::string_view last = name.substr(name.rfind('.') + 1);
  if (std::all_of(last.begin(), last.end(), is_digit)) return true;
  return last.starts_with("0x") && std::all_of(last.begin() + 2, last.end(), is_hex_digit);
}

bool is_in_domain(std::string_view name, std::string_view domain) {
  if (!name.ends_with(domain)) return false;
  return name.size() == domain.size() || name[name.size() - domain.size() - 1] == '.';
}

void add(std::vector<std::string>& names, std::string name) {
  if (name.size() > kLongestName) return;
  if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(std::move(name));
}

}  // namespace

std::optional<net::Address> literal(std::string_view text, int port) {
  // Most are names, and seen to be none of these by their end.
  const bool has_colon = text.find(':') != std::string_view::npos;
  if (!has_colon && (text.empty() || !is_digit(text.back()))) return std::nullopt;
  if (text.starts_with("unix:")) return std::nullopt;
  if (text.starts_with('[')) {
    if (!text.ends_with(']')) return std::nullopt;
  } else if (std::count(text.begin(), text.end(), ':') == 1) {
    return std::nullopt;  // an address with a port
  }
  return net::Address::parse(text, port);
}

std::optional<HostName> parse_host_name(std::string_view text) {
  HostName host;
  host.absolute = text.ends_with('.');
  if (host.absolute) text.remove_suffix(1);
  host.text = in_lower_case(text);
  if (!has_good_labels(host.text) || ends_in_number(host.text)) return std::nullopt;
  return host;
}

std::optional<std::string> parse_domain(std::string_view text) {
  if (text.starts_with('.')) text.remove_prefix(1);
  if (text.ends_with('.')) text.remove_suffix(1);
  std::string domain = in_lower_case(text);
  if (!domain.empty() && !has_good_labels(domain)) return std::nullopt;
  return domain;
}

bool is_localhost(std::string_view name) { return is_in_domain(name, "localhost"); }
bool is_onion(std::string_view name) { return is_in_domain(name, "onion"); }

std::vector<std::string> names_to_ask(HostName host, const std::vector<std::string>& search,
                                      int ndots) {
  std::vector<std::string> names;
  const auto dots = std::count(host.text.begin(), host.text.end(), '.');
  const bool is_first = host.absolute || dots >= ndots;
  if (is_first && (host.absolute || search.empty())) {
    names.push_back(std::move(host.text));
    return names;
  }
  if (is_first) names.push_back(host.text);
  for (const std::string& domain : search) {
    add(names, domain.empty() ? host.text : host.text + '.' + domain);
  }
  if (!is_first) add(names, host.text);
  return names;
}

}  // namespace event_cpp::dns::detail
