#include "dns/transport.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>
#include <system_error>
#include <utility>

#include "dns/fail.hpp"
#include "dns/random.hpp"
#include "dns/shortage.hpp"
#include "event/co/timeout.hpp"
#include "event/error.hpp"
#include "event/net/connect.hpp"
#include "event/net/datagram.hpp"
#include "event/net/socket_stream.hpp"

namespace event_cpp::dns::detail {
namespace {

class Counted {
 public:
  explicit Counted(std::size_t& count) noexcept : count_(count) { ++count_; }
  ~Counted() { --count_; }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;

 private:
  std::size_t& count_;
};

// Not the server's fault: another one would do no better.
bool is_ours(const std::error_code& error) {
  return error == std::errc::operation_canceled || is_shortage(error);
}

// The message has 16 bits for it.
int edns_size(const Options& options) { return std::clamp(options.edns_size, 512, 65535); }

// Whether another server could do better.
bool is_failure(Errc error) {
  return error != Errc::none && error != Errc::no_such_name && error != Errc::no_address;
}

}  // namespace

struct Transport::Question {
  net::Address server;
  const std::string& name;
  Type type;
};

Transport::Transport(Base& base, const Options& options)
    : base_(base), options_(options), turns_(std::max<std::size_t>(1, options.at_once)) {}

co::Task<Reply> Transport::ask(std::string name, Type type) {
  if (waiting_ >= kMostWaiting) fail(Errc::too_many, name);
  {
    const Counted waits(waiting_);
    co_await turns_.acquire();
  }
  const co::SemaphoreGuard turn(turns_);
  const Counted asks(under_way_);
  const std::vector<net::Address> order =
      servers_.in_order(base_.now(), rotate_ || options_.rotate);
  if (order.empty()) fail(Errc::no_servers, name);
  Reply reply;
  for (int i = 0; i < std::max(1, options_.tries); ++i) {
    for (const net::Address& server : order) {
      const Question question{server, name, type};
      Reply answer = co_await ask_server(question);
      reply = std::move(answer);
      if (reply.was_asked) judge(server, reply.error);
      if (!is_failure(reply.error)) co_return std::move(reply);
    }
  }
  co_return std::move(reply);
}

// A server that says that it cannot is there, and quick to say so.
void Transport::judge(const net::Address& server, Errc error) noexcept {
  if (error == Errc::timed_out || error == Errc::refused || error == Errc::bad_answer) {
    servers_.failed(server, base_.now());
  } else {
    servers_.worked(server);
  }
}

co::Task<Reply> Transport::ask_server(const Question& question) {
  bool edns = options_.edns;
  Reply reply = co_await ask_in_time(question, edns, false);
  if (reply.kind == Reply::Kind::not_understood && edns) {
    edns = false;
    Reply plain = co_await ask_in_time(question, edns, false);
    reply = std::move(plain);
  }
  if (reply.kind == Reply::Kind::truncated) {
    Reply whole = co_await ask_in_time(question, edns, true);
    reply = std::move(whole);
  }
  co_return std::move(reply);
}

co::Task<Reply> Transport::ask_in_time(const Question& question, bool edns, bool tcp) {
  ++stats_.queries;
  std::optional<Reply> reply =
      co_await co::try_with_timeout(options_.timeout, ask_over(question, edns, tcp));
  if (reply) co_return std::move(*reply);
  ++stats_.timeouts;
  co_return failed(Errc::timed_out);
}

co::Task<Reply> Transport::ask_over(const Question& question, bool edns, bool tcp) {
  const std::uint16_t id = random_id(base_);  // that there is none says nothing about the server
  try {
    if (tcp) {
      Reply reply = co_await ask_tcp(question, edns, id);
      co_return std::move(reply);
    }
    Reply reply = co_await ask_udp(question, edns, id);
    co_return std::move(reply);
  } catch (const std::system_error& error) {
    if (is_ours(error.code()) || error.code().category() == category()) throw;
    if (error.code() == event_cpp::Errc::truncated) co_return failed(Errc::bad_answer);
    if (is_no_way(error.code())) co_return not_asked();
  }
  co_return failed(Errc::refused);
}

// A socket for this question alone, so that the system chooses another port each time.
co::Task<Reply> Transport::ask_udp(const Question& question, bool edns, std::uint16_t id) {
  const int size = edns ? edns_size(options_) : 0;
  const std::string query = make_query(question.name, question.type, id, size);
  net::Socket socket = net::Socket::make(base_, question.server.family(), SOCK_DGRAM);
  // Where nobody listens, a connected socket says so; and it receives from this server alone.
  static_cast<void>(socket.connect(question.server));
  net::Datagram datagram(base_, std::move(socket));
  co_await datagram.send(query, net::Address());
  for (int rejected = 0; rejected < kMostRejected; ++rejected) {
    const net::Packet packet = co_await datagram.receive();
    if (packet.from == question.server) {  // a simulated kernel may not see to it
      Reply reply = parse_reply(packet.bytes, question.name, question.type, id);
      if (reply.kind != Reply::Kind::not_ours) co_return std::move(reply);
    }
    ++stats_.rejected;
  }
  Reply guessed;
  guessed.kind = Reply::Kind::truncated;
  co_return std::move(guessed);
}

co::Task<Reply> Transport::ask_tcp(const Question& question, bool edns, std::uint16_t id) {
  ++stats_.tcp;
  const int size = edns ? edns_size(options_) : 0;
  const std::string query = make_query(question.name, question.type, id, size);
  std::string framed;
  framed += static_cast<char>(query.size() >> 8);
  framed += static_cast<char>(query.size() & 0xff);
  framed += query;
  net::Socket socket = co_await net::connect(question.server);
  net::SocketStream stream(base_, std::move(socket));
  co_await stream.write(framed);
  std::array<char, 2> head{};
  co_await stream.read_exactly(head);
  const auto length = static_cast<std::size_t>(static_cast<unsigned char>(head[0]) << 8 |
                                               static_cast<unsigned char>(head[1]));
  std::string message(length, '\0');
  co_await stream.read_exactly(message);
  Reply reply = parse_reply(message, question.name, question.type, id);
  const bool answers = reply.kind == Reply::Kind::complete;
  if (!answers) co_return failed(Errc::bad_answer);
  co_return std::move(reply);
}

}  // namespace event_cpp::dns::detail
