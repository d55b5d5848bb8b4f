// Against other programs: openssl s_client, openssl s_server and curl.
#include <fcntl.h>
#include <sys/socket.h>

#include <fstream>
#include <regex>
#include <thread>

#include "examples/peers.hpp"
#include "tls/support.hpp"

namespace event_cpp::test {
namespace {

using namespace std::chrono_literals;
using co::Task;
using examples_test::ChildProcess;
using examples_test::TemporaryFolder;
using tls::Context;
using tls::Errc;
using tls::Server;

class TlsInteropTest : public testing::Test {
 protected:
  TlsInteropTest() {
    std::ofstream(folder.file("root.pem")) << authority().root_pem();
    write("server", authority().issue({"localhost", "127.0.0.1"}));
    write("client", authority().issue({"somebody"}));
  }
  void write(const std::string& name, const tls::Pem& pem) const {
    std::ofstream(folder.file(name + ".pem")) << pem.certificates;
    std::ofstream(folder.file(name + ".key")) << pem.key;
  }

  // Runs a command line, with the port of a server in place of PORT and the folder in that of DIR,
  // while the base serves with `handler`. Returns what it prints; nothing if it fails.
  std::optional<std::string> ask(const tls::ServerOptions& options, tls::Handler handler,
                                 std::string line) {
    failure.clear();
    net::Listener listener(base, net::Address::loopback(0));
    Server server(Context::server(options));
    net::ServeOptions serve_options;
    serve_options.grace = 0s;
    serve_options.on_error = [&](std::exception_ptr error) { failure = text_of(error); };
    co::TaskGroup tasks(base);
    tasks.spawn(tls::serve(listener, server, std::move(handler), serve_options));
    std::optional<std::string> said;
    const std::string command = fill_in(line, listener.address().port());
    std::thread other([&] {
      ChildProcess process({"/bin/sh", "-c", command});
      const std::optional<int> status = process.wait();
      errors = process.errors();
      if (status == 0) said = process.output();
      base.post([&] { tasks.cancel(); });
    });
    const Bounded bounded(base, 60s);
    base.dispatch();
    other.join();
    return said;
  }
  std::string fill_in(std::string line, int port) const {
    for (const auto& [name, text] :
         {std::pair<std::string, std::string>("PORT", std::to_string(port)),
          std::pair<std::string, std::string>("DIR", folder.file(""))}) {
      for (std::size_t at = line.find(name); at != std::string::npos; at = line.find(name)) {
        line.replace(at, name.size(), text);
      }
    }
    return line;
  }

  static Task<> echo(Base&, tls::Stream& stream) {
    for (;;) {
      const net::Chunk chunk = co_await stream.receive();
      if (!chunk) break;
      co_await stream.write(chunk);
    }
  }
  static Task<> answer_http(Base&, tls::Stream& stream) {
    net::Buffered io(stream);
    for (;;) {
      const auto line = co_await io.read_line();
      if (!line || line->empty()) break;
    }
    const tls::Peer& peer = stream.peer();
    io.put("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + peer.subject + "|" + peer.server_name +
           "|" + (peer.resumed ? "resumed" : "full"));
    co_await io.flush();
  }

  // What the messages of a server begin with.
  static inline const std::string kFrom = "^127\\.0\\.0\\.1:[0-9]+: ";

  TemporaryFolder folder;
  Base base;
  std::string errors;
  std::string failure;  // the last that the server has met
};

// The server of openssl, on a port of its own.
class OpensslServer {
 public:
  OpensslServer(const std::string& folder, const std::string& options)
      : port_(examples_test::free_port(SOCK_STREAM)),
        process_({"/bin/sh", "-c",
                  "exec openssl s_server -quiet -naccept 1000 -port " + std::to_string(port_) +
                      " -cert " + folder + "server.pem -key " + folder + "server.key " +
                      chain(folder) + options + " </dev/zero"}) {
    if (!examples_test::wait_until_listening(port_))
      throw std::runtime_error("s_server: " + process_.errors());
  }
  int port() const noexcept { return port_; }

 private:
  // What follows the server's own certificate.
  static std::string chain(const std::string& folder) {
    std::ifstream file(folder + "server.pem");
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    const std::size_t second = text.find("-----BEGIN", 1);
    if (second == std::string::npos) return "";
    std::ofstream(folder + "chain.pem") << text.substr(second);
    return "-cert_chain " + folder + "chain.pem ";
  }

