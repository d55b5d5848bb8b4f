// The fixture of tests that run over everything that carries a stream:
//   class SubjectTest : public EveryCarrier {};
//   ON_EVERY_CARRIER(SubjectTest);
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "net/frozen_base.hpp"
#include "net/support.hpp"

namespace event_cpp::test {

enum class Carrier : std::uint8_t { local, tcp, memory, toy };

struct Over {
  Backend backend;
  Carrier carrier;
};

inline std::vector<Over> every_carrier() {
  std::vector<Over> all;
  for (const Backend backend : usable_backends()) {
    all.push_back({backend, Carrier::local});
    all.push_back({backend, Carrier::tcp});
  }
  all.push_back({Backend::none, Carrier::memory});
  all.push_back({Backend::none, Carrier::toy});
  return all;
}

inline std::string name_of(const testing::TestParamInfo<Over>& info) {
  constexpr const char* kNames[] = {"local", "tcp", "memory", "toy"};
  const std::string name = kNames[static_cast<std::size_t>(info.param.carrier)];
  return info.param.backend == Backend::none ? name : to_string(info.param.backend) + "_" + name;
}

// Two sockets that are connected over the loopback device. The first one has connected.
inline std::pair<net::Socket, net::Socket> connected_tcp() {
  const Sockets pair = tcp_pair();
  net::Socket ours = net::Socket::adopt(::dup(pair.ours.get()));
  net::Socket theirs = net::Socket::adopt(::dup(pair.theirs.get()));
  return {std::move(ours), std::move(theirs)};
}

class EveryCarrier : public testing::TestWithParam<Over>, protected FrozenBase {
 protected:
  EveryCarrier() : FrozenBase(GetParam().backend) { connect(); }

  // Also makes other ends in the place of those that there were.
  void connect() {
    const auto& over = GetParam();
    if (over.carrier == Carrier::memory) {
      memory_ = std::make_unique<net::Memory>(base, kMemoryRoom);
      return;
    }
    std::pair<net::Socket, net::Socket> sockets;
    if (over.carrier == Carrier::toy) {
      net::set_kernel(base, &kernel);
      sockets = kernel.pair();
    } else {
      sockets = over.carrier == Carrier::tcp ? connected_tcp() : net::Socket::pair();
    }
    a_ = std::make_unique<net::SocketStream>(base, std::move(sockets.first));
    b_ = std::make_unique<net::SocketStream>(base, std::move(sockets.second));
  }

  static constexpr std::size_t kMemoryRoom = std::size_t{64} << 10;
  bool is(Carrier carrier) const { return GetParam().carrier == carrier; }
  bool is_socket() const { return is(Carrier::local) || is(Carrier::tcp); }
  // More bytes than the carrier takes without somebody who reads.
  std::size_t much() const { return std::size_t{is_socket() ? 16U : 1U} << 20; }

  net::Stream& a() { return memory_ != nullptr ? memory_->a() : *a_; }
  net::Stream& b() { return memory_ != nullptr ? memory_->b() : *b_; }
  // Both are gone in memory.
  void destroy_a() {
    memory_.reset();
    a_.reset();
  }

 private:
  std::unique_ptr<net::Memory> memory_;
  std::unique_ptr<net::SocketStream> a_;
  std::unique_ptr<net::SocketStream> b_;
};

}  // namespace event_cpp::test

#define ON_EVERY_CARRIER(Suite) \
  INSTANTIATE_TEST_SUITE_P(, Suite, testing::ValuesIn(every_carrier()), name_of)
