// A chat: each line that a client sends goes to all the others. Nobody waits for a client that does
// not read; when too much is kept for it, it is dropped. What is kept for all together is bounded,
// too: when that is reached, the one that makes the server keep the most is dropped.
//
// Try it:   chat_server          and in two other terminals:   nc localhost 1246

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <event/event.hpp>
#include <exception>
#include <iostream>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <unordered_map>
#include <utility>
#include <vector>

#include "support/acceptor.hpp"
#include "support/command_line.hpp"
#include "support/outbox.hpp"
#include "support/stop_on_signal.hpp"

namespace {

using event::Events;

// A client that sends this much without a line end is not chatting.
constexpr std::size_t kMaxLine = 64 * 1024;

struct Limits {
  std::size_t connections = 0;
  std::size_t backlog = 1024 * 1024;     // bytes that one client has not read
  std::size_t total = 64 * 1024 * 1024;  // bytes that are kept for all, their unfinished lines too
};

struct Statistics {
  std::uint64_t connections = 0;
  std::uint64_t lines = 0;
  std::uint64_t sent = 0;
  std::uint64_t errors = 0;
  std::uint64_t dropped = 0;
  std::size_t most_kept = 0;
};

class Room;

// One client. It receives all the time, and sends when the socket takes what is kept for it.
class Client {
 public:
  Client(Room& room, UniqueFd fd);

  // Errors: the kernel has no room to watch one more descriptor.
  [[nodiscard]] std::error_code start() { return ready_.try_attach(); }

  // Sends, or keeps for later, or drops this client.
  void deliver(std::string_view lines);

  // Bytes: the beginning of its line, and what it has not read.
  std::size_t kept() const noexcept { return line_.size() + unsent_.size(); }

  void drop();  // it is not told what it has not read
  void fail();

 private:
  void on_ready(Events fired);
  void receive();
  void send();
  void take(std::string_view bytes);
  void keep(std::string_view rest);
  void leave();
  void settle();

  Room& room_;
  std::string line_;  // the beginning of a line whose end has not come yet
  support::Outbox unsent_;
  std::size_t counted_ = 0;  // of kept(), in the room's sum
  bool gone_ = false;        // nothing happens to it any more: the room is about to erase it
  UniqueFd fd_;              // closed last,
  event::Event ready_;       // after the event was destroyed
};

class Room {
 public:
  Room(event::Base& base, UniqueFd listener, const Limits& limits)
      : base_(base),
        limits_(limits),
        acceptor_(
            base, std::move(listener), [this](UniqueFd fd) { add(std::move(fd)); },
            limits.connections) {}

  event::Base& base() noexcept { return base_; }
  const Limits& limits() const noexcept { return limits_; }
  Statistics& statistics() noexcept { return statistics_; }

  // Clients take turns with it: nobody keeps what is in it after its callback.
  std::span<char> buffer() noexcept { return buffer_; }

  // To everybody but the one who said it.
  void broadcast(std::string_view lines, int from) {
    for (auto& [fd, client] : clients_) {
      if (fd != from) client.deliver(lines);
    }
  }

  // A client keeps so much now, instead of what it kept before.
  void count(std::size_t now, std::size_t before) noexcept {
    kept_ += now - before;
    statistics_.most_kept = std::max(statistics_.most_kept, kept_);
  }

  // Drops clients until so many bytes more may be kept: those first that keep the most. False if
  // they are too many even for an empty room.
  [[nodiscard]] bool make_room(std::size_t size) {
    while (kept_ > 0 && kept_ + size > limits_.total) {
      std::ranges::max_element(clients_, {}, [](const auto& each) {
        return each.second.kept();
      })->second.drop();
    }
    return size <= limits_.total;
  }

  void on_gone(int fd) { gone_.push_back(fd); }

  // The last thing that a callback of a client does: it may be one of those that are gone.
  void sweep() {
    if (gone_.empty()) return;
    for (const int fd : gone_) clients_.erase(fd);
    acceptor_.resume(gone_.size());
    gone_.clear();
  }

 private:
  void add(UniqueFd fd) {
    ++statistics_.connections;
    support::send_without_delay(fd.get());
    const int number = fd.get();
    const auto [place, is_new] = clients_.try_emplace(number, *this, std::move(fd));
    if (place->second.start()) place->second.fail();
    sweep();
  }

