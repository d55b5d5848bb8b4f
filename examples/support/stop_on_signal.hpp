// StopOnSignal: Ctrl-C and kill end a loop cleanly.
#pragma once

#include <csignal>
#include <event/event.hpp>

namespace support {

// While it lives, the first SIGINT or SIGTERM stops the base: its dispatch() returns, and the
// program ends the way it likes. A second one, after that, does what it did before this was made:
// by default it ends the program at once. Callbacks must return for either to be noticed.
class StopOnSignal {
 public:
  explicit StopOnSignal(event::Base& base)
      : interrupt_(base, SIGINT, [this] { stop(); }),
        terminate_(base, SIGTERM, [this] { stop(); }) {
    // A loop that has nothing else to wait for is done, and needs no signal.
    interrupt_.keep_alive(false);
    terminate_.keep_alive(false);
    interrupt_.attach();
    terminate_.attach();
  }

 private:
  void stop() {
    interrupt_.detach();
    terminate_.detach();
    interrupt_.base().stop();
  }

  event::Signal interrupt_;
  event::Signal terminate_;
};

}  // namespace support
