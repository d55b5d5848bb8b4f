// The TLS act: clients and servers of TLS, over pairs of sockets and over TCP.
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include <chrono>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "event/co.hpp"
#include "event/tls.hpp"
#include "event/tls/test.hpp"
#include "parts.hpp"
#include "parts_act.hpp"

namespace event_cpp::faults {
namespace {

using namespace std::chrono_literals;
using co::Task;

// OpenSSL's memory is counted by itself: it takes far more of it than the library, and what it
// makes of a failure is not the library's doing. With a sanitizer as well.

void* openssl_malloc(std::size_t size, const char* /*file*/, int /*line*/) {
  if (fails_in_openssl()) return nullptr;
  const Exempt exempt;
  return std::malloc(size);
}

void* openssl_realloc(void* memory, std::size_t size, const char* /*file*/, int /*line*/) {
  if (fails_in_openssl()) return nullptr;
  const Exempt exempt;
  return std::realloc(memory, size);
}

void openssl_free(void* memory, const char* /*file*/, int /*line*/) { std::free(memory); }

// Made once. Making keys takes long.
struct Certificates {
  tls::test::Authority authority;
  tls::Pem identity = authority.issue({"server.test", "127.0.0.1"});
  std::string root = authority.root_pem();
};

const Certificates& certificates() {
  static const Certificates instance;
  return instance;
}

tls::Server make_server() {
  tls::ServerOptions options;
  options.names.push_back({{}, certificates().identity});
  options.alpn = {"test"};
  return tls::Server(tls::Context::server(std::move(options)));
}

tls::Context make_client_context() {
  tls::ClientOptions options;
  options.trust = certificates().root;
  options.system_trust = false;
  options.alpn = {"test"};
  return tls::Context::client(std::move(options));
}

// The two ends that TLS is spoken over.
struct Ends {
  explicit Ends(Base& base) {
    std::pair<net::Socket, net::Socket> sockets = net::Socket::pair();
    client = std::make_unique<net::SocketStream>(base, std::move(sockets.first));
    server = std::make_unique<net::SocketStream>(base, std::move(sockets.second));
  }

