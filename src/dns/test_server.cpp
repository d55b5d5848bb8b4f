#include <algorithm>
#include <array>
#include <map>
#include <new>
#include <optional>
#include <system_error>
#include <utility>

#include "dns/test_message.hpp"
#include "event/co/group.hpp"
#include "event/co/wait.hpp"
#include "event/dns/test.hpp"
#include "event/net/datagram.hpp"
#include "event/net/listener.hpp"
#include "event/net/socket_stream.hpp"

namespace event_cpp::dns::test {
namespace {

constexpr unsigned kFormatError = 1;
constexpr unsigned kServerFailure = 2;
constexpr unsigned kNoSuchName = 3;
constexpr unsigned kRefused = 5;
constexpr unsigned kBadVersion = 16;

std::string normal(std::string_view name) {
  std::string text(name);
  if (text.ends_with('.')) text.pop_back();
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

Family family_of(std::uint16_t type) {
  if (type == kTypeA) return Family::v4;
  return type == kTypeAaaa ? Family::v6 : Family::any;
}

std::uint32_t seconds_of(Duration time) {
  return static_cast<std::uint32_t>(std::chrono::duration_cast<std::chrono::seconds>(time).count());
}

// UDP and TCP on one port.
struct Sockets {
  std::unique_ptr<net::Datagram> udp;
  std::unique_ptr<net::Listener> tcp;
};

Sockets bind_both(Base& base) {
  constexpr int kAttempts = 100;  // the port may be somebody else's for TCP
  for (int attempt = 1;; ++attempt) {
    Sockets sockets;
    sockets.udp = std::make_unique<net::Datagram>(base, net::Address::loopback(0));
    try {
      sockets.tcp = std::make_unique<net::Listener>(base, sockets.udp->address());
      return sockets;
    } catch (const std::system_error& error) {
      if (error.code() != std::errc::address_in_use || attempt == kAttempts) throw;
    }
  }
}

}  // namespace

class Server::Impl {
 public:
  explicit Impl(Base& base)
      : sockets_(bind_both(base)),
        other_(base, net::Address::loopback(0)),
        base_(base),
        tasks_(base, "dns test server") {
    tasks_.spawn(quietly(serve_udp()));
    tasks_.spawn(quietly(accept_tcp()));
  }

  net::Address address() const { return sockets_.udp->address(); }

  struct Host {
    std::vector<net::Address> addresses;
    Duration ttl{};
  };
  struct Alias {
    std::string target;
    Duration ttl{};
  };
  struct Faulty {
    std::string name;
    Family family = Family::any;
    Fault fault = Fault::drop;
    int times = -1;
    Duration time{};
  };

  std::map<std::string, Host> hosts;
  std::map<std::string, Alias> aliases;
  std::vector<Faulty> faults;
  Duration negative_ttl = std::chrono::minutes(1);
  std::vector<Query> queries;

 private:
  // What is sent, and how.
  struct Response {
    std::string message;
    Duration delay{};
    bool dropped = false;
    bool from_other = false;
    bool in_halves = false;
  };

  // How a conversation ends concerns nobody. A failure that is not caught leaves dispatch() if the
  // server is destroyed before its turn to be told has come.
  static co::Task<> quietly(co::Task<> task) {
    try {
      co_await std::move(task);
    } catch (const std::bad_alloc&) {
      co_return;
    } catch (const std::system_error&) {
      co_return;
    }
  }

  co::Task<> serve_udp() {
    for (;;) {
      const net::Packet packet = co_await sockets_.udp->receive();
      Response response = respond(packet.bytes, false, packet.from);
      if (response.dropped) continue;
      if (response.delay > Duration::zero()) {
        tasks_.spawn(quietly(send_later(std::move(response), packet.from)));
      } else {
        send(response, packet.from);
      }
    }
  }
  co::Task<> send_later(Response response, net::Address to) {
    co_await co::sleep(response.delay);
    send(response, to);
  }
  void send(const Response& response, const net::Address& to) {
    net::Datagram& from = response.from_other ? other_ : *sockets_.udp;
    static_cast<void>(from.try_send(response.message, to));  // it may be lost, as any datagram
  }

  co::Task<> accept_tcp() {
    for (;;) {
      net::Socket socket = co_await sockets_.tcp->accept();
      tasks_.spawn(quietly(serve_tcp(std::move(socket))));
    }
  }
  co::Task<> serve_tcp(net::Socket socket) {
    net::SocketStream stream(base_, std::move(socket));
    for (;;) {
      std::array<char, 2> head{};
      co_await stream.read_exactly(head);
      const auto size = static_cast<std::size_t>(static_cast<unsigned char>(head[0]) << 8 |
                                                 static_cast<unsigned char>(head[1]));
      std::string message(size, '\0');
      co_await stream.read_exactly(message);
      const Response response = respond(message, true, net::Address());
      if (response.dropped) continue;
      std::string framed;
      framed += static_cast<char>(response.message.size() >> 8 & 0xff);
      framed += static_cast<char>(response.message.size() & 0xff);
      framed += response.message;
      std::size_t first = framed.size();
      if (response.in_halves) first /= 2;
      if (!response.in_halves && response.delay > Duration::zero())
        co_await co::sleep(response.delay);
      co_await stream.write(std::string_view(framed).substr(0, first));
      if (!response.in_halves) continue;
      if (response.delay <= Duration::zero()) break;
      co_await co::sleep(response.delay);
      co_await stream.write(std::string_view(framed).substr(first));
    }
  }

