// A chat: each line that a client sends goes to all the others. Nobody waits for a client that does
// not read; when too much is kept for it, it is dropped.
//
// Try it:   chat_server          and in two other terminals:   nc localhost 1246

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <event/event.hpp>
#include <exception>
#include <iostream>
#include <iterator>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <unordered_map>
#include <utility>

#include "support/acceptor.hpp"
#include "support/outbox.hpp"
#include "support/server_options.hpp"
#include "support/stop_on_signal.hpp"

namespace {

using event::Events;

// A client that sends this much without a line end is not chatting.
constexpr std::size_t kMaxLine = 64 * 1024;

struct Statistics {
  std::uint64_t connections = 0;
  std::uint64_t lines = 0;
  std::uint64_t sent = 0;
  std::uint64_t errors = 0;
  std::uint64_t dropped = 0;
};

class Room;

// One client. It receives all the time, and sends when the socket takes what is kept for it.
class Client {
 public:
  Client(Room& room, UniqueFd fd);

  // Errors: the kernel has no room to watch one more descriptor.
  [[nodiscard]] std::error_code start() { return readable_.try_attach(); }

  // Sends, or keeps for later; false if this client has to go.
  [[nodiscard]] bool deliver(std::string_view lines);

 private:
  void on_readable();
  void on_writable();
  void take(std::string_view bytes);
  bool keep(std::string_view rest);

  Room& room_;
  std::string line_;  // the beginning of a line whose end has not come yet
  support::Outbox unsent_;
  UniqueFd fd_;            // closed last,
  event::Event readable_;  // after these have let go of it
  event::Event writable_;
};

class Room {
 public:
  Room(event::Base& base, UniqueFd listener, std::size_t max_backlog)
      : base_(base),
        max_backlog_(max_backlog),
        acceptor_(base, std::move(listener), [this](UniqueFd fd) { add(std::move(fd)); }) {}

  event::Base& base() noexcept { return base_; }
  std::size_t max_backlog() const noexcept { return max_backlog_; }
  Statistics& statistics() noexcept { return statistics_; }

  // Clients take turns with it: nobody keeps what is in it after its callback.
  std::span<char> buffer() noexcept { return buffer_; }

  // Ends a client, also from its own callback, which must then return.
  void remove(int fd) {
    clients_.erase(fd);
    acceptor_.resume();
  }
  void fail(int fd) {
    ++statistics_.errors;
    remove(fd);
  }

  // To everybody but the one who said it.
  void broadcast(std::string_view lines, int from) {
    for (auto client = clients_.begin(); client != clients_.end();) {
      const bool stays = client->first == from || client->second.deliver(lines);
      client = stays ? std::next(client) : clients_.erase(client);
    }
    acceptor_.resume();
  }

 private:
  void add(UniqueFd fd) {
    ++statistics_.connections;
    support::send_without_delay(fd.get());
    const int number = fd.get();
    const auto [place, is_new] = clients_.try_emplace(number, *this, std::move(fd));
    if (place->second.start()) fail(number);
  }

  event::Base& base_;
  std::size_t max_backlog_;
  Statistics statistics_;
  std::array<char, 64 * 1024> buffer_;
  // By descriptor; the nodes of this map stay where they are, as an event must.
  std::unordered_map<int, Client> clients_;
  support::Acceptor acceptor_;
};

Client::Client(Room& room, UniqueFd fd)
    : room_(room),
      fd_(std::move(fd)),
      readable_(room.base(), fd_.get(), Events::read | Events::persist, [this] { on_readable(); }),
      writable_(room.base(), fd_.get(), Events::write | Events::persist,
                [this] { on_writable(); }) {}

void Client::on_readable() {
  const support::Received got = support::receive(fd_.get(), room_.buffer());
  if (got.error) return room_.fail(fd_.get());
  if (!got.end) {
    take(got.bytes);
    if (line_.size() > kMaxLine) room_.fail(fd_.get());
    return;
  }
  // The end of what it says is the end of its visit; a last line may lack its line end.
  if (!line_.empty()) take("\n");
  room_.remove(fd_.get());
}

// Passes on whole lines only, so that those of two clients never mix.
void Client::take(std::string_view bytes) {
  const std::size_t end = bytes.rfind('\n');
  if (end == std::string_view::npos) {
    line_.append(bytes);
    return;
  }
  const std::string_view lines = bytes.substr(0, end + 1);
  room_.statistics().lines += static_cast<std::uint64_t>(std::ranges::count(lines, '\n'));
  if (line_.empty()) {
    room_.broadcast(lines, fd_.get());
  } else {
    line_.append(lines);
    room_.broadcast(line_, fd_.get());
  }
  line_ = bytes.substr(end + 1);
}

bool Client::deliver(std::string_view lines) {
  // What came earlier goes first.
  if (!unsent_.empty()) return keep(lines);
  std::string_view rest = lines;
  const std::error_code error = support::send_some(fd_.get(), rest);
  room_.statistics().sent += lines.size() - rest.size();
  if (error) {
    ++room_.statistics().errors;
    return false;
  }
  return rest.empty() || keep(rest);
}

bool Client::keep(std::string_view rest) {
  if (unsent_.size() + rest.size() > room_.max_backlog()) {
    ++room_.statistics().dropped;
    support::drop_unsent_on_close(fd_.get());
    return false;
  }
  unsent_.append(rest);
  return writable_.attached() || !writable_.try_attach();
}

void Client::on_writable() {
  std::size_t sent = 0;
  const std::error_code error = unsent_.flush(fd_.get(), sent);
  room_.statistics().sent += sent;
  if (error) return room_.fail(fd_.get());
  if (unsent_.empty()) writable_.detach();
}

void print(const Statistics& s) {
  std::cout << "connections " << s.connections << ", lines " << s.lines << ", sent " << s.sent
            << " bytes, errors " << s.errors << ", dropped " << s.dropped << std::endl;
}

void run(const support::ServerOptions& options, std::size_t max_backlog) {
  event::Base base({.backend = options.backend});
  UniqueFd listener = support::listen_on(options.port);
  const int port = support::port_of(listener.get());
  Room room(base, std::move(listener), max_backlog);
  const support::StopOnSignal stop(base);

  std::cout << "listening on port " << port << std::endl;
  base.dispatch();
  print(room.statistics());
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Passes on what each client says to all the others.");
  support::ServerOptions options;
  std::size_t max_backlog = 1024 * 1024;
  support::add_server_options(app, options);
  app.add_option("--max-backlog", max_backlog, "Drop a client that leaves so many bytes unread")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  if (const auto exit_code = support::parse(app, argc, argv)) return *exit_code;

  try {
    run(options, max_backlog);
  } catch (const std::exception& error) {
    std::cerr << "chat_server: " << error.what() << std::endl;
    return 1;
  }
  return 0;
}
