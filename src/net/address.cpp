#include "event/net/address.hpp"

#include <arpa/inet.h>
#include <net/if.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <system_error>

namespace event_cpp::net {
namespace {

constexpr std::size_t kPathOffset = offsetof(sockaddr_un, sun_path);

[[noreturn]] void fail(std::errc code, const char* call) {
  throw std::system_error(std::make_error_code(code), call);
}

in_port_t checked_port(int port) {
  if (port < 0 || port > 0xffff) fail(std::errc::invalid_argument, "event::net::Address: port");
  return htons(static_cast<std::uint16_t>(port));
}

// The whole text as a number of at most `most`.
std::optional<std::uint32_t> number(std::string_view text, std::uint32_t most) {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value > most) return std::nullopt;
  return value;
}

bool has_ipv6() {
  static const bool has = [] {
    const int fd = ::socket(AF_INET6, SOCK_DGRAM, 0);
    if (fd < 0) return false;
    ::close(fd);
    return true;
  }();
  return has;
}

sockaddr_in ipv4(in_addr_t host, int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = checked_port(port);
  address.sin_addr.s_addr = host;
  return address;
}

sockaddr_in6 ipv6(const in6_addr& host, int port) {
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_port = checked_port(port);
  address.sin6_addr = host;
  return address;
}

// Addresses are compared as bytes: no padding, no flow label, no length as BSD has it.
void only_what_tells_apart(sockaddr_in& address) {
  sockaddr_in copy{};
  copy.sin_family = address.sin_family;
  copy.sin_port = address.sin_port;
  copy.sin_addr = address.sin_addr;
  address = copy;
}
void only_what_tells_apart(sockaddr_in6& address) {
  sockaddr_in6 copy{};
  copy.sin6_family = address.sin6_family;
  copy.sin6_port = address.sin6_port;
  copy.sin6_addr = address.sin6_addr;
  copy.sin6_scope_id = address.sin6_scope_id;
  address = copy;
}

template <class T>
Address made_of(const T& address) {
  return *Address::from(reinterpret_cast<const sockaddr*>(&address), sizeof address);
}

std::optional<Address> parse_ipv4(std::string_view host, int port) {
  const std::string text(host);
  in_addr parsed{};
  if (::inet_pton(AF_INET, text.c_str(), &parsed) != 1) return std::nullopt;
  return made_of(ipv4(parsed.s_addr, port));
}

std::optional<Address> parse_ipv6(std::string_view host, int port) {
  const std::size_t percent = host.find('%');
  const std::string text(host.substr(0, percent));
  in6_addr parsed{};
  if (text.size() != std::min(percent, host.size()) ||
      ::inet_pton(AF_INET6, text.c_str(), &parsed) != 1) {
    return std::nullopt;
  }
  sockaddr_in6 address = ipv6(parsed, port);
  if (percent != std::string_view::npos) {
    const std::string scope(host.substr(percent + 1));
    const std::optional<std::uint32_t> index = number(scope, 0xffffffff);
    address.sin6_scope_id = index ? *index : ::if_nametoindex(scope.c_str());
    if (address.sin6_scope_id == 0) return std::nullopt;
  }
  return made_of(address);
}

// Whether it is @..., ./@..., ././@... and so on. text() puts "./" in front of such a path, since
// unix:@... is an abstract name, and parse() removes it again.
bool is_like_abstract(std::string_view path) {
  while (path.starts_with("./")) path.remove_prefix(2);
  return path.starts_with('@');
}

std::optional<Address> parse_unix(std::string_view path) {
  const bool abstract = path.starts_with('@');
  if (!abstract && is_like_abstract(path)) path.remove_prefix(2);
  try {
    return abstract ? Address::unix_abstract(path.substr(1)) : Address::unix_path(path);
  } catch (const std::system_error&) {
    return std::nullopt;
  }
}

}  // namespace

Address Address::any(int port) {
  return has_ipv6() ? made_of(ipv6(in6addr_any, port)) : any_ipv4(port);
}
Address Address::any_ipv4(int port) { return made_of(ipv4(htonl(INADDR_ANY), port)); }
Address Address::loopback(int port) { return made_of(ipv4(htonl(INADDR_LOOPBACK), port)); }
Address Address::loopback_ipv6(int port) { return made_of(ipv6(in6addr_loopback, port)); }

Address Address::unix_path(std::string_view path) {
  if (path.size() > max_path())
    fail(std::errc::filename_too_long, "event::net::Address::unix_path");
  if (path.empty() || path.find('\0') != std::string_view::npos) {
    fail(std::errc::invalid_argument, "event::net::Address::unix_path");
  }
  Address address;
  address.storage_.local = {};
  address.storage_.local.sun_family = AF_UNIX;
  std::memcpy(address.storage_.local.sun_path, path.data(), path.size());
  address.size_ = static_cast<socklen_t>(kPathOffset + path.size() + 1);
  return address;
}

Address Address::unix_abstract(std::string_view name) {
#ifdef __linux__
  if (name.size() > max_path()) {
    fail(std::errc::filename_too_long, "event::net::Address::unix_abstract");
  }
  Address address;
  address.storage_.local = {};
  address.storage_.local.sun_family = AF_UNIX;
  std::memcpy(address.storage_.local.sun_path + 1, name.data(), name.size());
  address.size_ = static_cast<socklen_t>(kPathOffset + 1 + name.size());
  return address;
#else
  static_cast<void>(name);
  fail(std::errc::not_supported, "event::net::Address::unix_abstract");
#endif
}

