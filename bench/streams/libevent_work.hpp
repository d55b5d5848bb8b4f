// What libevent's servers do with a bufferevent, whatever carries it.
#pragma once

#include <event2/buffer.h>
#include <event2/bufferevent.h>

#include <array>

#include "support/listen.hpp"

namespace bench {

inline void echo(bufferevent* readable, void* /*data*/) {
  evbuffer_add_buffer(bufferevent_get_output(readable), bufferevent_get_input(readable));
}

inline void download(bufferevent* readable, void* /*data*/) {
  evbuffer* const input = bufferevent_get_input(readable);
  evbuffer_drain(input, evbuffer_get_length(input));
  evbuffer_add_reference(bufferevent_get_output(readable), bulk.data(), bulk.size(), nullptr,
                         nullptr);
}

inline void upload(bufferevent* readable, void* /*data*/) {
  static const std::array<char, kMessage> message{};
  static std::size_t got = 0;  // of the one connection
  evbuffer* const input = bufferevent_get_input(readable);
  got += evbuffer_get_length(input);
  evbuffer_drain(input, evbuffer_get_length(input));
  if (got < kBulk) return;
  got -= kBulk;
  bufferevent_write(readable, message.data(), message.size());
}

}  // namespace bench
