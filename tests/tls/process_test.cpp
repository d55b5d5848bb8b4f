// What TLS costs a process with many connections, and what it leaves alone there.
#include <dlfcn.h>
#include <openssl/evp.h>
#include <sys/socket.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#include <atomic>
#include <cstdlib>
#include <fstream>

#include "event/net/socket_stream.hpp"
#include "examples/peers.hpp"
#include "support/signals.hpp"
#include "tls/support.hpp"

namespace event_cpp::test {
namespace {

std::atomic<int> fetches = 0;  // of ciphers and digests, by this library

void count_fetch(void* caller) {
  Dl_info info{};
  const bool known = ::dladdr(caller, &info) != 0 && info.dli_fname != nullptr;
  const std::string_view file(known ? info.dli_fname : "");
  if (file.find("libssl") == file.npos && file.find("libcrypto") == file.npos) ++fetches;
}

template <class F>
F next_of(const char* name) {
  return reinterpret_cast<F>(::dlsym(RTLD_NEXT, name));
}

}  // namespace
}  // namespace event_cpp::test

// These stand before those of libcrypto.
extern "C" {
EVP_CIPHER* EVP_CIPHER_fetch(OSSL_LIB_CTX* library, const char* name, const char* properties) {
  static const auto next =
      event_cpp::test::next_of<decltype(&EVP_CIPHER_fetch)>("EVP_CIPHER_fetch");
  event_cpp::test::count_fetch(__builtin_return_address(0));
  return next(library, name, properties);
}
EVP_MD* EVP_MD_fetch(OSSL_LIB_CTX* library, const char* name, const char* properties) {
  static const auto next = event_cpp::test::next_of<decltype(&EVP_MD_fetch)>("EVP_MD_fetch");
  event_cpp::test::count_fetch(__builtin_return_address(0));
  return next(library, name, properties);
}
}

namespace event_cpp::test {
namespace {

using co::Task;
using examples_test::TemporaryFolder;

class TlsProcessTest : public TlsFixture {
 protected:
  // Sends a byte each way, so that the client has read its tickets.
  static void talk(const Pair& pair) {
    ASSERT_TRUE(pair.client != nullptr && pair.server != nullptr);
    std::array<char, 1> room{};
    EXPECT_EQ(pair.server->try_write("x"), 1);
    EXPECT_EQ(pair.client->try_read(room), 1);
    EXPECT_EQ(pair.client->try_write("y"), 1);
    EXPECT_EQ(pair.server->try_read(room), 1);
  }
};

// A variable of the environment, while this lives.
class Variable {
 public:
  Variable(const char* name, const std::string& value) : name_(name) {
    ::setenv(name, value.c_str(), 1);
  }
  ~Variable() { ::unsetenv(name_); }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;

 private:
  const char* name_;
};

TEST_F(TlsProcessTest, GetsNoSignalWhenThePeerIsGone) {
  const Disposition counted(SIGPIPE, &count_stray);
  const int before = strays;
  Options options;
  options.backend = Backend::poll;
  Base real(options);
  int fds[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
  Pair pair;
  const tls::Server server(tls::Context::server(server_options()));
  co::TaskGroup tasks(real);
  tasks.spawn(accept_into(std::make_unique<net::SocketStream>(real, net::Socket(fds[0])), server,
                          pair.server, server_failure));
  tasks.spawn(connect_into(std::make_unique<net::SocketStream>(real, net::Socket(fds[1])),
                           authority().trusting(), "localhost", pair.client, client_failure, {}));
  while (tasks.size() > 0) real.loop(RunMode::once);
  ASSERT_TRUE(pair.client != nullptr && pair.server != nullptr);
  pair.server->reset();
  pair.client->update_keys();
  EXPECT_EQ(pair.client->try_write("hello"), -EPIPE);
  EXPECT_EQ(pair.client->try_shutdown(), -EPIPE);
  pair.client.reset();
  EXPECT_EQ(strays, before);
}

TEST_F(TlsProcessTest, ReadsTheCertificatesOfTheSystemOnceForAContext) {
  const TemporaryFolder folder;
  std::ofstream(folder.file("root.pem")) << authority().root_pem();
  const Variable directory("SSL_CERT_DIR", "/nonexistent");
  const Variable file("SSL_CERT_FILE", folder.file("root.pem"));
  const tls::Context context = tls::Context::client();
  std::filesystem::remove(folder.file("root.pem"));
  const tls::Server server(tls::Context::server(server_options()));
  for (int i = 0; i < 3; ++i) {
    new_memory();
    const tls::Context copy = context;
    const Pair pair = shake_hands(copy, server);
    EXPECT_NE(pair.client, nullptr) << text_of(client_failure);
  }
}

// With OpenSSL 3 that takes a lock of the process.
TEST_F(TlsProcessTest, LooksUpNoAlgorithmForAConnection) {
  for (const tls::Version version : {tls::Version::tls12, tls::Version::tls13}) {
    tls::ClientOptions options = client_options();
    options.most = version;
    const tls::Context client = tls::Context::client(options);
    fetches = 0;
    const tls::Server server(tls::Context::server(server_options()));
    EXPECT_GT(fetches, 0) << "not even for the keys of tickets";
    fetches = 0;
    for (int i = 0; i < 4; ++i) {
      new_memory();
      Pair pair = shake_hands(client, server);
      talk(pair);
      EXPECT_EQ(pair.client->peer().resumed, i > 0);
      pair.client->close_now();
    }
    EXPECT_EQ(fetches, 0);
  }
}

#ifdef __GLIBC__
TEST_F(TlsProcessTest, KeepsNoBuffersForConnectionsThatAreIdle) {
  constexpr int kPairs = 32;
  const tls::Server server(tls::Context::server(server_options()));
  const tls::Context client = authority().trusting();
  std::vector<Pair> pairs;
  const auto add = [&] {
    new_memory();
    pairs.push_back(shake_hands(client, server));
    talk(pairs.back());
  };
  for (int i = 0; i < 4; ++i) add();
  const std::size_t before = ::mallinfo2().uordblks;
  for (int i = 0; i < kPairs; ++i) add();
  const std::size_t after = ::mallinfo2().uordblks;
  if (after == before) GTEST_SKIP() << "malloc() is replaced";
  // For both ends. With the buffers of OpenSSL they take 100,000 bytes.
  EXPECT_LT((after - before) / kPairs, 45'000U);
}
#endif

TEST_F(TlsProcessTest, WritesNoSecretsWhateverTheEnvironmentSays) {
  const TemporaryFolder folder;
  const Variable log("SSLKEYLOGFILE", folder.file("keys"));
  Pair pair = shake_hands();
  talk(pair);
  EXPECT_FALSE(std::filesystem::exists(folder.file("keys")));
}

}  // namespace
}  // namespace event_cpp::test
