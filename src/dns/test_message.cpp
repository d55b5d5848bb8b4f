#include "dns/test_message.hpp"

#include "dns/order.hpp"

namespace event_cpp::dns::test {
namespace {

constexpr std::uint16_t kOptions = 41;
constexpr std::size_t kHeader = 12;
constexpr std::uint16_t kOurSize = 1232;

void put16(std::string& to, std::size_t value) {
  to += static_cast<char>(value >> 8 & 0xff);
  to += static_cast<char>(value & 0xff);
}
void put32(std::string& to, std::uint32_t value) {
  put16(to, value >> 16);
  put16(to, value & 0xffff);
}
std::uint16_t u16(std::string_view from, std::size_t at) {
  return static_cast<std::uint16_t>(static_cast<unsigned char>(from[at]) << 8 |
                                    static_cast<unsigned char>(from[at + 1]));
}

void put(std::string& to, const Entry& entry) {
  to += write_name(entry.owner);
  put16(to, entry.type);
  put16(to, 1);
  put32(to, entry.ttl);
  put16(to, entry.data.size());
  to += entry.data;
}

}  // namespace

std::optional<Asked> parse_query(net::Bytes bytes) {
  const std::string_view message = bytes.text();
  if (message.size() < kHeader || u16(message, 4) != 1) return std::nullopt;
  Asked asked;
  asked.id = u16(message, 0);
  std::size_t at = kHeader;
  for (;;) {
    if (at >= message.size()) return std::nullopt;
    const std::size_t length = static_cast<unsigned char>(message[at++]);
    if (length == 0) break;
    if (at + length > message.size()) return std::nullopt;
    if (!asked.name.empty()) asked.name += '.';
    asked.name += message.substr(at, length);
    at += length;
  }
  if (at + 4 > message.size()) return std::nullopt;
  asked.type = u16(message, at);
  at += 4;
  const bool has_options =
      u16(message, 10) == 1 && at + 5 <= message.size() && u16(message, at + 1) == kOptions;
  if (has_options) asked.edns_size = u16(message, at + 3);
  return asked;
}

std::string write_reply(const Said& said) {
  std::string message;
  put16(message, said.id);
  put16(message, 0x8180U | (said.truncated ? 0x0200U : 0U) | (said.code & 0xf));
  put16(message, 1);
  put16(message, said.answers.size());
  put16(message, said.authorities.size());
  put16(message, said.edns ? 1 : 0);
  message += write_name(said.name);
  put16(message, said.type);
  put16(message, 1);
  for (const Entry& entry : said.answers) put(message, entry);
  for (const Entry& entry : said.authorities) put(message, entry);
  if (said.edns) {
    message += '\0';
    put16(message, kOptions);
    put16(message, kOurSize);
    put32(message, said.code >> 4 << 24);
    put16(message, 0);
  }
  return message;
}

std::string write_name(std::string_view name) {
  std::string written;
  while (!name.empty()) {
    const std::string_view label = name.substr(0, name.find('.'));
    written += static_cast<char>(label.size());
    written += label;
    name.remove_prefix(label.size());
    if (!name.empty()) name.remove_prefix(1);
  }
  return written + '\0';
}

std::string write_address(const net::Address& address) {
  const detail::Ip ip = detail::Ip::of(address);
  return {ip.bytes.begin(), ip.bytes.begin() + (ip.is_v6 ? 16 : 4)};
}

std::string write_authority(std::uint32_t negative_ttl) {
  std::string data = write_name("ns.test") + write_name("admin.test");
  for (const std::uint32_t number : {1U, 3600U, 600U, 86400U, negative_ttl}) put32(data, number);
  return data;
}

}  // namespace event_cpp::dns::test
