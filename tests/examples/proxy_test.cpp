// The proxy, between real clients and real servers.
#include <gtest/gtest.h>

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "examples/child_process.hpp"
#include "examples/crowd.hpp"
#include "examples/peers.hpp"
#include "examples/server.hpp"
#include "examples/tcp_client.hpp"
#include "support/usable_backends.hpp"

namespace {

using namespace std::chrono_literals;
using examples_test::ChildProcess;
using examples_test::Crowd;
using examples_test::kPatience;
using examples_test::Lighttpd;
using examples_test::Server;
using examples_test::shell;
using examples_test::TcpClient;
using examples_test::TemporaryFolder;

class ProxyTest : public testing::TestWithParam<event::Backend> {
 protected:
  std::unique_ptr<Server> start(std::uint16_t to, std::vector<std::string> options = {}) const {
    options.insert(options.end(), {"--to-port", std::to_string(to), "--backend",
                                   examples_test::name_of(GetParam())});
    return std::make_unique<Server>("proxy", options);
  }
};

INSTANTIATE_TEST_SUITE_P(Backends, ProxyTest, testing::ValuesIn(event_cpp::test::usable_backends()),
                         [](const auto& tested) { return examples_test::name_of(tested.param); });

TEST_P(ProxyTest, BringsFilesFromLighttpdToCurl) {
  NEEDS_PROGRAM("lighttpd");
  NEEDS_PROGRAM("curl");
  const TemporaryFolder folder;
  const std::string large = folder.random_file("large", std::size_t{8} << 20);
  const std::string small = folder.random_file("small", 10);
  const Lighttpd lighttpd(folder);
  const auto proxy = start(lighttpd.port(), {"--to", "localhost"});
  const std::string url = "http://127.0.0.1:" + std::to_string(proxy->port()) + "/";

  const std::string got = folder.file("got");
  shell("curl -sSf -m 60 " + url + "large | cmp - " + large);
  // Over one connection.
  shell("curl -sSf -m 60 -o " + got + " " + url + "small -o " + got + "2 " + url + "large && cmp " +
        got + " " + small + " && cmp " + got + "2 " + large);
  EXPECT_EQ(shell("curl -s -m 60 -o " + got + " -w '%{http_code}' " + url + "none"), "404");
}

TEST_P(ProxyTest, PassesAHalfCloseOnBetweenNetcatAndSocat) {
  NEEDS_PROGRAM("socat");
  NEEDS_PROGRAM("nc.openbsd");
  const std::uint16_t port = examples_test::free_port(SOCK_STREAM);
  // It answers when it has seen the end, and only then.
  const ChildProcess socat({"socat", "-t", "30",
                            "TCP-LISTEN:" + std::to_string(port) + ",bind=127.0.0.1,fork",
                            "EXEC:wc -c"});
  ASSERT_TRUE(examples_test::wait_until_listening(port));
  const auto proxy = start(port);
  EXPECT_EQ(shell("head -c 3000000 /dev/zero | timeout 60 nc.openbsd -N 127.0.0.1 " +
                  std::to_string(proxy->port())),
            "3000000\n");
}

TEST_P(ProxyTest, ReachesAUnixSocketOfSocat) {
  NEEDS_PROGRAM("socat");
  const TemporaryFolder folder;
  const std::string path = folder.file("socket");
  const ChildProcess socat({"socat", "-t", "30", "UNIX-LISTEN:" + path + ",fork", "EXEC:wc -c"});
  ASSERT_TRUE(examples_test::wait_until_listening(path));
  const auto proxy = start(1, {"--to", "unix:" + path});
  EXPECT_EQ(shell("head -c 500000 /dev/zero | timeout 60 socat -t 60 - TCP:127.0.0.1:" +
                  std::to_string(proxy->port())),
            "500000\n");
}

TEST_P(ProxyTest, BringsEveryByteOfACrowdThereAndBack) {
  const Server echo("echo_server");
  const auto proxy = start(echo.port());
  Crowd crowd(proxy->port(), 100, std::size_t{256} * 1024, 1);
  EXPECT_TRUE(crowd.run());
  EXPECT_EQ(crowd.failed(), 0);
  EXPECT_EQ(crowd.finish(), 0);
}

TEST_P(ProxyTest, KeepsLittleForAClientThatDoesNotRead) {
  const Server echo("echo_server");
  const auto proxy = start(echo.port());
  const TcpClient polite(proxy->port());
  ASSERT_TRUE(polite.echoes("hello"));
  const std::size_t before = proxy->process().private_memory();

  const TcpClient greedy(proxy->port());
  EXPECT_LT(greedy.send_until_blocked(), TcpClient::kMoreThanSocketsHold);
  EXPECT_LT(proxy->process().private_memory(), before + 16 * 1024);
  EXPECT_TRUE(polite.echoes(std::string(10'000, 'p')));
}

TEST_P(ProxyTest, ClosesBothSidesOfAnIdleConnection) {
  Server echo("echo_server");
  const auto proxy = start(echo.port(), {"--idle", "300ms"});
  const TcpClient client(proxy->port());
  EXPECT_TRUE(client.readable_within(kPatience));
  EXPECT_EQ(client.receive_all(), "");
  EXPECT_TRUE(proxy->process().wait_for_error("timed out")) << proxy->process().errors();
}

TEST_P(ProxyTest, LetsOthersWaitWhileItHasAsManyClientsAsItMay) {
  const Server echo("echo_server");
  const auto proxy = start(echo.port(), {"--max-connections", "1"});
  auto first = std::make_unique<TcpClient>(proxy->port());
  ASSERT_TRUE(first->echoes("hello"));
  const TcpClient second(proxy->port());
  second.send("may I?");
  // The only way to see that something does not happen is to give it time to happen.
  EXPECT_FALSE(second.readable_within(300ms));
  first.reset();
  EXPECT_EQ(second.receive(6), "may I?");
}

TEST_P(ProxyTest, SaysWhyItCannotReachItsServerAndGoesOn) {
  const auto proxy = start(examples_test::free_port(SOCK_STREAM), {"--to", "127.0.0.1"});
  for (int i = 0; i < 2; ++i) {
    const TcpClient client(proxy->port());
    EXPECT_EQ(client.receive_all(), "");
    EXPECT_TRUE(proxy->process().wait_for_error("refused")) << proxy->process().errors();
  }
  EXPECT_EQ(proxy->stop(), "");
}

TEST_P(ProxyTest, LetsConnectionsEndWithinItsGracePeriod) {
  const Server echo("echo_server");
  const auto proxy = start(echo.port(), {"--grace", "1h"});
  const TcpClient client(proxy->port());
  ASSERT_TRUE(client.echoes("hello"));
  proxy->process().signal(SIGTERM);
  EXPECT_TRUE(client.echoes("still there?"));
  client.finish();
  EXPECT_EQ(client.receive_all(), "");
  EXPECT_EQ(proxy->process().wait(), 0);
}

}  // namespace
