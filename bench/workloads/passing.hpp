// Descriptors that become readable, and handlers that pass on what makes the next one so.
#pragma once

#include <cstdint>

#include "support/clock.hpp"
#include "support/contender.hpp"
#include "support/pinned.hpp"
#include "workloads/tokens.hpp"

namespace bench {

// `Watch<H>` is how each of the descriptors of `Tokens` is watched.
template <class C, class Tokens, template <class> class Watch, bool kOneShot>
class Passing {
 public:
  Passing(std::size_t size, std::size_t active) : tokens_(size, active), watches_(size) {
    for (std::uint32_t i = 0; i < tokens_.fds().size(); ++i) {
      watches_.add(loop_, tokens_.fds()[i], Handler{this, i}).start();
    }
  }

  Figures run(std::uint64_t operations) {
    left_ = static_cast<std::int64_t>(operations);
    const Stopwatch watch;
    loop_.run();
    // Some loops finish the batch that they are in when they are stopped.
    return watch.per_operation(operations + static_cast<std::uint64_t>(-left_));
  }

 private:
  struct Handler {
    Passing* all;
    std::uint32_t i;

    void operator()(auto& watch) const {
      all->tokens_.pass_on(i);
      if constexpr (kOneShot) watch.start();
      if (--all->left_ <= 0) all->loop_.stop();
    }
  };

  Tokens tokens_;
  typename C::Loop loop_;
  Pinned<Watch<Handler>> watches_;
  std::int64_t left_ = 0;
};

}  // namespace bench
