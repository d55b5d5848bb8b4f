// Questions to servers, and their answers.
#pragma once

#include <cstddef>
#include <string>

#include "dns/message.hpp"
#include "dns/servers.hpp"
#include "event/base.hpp"
#include "event/co/sync.hpp"
#include "event/co/task.hpp"
#include "event/dns/options.hpp"
#include "event/dns/resolver.hpp"
#include "event/net/address.hpp"

namespace event_cpp::dns::detail {

// Asks one server after the other. Limits how many queries are on their way.
class Transport {
 public:
  static constexpr std::size_t kMostWaiting = 65536;
  // After so many packets that are no answer, somebody guesses: TCP is asked.
  static constexpr int kMostRejected = 64;

  Transport(Base& base, const Options& options);

  // Awaited: what the first server says that knows; or of the last one, why it does not. Errors:
  // throws Errc::too_many, no_servers; the system's own if there is no descriptor, port or memory.
  // Cancelling or destroying the task closes its socket.
  co::Task<Reply> ask(std::string name, Type type);

  Servers& servers() noexcept { return servers_; }
  void set_rotation(bool on) noexcept { rotate_ = on; }
  std::size_t under_way() const noexcept { return under_way_; }
  Resolver::Stats& stats() noexcept { return stats_; }

 private:
  struct Question;

  co::Task<Reply> ask_server(const Question& question);
  co::Task<Reply> ask_in_time(const Question& question, bool edns, bool tcp);
  co::Task<Reply> ask_over(const Question& question, bool edns, bool tcp);
  co::Task<Reply> ask_udp(const Question& question, bool edns, std::uint16_t id);
  co::Task<Reply> ask_tcp(const Question& question, bool edns, std::uint16_t id);
  void judge(const net::Address& server, Errc error) noexcept;

  Base& base_;
  const Options& options_;
  Servers servers_;
  bool rotate_ = false;
  co::Semaphore turns_;
  std::size_t waiting_ = 0;
  std::size_t under_way_ = 0;
  Resolver::Stats stats_;
};

}  // namespace event_cpp::dns::detail
