// kSendFlags: the flags of send(2), to send without blocking and without SIGPIPE.
#pragma once

#include <sys/socket.h>

namespace event_cpp::net::detail {

#ifdef MSG_NOSIGNAL
inline constexpr int kSendFlags = MSG_NOSIGNAL | MSG_DONTWAIT;
#else
inline constexpr int kSendFlags = MSG_DONTWAIT;  // Socket has set SO_NOSIGPIPE
#endif

}  // namespace event_cpp::net::detail
