#include "event/adapters/curl.hpp"

#include <gtest/gtest.h>
#include <sys/eventfd.h>

#include <array>
#include <csignal>
#include <new>
#include <optional>
#include <string>

#include "adapters/services.hpp"
#include "base/unique_fd.hpp"
#include "event/net.hpp"
#include "support/forked.hpp"

namespace event_cpp::test {
namespace {

// A server for one test, on the test's base: what it answers depends on the path.
//   /hello                  a short body
//   /bytes/N                N bytes
//   /redirect               to /hello
//   /held/N                 N bytes, once let_go(true) was called
//   /silent                 nothing, ever
//   /loop                   to /loop
//   /404                    that
//   /last                   a body, and closes the connection
class HttpServer {
 public:
  explicit HttpServer(Base& base) : listener_(base, net::Address::loopback(0)), group_(base) {
    group_.spawn([this]() -> co::Task<> {
      co_await net::serve(listener_, [this](Base& on, net::Socket socket) -> co::Task<> {
        return connection(on, std::move(socket));
      });
    });
  }

  std::string url(const std::string& path) const {
    return "http://127.0.0.1:" + std::to_string(port()) + path;
  }
  int port() const { return listener_.address().port(); }
  int connections() const noexcept { return connections_; }  // until now
  int open() const noexcept { return open_; }
  std::size_t sent() const noexcept { return sent_; }
  void let_go(bool on) noexcept {
    holds_ = !on;
    let_go_.notify_all();
  }

 private:
  co::Task<> connection(Base& base, net::Socket socket) {
    ++connections_;
    const struct Open {
      int& count;
      explicit Open(int& counter) noexcept : count(++counter) {}
      ~Open() { --count; }
    } open(open_);
    net::SocketStream stream(base, std::move(socket));
    net::Buffered buffered(stream);
    for (;;) {
      const auto request = co_await buffered.read_line();
      if (!request.has_value()) co_return;
      const std::string line(*request);
      for (;;) {
        const auto header = co_await buffered.read_line();
        if (!header.has_value() || header->empty()) break;
      }
      const std::string path = line.substr(4, line.rfind(' ') - 4);
      std::string status = "200 OK";
      std::string more;
      std::string body = "hello";
      if (path == "/silent") co_await co::sleep(Duration::max());
      if (path == "/404") status = "404 Not Found";
      if (path == "/redirect" || path == "/loop") {
        status = "302 Found";
        more = path == "/loop" ? "Location: /loop\r\n" : "Location: /hello\r\n";
      }
      if (path.starts_with("/bytes/")) body.assign(std::stoul(path.substr(7)), 'b');
      if (path.starts_with("/held/")) {
        body.assign(std::stoul(path.substr(6)), 'b');
        while (holds_) co_await let_go_.wait();
      }
      const std::string head = "HTTP/1.1 " + status + "\r\nX-Path: " + path + "\r\n" + more +
                               "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n";
      co_await buffered.write(head);
      for (std::string_view rest = body; !rest.empty();) {
        const std::string_view part = rest.substr(0, 16384);
        rest.remove_prefix(part.size());
        co_await buffered.write(part);
        sent_ += part.size();
      }
      co_await buffered.flush();
      if (path == "/last") co_return;
    }
  }

