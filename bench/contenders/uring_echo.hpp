// An echo server on io_uring: receives into buffers that the kernel picks, and sends from them.
#pragma once

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <vector>

#include "contenders/uring_loop.hpp"

namespace bench {

class UringEcho {
 public:
  explicit UringEcho(int listener) : memory_(kBuffers * kSize) {
    make_pool();
    accept_.server = this;
    accept_.call = [](UringRequest* request, const io_uring_cqe& cqe) {
      if (cqe.res >= 0) static_cast<Accept*>(request)->server->serve(cqe.res);
    };
    loop_.request(&accept_, [&](io_uring_sqe* sqe) {
      ::io_uring_prep_multishot_accept(sqe, listener, nullptr, nullptr, 0);
    });
  }
  void run() { loop_.run(); }

 private:
  static constexpr unsigned kBuffers = 1024;
  static constexpr unsigned kSize = 4096;

  struct Accept : UringRequest {
    UringEcho* server;
  };

  // One message of a connection is on its way at a time: it is received, or sent.
  struct Connection : UringRequest {
    UringEcho* server;
    int fd;
  };
  struct Sent : UringRequest {
    UringEcho* server;
    unsigned buffer;
  };

  void make_pool() {
    io_uring_buf_reg registration{};
    void* const ring = ::mmap(nullptr, kBuffers * sizeof(io_uring_buf), PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    registration.ring_addr = reinterpret_cast<std::uintptr_t>(ring);
    registration.ring_entries = kBuffers;
    errno = -::io_uring_register_buf_ring(&loop_.ring(), &registration, 0);
    if (ring == MAP_FAILED || errno != 0) fail("io_uring_register_buf_ring");
    pool_ = static_cast<io_uring_buf_ring*>(ring);
    ::io_uring_buf_ring_init(pool_);
    sent_.resize(kBuffers);
    for (unsigned i = 0; i < kBuffers; ++i) {
      sent_[i].server = this;
      sent_[i].buffer = i;
      sent_[i].call = [](UringRequest* request, const io_uring_cqe&) {
        const auto* sent = static_cast<Sent*>(request);
        sent->server->give_back(sent->buffer);
      };
      give_back(i);
    }
  }

  std::byte* memory_of(unsigned buffer) { return memory_.data() + std::size_t{buffer} * kSize; }

  void give_back(unsigned buffer) {
    ::io_uring_buf_ring_add(pool_, memory_of(buffer), kSize, static_cast<unsigned short>(buffer),
                            static_cast<int>(kBuffers - 1), 0);
    ::io_uring_buf_ring_advance(pool_, 1);
  }

  void serve(int fd) {
    const int on = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    auto* const connection = new Connection;
    connection->server = this;
    connection->fd = fd;
    connection->call = [](UringRequest* request, const io_uring_cqe& cqe) {
      auto* const self = static_cast<Connection*>(request);
      self->server->received(*self, cqe);
    };
    receive(*connection);
  }

  void receive(Connection& connection) {
    loop_.request(&connection, [&](io_uring_sqe* sqe) {
      ::io_uring_prep_recv_multishot(sqe, connection.fd, nullptr, 0, 0);
      sqe->flags |= IOSQE_BUFFER_SELECT;
    });
  }

  void received(Connection& connection, const io_uring_cqe& cqe) {
    const bool more = (cqe.flags & IORING_CQE_F_MORE) != 0;
    if (cqe.res > 0) {
      const unsigned buffer = cqe.flags >> IORING_CQE_BUFFER_SHIFT;
      loop_.request(&sent_[buffer], [&](io_uring_sqe* sqe) {
        ::io_uring_prep_send(sqe, connection.fd, memory_of(buffer),
                             static_cast<std::size_t>(cqe.res), 0);
      });
    }
    if (cqe.res > 0 || cqe.res == -ENOBUFS) {
      if (!more) receive(connection);
    } else if (!more) {
      ::close(connection.fd);
      delete &connection;
    }
  }

  UringLoop loop_;
  std::vector<std::byte> memory_;
  io_uring_buf_ring* pool_ = nullptr;
  std::vector<Sent> sent_;
  Accept accept_{};
};

}  // namespace bench