  std::uint16_t port_;
  ChildProcess process_;
};

// s_client ends when its input does.
constexpr const char* kClient =
    "openssl s_client -quiet -no_ign_eof -connect localhost:PORT -CAfile DIR/root.pem "
    "-verify_return_error -verify_hostname localhost ";

// Functions for a shell: wait until a client has said something, has a session, or has ended.
const std::string kFunctions =
    "until_it() { for i in $(seq 600); do \"$@\" && return; sleep 0.05; done; }; "
    "until_said() { until_it grep -qa $1 DIR/said; }; rm -f DIR/session DIR/done; : >DIR/said; ";

TEST_F(TlsInteropTest, AnswersTheClientOfOpensslInBothVersions) {
  NEEDS_PROGRAM("openssl");
  for (const std::string version : {"-tls1_2", "-tls1_3"}) {
    const auto said = ask(server_options(), &echo,
                          kFunctions + "(echo hello; until_said hello) | " + kClient + version +
                              " >DIR/said && cat DIR/said");
    ASSERT_TRUE(said.has_value()) << errors;
    EXPECT_EQ(*said, "hello\n") << version;
  }
}

TEST_F(TlsInteropTest, RefusesVersionsBeforeTls12) {
  NEEDS_PROGRAM("openssl");
  const auto said = ask(server_options(), &echo,
                        std::string(kClient) + "-tls1_1 -cipher DEFAULT@SECLEVEL=0 </dev/null");
  EXPECT_FALSE(said.has_value());
  EXPECT_TRUE(std::regex_match(failure, std::regex(kFrom + "no version of TLS in common")))
      << failure;
}

TEST_F(TlsInteropTest, RefusesRenegotiation) {
  NEEDS_PROGRAM("openssl");
  const auto said =
      ask(server_options(), &echo,
          kFunctions +
              "(echo hello; until_said hello; echo R; until_it test -e DIR/done) | "
              "(openssl s_client -connect localhost:PORT -CAfile DIR/root.pem -tls1_2 -msg "
              ">DIR/said 2>&1; : >DIR/done); cat DIR/said");
  ASSERT_TRUE(said.has_value());
  EXPECT_NE(said->find("no_renegotiation"), std::string::npos) << *said;
}

TEST_F(TlsInteropTest, FollowsKeyUpdatesOfOpenssl) {
  NEEDS_PROGRAM("openssl");
  // "K" asks for new keys of both sides.
  const auto said =
      ask(server_options(), &echo,
          kFunctions +
              "(echo one; until_said ^one; echo K; until_said KEYUPDATE; echo two; "
              "until_said ^two) | openssl s_client -connect localhost:PORT -CAfile DIR/root.pem "
              "-tls1_3 >DIR/said 2>&1; grep -caE '^(one|two)$' DIR/said");
  ASSERT_TRUE(said.has_value()) << errors;
  EXPECT_EQ(*said, "2\n");
}

TEST_F(TlsInteropTest, TakesNoEarlyData) {
  NEEDS_PROGRAM("openssl");
  std::ofstream(folder.file("early")) << "early";
  const auto said = ask(
      server_options(), &echo,
      kFunctions +
          "until_it test -s DIR/session | openssl s_client -connect localhost:PORT "
          "-CAfile DIR/root.pem -tls1_3 -sess_out DIR/session >/dev/null 2>&1; openssl s_client "
          "-connect localhost:PORT -CAfile DIR/root.pem -tls1_3 -sess_in DIR/session "
          "-early_data DIR/early </dev/null 2>&1; true");
  ASSERT_TRUE(said.has_value());
  EXPECT_EQ(said->find("Early data was accepted"), std::string::npos) << *said;
}

TEST_F(TlsInteropTest, GoesOnWithSessionsOfOpenssl) {
  NEEDS_PROGRAM("openssl");
  const std::string client = "openssl s_client -connect localhost:PORT -CAfile DIR/root.pem ";
  for (const std::string version : {"-tls1_2", "-tls1_3"}) {
    const auto said = ask(server_options(), &echo,
                          kFunctions + "until_it test -s DIR/session | " + client + version +
                              " -sess_out DIR/session >/dev/null 2>&1; " + client + version +
                              " -sess_in DIR/session </dev/null 2>&1 | grep -E '^(New|Reused),'");
    ASSERT_TRUE(said.has_value()) << errors;
    EXPECT_TRUE(said->starts_with("Reused")) << version << *said;
  }
}

TEST_F(TlsInteropTest, AnswersCurl) {
  NEEDS_PROGRAM("curl");
  const std::string curl = "curl -sS --cacert DIR/root.pem https://localhost:PORT/ ";
  auto said = ask(server_options(), &answer_http, curl);
  EXPECT_EQ(said, "|localhost|full") << errors;
  said = ask(server_options(), &answer_http, curl + "--tls-max 1.2");
  EXPECT_EQ(said, "|localhost|full") << errors;
  tls::ServerOptions options = server_options();
  options.client = tls::Ask::required;
  options.client_trust = authority().root_pem();
  said = ask(options, &answer_http, curl + "--cert DIR/client.pem --key DIR/client.key");
  EXPECT_EQ(said, "CN=somebody|localhost|full") << errors;
  said = ask(options, &answer_http, curl);
  EXPECT_FALSE(said.has_value());
  EXPECT_NE(errors.find("certificate required"), std::string::npos) << errors;
}

TEST_F(TlsInteropTest, IsRefusedByCurlWithAReason) {
  NEEDS_PROGRAM("curl");
  tls::ServerOptions options;
  options.names.push_back({{}, tls::test::Authority::self_signed({"localhost"})});
  const auto said =
      ask(options, &answer_http, "curl -sS --cacert DIR/root.pem https://localhost:PORT/");
  EXPECT_FALSE(said.has_value());
  EXPECT_TRUE(std::regex_search(
      failure, std::regex(kFrom + "refused by the peer: issuer of the certificate")))
      << failure;
}

Task<std::string> read_some(Base& base, const Context& context, int port, std::string host) {
  tls::Stream stream = co_await tls::connect(base, context, host, port);
  co_await stream.write("hello\n");
  std::array<char, 100'000> room{};
  const std::size_t got = co_await stream.read_exactly(room);
  std::string result = stream.peer().version == tls::Version::tls13 ? "tls13 " : "tls12 ";
  result += std::to_string(got);
  result += stream.peer().resumed ? " resumed" : " full";
  co_await stream.close();
  co_return result;
}

TEST_F(TlsInteropTest, ReadsFromTheServerOfOpensslInBothVersionsAndResumes) {
  NEEDS_PROGRAM("openssl");
  for (const std::string version : {"12", "13"}) {
    OpensslServer server(folder.file(""), "-tls1_" + version.substr(1));
    const Context context = authority().trusting();
    const Bounded bounded(base, 60s);
    for (const std::string how : {"full", "resumed"}) {
      const std::string got = co::run(base, read_some(base, context, server.port(), "localhost"));
      EXPECT_EQ(got, "tls" + version + " 100000 " + how);
    }
  }
}

TEST_F(TlsInteropTest, RefusesTheServerOfOpensslForTheReasonsOfItsOwn) {
  NEEDS_PROGRAM("openssl");
  struct Case {
    tls::Pem pem;
    Errc code;
  };
  for (const Case& each :
       {Case{authority().issue({"other.test"}), Errc::wrong_host},
        Case{authority().issue({"localhost"}, -2h, 1h), Errc::certificate_expired},
        Case{authority().without_chain({"localhost"}), Errc::incomplete_chain},
        Case{tls::test::Authority::self_signed({"localhost"}), Errc::self_signed},
        Case{authority().wrong_purpose({"localhost"}), Errc::wrong_purpose}}) {
    write("server", each.pem);
    OpensslServer server(folder.file(""), "");
    const Bounded bounded(base, 60s);
    try {
      co::run(base, read_some(base, authority().trusting(), server.port(), "localhost"));
      ADD_FAILURE();
    } catch (const tls::Error& error) {
      EXPECT_EQ(error.code(), each.code) << error.what();
    }
  }
}

TEST_F(TlsInteropTest, ShowsItsCertificateToTheServerOfOpenssl) {
  NEEDS_PROGRAM("openssl");
  OpensslServer server(folder.file(""),
                       "-Verify 2 -verify_return_error -CAfile " + folder.file("root.pem"));
  tls::ClientOptions options = client_options();
  options.identity = tls::Pem::files(folder.file("client.pem"), folder.file("client.key"));
  const Bounded bounded(base, 60s);
  const std::string got =
      co::run(base, read_some(base, Context::client(options), server.port(), "localhost"));
  EXPECT_EQ(got, "tls13 100000 full");
  try {
    co::run(base, read_some(base, authority().trusting(), server.port(), "localhost"));
    ADD_FAILURE();
  } catch (const std::system_error& error) {
    EXPECT_EQ(error.code(), Errc::certificate_required) << error.what();
  }
}

}  // namespace
}  // namespace event_cpp::test
