// A message of the peer, besides data, that comes in two records, of which the second one is late.
#include <array>
#include <memory>
#include <string>
#include <system_error>

#include "tls/openssl_peer.hpp"
#include "tls/support.hpp"

namespace event_cpp::test {
namespace {

using co::Task;

// A server of OpenSSL alone, whose ticket is such a message.
class TlsHalfMessageTest : public TlsFixture {
 protected:
  TlsHalfMessageTest() {
    co::TaskGroup tasks(base);
    tasks.spawn(
        connect_into(end_a(), authority().trusting(), "localhost", client, client_failure, {}));
    run_until([&] { return peer.shake_hands() || client_failure != nullptr; });
    run_until([&] { return tasks.size() == 0; });
    EXPECT_EQ(client_failure, nullptr) << text_of(client_failure);
    const std::string ticket = peer.sent();
    constexpr std::size_t kRecord = 512 + 22;
    EXPECT_GT(ticket.size(), kRecord);
    peer.give(ticket.substr(0, kRecord));
    rest = ticket.substr(kRecord);
    EXPECT_EQ(client->try_read(room), net::kWouldBlock);
  }
  static OpensslContext make_context() {
    OpensslContext context(SSL_CTX_new(TLS_server_method()), &SSL_CTX_free);
    use_identity(context.get(), authority().issue({"localhost"}));
    SSL_CTX_set_max_send_fragment(context.get(), 512);
    SSL_CTX_set_num_tickets(context.get(), 1);
    SSL_CTX_set_session_ticket_cb(context.get(), &make_ticket, nullptr, nullptr);
    return context;
  }
  static int make_ticket(SSL* ssl, void* /*unused*/) {
    const std::string much(800, 'x');
    return SSL_SESSION_set1_ticket_appdata(SSL_get_session(ssl), much.data(), much.size());
  }
  std::string received() {
    settle();
    return peer.received();
  }
  Task<> write_hello(std::error_code& code) { code = co_await client->try_write_all("hello"); }
  Task<> shut_down() { co_await client->shutdown(); }

  OpensslContext context = make_context();
  OpensslPeer peer{context.get(), memory->b(), OpensslPeer::Role::server};
  std::unique_ptr<tls::Stream> client;
  std::string rest;
  std::array<char, 5000> room{};
};

TEST_F(TlsHalfMessageTest, HoldsAWriteUntilTheOtherHalfComes) {
  std::error_code code = std::make_error_code(std::errc::io_error);
  co::TaskGroup tasks(base);
  tasks.spawn(write_hello(code));
  EXPECT_EQ(received(), "");
  peer.give(rest);
  EXPECT_EQ(received(), "hello");
  EXPECT_FALSE(code) << code.message();
}

TEST_F(TlsHalfMessageTest, HoldsAWriteUntilTheOtherHalfIsReadByAnotherCall) {
  std::error_code code = std::make_error_code(std::errc::io_error);
  co::TaskGroup tasks(base);
  tasks.spawn(write_hello(code));
  settle();
  peer.give(rest);
  EXPECT_EQ(client->try_read(room), net::kWouldBlock);
  EXPECT_EQ(received(), "hello");
  EXPECT_FALSE(code) << code.message();
}

TEST_F(TlsHalfMessageTest, HoldsAWriteUntilTheOtherHalfIsReadByAnotherWrite) {
  std::error_code code = std::make_error_code(std::errc::io_error);
  co::TaskGroup tasks(base);
  tasks.spawn(write_hello(code));
  settle();
  peer.give(rest);
  EXPECT_EQ(client->try_write("first "), 6);
  EXPECT_EQ(received(), "first ");
  EXPECT_EQ(received(), "hello");
  EXPECT_FALSE(code) << code.message();
}

TEST_F(TlsHalfMessageTest, FailsAWriteWhenItIsCut) {
  std::error_code code;
  co::TaskGroup tasks(base);
  tasks.spawn(write_hello(code));
  settle();
  EXPECT_EQ(memory->b().try_shutdown(), 0);
  settle();
  EXPECT_EQ(tasks.size(), 0U);
  EXPECT_EQ(code, event_cpp::Errc::truncated);
}

TEST_F(TlsHalfMessageTest, HoldsNewKeysAndAGoodbyeUntilTheOtherHalfComes) {
  EXPECT_NO_THROW(client->update_keys());
  co::TaskGroup tasks(base);
  tasks.spawn(shut_down());
  EXPECT_EQ(received(), "");
  EXPECT_EQ(SSL_get_shutdown(peer.ssl()), 0);
  peer.give(rest);
  EXPECT_EQ(received(), "");
  EXPECT_EQ(SSL_get_shutdown(peer.ssl()), SSL_RECEIVED_SHUTDOWN);
  EXPECT_EQ(tasks.size(), 0U);
}

TEST_F(TlsHalfMessageTest, LosesNoDataBehindItThatAWriteHasTaken) {
  std::string text;
  co::TaskGroup tasks(base);
  tasks.spawn([&]() -> Task<> {
    const net::Chunk chunk = co_await client->receive();
    text = chunk.text();
  });
  settle();
  EXPECT_EQ(SSL_write(peer.ssl(), "hello", 5), 5);
  peer.give(rest + peer.sent());
  EXPECT_EQ(client->try_write("answer"), 6);
  settle();
  EXPECT_EQ(text, "hello");
  EXPECT_EQ(received(), "answer");
}

}  // namespace
}  // namespace event_cpp::test
