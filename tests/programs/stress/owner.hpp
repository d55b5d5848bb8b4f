// A thread that makes bases, runs them, and destroys them: one after the other, at one home.
#pragma once

#include "stress/world.hpp"

namespace event_cpp::stress {

class Owner {
 public:
  Owner(World& world, std::size_t home);

  // Until the world is over.
  void run();

 private:
  std::unique_ptr<Tenancy> furnish();
  void drive(Tenancy& tenancy);
  void drive_by_loop(Base& base, RunMode mode);
  void drive_by_poll(Base& base);
  void drive_by_base(Base& base);
  void turn(Base& base, RunMode mode);
  void enter() noexcept { ++home_.entered; }

  World& world_;
  Home& home_;
  Doing& doing_;
  Random random_;
  std::uint8_t poster_;
};

// What lonely homes raise each for itself, and all others together.
int signal_of(const Home& home) noexcept;

}  // namespace event_cpp::stress
