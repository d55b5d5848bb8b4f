// The net act: all of sockets, servers and streams.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <optional>
#include <string>
#include <utility>

#include "event/co.hpp"
#include "parts.hpp"
#include "support/descriptors.hpp"

namespace event_cpp::faults {
namespace {

using namespace std::chrono_literals;
using co::Task;
using net::Address;
using test::Fd;

// So many bytes that they do not fit into the buffers of a socket.
constexpr std::size_t kMuch = 400'000;

// Bytes that tell where they belong.
char byte_at(std::size_t place) noexcept { return static_cast<char>(place % 251); }

std::string many_bytes() {
  std::string bytes(kMuch, '\0');
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = byte_at(i);
  return bytes;
}

void check_io(net::Io io) { check(net::to_error(io)); }

struct Pair {
  explicit Pair(Base& base) : Pair(base, net::Socket::pair()) {}
  Pair(Base& base, std::pair<net::Socket, net::Socket> sockets)
      : ours(base, std::move(sockets.first)), theirs(base, std::move(sockets.second)) {}

  net::SocketStream ours;
  net::SocketStream theirs;
};

Task<> write_much(net::SocketStream& to) {
  const std::string bytes = many_bytes();
  co_await to.write(bytes);
  co_await to.shutdown();
}

// Everything, each byte once and in order, and then the end.
Task<> read_much(net::SocketStream& from) {
  std::size_t read = 0;
  for (;;) {
    const net::Chunk chunk = co_await from.receive();
    if (!chunk) break;
    for (const char byte : chunk.text()) {
      if (byte != byte_at(read++)) throw Cut{"bytes in order"};
    }
  }
  if (read != kMuch) throw Cut{"all bytes"};
}

// Runs one end of a connection, which is closed only after an error was noted.
Task<> run_end(Base& base, net::Socket socket, FirstError& errors,
               Task<> (*end)(net::SocketStream&)) {
  std::optional<net::SocketStream> stream;
  try {
    stream.emplace(base, std::move(socket));
    co_await end(*stream);
  } catch (...) {
    errors.note(std::current_exception());
    throw;
  }
}

// serve(), Buffered, connect() by address, drain_and_close().

Task<> answer_lines(net::SocketStream& stream) {
  co_await echo_lines(stream);
  co_await net::drain_and_close(stream, 10s);
}

Task<> ask_lines(net::SocketStream& stream) {
  stream.idle_timeout(10s);
  net::Buffered io(stream);
  for (int i = 0; i < 3; ++i) {
    const std::string question = "question " + std::to_string(i);
    io.put(question);
    co_await io.write("\n");
    const auto answer = co_await io.read_line();
    if (!answer || *answer != question) throw Cut{"an answer of the server"};
  }
  io.put("exactly;\n");
  co_await io.flush();
  const auto until = co_await io.read_until(";");
  if (until != "exactly") throw Cut{"what comes before a delimiter"};
  const auto exactly = co_await io.read_exactly(1);
  if (exactly != "\n") throw Cut{"a byte"};
  co_await stream.shutdown();
  const net::Chunk end = co_await io.receive();
  if (end) throw Cut{"the end of the stream"};
}

Task<> connect_and_ask(Address server, FirstError& errors) {
  Base& base = co_await co::base();
  net::Socket socket = co_await net::connect(server);
  if (socket.peer() != server) throw Cut{"the address of the peer"};
  socket.set_keep_alive(10s, 5s, 3);
  co_await run_end(base, std::move(socket), errors, ask_lines);
}

Task<> serve_lines(World& world) {
  FirstError errors;
  net::Listener listener(world.base, Address::loopback(0));
  ListenerErrors listener_errors(world.journal, listener);
  net::ServeOptions options;
  options.grace = 1s;
  options.on_error = [&](const std::exception_ptr& error) { errors.note(error); };
  auto handler = [&errors](Base& base, net::Socket socket) {
    return run_end(base, std::move(socket), errors, answer_lines);
  };
  co_await co::when_any(
      note_end(errors, net::serve(listener, std::move(handler), std::move(options))),
      errors.run(connect_and_ask(listener.address(), errors)), listener_errors.await_end());
  errors.rethrow();
}

// A listener at a path, accept(), credentials, passing of descriptors.

Task<> take_descriptor(net::Listener& listener) {
  const net::Socket connection = co_await listener.accept();
  if (connection.peer_credentials().pid != ::getpid()) throw Cut{"the process of the peer"};
  co_await co::ready(connection.fd(), Events::read);
  const Fd received(net::receive_descriptor(connection));
  net::Socket adopted = net::Socket::adopt(received.get());
  Base& base = co_await co::base();
  net::SocketStream stream(base, net::Socket(::dup(adopted.release())));
  co_await stream.write("over a socket that was passed");
}

Task<> pass_descriptor(Address where, net::SocketStream& ours, int theirs) {
  const net::Socket connection = co_await net::connect(where);
  net::send_descriptor(connection, theirs);
  std::string room(29, '\0');
  co_await ours.read_exactly(room);
  if (room != "over a socket that was passed") throw Cut{"bytes over a socket that was passed"};
}

Task<> use_unix_path(World& world) {
  const Path path("listener");
  const Address where = Address::unix_path(path.text());
  net::Listener listener(world.base, where);
  std::pair<net::Socket, net::Socket> sockets = net::Socket::pair();
  net::SocketStream ours(world.base, std::move(sockets.first));
  ListenerErrors errors(world.journal, listener);
  co_await co::when_any(
      co::when_all(take_descriptor(listener), pass_descriptor(where, ours, sockets.second.fd())),
      errors.await_end());
}

// connect() to a host: a number, and a name that the system is asked for.

Task<> accept_some(net::Listener& listener, int count) {
  for (int i = 0; i < count; ++i) {
    const net::Socket connection = co_await listener.accept();
  }
}

Task<> connect_to_hosts(int port) {
  const net::Socket by_number = co_await net::connect("127.0.0.1", port, 10s);
  const net::Socket by_name = co_await net::connect("localhost", port, 10s);
  if (by_number.peer() != by_name.peer()) throw Cut{"the same server by its name"};
}

Task<> use_hosts(World& world) {
  net::Listener listener(world.base, Address::loopback(0));
  ListenerErrors errors(world.journal, listener);
  co_await co::when_any(
      co::when_all(accept_some(listener, 2), connect_to_hosts(listener.address().port())),
      errors.await_end());
}

// Streams: the calls that throw and those that return errors, pieces, idle timeouts.

Task<> say(net::SocketStream& stream) {
  const std::array<net::Bytes, 3> pieces{"one ", "two ", "three"};
  co_await stream.write(std::span<const net::Bytes>(pieces));
  const auto error = co_await stream.try_write_all(" four");
  check(error);
  co_await stream.writable();
  co_await stream.shutdown();
  const auto late = co_await stream.try_receive();
  check(late.error);
  if (late.value) throw Cut{"the end of what nobody has said"};
}

Task<> hear(net::SocketStream& stream) {
  co_await stream.readable();
  std::string room(13, '\0');
  co_await stream.read_exactly(room);
  std::string heard = room;
  for (;;) {
    const auto some = co_await stream.try_read_some(room);
    check(some.error);
    if (some.value == 0) break;
    heard += room.substr(0, some.value);
  }
  if (heard != "one two three four") throw Cut{"what was said"};
  co_await stream.shutdown();
}

Task<> use_streams(World& world) {
  Pair pair(world.base);
  co_await co::when_all(say(pair.ours), hear(pair.theirs));
  Pair silent(world.base);
  silent.ours.idle_timeout(5ms);
  const auto nothing = co_await silent.ours.try_receive();
  if (nothing.error != std::errc::timed_out) {
    check(nothing.error);
    throw Cut{"an idle timeout"};
  }
  silent.ours.reset();
}

// copy(), which splices once many bytes flow.

Task<> use_copy(World& world) {
  Pair in(world.base);
  Pair out(world.base);
  const auto [written, copied, read] = co_await co::when_all(
      write_much(in.ours), net::copy(in.theirs, out.ours), read_much(out.theirs));
  if (copied != kMuch) throw Cut{"the number of bytes copied"};
}

// send_file(): sendfile(2) for a file; for what cannot be sent so, reads.

Task<> send_and_end(net::SocketStream& to, int file) {
  const std::uint64_t sent = co_await net::send_file(to, file, 0, kMuch);
  if (sent != kMuch) throw Cut{"the number of bytes sent"};
  co_await to.shutdown();
}

Task<> use_send_file(World& world) {
  Fd file;
  {
    const Exempt exempt;
    file = Fd(::memfd_create("much", MFD_CLOEXEC));
    const std::string bytes = many_bytes();
    if (::write(file.get(), bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size())) {
      throw Cut{"a file"};
    }
  }
  Pair pair(world.base);
  co_await co::when_all(send_and_end(pair.ours, file.get()), read_much(pair.theirs));
}

// Datagrams between IP addresses, and between paths.

Task<> exchange_datagrams(net::Datagram& ours, net::Datagram& theirs, Address here, Address there) {
  for (int i = 0; i < 3; ++i) {
    const std::string text = "packet " + std::to_string(i);
    co_await ours.send(text, there);
    const net::Packet packet = co_await theirs.receive();
    if (packet.bytes.text() != text || packet.from != here) throw Cut{"a packet"};
  }
}

Task<> use_datagrams(World& world) {
  {
    net::Datagram ours(world.base, Address::loopback(0));
    net::Datagram theirs(world.base, Address::loopback(0));
    co_await exchange_datagrams(ours, theirs, ours.address(), theirs.address());
    ours.connect(theirs.address());
    net::Packet packet;
    check_io(ours.try_send("connected", Address()));
    check_io(theirs.try_receive(packet));
  }
  const Path here("here");
  const Path there("there");
  const Address to_here = Address::unix_path(here.text());
  const Address to_there = Address::unix_path(there.text());
  net::Datagram ours(world.base, to_here);
  net::Datagram theirs(world.base, to_there);
  co_await exchange_datagrams(ours, theirs, to_here, to_there);
}

// Callbacks in the place of tasks.

Task<> use_callbacks(World& world) {
  net::Listener listener(world.base, Address::loopback(0));
  co::Notification changed;
  net::Socket accepted;
  std::error_code error;
  listener.on_accept([&](net::Socket socket) {
    accepted = std::move(socket);
    changed.notify_all();
  });
  listener.on_error([&](std::error_code its_error) {
    error = its_error;
    changed.notify_all();
  });
  net::Socket connected = co_await net::connect(listener.address());
  while (!accepted && !error) co_await changed.wait();
  check(error);
  net::SocketStream theirs(world.base, std::move(accepted));
  net::SocketStream ours(world.base, std::move(connected));
  bool readable = false;
  theirs.on_readable([&] {
    theirs.on_readable({});
    readable = true;
    changed.notify_all();
  });
  co_await ours.write("for a callback");
  while (!readable) co_await changed.wait();
  const net::Chunk chunk = co_await theirs.receive();
  if (chunk.text() != "for a callback") throw Cut{"what a callback was called for"};
  check(error);
}

// Servers in threads of their own.

Task<> answer_byte(net::SocketStream& stream) {
  char byte = 0;
  const std::size_t size = co_await stream.read_some(net::Room(&byte, 1));
  co_await stream.write(net::Bytes(&byte, size));
}

Task<> ask_byte(net::SocketStream& stream) {
  co_await stream.write("b");
  char byte = 0;
  const std::size_t size = co_await stream.read_some(net::Room(&byte, 1));
  if (size != 1 || byte != 'b') throw Cut{"an answer of a worker"};
}

Task<> connect_and_ask_byte(Address server, FirstError& errors) {
  Base& base = co_await co::base();
  net::Socket socket = co_await net::connect(server);
  co_await run_end(base, std::move(socket), errors, ask_byte);
}

Task<> use_workers(World& world) {
  FirstError errors;
  net::Workers::Options options;
  options.base.backend = world.base.backend();
  options.serve.grace = 1s;
  options.serve.on_error = [&errors](const std::exception_ptr& error) { errors.note(error); };
  auto handler = [&errors](Base& base, net::Socket socket) {
    return run_end(base, std::move(socket), errors, answer_byte);
  };
  net::Workers workers(1, Address::loopback(0), std::move(handler), std::move(options));
  // A worker whose loop has ended answers nobody.
  const auto ended = co_await co::try_with_timeout(
      1s, errors.run(connect_and_ask_byte(workers.address(), errors)));
  workers.stop();
  errors.rethrow();
  if (!ended) throw Cut{"a worker that answers"};
}

// A server without clients, and a connection on which an answer never comes.
Task<> wait_for_no_line(Journal& journal) {
  Base& base = co_await co::base();
  net::Listener listener(base, Address::loopback(0));
  Pair pair(base);
  pair.ours.idle_timeout(1h);
  net::Buffered io(pair.ours);
  io.put("question\n");
  listener.on_accept([](net::Socket) {});
  co_await io.read_line();
  journal.miss("what waits to be dropped");
}

constexpr Part kNetParts[] = {{"serve", serve_lines},       {"a Unix path", use_unix_path},
                              {"hosts", use_hosts},         {"streams", use_streams},
                              {"copy", use_copy},           {"send_file", use_send_file},
                              {"datagrams", use_datagrams}, {"callbacks", use_callbacks},
                              {"workers", use_workers}};

}  // namespace

const Act& net_act() noexcept {
  static constexpr Act kAct{kNetParts, wait_for_no_line};
  return kAct;
}

}  // namespace event_cpp::faults
