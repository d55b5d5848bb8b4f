// A chat: each line that a client sends goes to all the others. Nobody waits for a client that does
// not read; when too much is kept for it, it is dropped. What is kept for all together is bounded,
// too: when that is reached, the one that makes the server keep the most is dropped.
//
// Try it:   chat_server          and in two other terminals:   nc localhost 1246

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <event/event.hpp>
#include <event/net.hpp>
#include <exception>
#include <iostream>
#include <list>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "support/command_line.hpp"
#include "support/server.hpp"

namespace {

namespace co = event::co;
namespace net = event::net;

// A client that sends this much without a line end is not chatting.
constexpr std::size_t kMaxLine = std::size_t{64} * 1024;

struct Limits {
  std::size_t backlog = std::size_t{1} * 1024 * 1024;  // bytes that one client has not read
  std::size_t total = std::size_t{64} * 1024 * 1024;   // kept for all, unfinished lines included
};

struct Statistics {
  std::uint64_t connections = 0;
  std::uint64_t lines = 0;
  std::uint64_t sent = 0;
  std::uint64_t errors = 0;
  std::uint64_t dropped = 0;
  std::size_t most_kept = 0;
};

struct Member {
  Member(event::Base& base, net::Socket socket, const Limits& limits)
      : stream(base, std::move(socket)), io(stream, {.most = limits.backlog}) {}

  std::size_t kept() const noexcept { return gone ? 0 : line.size() + io.unsent(); }

  net::SocketStream stream;
  net::Buffered io;
  std::string line;   // the beginning of a line whose end has not come yet
  bool gone = false;  // it was reset: its task is about to end
};

class Room {
 public:
  explicit Room(const Limits& limits) : limits_(limits) {}

  const Statistics& statistics() const noexcept { return statistics_; }

  // Serves one client.
  co::Task<> welcome(event::Base& base, net::Socket socket) {
    ++statistics_.connections;
    Member& self = members_.emplace_back(base, std::move(socket), limits_);
    const Leave at_the_end{*this, std::prev(members_.end())};
    try {
      while (net::Chunk chunk = co_await self.io.receive()) take(self, chunk.text());
      // The end of what it says is the end of its visit; a last line may lack its line end.
      if (!self.line.empty()) take(self, "\n");
    } catch (const std::system_error& error) {
      if (error.code() != std::errc::operation_canceled) ++statistics_.errors;
    }
  }

 private:
  struct Leave {
    Room& room;
    std::list<Member>::iterator who;
    ~Leave() {
      room.statistics_.sent -= who->kept() - who->line.size();
      room.members_.erase(who);
    }
  };

  // Passes on whole lines only, so that those of two clients never mix.
  void take(Member& self, std::string_view bytes) {
    const std::size_t end = bytes.rfind('\n') + 1;  // 0: there is none
    if (end > 0) {
      std::string lines = std::exchange(self.line, std::string());
      lines += bytes.substr(0, end);
      statistics_.lines += static_cast<std::uint64_t>(std::ranges::count(lines, '\n'));
      for (Member& member : members_) {
        if (&member != &self) deliver(member, lines);
      }
    }
    const std::string_view rest = bytes.substr(end);
    if (rest.empty() || self.gone || !make_room(self, rest.size())) return;
    self.line += rest;
    if (self.line.size() <= kMaxLine) return;
    ++statistics_.errors;
    reset(self);
  }

  // Sends at the end of the iteration, or keeps for later, or drops the client.
  void deliver(Member& to, std::string_view lines) {
    if (to.gone) return;
    if (to.io.unsent() + lines.size() > limits_.backlog) return drop(to);
    if (!make_room(to, lines.size())) return;
    try {
      to.io.put(lines);
      statistics_.sent += lines.size();
    } catch (const std::system_error&) {  // an earlier line could not be sent
      ++statistics_.errors;
      reset(to);
    }
  }

  // Drops clients until so many bytes more may be kept for this one: those that keep the most.
  // False if it was dropped itself.
  bool make_room(Member& whom, std::size_t size) {
    const auto kept = [this] {
      std::size_t sum = 0;
      for (const Member& member : members_) sum += member.kept();
      return sum;
    };
    while (kept() > 0 && kept() + size > limits_.total) {
      drop(*std::ranges::max_element(members_, {}, &Member::kept));
    }
    if (size > limits_.total) drop(whom);
    statistics_.most_kept = std::max(statistics_.most_kept, kept() + (whom.gone ? 0 : size));
    return !whom.gone;
  }

  // It is not told what it has not read.
  void drop(Member& member) {
    if (member.gone) return;
    ++statistics_.dropped;
    reset(member);
  }
  void reset(Member& member) {
    statistics_.sent -= member.io.unsent();
    member.gone = true;
    member.stream.reset();
  }

  const Limits& limits_;
  Statistics statistics_;
  std::list<Member> members_;
};

void print(const Statistics& s) {
  std::cout << "connections " << s.connections << ", lines " << s.lines << ", sent " << s.sent
            << " bytes, errors " << s.errors << ", dropped " << s.dropped << ", kept at most "
            << s.most_kept << " bytes" << std::endl;
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

    event::Base base({.backend = options.backend});
    net::Listener listener = support::listen(base, options);
    Room room(limits);
    const auto handler = [&room](event::Base& own, net::Socket socket) {
      return room.welcome(own, std::move(socket));
    };
    co::run(base, support::serve_until_stopped(listener, handler, {.grace = {}}));
    print(room.statistics());
  } catch (const std::exception& error) {
    std::cerr << "chat_server: " << error.what() << std::endl;
    return 1;
  }
  return 0;
}
