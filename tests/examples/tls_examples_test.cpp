// https_get and tls_echo, against each other and against openssl and curl.
#include <gtest/gtest.h>

#include <csignal>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "examples/child_process.hpp"
#include "examples/peers.hpp"
#include "examples/server.hpp"

#ifdef EVENT_TEST_TLS

#include "event/tls/test.hpp"

namespace {

using examples_test::ChildProcess;
using examples_test::example;
using examples_test::Server;
using examples_test::TemporaryFolder;
namespace tls = event::tls;

class TlsExamplesTest : public testing::Test {
 protected:
  TlsExamplesTest() {
    std::ofstream(folder.file("root.pem")) << authority.root_pem();
    write(authority.issue({"localhost"}));
  }
  void write(const tls::Pem& pem) const {
    std::ofstream(folder.file("server.pem")) << pem.certificates;
    std::ofstream(folder.file("server.key")) << pem.key;
  }
  std::unique_ptr<Server> echo() const {
    return std::make_unique<Server>(
        "tls_echo", std::vector<std::string>{"--certificate", folder.file("server.pem"), "--key",
                                             folder.file("server.key")});
  }
  // What s_client gets back for `text` from localhost, whose certificate it checks.
  std::string ask(int port, const std::string& text) const {
    const std::string said = folder.file("said");
    const std::string done = folder.file("done");
    // It says no more until it has the answer, or has ended.
    ChildProcess process({"/bin/sh", "-c",
                          "rm -f " + done + "; : >" + said + "; (echo " + text +
                              "; until test -s " + said + " -o -e " + done +
                              "; do sleep 0.05; done) | (openssl s_client -quiet -no_ign_eof "
                              "-connect localhost:" +
                              std::to_string(port) + " -CAfile " + folder.file("root.pem") +
                              " -verify_return_error >" + said + "; status=$?; : >" + done +
                              "; exit $status) && cat " + said});
    return process.wait() == 0 ? process.output() : "failed: " + process.errors();
  }

  const tls::test::Authority authority;
  const TemporaryFolder folder;
};

// The web server of openssl, for the files in a folder.
class WebServer {
 public:
  explicit WebServer(const TemporaryFolder& folder)
      : port_(examples_test::free_port(SOCK_STREAM)),
        process_({"/bin/sh", "-c",
                  "cd " + folder.file("") + " && exec openssl s_server -WWW -port " +
                      std::to_string(port_) + " -cert server.pem -key server.key " +
                      "-cert_chain server.pem"}) {
    if (!examples_test::wait_until_listening(port_)) throw std::runtime_error(process_.errors());
  }
  std::string url(const std::string& path) const {
    return "https://localhost:" + std::to_string(port_) + "/" + path;
  }

 private:
  std::uint16_t port_;
  ChildProcess process_;
};

TEST_F(TlsExamplesTest, EchoAnswersOpenssl) {
  NEEDS_PROGRAM("openssl");
  const auto server = echo();
  EXPECT_EQ(ask(server->port(), "hello"), "hello\n");
  EXPECT_TRUE(server->stop().has_value());
}

TEST_F(TlsExamplesTest, EchoReadsItsFilesAgain) {
  NEEDS_PROGRAM("openssl");
  const auto server = echo();
  const tls::test::Authority other;
  std::ofstream(folder.file("root.pem")) << other.root_pem();
  EXPECT_TRUE(ask(server->port(), "hello").starts_with("failed")) << "trusts the old one";
  std::ofstream(folder.file("server.pem")) << "nonsense";
  server->process().signal(SIGHUP);
  EXPECT_TRUE(server->process().wait_for_error("the old certificate stays"));
  write(other.issue({"localhost"}));
  std::string said;
  for (int i = 0; i < 20 && said != "hello\n"; ++i) {
    server->process().signal(SIGHUP);
    said = ask(server->port(), "hello");
  }
  EXPECT_EQ(said, "hello\n");
}

TEST_F(TlsExamplesTest, EchoMakesACertificateOfItsOwn) {
  NEEDS_PROGRAM("curl");
  Server server("tls_echo");
  // What comes back is no HTTP, but it has come over TLS.
  ChildProcess curl({"curl", "-sSk", "--http0.9", "--max-time", "1",
                     "https://localhost:" + std::to_string(server.port()) + "/"});
  curl.wait();
  EXPECT_TRUE(curl.output().starts_with("GET / HTTP/1.1")) << curl.errors();
}

TEST_F(TlsExamplesTest, GetPrintsAPageOfAServerThatItTrusts) {
  NEEDS_PROGRAM("openssl");
  std::ofstream(folder.file("page")) << "the page\n";
  const WebServer server(folder);
  ChildProcess get({example("https_get"), server.url("page"), "--cacert", folder.file("root.pem")});
  EXPECT_EQ(get.wait(), 0) << get.errors();
  EXPECT_EQ(get.output(), "the page\n");
}

TEST_F(TlsExamplesTest, GetSaysWhyItRefuses) {
  NEEDS_PROGRAM("openssl");
  const WebServer server(folder);
  const tls::test::Authority other;
  std::ofstream(folder.file("other.pem")) << other.root_pem();
  ChildProcess get({example("https_get"), server.url(""), "--cacert", folder.file("other.pem")});
  EXPECT_EQ(get.wait(), 1);
  EXPECT_TRUE(get.errors().starts_with("https_get: localhost: issuer of the certificate"))
      << get.errors();
}

TEST_F(TlsExamplesTest, GetGivesUpInTime) {
  const examples_test::BoundPort silent(SOCK_STREAM);
  ChildProcess get({example("https_get"), "https://localhost:" + std::to_string(silent.port()),
                    "--limit", "50ms", "--cacert", folder.file("root.pem")});
  EXPECT_EQ(get.wait(), 1);
  EXPECT_NE(get.errors().find("timed out"), std::string::npos) << get.errors();
}

TEST_F(TlsExamplesTest, GetRefusesWhatIsNoUrl) {
  ChildProcess get({example("https_get"), "http://localhost/"});
  EXPECT_EQ(get.wait(), 1);
  EXPECT_NE(get.errors().find("no URL of https"), std::string::npos) << get.errors();
}

}  // namespace

#endif
