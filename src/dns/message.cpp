#include "dns/message.hpp"

#include <ares.h>

#include <algorithm>
#include <memory>
#include <optional>

#include "dns/fail.hpp"
#include "dns/name.hpp"

namespace event_cpp::dns::detail {
namespace {

constexpr std::uint16_t kInternet = 1;
constexpr std::uint16_t kAlias = 5;
constexpr std::uint16_t kStartOfAuthority = 6;
constexpr std::uint16_t kOptions = 41;
constexpr std::size_t kHeader = 12;

constexpr std::uint8_t kFormatError = 1;
constexpr std::uint8_t kNoSuchName = 3;
constexpr std::uint8_t kNotImplemented = 4;
constexpr unsigned kBadVersion = 16;

// Walks through a message. After a read that failed, ok() is false and all reads return zeros.
class Reader {
 public:
  explicit Reader(net::Bytes message) noexcept : bytes_(message) {}

  bool ok() const noexcept { return ok_; }
  std::size_t position() const noexcept { return at_; }
  std::size_t left() const noexcept { return bytes_.size() - at_; }
  void seek(std::size_t position) noexcept { at_ = position; }
  void skip(std::size_t count) noexcept {
    if (count > left()) return give_up();
    at_ += count;
  }

  std::uint8_t u8() noexcept {
    if (!ok_ || left() < 1) {
      give_up();
      return 0;
    }
    return static_cast<std::uint8_t>(bytes_[at_++]);
  }
  std::uint16_t u16() noexcept {
    const std::uint16_t high = u8();
    return static_cast<std::uint16_t>(high << 8 | u8());
  }
  std::uint32_t u32() noexcept {
    const std::uint32_t high = u16();
    return high << 16 | u16();
  }

  // In lower case.
  std::string name() {
    if (!ok_ || !is_short_name()) {
      give_up();
      return {};
    }
    const auto* const start = reinterpret_cast<const unsigned char*>(bytes_.data());
    char* text = nullptr;
    long size = 0;
    const int status =
        ares_expand_name(start + at_, start, static_cast<int>(bytes_.size()), &text, &size);
    if (status == ARES_ENOMEM) throw std::bad_alloc();
    if (status != ARES_SUCCESS || static_cast<std::size_t>(size) > left()) {
      give_up();
      return {};
    }
    const std::unique_ptr<char, decltype(&ares_free_string)> owned(text, &ares_free_string);
    at_ += static_cast<std::size_t>(size);
    std::string result(text);
    std::transform(result.begin(), result.end(), result.begin(), [](char c) {
      return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    });
    return result;
  }

 private:
  void give_up() noexcept { ok_ = false; }

  // A name may be scattered over the message, and c-ares follows it however long it is: for each of
  // many records that is seconds of work on a message of 64 KiB.
  bool is_short_name() const noexcept {
    constexpr int kMostPointers = 32;
    constexpr std::size_t kMostBytes = 255;
    std::size_t at = at_;
    std::size_t size = 1;
    for (int pointers = 0; at < bytes_.size();) {
      const auto length = static_cast<std::uint8_t>(bytes_[at]);
      if (length == 0) return true;
      if ((length & 0xc0) != 0xc0) {
        at += std::size_t{1} + length;
        size += std::size_t{1} + length;
        if (size > kMostBytes) return false;
      } else {
        if (++pointers > kMostPointers || at + 1 >= bytes_.size()) return false;
        at = static_cast<std::size_t>((length & 0x3f) << 8) |
             static_cast<std::uint8_t>(bytes_[at + 1]);
      }
    }
    return false;
  }

  net::Bytes bytes_;
  std::size_t at_ = 0;
  bool ok_ = true;
};

struct Header {
  std::uint16_t id;
  std::uint16_t flags;
  std::uint16_t questions;
  std::uint16_t answers;
  std::uint16_t authorities;
  std::uint16_t additional;

