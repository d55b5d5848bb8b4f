// Contexts and certificates: what is refused when they are made.
#ifdef __linux__
#include <sys/syscall.h>
#endif

#include <cerrno>
#include <cstdlib>
#include <fstream>

#include "support/forked.hpp"
#include "support/seccomp.hpp"
#include "tls/support.hpp"

namespace event_cpp::test {
namespace {

using tls::Context;
using tls::Errc;

template <class F>
tls::Error error_thrown_by(F f) {
  try {
    f();
  } catch (const tls::Error& error) {
    return error;
  }
  return tls::Error(std::error_code());
}

TEST(TlsContextTest, RefusesAKeyOfAnotherCertificate) {
  tls::ServerOptions options = server_options();
  options.names[0].identity.key = authority().issue({"other"}).key;
  const tls::Error error = error_thrown_by([&] { Context::server(options); });
  EXPECT_EQ(error.code(), Errc::key_mismatch);
  EXPECT_TRUE(std::string_view(error.what()).starts_with("ServerOptions::names[0]: private key"))
      << error.what();
}

TEST(TlsContextTest, RefusesWhatIsNoCertificate) {
  for (const char* const text : {"", "nonsense", "-----BEGIN CERTIFICATE-----\nAAAA\n"}) {
    tls::ServerOptions options = server_options();
    options.names[0].identity.certificates = text;
    EXPECT_EQ(error_thrown_by([&] { Context::server(options); }).code(), Errc::bad_file) << text;
    tls::ClientOptions client;
    client.trust = text;
    client.system_trust = false;
    const std::error_code code = error_thrown_by([&] { Context::client(client); }).code();
    EXPECT_TRUE(code == Errc::bad_file || code == std::errc::invalid_argument) << text;
  }
}

TEST(TlsContextTest, RefusesATrailingPieceOfACertificate) {
  tls::ServerOptions options = server_options();
  std::string& text = options.names[0].identity.certificates;
  text.resize(text.size() - 100);
  EXPECT_EQ(error_thrown_by([&] { Context::server(options); }).code(), Errc::bad_file);
}

TEST(TlsContextTest, RefusesAnEncryptedKeyAndAsksNobodyForItsPassword) {
  tls::ServerOptions options = server_options();
  options.names[0].identity.key =
      "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
      "MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAgPEjr0Kkk0xAICCAAw\n"
      "DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEHuQoSTVA6UJx1FvP4uAVJcEgZCL\n"
      "-----END ENCRYPTED PRIVATE KEY-----\n";
  EXPECT_EQ(error_thrown_by([&] { Context::server(options); }).code(), Errc::bad_file);
}

TEST(TlsContextTest, ReadsFilesAndNamesTheOneThatIsMissing) {
  const std::string path = testing::TempDir() + "event_tls_context_test.pem";
  const tls::Pem pem = authority().issue({"localhost"});
  std::ofstream(path) << pem.certificates;
  EXPECT_EQ(tls::Pem::files(path, path).certificates, pem.certificates);
  const tls::Error error = error_thrown_by([&] { tls::Pem::files(path, path + ".missing"); });
  EXPECT_EQ(error.code(), Errc::bad_file);
  EXPECT_NE(std::string_view(error.what()).find(".missing"), std::string_view::npos);
  std::remove(path.c_str());
}

TEST(TlsContextTest, NamesAFileThatCannotBeRead) {
  const std::string directory = testing::TempDir();
  const std::string other = "/dev/null" + std::string("\0.pem", 5);  // another file, up to the zero
  for (const std::string& path : {directory, other, std::string()}) {
    const tls::Error first = error_thrown_by([&] { tls::Pem::files(path, "/dev/null"); });
    EXPECT_EQ(first.code(), Errc::bad_file) << path;
    const tls::Error second = error_thrown_by([&] { tls::Pem::files("/dev/null", path); });
    EXPECT_EQ(second.code(), Errc::bad_file) << path;
  }
  const tls::Error named = error_thrown_by([&] { tls::Pem::files("/dev/null", directory); });
  EXPECT_NE(std::string_view(named.what()).find(directory), std::string_view::npos);
}

TEST(TlsContextTest, RefusesAServerWithoutACertificate) {
  EXPECT_EQ(error_thrown_by([] { Context::server({}); }).code(), std::errc::invalid_argument);
}

TEST(TlsContextTest, RefusesAClientThatTrustsNobody) {
  tls::ClientOptions options;
  options.system_trust = false;
  EXPECT_EQ(error_thrown_by([&] { Context::client(options); }).code(), std::errc::invalid_argument);
}

TEST(TlsContextTest, SaysThatTheSystemTrustsNobody) {
  ::setenv("SSL_CERT_FILE", "/nonexistent/file", 1);
  ::setenv("SSL_CERT_DIR", "/nonexistent", 1);
  const tls::Error error = error_thrown_by([] { Context::client(); });
  ::unsetenv("SSL_CERT_FILE");
  ::unsetenv("SSL_CERT_DIR");
  EXPECT_EQ(error.code(), Errc::bad_file);
  EXPECT_NE(std::string_view(error.what()).find("ca-certificates"), std::string_view::npos)
      << error.what();
}

TEST(TlsContextTest, RefusesCiphersAndProtocolsThatDoNotExist) {
  tls::ClientOptions options = client_options();
  options.ciphers = "NOTHING";
  EXPECT_EQ(error_thrown_by([&] { Context::client(options); }).code(), std::errc::invalid_argument);
  options.ciphers = std::string("ECDHE-RSA-AES128-GCM-SHA256\0:NOTHING", 36);
  EXPECT_EQ(error_thrown_by([&] { Context::client(options); }).code(), std::errc::invalid_argument);
  options = client_options();
  options.alpn = {""};
  EXPECT_EQ(error_thrown_by([&] { Context::client(options); }).code(), std::errc::invalid_argument);
  options.alpn = {std::string(256, 'x')};
  EXPECT_EQ(error_thrown_by([&] { Context::client(options); }).code(), std::errc::invalid_argument);
  // All of them together have room in a ClientHello.
  options.alpn.assign(128, std::string(255, 'x'));
  EXPECT_EQ(error_thrown_by([&] { Context::client(options); }).code(), std::error_code());
  options.alpn.assign(129, std::string(255, 'x'));
  EXPECT_EQ(error_thrown_by([&] { Context::client(options); }).code(), std::errc::invalid_argument);
  options = client_options();
  options.least = tls::Version::tls13;
  options.most = tls::Version::tls12;
  EXPECT_EQ(error_thrown_by([&] { Context::client(options); }).code(), std::errc::invalid_argument);
}

TEST(TlsContextTest, RefusesToAskClientsWithoutTrustingAnybody) {
  tls::ServerOptions options = server_options();
  options.client = tls::Ask::required;
  EXPECT_EQ(error_thrown_by([&] { Context::server(options); }).code(), std::errc::invalid_argument);
}

#ifdef __linux__
// In a child, as the kernel refuses for good; OpenSSL asks it anew there. Not that there is no
// memory, nor that the peer has sent nonsense.
TEST(TlsContextTest, SaysThatThereAreNoRandomNumbers) {
  if (!can_refuse_calls()) GTEST_SKIP() << "this kernel has no filters of system calls";
  const tls::ServerOptions options = server_options();
  EXPECT_TRUE(succeeds_in_child([&] {
    ASSERT_TRUE(refuse_calls({SYS_getrandom}, EIO));
    const tls::Error error = error_thrown_by([&] { Context::server(options); });
    EXPECT_EQ(error.code(), Errc::internal);
    EXPECT_TRUE(std::string_view(error.what()).ends_with("(error retrieving entropy)"))
        << error.what();
  }));
}
#endif

TEST(TlsContextTest, HasErrorsThatCompareAndHaveAMessageEach) {
  std::vector<std::string> messages;
  for (int i = 0; i <= static_cast<int>(Errc::internal); ++i) {
    const std::error_code code = static_cast<Errc>(i);
    EXPECT_STREQ(code.category().name(), "event::tls");
    for (const std::string& other : messages) EXPECT_NE(code.message(), other);
    messages.push_back(code.message());
  }
}

}  // namespace
}  // namespace event_cpp::test
