// What tests on every backend have in common.
#include "support/every_backend.hpp"

namespace event_cpp::test {

void EveryBackend::add_test(const Registration& test,
                            void (*add)(const Registration&, const char* name)) {
  add(test, (std::string(test.name) + '/' + to_string(test.backend)).c_str());
}

bool EveryBackend::stays_asleep(Base& base, Duration window) {
  constexpr std::uint64_t kAFewWakeUps = 50;  // each asks the clock a handful of times
  base.stop_after(window);
  clock.asked = 0;
  run(base, RunMode::keep_alive);
  return clock.asked < kAFewWakeUps;
}

void EveryBackend::meet_stale_registration(Base& base) {
  Pipe closed = make_pipe();
  const Fd kept_alive = duplicate(closed.reader);
  Event old(base, closed.reader.get(), Events::read | Events::persist, Never());
  old.attach();
  closed.reader.close();
  old.detach();
  write_bytes(closed.writer);
  for (int i = 0; i < 3; ++i) base.loop(RunMode::nonblock);
}

}  // namespace event_cpp::test