std::optional<Address> Address::parse(std::string_view text, int port) {
  static_cast<void>(checked_port(port));
  const bool is_abstract = text.starts_with("unix:@");  // whose name may have any bytes
  if (!is_abstract && text.find('\0') != std::string_view::npos) return std::nullopt;
  if (text.starts_with("unix:")) return parse_unix(text.substr(5));
  if (text.starts_with('[')) {
    const std::size_t end = text.find(']');
    if (end == std::string_view::npos) return std::nullopt;
    const std::string_view after = text.substr(end + 1);
    if (!after.empty()) {
      const auto given = after.starts_with(':') ? number(after.substr(1), 0xffff) : std::nullopt;
      if (!given) return std::nullopt;
      port = static_cast<int>(*given);
    }
    return parse_ipv6(text.substr(1, end - 1), port);
  }
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos) return parse_ipv4(text, port);
  if (text.find(':', colon + 1) != std::string_view::npos) return parse_ipv6(text, port);
  const auto given = number(text.substr(colon + 1), 0xffff);
  if (!given) return std::nullopt;
  return parse_ipv4(text.substr(0, colon), static_cast<int>(*given));
}

std::optional<Address> Address::from(const sockaddr* address, socklen_t size) noexcept {
  Address result;
  if (size < offsetof(sockaddr, sa_data) || size > sizeof result.storage_) return std::nullopt;
  switch (address->sa_family) {
    case AF_INET:
      if (size < sizeof(sockaddr_in)) return std::nullopt;
      std::memcpy(&result.storage_.ipv4, address, sizeof(sockaddr_in));
      only_what_tells_apart(result.storage_.ipv4);
      result.size_ = sizeof(sockaddr_in);
      return result;
    case AF_INET6:
      if (size < sizeof(sockaddr_in6)) return std::nullopt;
      std::memcpy(&result.storage_.ipv6, address, sizeof(sockaddr_in6));
      only_what_tells_apart(result.storage_.ipv6);
      result.size_ = sizeof(sockaddr_in6);
      return result;
    case AF_UNIX:
      std::memcpy(&result.storage_, address, size);
      result.size_ = size;
      return result;
    default:
      return std::nullopt;
  }
}

std::string Address::host() const {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (family() == AF_INET) {
    return ::inet_ntop(AF_INET, &storage_.ipv4.sin_addr, text.data(), text.size());
  }
  if (family() != AF_INET6) return {};
  std::string host = ::inet_ntop(AF_INET6, &storage_.ipv6.sin6_addr, text.data(), text.size());
  const std::uint32_t scope = storage_.ipv6.sin6_scope_id;
  return scope == 0 ? host : host + '%' + std::to_string(scope);
}

std::string Address::text() const {
  switch (family()) {
    case AF_INET:
      return host() + ':' + std::to_string(port());
    case AF_INET6:
      return '[' + host() + "]:" + std::to_string(port());
    case AF_UNIX: {
      const char* const begin = is_abstract()              ? "unix:@"
                                : is_like_abstract(path()) ? "unix:./"
                                                           : "unix:";
      return begin + std::string(path());
    }
    default:
      return {};
  }
}

Address Address::unmapped() const {
  if (family() != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&storage_.ipv6.sin6_addr)) return *this;
  in_addr_t host = 0;
  std::memcpy(&host, &storage_.ipv6.sin6_addr.s6_addr[12], sizeof host);
  return made_of(ipv4(host, port()));
}

bool Address::is_loopback() const noexcept {
  if (family() == AF_INET) return (ntohl(storage_.ipv4.sin_addr.s_addr) >> 24) == 127;
  return family() == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&storage_.ipv6.sin6_addr);
}

int Address::port() const noexcept {
  if (family() == AF_INET) return ntohs(storage_.ipv4.sin_port);
  return family() == AF_INET6 ? ntohs(storage_.ipv6.sin6_port) : 0;
}

Address Address::with_port(int port) const {
  Address address = *this;
  const in_port_t checked = checked_port(port);
  if (family() == AF_INET) address.storage_.ipv4.sin_port = checked;
  if (family() == AF_INET6) address.storage_.ipv6.sin6_port = checked;
  return address;
}

bool Address::is_abstract() const noexcept {
  return is_unix() && size_ > kPathOffset && storage_.local.sun_path[0] == '\0';
}

std::string_view Address::path() const noexcept {
  if (!is_unix() || size_ <= kPathOffset) return {};
  const std::size_t room = size_ - kPathOffset;
  if (is_abstract()) return {storage_.local.sun_path + 1, room - 1};
  return {storage_.local.sun_path, ::strnlen(storage_.local.sun_path, room)};
}

// What tells addresses apart, as bytes.
std::string_view Address::key() const noexcept {
  if (is_unix()) return path();
  return {reinterpret_cast<const char*>(&storage_), size_};
}

bool operator==(const Address& a, const Address& b) noexcept { return std::is_eq(a <=> b); }

std::strong_ordering operator<=>(const Address& a, const Address& b) noexcept {
  if (const auto by_family = a.family() <=> b.family(); std::is_neq(by_family)) return by_family;
  if (a.is_abstract() != b.is_abstract()) {
    return b.is_abstract() ? std::strong_ordering::less : std::strong_ordering::greater;
  }
  return a.key() <=> b.key();
}

std::size_t Address::hash() const noexcept { return std::hash<std::string_view>()(key()); }

}  // namespace event_cpp::net
