// Transfers that consist of many operations: copy(), send_file(), drain_and_close(); and fds that
// are passed to another process.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>

#include "event/co/task.hpp"
#include "event/net/socket_stream.hpp"
#include "event/net/stream.hpp"

namespace event_cpp::net {

// Copies until `from` ends, and then shuts `to` down: one direction of a proxy. Returns the number
// of bytes. If it ends early when bytes were read but not written, `to` is torn. Errors: throws
// std::system_error of either stream. Lifetime: both streams outlive the task. Memory: at most 64
// KiB. Between two sockets on Linux, when 64 KiB arrive at once, it goes on with splice(2), which
// takes a pipe of up to 1 MiB in the kernel instead, and two fds.
EVENT_API co::Task<std::uint64_t> copy(Stream& from, Stream& to);

// Closes the stream so that the peer gets all that was sent, even if the peer is still sending (see
// Stream::close()): shuts it down, discards incoming data until the peer closes or `limit` has
// passed, and closes it. The stream is closed in any case. What was put into a Buffered is sent
// first, as far as the stream takes it at once. A task that waits to write to the stream then
// resumes with std::errc::operation_canceled, as after Stream::close(). Errors: throws
// std::errc::operation_canceled if the task is cancelled, or the stream is closed meanwhile;
// std::bad_alloc. Errors of the stream are ignored. Lifetime: the stream outlives the task.
EVENT_API co::Task<> drain_and_close(Stream& stream, AnyDuration limit);

// Sends `count` bytes of a file, from the offset `from` on; fewer if the file ends. Returns the
// number of bytes sent. On Linux without copying the bytes to user space: see sendfile(2). Reading
// from a slow disk blocks the thread. If it fails or is cancelled half-way, the stream is torn.
// Errors: throws std::system_error. Lifetime: stream and fd outlive the task.
EVENT_API co::Task<std::uint64_t> send_file(SocketStream& to, int fd, off_t from,
                                            std::uint64_t count);

// Sends an fd over a Unix socket, with one byte of data, when the socket takes it. The receiver
// gets a new fd of its own for the same open file description; `fd` stays the caller's. Errors:
// throws std::system_error: std::errc::operation_canceled, and then nothing was sent; EBADF if `fd`
// is not open; EINVAL if it is no Unix socket. Lifetime: stream and fd outlive the task. See
// SCM_RIGHTS in unix(7).
EVENT_API co::Task<> send_descriptor(SocketStream& over, int fd);
// Waits for an fd that the peer sends with send_descriptor(). Returns it, close-on-exec, and the
// caller owns it; or -1 if the peer has closed. The fd comes with its byte: any other read that
// takes the byte, also one of a Buffered that reads ahead, loses the fd. So both sides must know
// when one comes, or use a socket for nothing else. Errors: throws std::system_error:
// std::errc::operation_canceled, and then nothing was received; EBADMSG if the byte came without an
// fd; EMFILE if this process may not open another fd, and the one that came is lost. If several fds
// came, all but the first are closed. Lifetime: the stream outlives the task.
EVENT_API co::Task<int> receive_descriptor(SocketStream& over);

}  // namespace event_cpp::net
