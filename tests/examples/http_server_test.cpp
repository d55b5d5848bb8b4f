// The HTTP server, with curl, ab, wrk and clients that behave badly.
#include <gtest/gtest.h>

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <regex>
#include <string>
#include <thread>
#include <vector>

#include "examples/child_process.hpp"
#include "examples/peers.hpp"
#include "examples/server.hpp"
#include "examples/tcp_client.hpp"
#include "support/usable_backends.hpp"

namespace {

using examples_test::kPatience;
using examples_test::Server;
using examples_test::shell;
using examples_test::TcpClient;
using examples_test::TemporaryFolder;
using namespace std::chrono_literals;

const std::string kHello =
    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 6\r\n"
    "Connection: keep-alive\r\n\r\nhello\n";

class HttpServerTest : public testing::TestWithParam<event::Backend> {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(examples_test::example("http_server"))) {
      GTEST_SKIP() << "http_server was not built: scripts/setup.sh test installs what it needs";
    }
  }

  std::unique_ptr<Server> start(std::vector<std::string> options = {}) const {
    options.insert(options.end(), {"--backend", examples_test::name_of(GetParam())});
    return std::make_unique<Server>("http_server", options);
  }

  static std::string url(const Server& server) {
    return "http://127.0.0.1:" + std::to_string(server.port());
  }

  // The first line of the answer to a request, after which the server closes.
  static std::string refusal(const Server& server, const std::string& request) {
    const TcpClient client(server.port());
    client.send(request);
    const std::string answer = client.receive_all();
    return answer.substr(0, answer.find('\r'));
  }
};

INSTANTIATE_TEST_SUITE_P(Backends, HttpServerTest,
                         testing::ValuesIn(event_cpp::test::usable_backends()),
                         [](const auto& tested) { return examples_test::name_of(tested.param); });

TEST_P(HttpServerTest, AnswersCurlOverOneConnection) {
  NEEDS_PROGRAM("curl");
  const auto server = start();
  const std::string each = " -w '|%{http_code} %{num_connects}|' ";
  EXPECT_EQ(shell("curl -s -m 60" + each + url(*server) + "/ --next -s" + each + url(*server) +
                  "/bytes/3 --next -s" + each + url(*server) + "/none"),
            "hello\n|200 1|xxx|200 0|not found\n|404 0|");
  EXPECT_EQ(shell("curl -s -m 60 " + url(*server) + "/bytes/20000000 | wc -c"), "20000000\n");
  const std::string head = shell("curl -s -m 60 -I " + url(*server) + "/bytes/20000000");
  EXPECT_NE(head.find("Content-Length: 20000000\r\n"), std::string::npos) << head;
}

