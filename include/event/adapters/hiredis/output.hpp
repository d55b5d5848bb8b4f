// What hiredis has still to send, and how it is sent without SIGPIPE.
#pragma once

#include <hiredis/async.h>
#include <hiredis/hiredis.h>
#include <hiredis/sds.h>
#include <sys/socket.h>
#include <sys/types.h>

#include <cerrno>
#include <cstddef>

#include "event/net/detail/send_flags.hpp"
#include "event/net/detail/without_sigpipe.hpp"

namespace event_cpp::redis::detail {

// The output buffer of a context. Its functions have other names since hiredis 1.0, which also has
// TLS. They are declared again, since the headers of hiredis do not say that they are of C.
#if HIREDIS_MAJOR < 1
extern "C" void sdsrange(char* text, int first, int last);
extern "C" char* sdsRemoveFreeSpace(char* text);
inline std::size_t unsent(const redisContext& context) noexcept { return ::sdslen(context.obuf); }
inline void drop_sent(redisContext& context, int size) noexcept {
  detail::sdsrange(context.obuf, size, -1);
}
inline char* without_free_space(redisContext& context) noexcept {
  return detail::sdsRemoveFreeSpace(context.obuf);
}
inline bool has_tls(const redisContext& /*context*/) noexcept { return false; }
#else
extern "C" int hi_sdsrange(char* text, ssize_t first, ssize_t last);
extern "C" char* hi_sdsRemoveFreeSpace(char* text);
inline std::size_t unsent(const redisContext& context) noexcept {
  return ::hi_sdslen(context.obuf);
}
inline void drop_sent(redisContext& context, int size) noexcept {
  detail::hi_sdsrange(context.obuf, size, -1);
}
inline char* without_free_space(redisContext& context) noexcept {
  return detail::hi_sdsRemoveFreeSpace(context.obuf);
}
inline bool has_tls(const redisContext& context) noexcept { return context.privctx != nullptr; }
#endif

// Where send(2) has no flag against SIGPIPE the socket has an option.
#ifdef SO_NOSIGPIPE
inline void set_no_sigpipe(int fd) noexcept {
  const int on = 1;
  static_cast<void>(::setsockopt(fd, SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof on));
}
#else
inline void set_no_sigpipe(int /*fd*/) noexcept {}
#endif

// Sends what can be sent now. Returns whether nothing is left, so that hiredis does not write.
inline bool send_output(redisContext& context) noexcept {
  constexpr std::size_t kKept = std::size_t{64} << 10U;  // of the buffer's memory
  const std::size_t size = unsent(context);
  if (size == 0) return true;
  if (has_tls(context)) return false;
  const ssize_t sent = ::send(context.fd, context.obuf, size, net::detail::kSendFlags);
  if (sent <= 0) return false;
  drop_sent(context, static_cast<int>(sent));
  if (static_cast<std::size_t>(sent) < size) return false;
  if (size > kKept) {
    if (char* const smaller = without_free_space(context)) context.obuf = smaller;
  }
  return true;
}

// redisAsyncHandleWrite() without SIGPIPE, which the write(2) of hiredis would raise. Usually
// hiredis finds everything sent. Only if not, the signal is blocked while hiredis writes, which
// costs a few system calls.
inline void handle_write(redisAsyncContext& context) noexcept {
  const bool connected = (context.c.flags & REDIS_CONNECTED) != 0;
  if (connected && send_output(context.c)) {
    ::redisAsyncHandleWrite(&context);
  } else {
    net::detail::without_sigpipe([&context] {
      ::redisAsyncHandleWrite(&context);
      return -EPIPE;
    });
  }
}

}  // namespace event_cpp::redis::detail