  net::Listener listener_;
  int connections_ = 0;
  int open_ = 0;
  std::size_t sent_ = 0;
  bool holds_ = true;
  co::Notification let_go_;
  co::TaskGroup group_;
};

class CurlTest : public EveryBackendCo {};

std::size_t append(const char* data, std::size_t one, std::size_t count, void* to) noexcept {
  static_cast<std::string*>(to)->append(data, one * count);
  return one * count;
}

co::Task<> fetch(curl::Multi& multi, std::string url, std::string& body) {
  curl::Easy easy(url);
  easy.set(CURLOPT_WRITEFUNCTION, &append).set(CURLOPT_WRITEDATA, &body);
  easy.set(CURLOPT_FOLLOWLOCATION, 1);
  co_await multi.perform(easy);
  EXPECT_EQ(easy.status(), 200);
}

co::Task<> sixty(curl::Multi& multi, HttpServer& server, int& right) {
  Base& base = co_await co::base();
  co::TaskGroup group(base);
  for (int i = 0; i < 60; ++i) {
    group.spawn(
        [](curl::Multi& shared, std::string url, int& count) -> co::Task<> {
          std::string body;
          co_await fetch(shared, url, body);
          if (body == "hello") ++count;
        },
        std::ref(multi), server.url(i % 2 == 0 ? "/hello" : "/redirect"), std::ref(right));
  }
  EXPECT_EQ(multi.size(), 60U);
  co_await group.join();
}

BACKEND_TEST(CurlTest, RunsSixtyTransfersAtOnceAndFollowsRedirects) {
  Base base(real_time());
  HttpServer server(base);
  curl::Multi multi(base);
  int right = 0;
  run_task(base, sixty(multi, server, right));
  EXPECT_EQ(right, 60);
  EXPECT_EQ(multi.size(), 0U);
}

BACKEND_TEST(CurlTest, CallsFunctionsAndDoesNotKeepTheBaseWhenIdle) {
  Base base(real_time());
  Base other(real_time());
  std::optional<HttpServer> server(std::in_place, base);
  curl::Multi multi(base);
  curl::Easy good(server->url("/hello"));
  std::string body;
  good.set(CURLOPT_WRITEFUNCTION, &append).set(CURLOPT_WRITEDATA, &body);
  curl::Easy bad("http://127.0.0.1:1/");
  std::error_code code;
  int left = 2;
  const auto ended = [&] {
    if (--left == 0) server.reset();
  };
  multi.perform(good, [&](adapters::Outcome<std::monostate> done) {
    EXPECT_TRUE(done);
    ended();
  });
  multi.perform(bad, [&](adapters::Outcome<std::monostate> done) {
    try {
      done.take();
    } catch (const std::system_error& error) {
      code = error.code();
    }
    ended();
  });
  run(base);
  EXPECT_EQ(body, "hello");
  EXPECT_EQ(code, CURLE_COULDNT_CONNECT);
}

co::Task<> time_out(curl::Multi& multi, HttpServer& server) {
  curl::Easy slow(server.url("/silent"));
  slow.set(CURLOPT_TIMEOUT_MS, 20);
  const std::error_code code = co_await error_of(
      [](curl::Multi& m, curl::Easy e) -> co::Task<> { co_await m.perform(e); }(multi, slow));
  EXPECT_EQ(code, CURLE_OPERATION_TIMEDOUT);
  EXPECT_EQ(code, std::errc::timed_out);
  curl::Easy silent(server.url("/silent"));
  const auto none = co_await co::try_with_timeout(20ms, multi.perform(silent));
  EXPECT_FALSE(none.has_value());
  EXPECT_EQ(multi.size(), 0U);
  std::string body;
  co_await fetch(multi, server.url("/hello"), body);
  EXPECT_EQ(body, "hello");
}

BACKEND_TEST(CurlTest, EndsATransferAfterItsTimeoutOrWhenItsTaskIsCancelled) {
  Base base(real_time());
  HttpServer server(base);
  curl::Multi multi(base);
  run_task(base, time_out(multi, server));
}

// For error_of().
co::Task<> fetch(curl::Multi& multi, std::string url, std::size_t most) {
  co_await curl::get(multi, std::move(url), most);
}

co::Task<> errors(curl::Multi& multi, HttpServer& server) {
  const curl::Response missing = co_await curl::get(multi, server.url("/404"));
  EXPECT_EQ(missing.status, 404);
  EXPECT_EQ(missing.body, "hello");
  const curl::Response moved = co_await curl::get(multi, server.url("/redirect"));
  EXPECT_EQ(moved.status, 200);
  const std::string by_name = "http://localhost:" + std::to_string(server.port()) + "/hello";
  const curl::Response named = co_await curl::get(multi, by_name);
  EXPECT_EQ(named.body, "hello");
  const std::error_code refused = co_await error_of(fetch(multi, "http://127.0.0.1:1/", 10));
  EXPECT_EQ(refused, CURLE_COULDNT_CONNECT);
  const std::error_code nonsense = co_await error_of(fetch(multi, "nonsense://x", 10));
  EXPECT_EQ(nonsense, CURLE_UNSUPPORTED_PROTOCOL);
  const std::error_code large = co_await error_of(fetch(multi, server.url("/bytes/100000"), 10));
  EXPECT_EQ(large, CURLE_FILESIZE_EXCEEDED);
  const std::error_code unknown =
      co_await error_of(fetch(multi, "http://no.such.name.invalid/", 10));
  EXPECT_TRUE(unknown);
  EXPECT_EQ(multi.size(), 0U);
}

BACKEND_TEST(CurlTest, GetsBodiesAndSaysWhatIsWrong) {
  Base base(real_time());
  HttpServer server(base);
  curl::Multi multi(base);
  run_task(base, errors(multi, server));
}

co::Task<> zero_bytes(curl::Multi& multi, HttpServer& server) {
  const std::string url = server.url("/hello") + std::string("\0/404", 5);
  const std::error_code code = co_await error_of(fetch(multi, url, 10));
  EXPECT_EQ(code, std::errc::invalid_argument);
  EXPECT_EQ(server.connections(), 0);
  curl::Easy easy;
  try {
    easy.set(CURLOPT_USERAGENT, std::string("a\0b", 3));
    ADD_FAILURE();
  } catch (const std::system_error& error) {
    EXPECT_EQ(error.code(), std::errc::invalid_argument);
  }
  easy.set(CURLOPT_POSTFIELDSIZE, 3).set(CURLOPT_COPYPOSTFIELDS, std::string("a\0b", 3));
}

BACKEND_TEST(CurlTest, RefusesTextWithAZeroByte) {
  Base base(real_time());
  HttpServer server(base);
  curl::Multi multi(base);
  run_task(base, zero_bytes(multi, server));
}

co::Task<> slow_reader(curl::Multi& multi, HttpServer& server) {
  constexpr std::size_t kSize = std::size_t{32} << 20U;
  curl::Download download(multi);
  co_await download.start(server.url("/bytes/" + std::to_string(kSize)));
  EXPECT_EQ(download.status(), 200);
  EXPECT_EQ(download.header("x-path"), "/bytes/" + std::to_string(kSize));
  // What is not read waits in the kernel, and then in the server.
  std::size_t before = 1;
  while (before != server.sent()) {
    before = server.sent();
    co_await co::sleep(30ms);
  }
  EXPECT_LT(server.sent(), kSize);
  EXPECT_LE(download.waiting(), curl::Download::kMost + CURL_MAX_WRITE_SIZE);
  std::size_t size = 0;
  for (;;) {
    const std::optional<std::string> part = co_await download.read();
    if (!part.has_value()) break;
    size += part->size();
  }
  EXPECT_EQ(size, kSize);
}

BACKEND_TEST(CurlTest, PausesABodyThatNobodyReads) {
  Base base(real_time());
  HttpServer server(base);
  curl::Multi multi(base);
  run_task(base, slow_reader(multi, server));
}

co::Task<> given_up(curl::Multi& multi, HttpServer& server) {
  {
    curl::Download download(multi);
    co_await download.start(server.url("/bytes/1000000"));
    const std::optional<std::string> part = co_await download.read();
    EXPECT_TRUE(part.has_value());
  }
  EXPECT_EQ(multi.size(), 0U);
  const curl::Response after = co_await curl::get(multi, server.url("/hello"));
  EXPECT_EQ(after.body, "hello");
}

BACKEND_TEST(CurlTest, EndsADownloadThatIsDestroyed) {
  Base base(real_time());
  HttpServer server(base);
  curl::Multi multi(base);
  run_task(base, given_up(multi, server));
}

// A body callback that destroys the task of its own transfer, and that of another.
struct Destroyer {
  std::optional<co::TaskGroup>& group;
  int calls = 0;
  static std::size_t write(const char* /*data*/, std::size_t one, std::size_t count,
                           void* self) noexcept {
    auto& destroyer = *static_cast<Destroyer*>(self);
    ++destroyer.calls;
    destroyer.group.reset();
    return one * count;
  }
};

co::Task<> destroy_inside(curl::Multi& multi, HttpServer& server) {
  Base& base = co_await co::base();
  std::optional<co::TaskGroup> group(std::in_place, base);
  Destroyer destroyer{group};
  for (const char* path : {"/hello", "/silent"}) {
    group->spawn(
        [](curl::Multi& shared, std::string url, Destroyer& data) -> co::Task<> {
          curl::Easy easy(url);
          easy.set(CURLOPT_WRITEFUNCTION, &Destroyer::write).set(CURLOPT_WRITEDATA, &data);
          co_await shared.perform(easy);
        },
        std::ref(multi), server.url(path), std::ref(destroyer));
  }
  while (multi.size() > 0) co_await co::sleep(1ms);
  EXPECT_EQ(destroyer.calls, 1);
  const curl::Response after = co_await curl::get(multi, server.url("/hello"));
  EXPECT_EQ(after.body, "hello");
}

BACKEND_TEST(CurlTest, PutsOffTheRemovalOfATransferInACallbackOfLibcurl) {
  Base base(real_time());
  HttpServer server(base);
  curl::Multi multi(base);
  run_task(base, destroy_inside(multi, server));
}

// A download, and a function of libcurl that destroys it when `when` comes.
struct Ender {
  std::unique_ptr<curl::Download> download;
  curl_infotype when;
  static int log(CURL* /*easy*/, curl_infotype what, char* /*data*/, std::size_t /*size*/,
                 void* self) noexcept {
    auto& ender = *static_cast<Ender*>(self);
    if (what == ender.when) ender.download.reset();
    return 0;
  }
};

co::Task<> download_ended_inside(curl::Multi& multi, HttpServer& server, curl_infotype when) {
  Base& base = co_await co::base();
  Ender ender{std::make_unique<curl::Download>(multi), when};
  ender.download->easy().set(CURLOPT_VERBOSE, 1);
  ender.download->easy().set(CURLOPT_DEBUGFUNCTION, &Ender::log);
  ender.download->easy().set(CURLOPT_DEBUGDATA, &ender);
  co::TaskGroup group(base);
  server.let_go(false);
  group.spawn(ender.download->start(server.url("/held/10000000")));
  const int before = server.connections();
  while (server.connections() == before) co_await co::sleep(1ms);
  group.cancel();  // nobody waits for it any more
  co_await group.join();
  server.let_go(true);
  while (ender.download != nullptr) co_await co::sleep(1ms);
  while (multi.size() > 0) co_await co::sleep(1ms);
  const curl::Response after = co_await curl::get(multi, server.url("/hello"));
  EXPECT_EQ(after.body, "hello");
}

BACKEND_TEST(CurlTest, ADownloadMayBeDestroyedInACallbackOfLibcurl) {
  Base base(real_time());
  HttpServer server(base);
  for (const curl_infotype when : {CURLINFO_HEADER_IN, CURLINFO_DATA_IN}) {
    curl::Multi multi(base);
    run_task(base, download_ended_inside(multi, server, when));
  }
}

co::Task<> one_twice(curl::Multi& multi, HttpServer& server) {
  Base& base = co_await co::base();
  std::string body;
  curl::Easy easy(server.url("/hello"));
  easy.set(CURLOPT_WRITEFUNCTION, &append).set(CURLOPT_WRITEDATA, &body);
  co::TaskGroup group(base);
  group.spawn([&]() -> co::Task<> { co_await multi.perform(easy); });
  bool refused = false;
  try {
    co_await multi.perform(easy);
  } catch (const std::system_error&) {
    refused = true;
  }
  EXPECT_TRUE(refused);
  co_await group.join();
  EXPECT_EQ(body, "hello");
  EXPECT_EQ(multi.size(), 0U);
}

BACKEND_TEST(CurlTest, RefusesATransferThatRunsAlready) {
  Base base(real_time());
  HttpServer server(base);
  curl::Multi multi(base);
  run_task(base, one_twice(multi, server));
}

co::Task<> redirected_for_ever(curl::Multi& multi, HttpServer& server) {
  const std::error_code code = co_await error_of(fetch(multi, server.url("/loop"), 10));
  EXPECT_EQ(code, CURLE_TOO_MANY_REDIRECTS);
}

// What net::resolve() was asked for; it takes every name for this machine.
class CurlNameTest : public EveryBackendCo {
 protected:
  CurlNameTest() {
    for (const char* const name : kVariables) ::unsetenv(name);
    net::set_resolver(base,
                      [this](std::string host, int port) { return answer(std::move(host), port); });
  }
  ~CurlNameTest() override {
    for (const char* const name : kVariables) ::unsetenv(name);
  }