  bool is_response() const { return (flags & 0x8000) != 0 && (flags & 0x7800) == 0; }
  bool is_truncated() const { return (flags & 0x0200) != 0; }
  std::uint8_t code() const { return flags & 0xf; }
};

Header read_header(Reader& reader) {
  Header header{};
  header.id = reader.u16();
  header.flags = reader.u16();
  header.questions = reader.u16();
  header.answers = reader.u16();
  header.authorities = reader.u16();
  header.additional = reader.u16();
  return header;
}

struct Record {
  std::string owner;
  std::uint16_t type = 0;
  std::uint16_t record_class = 0;
  std::uint32_t ttl = 0;
  std::size_t data = 0;  // where it is
  std::size_t size = 0;
};

Record read_record(Reader& reader) {
  Record record;
  record.owner = reader.name();
  record.type = reader.u16();
  record.record_class = reader.u16();
  record.ttl = reader.u32();
  const bool is_time = record.type != kOptions;
  if (is_time && record.ttl > 0x7fffffff) record.ttl = 0;  // RFC 2181, section 8
  record.size = reader.u16();
  record.data = reader.position();
  reader.skip(record.size);
  return record;
}

// Nothing if one is malformed.
std::optional<std::vector<Record>> read_records(Reader& reader, std::size_t count) {
  std::vector<Record> records;
  if (count > kMostRecords) return std::nullopt;
  for (std::size_t i = 0; i < count; ++i) {
    Record record = read_record(reader);
    if (!reader.ok()) return std::nullopt;
    if (record.record_class == kInternet) records.push_back(std::move(record));
  }
  return records;
}

// The code of the header with the bits that EDNS adds: RFC 6891, section 6.1.3. `reader` stands
// behind the answers.
unsigned whole_code(const Header& header, Reader reader) {
  const std::size_t count = std::size_t{header.authorities} + header.additional;
  for (std::size_t i = 0; i < std::min(count, kMostRecords); ++i) {
    const Record record = read_record(reader);
    if (!reader.ok()) break;
    if (i < header.authorities || record.type != kOptions) continue;
    return (record.ttl >> 24 << 4) | header.code();
  }
  return header.code();
}

// The addresses of the name, at the end of a chain of aliases; or Errc::no_address.
Reply find_addresses(net::Bytes message, const std::vector<Record>& answers, std::string name,
                     Type type) {
  Reply reply;
  std::uint32_t ttl = 0x7fffffff;
  for (int aliases = 0;; ++aliases) {
    const auto alias = std::find_if(answers.begin(), answers.end(), [&](const Record& record) {
      return record.type == kAlias && record.owner == name;
    });
    if (alias == answers.end()) break;
    if (aliases == kMostAliases) return failed(Errc::bad_answer);
    Reader reader(message);
    reader.seek(alias->data);
    name = reader.name();
    const bool fits = reader.ok() && reader.position() == alias->data + alias->size;
    if (!fits || !parse_host_name(name)) return failed(Errc::bad_answer);
    ttl = std::min(ttl, alias->ttl);
  }
  const std::size_t size = type == Type::aaaa ? 16 : 4;
  for (const Record& record : answers) {
    if (record.type != static_cast<std::uint16_t>(type) || record.owner != name) continue;
    if (record.size != size) return failed(Errc::bad_answer);
    ttl = std::min(ttl, record.ttl);
    if (reply.addresses.size() == kMostAddresses) continue;
    Ip ip;
    ip.is_v6 = type == Type::aaaa;
    std::copy_n(message.begin() + static_cast<std::ptrdiff_t>(record.data), size, ip.bytes.begin());
    reply.addresses.push_back(ip);
  }
  reply.canonical = std::move(name);
  reply.ttl = std::chrono::seconds(ttl);
  if (reply.addresses.empty()) reply.error = Errc::no_address;
  return reply;
}

bool is_not_understood(const Header& header) noexcept {
  return header.code() == kFormatError || header.code() == kNotImplemented;
}

bool repeats_question(const Header& header, Reader& reader, const std::string& name, Type type) {
  // Servers that know nothing of EDNS may leave out the question that they did not understand.
  if (header.questions == 0) return is_not_understood(header);
  if (header.questions != 1) return false;
  const std::string asked = reader.name();
  const std::uint16_t asked_type = reader.u16();
  const std::uint16_t asked_class = reader.u16();
  return reader.ok() && asked == name && asked_type == static_cast<std::uint16_t>(type) &&
         asked_class == kInternet;
}

// For how long it may be kept that something does not exist: RFC 2308, section 5. Zero if the
// message does not say.
std::chrono::seconds negative_ttl(net::Bytes message, Reader& reader, std::size_t authorities) {
  const auto records = read_records(reader, authorities);
  if (!records) return {};
  for (const Record& record : *records) {
    constexpr std::size_t kNumbers = 20;  // behind two names
    if (record.type != kStartOfAuthority || record.size < kNumbers + 2) continue;
    Reader minimum(message);
    minimum.seek(record.data + record.size - 4);
    return std::chrono::seconds(std::min(record.ttl, minimum.u32()));
  }
  return {};
}

}  // namespace

std::string make_query(const std::string& name, Type type, std::uint16_t id, int edns_size) {
  unsigned char* buffer = nullptr;
  int size = 0;
  const int status = ares_create_query(name.c_str(), kInternet, static_cast<int>(type), id, 1,
                                       &buffer, &size, edns_size);
  if (status == ARES_ENOMEM) throw std::bad_alloc();
  if (status != ARES_SUCCESS) fail(Errc::bad_name, name);
  const std::unique_ptr<unsigned char, decltype(&ares_free_string)> owned(buffer,
                                                                          &ares_free_string);
  return {reinterpret_cast<const char*>(buffer), static_cast<std::size_t>(size)};
}

Reply parse_reply(net::Bytes message, const std::string& name, Type type, std::uint16_t id) {
  Reply not_ours;
  not_ours.kind = Reply::Kind::not_ours;
  if (message.size() < kHeader) return not_ours;
  Reader reader(message);
  const Header header = read_header(reader);
  if (header.id != id || !header.is_response()) return not_ours;
  if (!repeats_question(header, reader, name, type)) return not_ours;
  if (is_not_understood(header)) {
    Reply reply = failed(Errc::server_failed);
    reply.kind = Reply::Kind::not_understood;
    return reply;
  }
  if (header.is_truncated()) {
    Reply reply;
    reply.kind = Reply::Kind::truncated;
    return reply;
  }
  if (header.code() != 0 && header.code() != kNoSuchName) return failed(Errc::server_failed);
  const auto answers = read_records(reader, header.answers);
  if (!answers) return failed(Errc::bad_answer);
  Reply reply;
  if (header.answers == 0) {
    const unsigned code = whole_code(header, reader);
    if (code > 0xf) {
      reply = failed(Errc::server_failed);
      if (code == kBadVersion) reply.kind = Reply::Kind::not_understood;
      return reply;
    }
  }
  if (header.code() == kNoSuchName) {
    reply.error = Errc::no_such_name;
  } else {
    reply = find_addresses(message, *answers, name, type);
  }
  const bool is_negative = reply.error == Errc::no_such_name || reply.error == Errc::no_address;
  if (is_negative) reply.ttl = negative_ttl(message, reader, header.authorities);
  return reply;
}

}  // namespace event_cpp::dns::detail