  Response respond(net::Bytes message, bool tcp, const net::Address& from) {
    Response response;
    const std::optional<Asked> asked = parse_query(message);
    response.dropped = !asked;
    if (!asked) return response;
    const std::string name = normal(asked->name);
    const Family family = family_of(asked->type);
    queries.push_back({name, family, tcp, asked->edns_size, asked->id, from});

    Said said;
    said.id = asked->id;
    said.name = asked->name;
    said.type = asked->type;
    said.edns = asked->edns_size > 0;
    look_up(said, name);
    const Faulty fault = take_fault(name, family, tcp);
    const bool has_fault = fault.times != 0;
    if (has_fault) apply(fault, tcp, said, response);
    if (!response.message.empty() || response.dropped) return response;
    response.message = write_reply(said);
    const std::size_t room =
        asked->edns_size > 0 ? static_cast<std::size_t>(asked->edns_size) : 512;
    if (!tcp && response.message.size() > room) {
      truncate(said);
      response.message = write_reply(said);
    }
    return response;
  }

  static void truncate(Said& said) {
    said.truncated = true;
    said.answers.clear();
    said.authorities.clear();
  }
  void fail(Said& said, unsigned code) const {
    said.code = code;
    said.answers.clear();
    said.authorities.clear();
    if (code == kNoSuchName) add_authority(said);
  }
  void add_authority(Said& said) const {
    if (negative_ttl <= Duration::zero()) return;
    const std::uint32_t ttl = seconds_of(negative_ttl);
    said.authorities.push_back({"", kTypeAuthority, 86400, write_authority(ttl)});
  }

  void look_up(Said& said, std::string name) const {
    constexpr std::size_t kMost = 64;  // an alias may lead to itself
    for (auto alias = aliases.find(name); alias != aliases.end() && said.answers.size() < kMost;
         alias = aliases.find(name)) {
      const auto& [target, ttl] = alias->second;
      said.answers.push_back({name, kTypeAlias, seconds_of(ttl), write_name(target)});
      name = target;
    }
    const auto host = hosts.find(name);
    if (host == hosts.end()) {
      if (aliases.contains(name)) return;
      said.code = kNoSuchName;
      return add_authority(said);
    }
    bool found = false;
    for (const net::Address& address : host->second.addresses) {
      const std::uint16_t type = address.family() == AF_INET6 ? kTypeAaaa : kTypeA;
      if (type != said.type) continue;
      found = true;
      said.answers.push_back({name, type, seconds_of(host->second.ttl), write_address(address)});
    }
    if (!found) add_authority(said);
  }

  // One whose `times` is zero if there is none.
  Faulty take_fault(const std::string& name, Family family, bool tcp) {
    for (std::size_t left = faults.size(); left > 0; --left) {
      Faulty& fault = faults[left - 1];
      const bool is_meant = fault.family == Family::any || fault.family == family;
      if (fault.name != name || !is_meant || fault.times == 0) continue;
      Faulty taken = fault;
      // These are about one of the two ways.
      const bool counts = fault.fault == Fault::half_tcp   ? tcp
                          : fault.fault == Fault::truncate ? !tcp
                                                           : true;
      if (counts && fault.times > 0) --fault.times;
      return taken;
    }
    Faulty none;
    none.times = 0;
    return none;
  }

  void apply(const Faulty& fault, bool tcp, Said& said, Response& response) {
    switch (fault.fault) {
      case Fault::drop:
        response.dropped = true;
        break;
      case Fault::delay:
        response.delay = fault.time;
        break;
      case Fault::truncate:
        if (!tcp) truncate(said);
        break;
      case Fault::nxdomain:
        fail(said, kNoSuchName);
        break;
      case Fault::servfail:
        fail(said, kServerFailure);
        break;
      case Fault::refused:
        fail(said, kRefused);
        break;
      case Fault::formerr_on_edns:
        if (said.edns) fail(said, kFormatError);
        said.edns = false;
        break;
      case Fault::badvers_on_edns:
        if (said.edns) fail(said, kBadVersion);
        break;
      case Fault::wrong_id:
        said.id ^= 0x5555;
        break;
      case Fault::wrong_question:
        said.name = "not-" + said.name;
        break;
      case Fault::wrong_source:
        response.from_other = true;
        break;
      case Fault::garbage:
        response.message = std::string("\x00\xff garbage \xc0\x0c\xc0\x00", 15);
        break;
      case Fault::half_tcp:
        if (!tcp) truncate(said);
        response.in_halves = tcp;
        if (tcp) response.delay = fault.time;
        break;
    }
  }

  Sockets sockets_;
  net::Datagram other_;  // another port
  Base& base_;
  co::TaskGroup tasks_;
};

Server::Server(Base& base) : impl_(std::make_unique<Impl>(base)) {}
Server::~Server() = default;

net::Address Server::address() const { return impl_->address(); }

void Server::answer(std::string name, std::vector<net::Address> addresses, Duration ttl) {
  impl_->hosts[normal(name)] = {std::move(addresses), ttl};
}

void Server::alias(std::string name, std::string target, Duration ttl) {
  impl_->aliases[normal(name)] = {normal(target), ttl};
}

void Server::negative_ttl(Duration ttl) { impl_->negative_ttl = ttl; }

void Server::fault(std::string name, Fault fault, int times, Family family, Duration time) {
  name = normal(name);
  auto& faults = impl_->faults;
  const auto is_replaced = [&](const auto& known) {
    return known.name == name && (known.family == family || family == Family::any);
  };
  std::erase_if(faults, is_replaced);
  faults.push_back({std::move(name), family, fault, times, time});
}

std::vector<std::string> Server::seen() const {
  std::vector<std::string> names;
  for (const Query& query : impl_->queries) names.push_back(query.name);
  return names;
}

std::vector<Server::Query> Server::queries() const { return impl_->queries; }

}  // namespace event_cpp::dns::test
