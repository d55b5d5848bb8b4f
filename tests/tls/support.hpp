// What the tests of TLS share.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "event/tls.hpp"
#include "event/tls/test.hpp"
#include "net/frozen_base.hpp"
#include "net/support.hpp"
#include "support/borrowed_stream.hpp"

namespace event_cpp::test {

// One for all tests of a program: making it takes some milliseconds.
inline const tls::test::Authority& authority() {
  static const tls::test::Authority instance;
  return instance;
}

inline tls::ServerOptions server_options(std::vector<std::string> names = {"localhost"}) {
  tls::ServerOptions options;
  options.names.push_back({{}, authority().issue(std::move(names))});
  return options;
}

inline tls::ClientOptions client_options() {
  tls::ClientOptions options;
  options.trust = authority().root_pem();
  options.system_trust = false;
  return options;
}

// What happens on the way to the other end.
struct Tampering {
  std::size_t flip = static_cast<std::size_t>(-1);  // this byte of what is written
  std::size_t cut = static_cast<std::size_t>(-1);   // the end comes after so many
  std::size_t written = 0;
  std::size_t writes = 0;  // calls that have written something
};

// A stream of which the test keeps the other side, and may change what goes there.
class Borrowed final : public BorrowedStream {
 public:
  using BorrowedStream::BorrowedStream;
  using BorrowedStream::try_write;

  net::Io try_write(net::Bytes bytes) noexcept override {
    if (tampering_ == nullptr) return BorrowedStream::try_write(bytes);
    Tampering& way = *tampering_;
    if (way.written >= way.cut) {
      try_shutdown();
      return static_cast<net::Io>(bytes.size());
    }
    std::string copy(bytes.text().substr(0, way.cut - way.written));
    if (way.flip >= way.written && way.flip - way.written < copy.size()) {
      char& byte = copy[way.flip - way.written];
      byte = static_cast<char>(byte ^ 1);
    }
    const net::Io io = BorrowedStream::try_write(net::Bytes(copy));
    if (io > 0) {
      way.written += static_cast<std::size_t>(io);
      ++way.writes;
    }
    return io;
  }
  void tamper(Tampering& way) noexcept { tampering_ = &way; }

 private:
  Tampering* tampering_ = nullptr;
};

inline std::unique_ptr<net::Stream> borrow(net::Stream& stream,
                                           std::shared_ptr<void> owner = nullptr) {
  return std::make_unique<Borrowed>(stream, std::move(owner));
}

inline std::string text_of(const std::exception_ptr& failure) {
  if (failure == nullptr) return "(no failure)";
  try {
    std::rethrow_exception(failure);
  } catch (const std::exception& error) {
    return error.what();
  }
}

inline tls::Error error_of(const std::exception_ptr& failure) {
  if (failure == nullptr) return tls::Error(std::error_code());
  try {
    std::rethrow_exception(failure);
  } catch (const tls::Error& error) {
    return error;
  } catch (const std::system_error& error) {
    return tls::Error(error.code());
  }
}

// The two ends of a connection in memory, on a base without a kernel side, in a time that only the
// test moves.
class TlsFixture : public testing::Test, protected FrozenBase {
 protected:
  explicit TlsFixture(std::size_t room = std::size_t{64} << 10)
      : memory(std::make_shared<net::Memory>(base, room)) {}

  struct Pair {
    std::unique_ptr<tls::Stream> client;
    std::unique_ptr<tls::Stream> server;
  };

  // The ends of `memory`, which live as long as these.
  std::unique_ptr<net::Stream> end_a() {
    auto end = std::make_unique<Borrowed>(memory->a(), memory);
    if (from_a != nullptr) end->tamper(*from_a);
    return end;
  }
  std::unique_ptr<net::Stream> end_b() { return borrow(memory->b(), memory); }

  co::Task<> accept_into(std::unique_ptr<net::Stream> below, const tls::Server& server,
                         std::unique_ptr<tls::Stream>& stream, std::exception_ptr& failure) {
    try {
      tls::Stream accepted = co_await tls::accept(std::move(below), server);
      stream = std::make_unique<tls::Stream>(std::move(accepted));
    } catch (...) {
      failure = std::current_exception();
    }
  }
  co::Task<> connect_into(std::unique_ptr<net::Stream> below, const tls::Context& context,
                          std::string host, std::unique_ptr<tls::Stream>& stream,
                          std::exception_ptr& failure, tls::Session session) {
    try {
      co::Task<tls::Stream> handshake = tls::client(std::move(below), context, std::move(host),
                                                    tls::Limits(), std::move(session));
      tls::Stream connected = co_await std::move(handshake);
      stream = std::make_unique<tls::Stream>(std::move(connected));
    } catch (...) {
      failure = std::current_exception();
    }
  }

  // Shakes hands. What fails is in client_failure and server_failure.
  Pair shake_hands(const tls::Context& client, const tls::Server& server,
                   const std::string& host = "localhost", tls::Session session = {}) {
    Pair pair;
    client_failure = server_failure = nullptr;
    co::TaskGroup tasks(base);
    tasks.spawn(accept_into(end_b(), server, pair.server, server_failure));
    tasks.spawn(
        connect_into(end_a(), client, host, pair.client, client_failure, std::move(session)));
    run_until([&] { return tasks.size() == 0; });
    return pair;
  }
  Pair shake_hands() {
    Pair pair = shake_hands(tls::Context::client(client_options()),
                            tls::Server(tls::Context::server(server_options())));
    EXPECT_TRUE(pair.client != nullptr && pair.server != nullptr)
        << text_of(client_failure) << "; " << text_of(server_failure);
    return pair;
  }
  // For the next connection.
  void new_memory(std::size_t room = std::size_t{64} << 10) {
    memory = std::make_shared<net::Memory>(base, room);
  }

  // What the first read fails with.
  tls::Error read_error(tls::Stream& stream) {
    std::exception_ptr failure;
    co::TaskGroup tasks(base);
    tasks.spawn([&]() -> co::Task<> {
      try {
        const net::Chunk chunk = co_await stream.receive();
      } catch (...) {
        failure = std::current_exception();
      }
    });
    run_until([&] { return tasks.size() == 0; });
    return error_of(failure);
  }

  std::shared_ptr<net::Memory> memory;
  Tampering* from_a = nullptr;  // what happens to what the client sends
  std::exception_ptr client_failure;
  std::exception_ptr server_failure;
};

}  // namespace event_cpp::test
