// A thread that posts to the bases of others, stops them, raises signals, and destroys bases.
#pragma once

#include "stress/world.hpp"

namespace event_cpp::stress {

class Actor {
 public:
  Actor(World& world, std::size_t number);

  // Until the world is over.
  void run();

 private:
  void act();
  void act_in_crowd(Home& home);
  void act_alone(Home& home);
  void destroy_one();

  // In a crowd: nothing is waited for, or what another one might have done.
  void post_some(Home& home);
  void stop(Home& home, bool wait);
  void raise_signal(Home& home);
  void raise(const Home& home, Tenancy& tenancy);
  void end_life(Home& home);

  // Alone: the effect is waited for, and is nobody else's.
  void post_alone(Home& home);
  void stop_alone(Home& home);
  void raise_alone(Home& home);
  void surprise_busy(Home& home);
  void surprise_resting(Home& home);
  void end_alone(Home& home);
  void wait_until_it_waits(Home& home);

  void pause();
  template <class Done>
  void wait(const char* what, const Home& home, Done done);

  World& world_;
  Doing& doing_;
  Random random_;
  std::uint8_t number_;
};

// Has the owner end the base of a home, if there is one.
void end_from_outside(Home& home);

}  // namespace event_cpp::stress
