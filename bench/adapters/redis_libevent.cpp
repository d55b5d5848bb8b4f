// The same with hiredis' own adapter for libevent.
#include <event2/event.h>
#include <hiredis/adapters/libevent.h>
#include <hiredis/async.h>

#include <optional>

#include "adapters/client.hpp"

namespace {

struct Client {
  bench::Arguments arguments;
  int left;
  int answered = 0;
  event_base* base = nullptr;
  std::optional<bench::Stopwatch> stopwatch{};

  void get(redisAsyncContext* context) {
    if (left == 0) return;
    --left;
    ::redisAsyncCommand(
        context,
        [](redisAsyncContext* same, void* reply, void* self) {
          static_cast<Client*>(self)->take(same, static_cast<redisReply*>(reply));
        },
        this, "GET key");
  }
  void take(redisAsyncContext* context, const redisReply* reply) {
    if (reply == nullptr || reply->type == REDIS_REPLY_ERROR) std::abort();
    if (++answered == arguments.requests) {
      stopwatch->print(arguments.requests);
      ::event_base_loopbreak(base);
      return;
    }
    get(context);
  }
};

}  // namespace

int main(int argc, char** argv) {
  const bench::Arguments arguments = bench::arguments(argc, argv);
  Client client{arguments, arguments.requests};
  client.base = ::event_base_new();
  redisAsyncContext* const context = ::redisAsyncConnect("127.0.0.1", std::atoi(arguments.address));
  if (context->err != 0) return 1;
  context->data = &client;
  ::redisLibeventAttach(context, client.base);
  ::redisAsyncSetConnectCallback(context, [](const redisAsyncContext* connected, int status) {
    if (status != REDIS_OK) std::abort();
    auto& self = *static_cast<Client*>(connected->data);
    self.stopwatch.emplace();
    for (int i = 0; i < self.arguments.waiting; ++i) {
      self.get(const_cast<redisAsyncContext*>(connected));
    }
  });
  ::event_base_dispatch(client.base);
  ::redisAsyncFree(context);
  ::event_base_free(client.base);
}
