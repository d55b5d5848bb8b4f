// libevent's bufferevents.
#pragma once

#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>

#include <map>
#include <string_view>

#include "streams/libevent_work.hpp"
#include "support/listen.hpp"

namespace bench {

template <bufferevent_data_cb kAnswer>
void accept(evconnlistener* /*listener*/, evutil_socket_t fd, sockaddr* /*address*/, int /*size*/,
            void* base) {
  send_at_once(fd);
  bufferevent* const connection =
      bufferevent_socket_new(static_cast<event_base*>(base), fd, BEV_OPT_CLOSE_ON_FREE);
  bufferevent_setcb(
      connection, kAnswer, nullptr,
      [](bufferevent* ended, short, void*) { bufferevent_free(ended); }, nullptr);
  bufferevent_enable(connection, EV_READ | EV_WRITE);
}

template <bufferevent_data_cb kAnswer>
void serve(int listening) {
  event_base* const base = event_base_new();
  evconnlistener_new(base, &accept<kAnswer>, base, LEV_OPT_CLOSE_ON_FREE, 0, listening);
  event_base_dispatch(base);
}

inline std::map<std::string_view, void (*)(int)> servers() {
  return {{"echo", &serve<&echo>}, {"download", &serve<&download>}, {"upload", &serve<&upload>}};
}

}  // namespace bench
