// copy(), send_file(), drain_and_close(): what takes longer than one operation.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>

#include "event/co/task.hpp"
#include "event/net/socket_stream.hpp"
#include "event/net/stream.hpp"

namespace event_cpp::net {

// Copies until `from` ends, and then shuts `to` down: one half of a proxy. Holds no more than 64
// KiB. Returns how many bytes. Between two sockets on Linux the bytes do not come into this process
// once many of them flow: see splice(2). Errors: throws std::system_error of either stream.
// Lifetime: both streams outlive the task.
EVENT_API co::Task<std::uint64_t> copy(Stream& from, Stream& to);

// Shuts the stream down, reads and drops what still comes until the peer has closed as well, and
// then closes it: so that an answer is not lost with a peer that is still sending. At the latest
// after `limit` it is closed nevertheless. Never fails but for std::errc::operation_canceled; then
// the stream is closed as well.
EVENT_API co::Task<> drain_and_close(Stream& stream, Duration limit);

// Sends `count` bytes of a file, from the offset `from` on; fewer if the file ends. Returns how
// many. The bytes do not come into this process where the system has a call for it: see
// sendfile(2). Errors: throws std::system_error. A task that is cancelled half-way leaves the
// stream torn.
EVENT_API co::Task<std::uint64_t> send_file(SocketStream& to, int fd, off_t from,
                                            std::uint64_t count);

}  // namespace event_cpp::net
