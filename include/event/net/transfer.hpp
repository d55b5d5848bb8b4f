// copy(), send_file(), drain_and_close(): what takes longer than one operation.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>

#include "event/co/task.hpp"
#include "event/net/socket_stream.hpp"
#include "event/net/stream.hpp"

namespace event_cpp::net {

// Copies until `from` ends, and then shuts `to` down: one half of a proxy. Returns the number of
// bytes. Errors: throws std::system_error of either stream. Lifetime: both streams outlive the
// task. Memory: at most 64 KiB. Between two sockets on Linux, once many bytes flow, none instead,
// but a pipe with up to 1 MiB in the kernel: see splice(2).
EVENT_API co::Task<std::uint64_t> copy(Stream& from, Stream& to);

// Closes the stream without losing the last answer, also if the peer is still sending: shuts it
// down, drops what it receives until the peer has ended or `limit` has passed, and closes it.
// Whatever happens, the stream is closed in the end. Errors: throws std::errc::operation_canceled
// if the task is cancelled, or the stream is closed meanwhile; std::bad_alloc. Errors of the stream
// are ignored. Lifetime: the stream outlives the task.
EVENT_API co::Task<> drain_and_close(Stream& stream, Duration limit);

// Sends `count` bytes of a file, from the offset `from` on; fewer if the file ends. Returns how
// many. The bytes do not come into this process where the system has a call for it: see
// sendfile(2). Errors: throws std::system_error. A task that is cancelled half-way leaves the
// stream torn.
EVENT_API co::Task<std::uint64_t> send_file(SocketStream& to, int fd, off_t from,
                                            std::uint64_t count);

}  // namespace event_cpp::net