  co::Task<std::vector<net::Address>> answer(std::string host, int port) {
    names.push_back(std::move(host));
    co_return std::vector<net::Address>{net::Address::loopback(port)};
  }
  // The status, with an option.
  template <class T>
  co::Task<> fetch(CURLoption option, T value, std::string url, long& status) {
    curl::Download download(multi);
    if (option != CURLOPT_URL) download.easy().set(option, value);
    co_await download.start(std::move(url));
    while (true) {
      const auto part = co_await download.read();
      if (!part.has_value()) break;
    }
    status = download.status();
  }
  template <class T>
  long status_with(CURLoption option, T value, const std::string& url) {
    names.clear();
    long status = 0;
    run_task(base, fetch(option, value, url, status));
    return status;
  }

  static constexpr const char* kVariables[] = {"http_proxy",  "HTTP_PROXY", "https_proxy",
                                               "HTTPS_PROXY", "all_proxy",  "ALL_PROXY",
                                               "no_proxy",    "NO_PROXY"};
  Base base{real_time()};
  HttpServer server{base};
  curl::Multi multi{base};
  std::vector<std::string> names;
  // Names that libcurl does not look up itself, as "localhost" is for it.
  const std::string by_proxy = "http://far.test/hello";
  const std::string direct = "http://near.test:" + std::to_string(server.port()) + "/hello";
  const std::vector<std::string> near{"near.test"};
};

BACKEND_TEST(CurlNameTest, IsLookedUpOnceForTheHostOfTheUrl) {
  EXPECT_EQ(status_with(CURLOPT_URL, 0, direct), 200);
  EXPECT_EQ(names, near);
}

BACKEND_TEST(CurlNameTest, IsLeftToAProxy) {
  EXPECT_EQ(status_with(CURLOPT_PROXY, server.url(""), by_proxy), 200);
  EXPECT_EQ(names, std::vector<std::string>());
}

BACKEND_TEST(CurlNameTest, IsLeftToAProxyOfTheEnvironmentUnlessThatIsLifted) {
  for (const char* const name : {"http_proxy", "all_proxy", "ALL_PROXY"}) {
    ::setenv(name, server.url("").c_str(), 1);
    EXPECT_EQ(status_with(CURLOPT_URL, 0, by_proxy), 200) << name;
    EXPECT_EQ(names, std::vector<std::string>()) << name;
    EXPECT_EQ(status_with(CURLOPT_PROXY, nullptr, by_proxy), 200) << name;
    EXPECT_EQ(names, std::vector<std::string>()) << name;
    EXPECT_EQ(status_with(CURLOPT_PROXY, "", direct), 200) << name;
    EXPECT_EQ(names, near) << name;
    ::unsetenv(name);
  }
}

BACKEND_TEST(CurlNameTest, IsLookedUpIfAVariableIsForNobodyOrForOthers) {
  ::setenv("http_proxy", "", 1);
  ::setenv("HTTP_PROXY", "http://127.0.0.1:1", 1);
  ::setenv("https_proxy", "http://127.0.0.1:1", 1);
  EXPECT_EQ(status_with(CURLOPT_URL, 0, direct), 200);
  EXPECT_EQ(names, near);
}

BACKEND_TEST(CurlNameTest, IsNotLookedUpIfTheConnectionGoesElsewhere) {
  const std::string entry = "far.test:80:127.0.0.1:" + std::to_string(server.port());
  const std::unique_ptr<curl_slist, decltype(&::curl_slist_free_all)> list(
      ::curl_slist_append(nullptr, entry.c_str()), &::curl_slist_free_all);
  EXPECT_EQ(status_with(CURLOPT_CONNECT_TO, list.get(), by_proxy), 200);
  EXPECT_EQ(names, std::vector<std::string>());
}

BACKEND_TEST(CurlTest, GivesUpOnRedirectsWithoutAnEnd) {
  Base base(real_time());
  HttpServer server(base);
  curl::Multi multi(base);
  run_task(base, redirected_for_ever(multi, server));
}

co::Task<> reuse(curl::Multi& multi, HttpServer& server) {
  for (int i = 0; i < 5; ++i) {
    const curl::Response got = co_await curl::get(multi, server.url("/hello"));
    EXPECT_EQ(got.body, "hello");
  }
  EXPECT_EQ(server.connections(), 1);
  // The server has closed one that is kept: nobody watches it.
  const curl::Response last = co_await curl::get(multi, server.url("/last"));
  EXPECT_EQ(last.body, "hello");
  const curl::Response next = co_await curl::get(multi, server.url("/hello"));
  EXPECT_EQ(next.body, "hello");
  EXPECT_EQ(server.connections(), 2);
}

BACKEND_TEST(CurlTest, ReusesConnections) {
  Base base(real_time());
  HttpServer server(base);
  curl::Multi multi(base);
  run_task(base, reuse(multi, server));
}

co::Task<> idle_descriptors(curl::Multi& multi, HttpServer& server) {
  const curl::Response got = co_await curl::get(multi, server.url("/hello"));
  EXPECT_EQ(got.body, "hello");
  EXPECT_EQ(server.open(), 1);
  while (server.open() > 0) co_await co::sleep(5ms);
  const curl::Response again = co_await curl::get(multi, server.url("/hello"));
  EXPECT_EQ(again.body, "hello");
}

BACKEND_TEST(CurlTest, ClosesIdleConnectionsAfterAWhile) {
  Base base(real_time());
  HttpServer server(base);
  curl::Multi multi(base, {.idle = 50ms, .on_stuck = nullptr});
  run_task(base, idle_descriptors(multi, server));
}

BACKEND_TEST(CurlTest, MayBeDestroyedWhileTransfersRun) {
  Base base(real_time());
  HttpServer server(base);
  std::optional<curl::Multi> multi(std::in_place, base);
  std::error_code code;
  run_task(base,
           [](Base& on, std::optional<curl::Multi>& m, std::string url,
              std::error_code& failure) -> co::Task<> {
             co::TaskGroup group(on);
             group.spawn([&]() -> co::Task<> {
               const curl::Easy easy(url);
               try {
                 co_await m->perform(easy);
               } catch (const std::system_error& error) {
                 failure = error.code();
               }
             });
             co_await co::sleep(10ms);
             m.reset();
             co_await group.join();
           }(base, multi, server.url("/silent"), code));
  EXPECT_EQ(code, CURLE_ABORTED_BY_CALLBACK);
}

// Runs a transfer to a port where nobody listens.
co::Task<> refused(curl::Multi& multi, curl::Easy easy) {
  const std::error_code code = co_await error_of(
      [](curl::Multi& m, curl::Easy e) -> co::Task<> { co_await m.perform(e); }(multi, easy));
  EXPECT_EQ(code, CURLE_COULDNT_CONNECT);
}

BACKEND_TEST(CurlTest, LeavesAHandleThatOutlivesIt) {
  const curl::Easy easy("http://127.0.0.1:1/");
  Base base(real_time());
  alignas(curl::Multi) std::array<unsigned char, sizeof(curl::Multi)> room{};
  auto* const multi = ::new (room.data()) curl::Multi(base);
  run_task(base, refused(*multi, easy));
  multi->~Multi();
  room.fill(0xff);  // a use of it crashes
  EXPECT_EQ(::curl_easy_perform(easy.get()), CURLE_COULDNT_CONNECT);
}

// What libcurl is relied upon for: a connection that is kept is closed by the function that was set
// when it was made.
BACKEND_TEST(CurlTest, LibcurlCopiesTheFunctionThatClosesToTheConnection) {
  Base base(real_time());
  HttpServer server(base);
  int closed = 0;
  const curl_closesocket_callback close = [](void* count, curl_socket_t fd) noexcept {
    ++*static_cast<int*>(count);
    return ::close(fd);
  };
  curl::Easy easy(server.url("/hello"));
  std::string body;
  easy.set(CURLOPT_WRITEFUNCTION, &append).set(CURLOPT_WRITEDATA, &body);
  easy.set(CURLOPT_CLOSESOCKETFUNCTION, close).set(CURLOPT_CLOSESOCKETDATA, &closed);
  CURLM* const multi = ::curl_multi_init();
  ::curl_multi_add_handle(multi, easy.get());
  for (int running = 1; running > 0;) {
    ::curl_multi_perform(multi, &running);
    run(base, RunMode::nonblock);
  }
  EXPECT_EQ(body, "hello");
  ::curl_multi_remove_handle(multi, easy.get());
  easy.set(CURLOPT_CLOSESOCKETFUNCTION, nullptr).set(CURLOPT_CLOSESOCKETDATA, nullptr);
  EXPECT_EQ(closed, 0);
  ::curl_multi_cleanup(multi);
  EXPECT_EQ(closed, 1);
}

BACKEND_TEST(CurlTest, GoesOnInTheParentIfAForkedChildDestroysIt) {
  Base base(real_time());
  HttpServer server(base);
  std::optional<curl::Multi> multi(std::in_place, base);
  std::optional<co::TaskGroup> group(std::in_place, base);
  std::string body;
  group->spawn(fetch(*multi, server.url("/held/5"), body));
  while (server.connections() == 0) run(base, RunMode::once);
  EXPECT_TRUE(succeeds_in_child([&] {
    group.reset();
    multi.reset();
  }));
  server.let_go(true);
  run_task(base, [](co::TaskGroup& tasks) -> co::Task<> { co_await tasks.join(); }(*group));
  EXPECT_EQ(body, "bbbbb");
}

// A server that says yes to everything, which is enough for a client that asks for no file.
class FtpServer {
 public:
  explicit FtpServer(Base& base) : listener_(base, net::Address::loopback(0)), group_(base) {
    group_.spawn([this]() -> co::Task<> {
      co_await net::serve(listener_, [this](Base& on, net::Socket socket) -> co::Task<> {
        return connection(on, std::move(socket));
      });
    });
  }