  std::unique_ptr<net::Stream> client;
  std::unique_ptr<net::Stream> server;
};

// Notes what is being caught. What one end has refused the other end is only told.
void note_caught(FirstError& errors) noexcept {
  try {
    throw;
  } catch (const tls::Error& error) {
    constexpr Cut kCut{"a connection that the other end does not refuse"};
    errors.note(error.by_peer() ? std::make_exception_ptr(kCut) : std::current_exception());
  } catch (...) {
    errors.note(std::current_exception());
  }
}

// Both note what they are told before the connection is closed.

Task<> answer_lines(tls::Stream& stream) {
  co_await echo_lines(stream);
  co_await stream.shutdown();
}

Task<> ask_lines(tls::Stream& stream) {
  net::Buffered io(stream);
  for (int i = 0; i < 2; ++i) {
    const std::string question = "question " + std::to_string(i);
    io.put(question);
    co_await io.write("\n");
    const auto answer = co_await io.read_line();
    if (!answer || *answer != question) throw Cut{"an answer over TLS"};
  }
  if (stream.peer().alpn != "test") throw Cut{"a protocol that was agreed"};
  co_await stream.shutdown();
  const net::Chunk end = co_await io.receive();
  if (end) throw Cut{"the end of a TLS stream"};
}

Task<> run_server(std::unique_ptr<net::Stream> below, const tls::Server& server,
                  FirstError& errors) {
  std::optional<tls::Stream> stream;
  try {
    tls::Stream accepted = co_await tls::accept(std::move(below), server);
    stream.emplace(std::move(accepted));
    co_await answer_lines(*stream);
    co_await stream->close();
  } catch (...) {
    note_caught(errors);
  }
}

Task<> run_client(std::unique_ptr<net::Stream> below, const tls::Context& context, bool& resumed,
                  FirstError& errors) {
  std::optional<tls::Stream> stream;
  try {
    tls::Stream connected = co_await tls::client(std::move(below), context, "server.test");
    stream.emplace(std::move(connected));
    co_await ask_lines(*stream);
    resumed = stream->peer().resumed;
    co_await stream->close();
  } catch (...) {
    note_caught(errors);
  }
}

// Connections one after the other: the handshake, an echo, an end in order; then a session is
// resumed. A session that was not kept is no error: the next handshake is a whole one.

Task<> use_handshakes(World& world) {
  const tls::Server server = make_server();
  const tls::Context client = make_client_context();
  for (int i = 0; i < 2; ++i) {
    Ends ends(world.base);
    FirstError errors;
    bool resumed = false;
    co_await co::when_all(run_server(std::move(ends.server), server, errors),
                          run_client(std::move(ends.client), client, resumed, errors));
    errors.rethrow();
    if (resumed != (i == 1) && nothing_fails()) throw Cut{"a session that is resumed"};
  }
}

// A client that wants somebody else.

Task<> refuse(std::unique_ptr<net::Stream> below, const tls::Context& context, bool& refused,
              FirstError& errors) {
  try {
    const tls::Stream stream = co_await tls::client(std::move(below), context, "other.test");
  } catch (const tls::Error& error) {
    refused = error.code() == tls::Errc::wrong_host;
    if (!refused) note_caught(errors);
  } catch (...) {
    note_caught(errors);
  }
}

Task<> be_refused(std::unique_ptr<net::Stream> below, const tls::Server& server,
                  FirstError& errors) {
  try {
    tls::Stream stream = co_await tls::accept(std::move(below), server);
    const net::Chunk chunk = co_await stream.receive();
  } catch (...) {
    note_caught(errors);
  }
}

Task<> use_refusal(World& world) {
  const tls::Server server = make_server();
  const tls::Context client = make_client_context();
  Ends ends(world.base);
  FirstError errors;
  bool refused = false;
  co_await co::when_all(be_refused(std::move(ends.server), server, errors),
                        refuse(std::move(ends.client), client, refused, errors));
  if (refused) {
    errors.rethrow_cause();
  } else {
    errors.rethrow();
    throw Cut{"a certificate for another name to be refused"};
  }
}

// serve(), and connect() to it by address.

Task<> answer_served(tls::Stream& stream, FirstError& errors) {
  try {
    co_await answer_lines(stream);
  } catch (...) {
    note_caught(errors);
    throw;
  }
}

Task<> connect_and_ask(const tls::Context& context, int port) {
  Base& base = co_await co::base();
  tls::Stream stream = co_await tls::connect(base, context, "127.0.0.1", port, tls::Limits());
  co_await ask_lines(stream);
  co_await stream.close();
}

Task<> note_client(const tls::Context& context, int port, FirstError& errors) {
  try {
    co_await connect_and_ask(context, port);
  } catch (...) {
    note_caught(errors);
  }
}

Task<> use_serve(World& world) {
  FirstError errors;
  tls::Server server = make_server();
  const tls::Context client = make_client_context();
  net::Listener listener(world.base, net::Address::loopback(0));
  ListenerErrors listener_errors(world.journal, listener);
  net::ServeOptions options;
  options.grace = 1s;
  options.on_error = [&](const std::exception_ptr& error) {
    try {
      std::rethrow_exception(error);
    } catch (...) {
      note_caught(errors);
    }
  };
  auto handler = [&errors](Base& /*base*/, tls::Stream& stream) {
    return answer_served(stream, errors);
  };
  co_await co::when_any(
      note_end(errors, tls::serve(listener, server, std::move(handler), std::move(options))),
      note_client(client, listener.address().port(), errors), listener_errors.await_end());
  errors.rethrow();
}

// A handshake that is never answered.
Task<> wait_for_no_server(Journal& journal) {
  Base& base = co_await co::base();
  const tls::Context client = make_client_context();
  Ends ends(base);
  const tls::Stream stream = co_await tls::client(std::move(ends.client), client, "server.test");
  journal.miss("what waits to be dropped");
}

constexpr Part kTlsParts[] = {
    {"handshakes", use_handshakes}, {"a refusal", use_refusal}, {"serve", use_serve}};

}  // namespace

const Act& tls_act() noexcept {
  static constexpr Act kAct{kTlsParts, wait_for_no_server};
  return kAct;
}

void prepare_tls() {
  CRYPTO_set_mem_functions(&openssl_malloc, &openssl_realloc, &openssl_free);
  RAND_keep_random_devices_open(0);
  static_cast<void>(certificates());
  rehearse(tls_act());
  // Its next random numbers begin with the system's.
  EVP_RAND_uninstantiate(RAND_get0_primary(nullptr));
}

}  // namespace event_cpp::faults
