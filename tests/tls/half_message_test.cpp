// A message of the peer, besides data, that comes in two records, of which the second one is late.
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include <array>
#include <memory>
#include <string>
#include <system_error>

#include "tls/support.hpp"

namespace event_cpp::test {
namespace {

using co::Task;

// A server of OpenSSL alone, whose ticket is such a message.
class TlsHalfMessageTest : public TlsFixture {
 protected:
  using Context = std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)>;
  using Ssl = std::unique_ptr<SSL, decltype(&SSL_free)>;

  TlsHalfMessageTest() {
    const tls::Pem pem = authority().issue({"localhost"});
    BIO* const bio = BIO_new_mem_buf(pem.certificates.data(), -1);
    X509* const certificate = PEM_read_bio_X509(bio, nullptr, nullptr, nullptr);
    BIO* const key_bio = BIO_new_mem_buf(pem.key.data(), -1);
    EVP_PKEY* const key = PEM_read_bio_PrivateKey(key_bio, nullptr, nullptr, nullptr);
    EXPECT_EQ(SSL_CTX_use_certificate(context.get(), certificate), 1);
    EXPECT_EQ(SSL_CTX_use_PrivateKey(context.get(), key), 1);
    while (X509* const next = PEM_read_bio_X509(bio, nullptr, nullptr, nullptr)) {
      SSL_CTX_add0_chain_cert(context.get(), next);
    }
    ERR_clear_error();
    X509_free(certificate);
    EVP_PKEY_free(key);
    BIO_free(bio);
    BIO_free(key_bio);
    SSL_CTX_set_max_send_fragment(context.get(), 512);
    SSL_CTX_set_num_tickets(context.get(), 1);
    SSL_CTX_set_session_ticket_cb(context.get(), &make_ticket, nullptr, nullptr);
    ssl = Ssl(SSL_new(context.get()), &SSL_free);
    SSL_set_bio(ssl.get(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_accept_state(ssl.get());

    co::TaskGroup tasks(base);
    tasks.spawn(
        connect_into(end_a(), authority().trusting(), "localhost", client, client_failure, {}));
    EXPECT_TRUE(run_until([&] {
      take();
      const bool done = SSL_do_handshake(ssl.get()) == 1;
      const std::string answer = done ? std::string() : sent();
      if (!answer.empty()) give(answer);
      return done || client_failure != nullptr;
    }));
    EXPECT_TRUE(run_until([&] { return tasks.size() == 0; })) << text_of(client_failure);
    const std::string ticket = sent();
    constexpr std::size_t kRecord = 512 + 22;
    EXPECT_GT(ticket.size(), kRecord);
    give(ticket.substr(0, kRecord));
    rest = ticket.substr(kRecord);
    EXPECT_EQ(client->try_read(room), net::kWouldBlock);
  }
  static int make_ticket(SSL* ssl, void* /*unused*/) {
    const std::string much(800, 'x');
    return SSL_SESSION_set1_ticket_appdata(SSL_get_session(ssl), much.data(), much.size());
  }
  void take() {
    const net::Io io = memory->b().try_read(room);
    if (io > 0) BIO_write(SSL_get_rbio(ssl.get()), room.data(), static_cast<int>(io));
  }
  std::string sent() {
    std::string text(10'000, '\0');
    const int size = BIO_read(SSL_get_wbio(ssl.get()), text.data(), static_cast<int>(text.size()));
    text.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
    return text;
  }
  void give(const std::string& text) {
    EXPECT_EQ(memory->b().try_write(text), static_cast<net::Io>(text.size()));
  }
  std::string received() {
    settle();
    take();
    std::string text(100, '\0');
    const int size = SSL_read(ssl.get(), text.data(), static_cast<int>(text.size()));
    text.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
    return text;
  }
  Task<> write_hello(std::error_code& code) { code = co_await client->try_write_all("hello"); }
  Task<> shut_down() { co_await client->shutdown(); }

  Context context{SSL_CTX_new(TLS_server_method()), &SSL_CTX_free};
  Ssl ssl{nullptr, &SSL_free};
  std::unique_ptr<tls::Stream> client;
  std::string rest;
  std::array<char, 5000> room{};
};

TEST_F(TlsHalfMessageTest, HoldsAWriteUntilTheOtherHalfComes) {
  std::error_code code = std::make_error_code(std::errc::io_error);
  co::TaskGroup tasks(base);
  tasks.spawn(write_hello(code));
  EXPECT_EQ(received(), "");
  give(rest);
  EXPECT_EQ(received(), "hello");
  EXPECT_FALSE(code) << code.message();
}

TEST_F(TlsHalfMessageTest, HoldsAWriteUntilTheOtherHalfIsReadByAnotherCall) {
  std::error_code code = std::make_error_code(std::errc::io_error);
  co::TaskGroup tasks(base);
  tasks.spawn(write_hello(code));
  settle();
  give(rest);
  EXPECT_EQ(client->try_read(room), net::kWouldBlock);
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
  EXPECT_EQ(SSL_get_shutdown(ssl.get()), 0);
  give(rest);
  EXPECT_EQ(received(), "");
  EXPECT_EQ(SSL_get_shutdown(ssl.get()), SSL_RECEIVED_SHUTDOWN);
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
  EXPECT_EQ(SSL_write(ssl.get(), "hello", 5), 5);
  give(rest + sent());
  EXPECT_EQ(client->try_write("answer"), 6);
  settle();
  EXPECT_EQ(text, "hello");
  EXPECT_EQ(received(), "answer");
}

}  // namespace
}  // namespace event_cpp::test
