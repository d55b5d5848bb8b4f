// libevent's bufferevents over OpenSSL. Its names, such as event, are not ours.
#pragma once

#define EVENT_CPP_NO_ALIAS

#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <event2/listener.h>

#include <map>
#include <string_view>

#include "streams/libevent_work.hpp"
#include "support/listen.hpp"
#include "support/tls_context.hpp"

namespace bench {

struct Server {
  event_base* base;
  SSL_CTX* context;
  bufferevent_data_cb answer;
};

inline void accept(evconnlistener* /*listener*/, evutil_socket_t fd, sockaddr* /*address*/,
                   int /*size*/, void* data) {
  const auto& server = *static_cast<Server*>(data);
  send_at_once(fd);
  bufferevent* const connection = bufferevent_openssl_socket_new(
      server.base, fd, SSL_new(server.context), BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE);
  bufferevent_setcb(
      connection, server.answer, nullptr,
      [](bufferevent* changed, short what, void*) {
        if ((what & BEV_EVENT_CONNECTED) == 0) bufferevent_free(changed);
      },
      nullptr);
  bufferevent_enable(connection, EV_READ | EV_WRITE);
}

template <bufferevent_data_cb kAnswer>
void serve(int listening) {
  Server server{event_base_new(), SSL_CTX_new(TLS_server_method()), kAnswer};
  set_up(server.context);
  evconnlistener_new(server.base, &accept, &server, LEV_OPT_CLOSE_ON_FREE, 0, listening);
  event_base_dispatch(server.base);
}

inline std::map<std::string_view, void (*)(int)> servers() {
  return {{"echo", &serve<&echo>}, {"download", &serve<&download>}, {"upload", &serve<&upload>}};
}

}  // namespace bench
