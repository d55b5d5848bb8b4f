#include "event/net/connect.hpp"

#include <netdb.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <optional>
#include <system_error>
#include <utility>

#include "event/co/group.hpp"
#include "event/co/sync.hpp"
#include "event/co/threads.hpp"
#include "event/co/timeout.hpp"
#include "event/co/wait.hpp"
#include "net/net_state.hpp"
#include "net/printable.hpp"

namespace event_cpp::net {
namespace {

class NameCategory final : public std::error_category {
 public:
  const char* name() const noexcept override { return "getaddrinfo"; }
  std::string message(int code) const override { return ::gai_strerror(code); }
};

// Until a simulated socket may have connected, or failed.
co::Task<> simulated_change(Base& base, const Socket& socket) {
  co::Notification changed;
  class Watch : public Event {
   public:
    Watch(Base& its_base, const Socket& watched, co::Notification& notification)
        : Event(its_base, -1, Events::none, [&notification] { notification.notify_all(); }),
          socket_(watched) {
      socket_.kernel()->watch(socket_.fd(), *this);
    }
    ~Watch() { socket_.kernel()->unwatch(socket_.fd(), *this); }

   private:
    const Socket& socket_;
  } const watch(base, socket, changed);
  co_await changed.wait();
}

// A socket that picks the port that it connects to talks to itself, if the address is one of this
// machine. A connection that the peer has reset already has no addresses any more.
bool is_connected_to_itself(const Socket& socket, const Address& address) {
  if (!address.is_ip()) return false;
  try {
    const Address own = socket.address();
    return own.port() == address.port() && own == socket.peer();
  } catch (const std::system_error&) {
    return false;  // reading will tell
  }
}

void throw_refused(const Address& address, std::error_code error) {
  throw std::system_error(error, "connect to " + address.text());
}

}  // namespace

const std::error_category& name_category() noexcept {
  static const NameCategory category;
  return category;
}

std::error_condition no_such_name() noexcept { return {EAI_NONAME, name_category()}; }

co::Task<Socket> connect(Address address) {
  Base& base = co_await co::base();
  Socket socket = Socket::make(base, address.family(), SOCK_STREAM);
  if (address.is_ip()) socket.set_no_delay(true);
  const bool connected = socket.connect(address);
  if (!connected) {
    if (socket.fd() < detail::kSystem) {
      co_await simulated_change(base, socket);
    } else {
      co_await co::ready(socket.fd(), Events::write);
    }
    const std::error_code error = socket.error();
    if (error) throw_refused(address, error);
  }
  if (is_connected_to_itself(socket, address)) {
    throw_refused(address, std::make_error_code(std::errc::connection_refused));
  }
  co_return std::move(socket);
}

namespace {

// Attempts to connect, beside each other.
struct Race {
  std::optional<Socket> winner;
  std::exception_ptr error;  // of the last that failed
  std::size_t running = 0;
  std::size_t failed = 0;
  co::Notification changed;
};

co::Task<> attempt(Race& race, Address address) {
  ++race.running;
  try {
    Socket socket = co_await connect(address);
    if (!race.winner) race.winner = std::move(socket);
  } catch (const std::exception&) {
    race.error = std::current_exception();
    ++race.failed;
  }
  --race.running;
  race.changed.notify_all();
}

// IPv6 and IPv4 in turns, beginning with the family of the first.
std::vector<Address> interleaved(std::vector<Address> addresses) {
  if (addresses.empty()) return addresses;
  const int family = addresses.front().family();
  const auto second = std::stable_partition(
      addresses.begin(), addresses.end(),
      [family](const Address& address) { return address.family() == family; });
  std::vector<Address> result;
  auto first = addresses.begin();
  auto other = second;
  while (first != second || other != addresses.end()) {
    if (first != second) result.push_back(*first++);
    if (other != addresses.end()) result.push_back(*other++);
  }
  return result;
}

}  // namespace

co::Task<Socket> connect_to_any(std::vector<Address> addresses, AnyDuration stagger) {
  if (addresses.empty()) {
    throw std::system_error(std::make_error_code(std::errc::invalid_argument),
                            "event::net::connect_to_any: no address");
  }
  Base& base = co_await co::base();
  Race race;
  co::TaskGroup attempts(base, "connect");
  for (std::size_t next = 0; next < addresses.size() && !race.winner; ++next) {
    const std::size_t failed_before = race.failed;
    attempts.spawn(attempt(race, addresses[next]));
    const bool is_last = next + 1 == addresses.size();
    while (!race.winner && race.failed == failed_before && race.running > 0 && !is_last) {
      const auto changed = co_await co::try_with_timeout(stagger, race.changed.wait());
      if (!changed) break;
    }
  }
  while (!race.winner && race.running > 0) co_await race.changed.wait();
  attempts.cancel();
  co_await attempts.join();
  if (!race.winner) std::rethrow_exception(race.error);
  co_return std::move(*race.winner);
}

namespace {

co::Task<Socket> resolve_and_connect(std::string host, int port) {
  std::vector<Address> addresses = co_await resolve(std::move(host), port);
  std::vector<Address> in_turns = interleaved(std::move(addresses));
  Socket socket = co_await connect_to_any(std::move(in_turns));
  co_return std::move(socket);
}

std::vector<Address> ask_system(const std::string& host, int port) {
  if (host.find('\0') != std::string::npos) {
    throw std::system_error(std::make_error_code(std::errc::invalid_argument),
                            "event::net::resolve: the name contains a zero byte");
  }
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_ADDRCONFIG;
  addrinfo* list = nullptr;
  const int error = ::getaddrinfo(host.c_str(), nullptr, &hints, &list);
  if (error != 0) {
    if (error == EAI_SYSTEM) {
      throw std::system_error(errno, std::system_category(),
                              "getaddrinfo " + detail::printable(host));
    }
    throw std::system_error(error, name_category(), "getaddrinfo " + detail::printable(host));
  }
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owned(list, &::freeaddrinfo);
  std::vector<Address> addresses;
  for (const addrinfo* entry = list; entry != nullptr; entry = entry->ai_next) {
    const auto address = Address::from(entry->ai_addr, entry->ai_addrlen);
    if (!address) continue;
    const Address with_port = address->with_port(port);
    if (std::find(addresses.begin(), addresses.end(), with_port) == addresses.end()) {
      addresses.push_back(with_port);
    }
  }
  if (addresses.empty()) {
    throw std::system_error(EAI_NONAME, name_category(), "getaddrinfo " + detail::printable(host));
  }
  return addresses;
}

}  // namespace

namespace {

constinit std::atomic<detail::LinkedResolve*> linked_resolver = nullptr;

}  // namespace

void detail::set_linked_resolver(LinkedResolve* resolve) noexcept {
  linked_resolver.store(resolve, std::memory_order_release);
}

namespace {

co::Task<Socket> connect_within(std::string host, int port, Duration limit) {
  Socket socket = co_await co::with_timeout(limit, resolve_and_connect(std::move(host), port));
  co_return std::move(socket);
}

}  // namespace

// No coroutine, which would keep a view of the name and not the name.
co::Task<Socket> connect(std::string_view host, int port, AnyDuration limit) {
  return connect_within(std::string(host), port, limit);
}

co::Task<std::vector<Address>> resolve(std::string host, int port) {
  const auto numeric = Address::parse(host, port);
  const bool has_port = numeric && numeric->is_ip() && numeric->port() != port;
  if (numeric && !has_port) {
    co_await co::detail::Spend();
    co_return std::vector<Address>{*numeric};
  }
  Base& base = co_await co::base();
  const Resolve resolver = detail::state_of(base).resolve;
  std::vector<Address> addresses;
  if (resolver != nullptr) {
    co_await co::detail::Spend();
    addresses = co_await resolver(host, port);
    if (addresses.empty()) {
      throw std::system_error(EAI_NONAME, name_category(),
                              "event::net::resolve: " + detail::printable(host));
    }
  } else if (auto* const linked = linked_resolver.load(std::memory_order_acquire)) {
    addresses = co_await linked(base, std::move(host), port);
  } else {
    auto ask = [name = std::move(host), port] { return ask_system(name, port); };
    addresses = co_await co::blocking(std::move(ask));
  }
  co_return std::move(addresses);
}

void set_resolver(Base& base, Resolve resolve) {
  detail::state_of(base).resolve = std::move(resolve);
}

}  // namespace event_cpp::net
