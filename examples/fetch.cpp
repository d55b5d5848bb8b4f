// Fetches pages, all at once, with libcurl. Each has ten seconds.
//
// Try it:   fetch https://example.org/ http://localhost:8080/

#include <chrono>
#include <event/adapters/curl.hpp>
#include <event/co.hpp>
#include <event/event.hpp>
#include <exception>
#include <functional>
#include <iostream>
#include <string>

namespace {

using namespace std::chrono_literals;
namespace co = event::co;
namespace curl = event::curl;

co::Task<> fetch(curl::Multi& multi, std::string url, int& failed) {
  try {
    const curl::Response response = co_await co::with_timeout(10s, curl::get(multi, url));
    std::cout << url << ": " << response.status << ", " << response.body.size() << " bytes"
              << std::endl;
  } catch (const std::exception& error) {
    std::cout << url << ": " << error.what() << std::endl;
    ++failed;
  }
}

co::Task<int> fetch_all(int count, char** urls) {
  event::Base& base = co_await co::base();
  curl::Multi multi(base);
  co::TaskGroup group(base);
  int failed = 0;
  for (int i = 0; i < count; ++i) {
    group.spawn(&fetch, std::ref(multi), std::string(urls[i]), std::ref(failed));
  }
  co_await group.join();
  co_return failed;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    event::Base base;
    return co::run(base, fetch_all(argc - 1, argv + 1)) == 0 ? 0 : 1;
  } catch (const std::exception& error) {
    std::cerr << "fetch: " << error.what() << std::endl;
    return 1;
  }
}