  std::string url() const {
    return "ftp://127.0.0.1:" + std::to_string(listener_.address().port()) + "/";
  }
  int connections() const noexcept { return connections_; }
  int goodbyes() const noexcept { return goodbyes_; }

 private:
  co::Task<> connection(Base& base, net::Socket socket) {
    ++connections_;
    net::SocketStream stream(base, std::move(socket));
    net::Buffered buffered(stream);
    std::string answer = "220 ready\r\n";
    for (;;) {
      co_await buffered.write(answer);
      co_await buffered.flush();
      const auto command = co_await buffered.read_line();
      if (!command.has_value()) co_return;
      answer = "200 yes\r\n";
      if (command->starts_with("USER")) answer = "331 and the password\r\n";
      if (command->starts_with("PASS")) answer = "230 logged in\r\n";
      if (command->starts_with("PWD")) answer = "257 \"/\"\r\n";
      if (command->starts_with("QUIT")) ++goodbyes_;
    }
  }

  net::Listener listener_;
  int connections_ = 0;
  int goodbyes_ = 0;
  co::TaskGroup group_;
};

co::Task<> log_in(curl::Multi& multi, std::string url) {
  curl::Easy easy(url);
  easy.set(CURLOPT_NOBODY, 1);
  co_await multi.perform(easy);
}

BACKEND_TEST(CurlTest, KeepsConnectionsOfTheParentIfAForkedChildDestroysIt) {
  Base base(real_time());
  std::optional<curl::Multi> multi(std::in_place, base);
  FtpServer server(base);  // gone before libcurl waits for its last answer
  run_task(base, log_in(*multi, server.url()));
  EXPECT_TRUE(succeeds_in_child([&] { multi.reset(); }));
  run_task(base, log_in(*multi, server.url()));
  EXPECT_EQ(server.goodbyes(), 0);
  EXPECT_EQ(server.connections(), 1);
  EXPECT_TRUE(succeeds_in_child([&] {
    base.after_fork();
    run_task(base, log_in(*multi, server.url()));
    EXPECT_EQ(server.connections(), 2);  // with one of its own
  }));
  run_task(base, log_in(*multi, server.url()));
  EXPECT_EQ(server.connections(), 1);
}

BACKEND_TEST(CurlTest, MayOutliveItsBaseAndItsTasks) {
  std::optional<Base> base(std::in_place, real_time());
  std::optional<HttpServer> server(std::in_place, *base);
  curl::Multi multi(*base);
  co::TaskGroup group(*base);
  const std::string url = server->url("/silent");
  group.spawn([&]() -> co::Task<> {
    const curl::Easy easy(url);
    co_await multi.perform(easy);
  });
  while (server->connections() == 0) run(*base, RunMode::once);
  base.reset();
  EXPECT_EQ(group.size(), 0U);
  EXPECT_EQ(multi.size(), 0U);
}

BACKEND_TEST(CurlTest, DoesNotSpinOnADescriptorThatIsReadyWithoutProgress) {
  Base base(real_time());
  const detail::UniqueFd fd(::eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC));  // and nobody reads it
  int turns = 0;
  int stuck = 0;
  curl::detail::Sockets sockets(base, {[&](curl_socket_t, int bits) {
                                         EXPECT_EQ(bits, CURL_CSELECT_IN);
                                         ++turns;
                                       },
                                       [] { return std::uint64_t{7}; },
                                       [&](curl_socket_t number) {
                                         EXPECT_EQ(number, fd.get());
                                         if (++stuck == 2) base.stop();
                                       }});
  ASSERT_TRUE(sockets.change(fd.get(), CURL_POLL_IN));
  const TimePoint begin = base.now();
  run(base);
  EXPECT_GE(base.now() - begin, curl::detail::Sockets::kAside);
  EXPECT_EQ(stuck, 2);
  EXPECT_LE(turns, 3 * static_cast<int>(curl::detail::Sockets::kMostTurns));
}

BACKEND_TEST(CurlTest, ForgetsASocketThatWasClosedBeforeLibcurlSaysSo) {
  Base base(real_time());
  curl::detail::Sockets sockets(
      base, {[](curl_socket_t, int) {}, [] { return std::uint64_t{0}; }, [](curl_socket_t) {}});
  auto [one, two] = net::Socket::pair();
  const int fd = one.fd();
  ASSERT_TRUE(sockets.change(fd, CURL_POLL_IN));
  ASSERT_TRUE(sockets.change(fd, CURL_POLL_INOUT));
  run(base, RunMode::nonblock);
  one.close();
  EXPECT_TRUE(sockets.change(fd, CURL_POLL_REMOVE));
  EXPECT_EQ(sockets.size(), 0U);
  run(base, RunMode::nonblock);
  EXPECT_EQ(base.size(), 0U);
}

BACKEND_TEST(CurlTest, SetsNoHandlerOfSignals) {
  struct sigaction before {};
  ::sigaction(SIGALRM, nullptr, &before);
  Base base(real_time());
  HttpServer server(base);
  curl::Multi multi(base);
  std::string body;
  run_task(base, fetch(multi, server.url("/hello"), body));
  struct sigaction after {};
  ::sigaction(SIGALRM, nullptr, &after);
  EXPECT_EQ(before.sa_handler, after.sa_handler);
}

}  // namespace
}  // namespace event_cpp::test