  event::Base& base_;
  Limits limits_;
  Statistics statistics_;
  std::size_t kept_ = 0;
  std::vector<int> gone_;
  std::array<char, 64 * 1024> buffer_;
  // By descriptor; the nodes of this map stay where they are, as an event must.
  std::unordered_map<int, Client> clients_;
  support::Acceptor acceptor_;
};

Client::Client(Room& room, UniqueFd fd)
    : room_(room),
      fd_(std::move(fd)),
      ready_(room.base(), fd_.get(), Events::read | Events::persist,
             [this](Events fired) { on_ready(fired); }) {}

void Client::on_ready(Events fired) {
  if (any(fired & Events::write)) send();
  if (any(fired & Events::read) && !gone_) receive();
  room_.sweep();
}

void Client::receive() {
  const support::Received got = support::receive(fd_.get(), room_.buffer());
  if (got.error) return fail();
  if (!got.end) {
    take(got.bytes);
    if (line_.size() > kMaxLine) fail();
    return;
  }
  // The end of what it says is the end of its visit; a last line may lack its line end.
  if (!line_.empty()) take("\n");
  leave();
}

// Passes on whole lines only, so that those of two clients never mix.
void Client::take(std::string_view bytes) {
  const std::size_t end = bytes.rfind('\n');
  if (end == std::string_view::npos) {
    if (!room_.make_room(bytes.size())) drop();
    if (gone_) return;
    line_.append(bytes);
    return settle();
  }
  const std::string_view lines = bytes.substr(0, end + 1);
  room_.statistics().lines += static_cast<std::uint64_t>(std::ranges::count(lines, '\n'));
  // Out of this client, which may be dropped meanwhile.
  std::string whole = std::exchange(line_, std::string());
  settle();
  if (whole.empty()) {
    room_.broadcast(lines, fd_.get());
  } else {
    room_.broadcast(whole.append(lines), fd_.get());
  }
  if (end + 1 < bytes.size()) take(bytes.substr(end + 1));
}

void Client::deliver(std::string_view lines) {
  if (gone_) return;
  // What came earlier goes first.
  if (!unsent_.empty()) return keep(lines);
  std::string_view rest = lines;
  const std::error_code error = support::send_some(fd_.get(), rest);
  room_.statistics().sent += lines.size() - rest.size();
  if (error) return fail();
  if (!rest.empty()) keep(rest);
}

void Client::keep(std::string_view rest) {
  const bool fits = unsent_.size() + rest.size() <= room_.limits().backlog;
  if (!fits || !room_.make_room(rest.size())) drop();
  if (gone_) return;
  unsent_.append(rest);
  settle();
  if (ready_.try_modify(Events::read | Events::write | Events::persist)) fail();
}

void Client::send() {
  std::size_t sent = 0;
  const std::error_code error = unsent_.flush(fd_.get(), sent);
  room_.statistics().sent += sent;
  settle();
  if (error) return fail();
  if (unsent_.empty() && ready_.try_modify(Events::read | Events::persist)) fail();
}

void Client::drop() {
  if (gone_) return;
  ++room_.statistics().dropped;
  support::drop_unsent_on_close(fd_.get());
  leave();
}

void Client::fail() {
  if (gone_) return;
  ++room_.statistics().errors;
  leave();
}

void Client::leave() {
  if (gone_) return;
  gone_ = true;
  ready_.detach();
  line_ = std::string();
  unsent_ = support::Outbox();
  settle();
  room_.on_gone(fd_.get());
}

// Tells the room what is kept now.
void Client::settle() {
  room_.count(kept(), counted_);
  counted_ = kept();
}

void print(const Statistics& s) {
  std::cout << "connections " << s.connections << ", lines " << s.lines << ", sent " << s.sent
            << " bytes, errors " << s.errors << ", dropped " << s.dropped << ", kept at most "
            << s.most_kept << " bytes" << std::endl;
}

void run(const support::ServerOptions& options, const Limits& limits) {
  event::Base base({.backend = options.backend});
  UniqueFd listener = support::listen_on(options.port);
  const int port = support::port_of(listener.get());
  Room room(base, std::move(listener), limits);
  const support::StopOnSignal stop(base);

  std::cout << "listening on port " << port << std::endl;
  base.dispatch();
  print(room.statistics());
}

}  // namespace

int main(int argc, char** argv) {
  try {
    support::CommandLine command_line("Passes on what each client says to all the others.");
    support::ServerOptions options;
    Limits limits;
    command_line.add_server(options);
    command_line.add_number("--max-backlog", limits.backlog,
                            "Drop a client that leaves so many bytes unread", 1);
    command_line.add_number("--max-total", limits.total,
                            "Keep so many bytes at most for all clients together", 1);
    if (const auto exit_code = command_line.parse(argc, argv)) return *exit_code;
    limits.connections = options.max_connections;

    run(options, limits);
  } catch (const std::exception& error) {
    std::cerr << "chat_server: " << error.what() << std::endl;
    return 1;
  }
  return 0;
}