TEST_P(HttpServerTest, TakesBodiesFromCurlWholeAndInChunks) {
  NEEDS_PROGRAM("curl");
  const auto server = start();
  const TemporaryFolder folder;
  const std::string body = folder.random_file("body", 900'000);
  for (const std::string header :
       {"X-Plain: 1", "Transfer-Encoding: chunked", "Expect: 100-continue"}) {
    shell("curl -sS -m 60 -H '" + header + "' --data-binary @" + body + " " + url(*server) +
          "/echo | cmp - " + body);
  }
}

TEST_P(HttpServerTest, AnswersApacheBenchWithoutAFailure) {
  NEEDS_PROGRAM("ab");
  const auto server = start();
  for (const std::string options : {"-k -c 20 -n 5000 ", "-c 10 -n 500 "}) {
    const std::string report = shell("ab -q -s 60 " + options + url(*server) + "/ 2>&1");
    EXPECT_TRUE(std::regex_search(report, std::regex("Failed requests: +0\n"))) << report;
    EXPECT_EQ(report.find("Non-2xx"), std::string::npos) << report;
  }
}

TEST_P(HttpServerTest, AnswersWrkWithoutAnError) {
  NEEDS_PROGRAM("wrk");
  const auto server = start();
  const std::string report = shell("wrk -t 1 -c 50 -d 1s --timeout 60s " + url(*server) + "/ 2>&1");
  EXPECT_NE(report.find("Requests/sec"), std::string::npos) << report;
  EXPECT_EQ(report.find("Socket errors"), std::string::npos) << report;
  EXPECT_EQ(report.find("Non-2xx"), std::string::npos) << report;
}

TEST_P(HttpServerTest, AnswersPipelinedRequestsInOrder) {
  const auto server = start();
  const TcpClient client(server->port());
  std::string requests;
  for (int i = 0; i < 100; ++i) requests += "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
  requests += "POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nend\r\n0\r\n\r\n";
  client.send(requests);
  std::string expected;
  for (int i = 0; i < 100; ++i) expected += kHello;
  EXPECT_EQ(client.receive(expected.size()), expected);
  for (std::string line = client.receive_line(); line != "\r\n";) line = client.receive_line();
  EXPECT_EQ(client.receive(3), "end");
}

TEST_P(HttpServerTest, TakesARequestThatComesByteByByte) {
  const auto server = start();
  const TcpClient client(server->port());
  for (const char byte : std::string("GET / HTTP/1.1\r\nHost: a\r\n\r\n")) {
    client.send(std::string(1, byte));
  }
  EXPECT_EQ(client.receive(kHello.size()), kHello);
}

TEST_P(HttpServerTest, AnswersARequestWhoseClientHasFinishedSending) {
  const auto server = start();
  const TcpClient client(server->port());
  client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  client.finish();
  EXPECT_EQ(client.receive_all(), kHello);
}

TEST_P(HttpServerTest, RefusesWhatIsNoRequestOrTooLarge) {
  const auto server = start({"--max-header", "1000", "--max-body", "2000"});
  EXPECT_EQ(refusal(*server, "nonsense\r\n\r\n"), "HTTP/1.1 400 Bad Request");
  EXPECT_EQ(refusal(*server,
                    "POST /echo HTTP/1.1\r\nContent-Length: 3\r\n"
                    "Transfer-Encoding: chunked\r\n\r\n"),
            "HTTP/1.1 400 Bad Request");
  EXPECT_EQ(refusal(*server, "GET / HTTP/1.1\r\nX: " + std::string(2000, 'x')),
            "HTTP/1.1 431 Request Header Fields Too Large");
  EXPECT_EQ(refusal(*server, "POST /echo HTTP/1.1\r\nContent-Length: 2001\r\n\r\n"),
            "HTTP/1.1 413 Payload Too Large");
  EXPECT_EQ(refusal(*server, "POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n7d1\r\n" +
                                 std::string(2001, 'x')),
            "HTTP/1.1 413 Payload Too Large");
  EXPECT_EQ(refusal(*server, "DELETE / HTTP/1.1\r\nConnection: close\r\n\r\n"),
            "HTTP/1.1 405 Method Not Allowed");
}

// Also when it is still sending: the answer is not lost in a reset.
TEST_P(HttpServerTest, TellsAClientThatSendsTooMuchWhy) {
  const auto server = start({"--max-body", "1000"});
  const TcpClient client(server->port());
  client.send("POST /echo HTTP/1.1\r\nContent-Length: 3000000\r\n\r\n");
  client.send(std::string(3'000'000, 'x'));
  EXPECT_EQ(client.receive_line(), "HTTP/1.1 413 Payload Too Large\r\n");
}

TEST_P(HttpServerTest, ClosesAClientWhoseRequestTakesTooLong) {
  const auto server = start({"--request", "300ms", "--close", "0s"});
  EXPECT_EQ(refusal(*server, "GET / HTTP/1.1\r\nHost:"), "HTTP/1.1 408 Request Timeout");
  EXPECT_EQ(refusal(*server, ""), "") << "who has asked nothing gets no answer";
}

TEST_P(HttpServerTest, KeepsLittleForAClientThatDoesNotReadAndClosesIt) {
  const auto server = start({"--unread", "1s"});
  const TcpClient polite(server->port());
  polite.send("GET / HTTP/1.1\r\n\r\n");
  ASSERT_EQ(polite.receive(kHello.size()), kHello);
  const std::size_t before = server->process().private_memory();

  const TcpClient client(server->port(), {.receive_buffer = 4096});
  client.send("GET /bytes/1000000000 HTTP/1.1\r\n\r\n");
  ASSERT_TRUE(client.readable_within(kPatience));
  EXPECT_LT(server->process().private_memory(), before + 4 * 1024);
  polite.send("GET / HTTP/1.1\r\n\r\n");
  EXPECT_EQ(polite.receive(kHello.size()), kHello);
  std::size_t got = 0;
  std::this_thread::sleep_for(1500ms);
  for (std::string some = client.receive(64 * 1024); !some.empty();) {
    got += some.size();
    some = some.size() < 64U * 1024 ? "" : client.receive(64 * 1024);
  }
  EXPECT_LT(got, 1'000'000'000U);
}

TEST_P(HttpServerTest, EndsAtASignalWithClientsThatAskNothing) {
  const auto server = start({"--grace", "100ms"});
  const TcpClient client(server->port());
  client.send("GET / HTTP/1.1\r\n\r\n");
  ASSERT_EQ(client.receive(kHello.size()), kHello);
  EXPECT_EQ(server->stop(), "");
  EXPECT_EQ(client.receive_all(), "");
}

}  // namespace
