// What a random program does to its events.
#include <signal.h>

#include <cerrno>
#include <utility>

#include "support/errors.hpp"
#include "support/loop_script.hpp"
#include "support/printing.hpp"
#include "support/process.hpp"

namespace event_cpp::test {
namespace {

constexpr std::size_t kMostEvents = 24;
constexpr Events kTicks = Events::timeout | Events::persist;

}  // namespace

void LoopScript::make_event() {
  if (events_.size() >= kMostEvents) return;
  const int id = next_id_++;
  ModelEvent model;
  choose(model.fd, model.mask);
  model.priority = static_cast<Priority>(random_.below(3));
  const auto callback = [this, id](Events fired) { fire(id, fired); };
  if (model.fd < 0 && model.mask == kTicks) {
    model.kind = ModelEvent::Kind::ticker;
    events_[id] = std::make_shared<Ticker>(*base_, callback, model.priority);
  } else {
    events_[id] = std::make_shared<Event>(*base_, model.fd, model.mask, callback, model.priority);
  }
  models_[id] = model;
  attach(id);
}

void LoopScript::choose(int& fd, Events& mask) {
  mask = random_.one_in(2) ? Events::persist : Events::none;
  if (random_.one_in(4)) mask |= Events::timeout;
  if (random_.one_in(4) || files_.size() == 0) {
    fd = -1;
    mask |= Events::timeout;
  } else if (random_.below(8) == 7) {
    fd = random_.one_in(2) ? SIGURG : SIGWINCH;
    mask |= Events::signal;
  } else {
    fd = files_.any().number();
    for (const Events what : {Events::read, Events::write, Events::closed, Events::error}) {
      if (random_.one_in(2)) mask |= what;
    }
    if (!any(mask & kDescriptorConditions)) mask |= Events::read;
    if (random_.below(8) == 7) mask |= Events::edge;
  }
}

// A default-constructed code for success.
std::error_code LoopScript::expected_of_attach(const ModelEvent& model, int file) const {
  if (model.attached) return Errc::already_attached;
  if (!model.on_descriptor()) return {};
  if (any(model.mask & Events::edge) && options_.backend == Backend::poll) {
    return Errc::unsupported;
  }
  return file < 0 ? system_error(EBADF) : std::error_code();
}

void LoopScript::attach(int id) {
  ModelEvent& model = models_[id];
  Event& event = *events_[id];
  Duration first = random_.one_in(3) ? duration() : Duration::zero();
  const Duration timeout = first;
  const int file = model.on_descriptor() ? files_.id_of(model.fd) : model.file;
  const bool timed = timeout > Duration::zero() || any(model.mask & Events::timeout);
  if (!timed && !model.on_descriptor() && !model.on_signal()) return;  // it was paused
  note("attach " + name(id) + " to " + std::to_string(model.fd) + " for " + to_string(model.mask) +
       " and " + std::to_string(timeout.count()) + "ns");
  if (model.on_descriptor() && file < 0 && link_of(model.fd) != "") return;  // the base's own now
  if (!model.attached && model.on_descriptor() && model.file >= 0 && model.file != file) {
    event.assign(model.fd, model.mask);
    model.assign(model.fd, model.mask);
    turn_.forget(id);
  }
  std::error_code error;
  if (!model.attached && model.kind == ModelEvent::Kind::ticker && model.mask == kTicks) {
    first = random_.one_in(2) ? duration() : timeout;
    static_cast<Ticker&>(event).attach(first, timeout);
  } else {
    const bool by_rearm = !model.attached && random_.one_in(4);
    error = by_rearm ? event.try_rearm(timeout) : event.try_attach(timeout);
  }
  expect(error == expected_of_attach(model, file), name(id),
         "attaches, or does not: " + error.message());
  if (error) return;
  turn_.forget_doubts(id);
  model.attach(time_.now(), first, timeout, file, turn_.count());
}

// Nothing changes.
void LoopScript::attach_wrongly(int id) {
  const ModelEvent& model = models_[id];
  if (!model.attached) return;
  note("attach " + name(id) + " wrongly");
  expect(events_[id]->try_attach(Duration(-1)) == Errc::already_attached, id, "attaches twice");
}

void LoopScript::detach(int id) {
  ModelEvent& model = models_[id];
  note("detach " + name(id));
  expect(events_[id]->detach() == model.attached, id, "says it was attached or not");
  model.detach();
  turn_.forget(id);
}

void LoopScript::destroy(int id) {
  note("destroy " + name(id));
  turn_.forget(id);
  models_.erase(id);
  const auto event = std::move(events_[id]);
  events_.erase(id);
}

void LoopScript::rearm(int id) {
  ModelEvent& model = models_[id];
  const Duration timeout = random_.one_in(3) ? Duration::zero() : duration();
  note("rearm " + name(id) + " to " + std::to_string(timeout.count()) + "ns");
  if (!model.attached) return attach(id);
  const bool waits =
      model.on_descriptor() || model.on_signal() || any(model.mask & Events::timeout);
  if (!waits && timeout == Duration::zero()) return;
  events_[id]->rearm(timeout);
  model.rearm(time_.now(), timeout, turn_.count());
  turn_.forget_timeout(id);
}

void LoopScript::set_priority(int id) {
  const auto priority = static_cast<Priority>(random_.below(3));
  note("set priority of " + name(id));
  events_[id]->set_priority(priority);
  models_[id].priority = priority;
}

void LoopScript::keep_alive(int id) {
  const bool on = random_.one_in(2);
  note(name(id) + (on ? " keeps alive" : " does not keep alive"));
  events_[id]->keep_alive(on);
  models_[id].keeps_alive = on;
}

void LoopScript::activate(int id) {
  if (turn_.is_uncertain(id)) return;  // in which iteration it runs is not known
  const Events what[] = {Events::read,   Events::write,  Events::timeout,
                         Events::closed, Events::signal, Events::error};
  const Events chosen = what[random_.below(6)];
  note("activate " + name(id) + " for " + to_string(chosen));
  events_[id]->activate(chosen);
  turn_.activate(id, models_[id], chosen);
}

void LoopScript::modify(int id) {
  ModelEvent& model = models_[id];
  if (model.kind != ModelEvent::Kind::held || model.on_signal() || model.fd < 0) return;
  const int file = files_.id_of(model.fd);
  const bool same_file = model.file < 0 || model.file == file;
  if (model.attached && (model.astray || file < 0 || !same_file)) return;
  Events mask = model.mask & Events::timeout;
  for (const Events what :
       {Events::read, Events::write, Events::closed, Events::error, Events::persist}) {
    if (random_.one_in(2)) mask |= what;
  }
  if (random_.below(8) == 7) mask |= Events::edge;
  note("modify " + name(id) + " to " + to_string(mask));
  const std::error_code error = events_[id]->try_modify(mask);
  const bool refused = model.attached && any(mask & Events::edge) &&
                       any(mask & kDescriptorConditions) && options_.backend == Backend::poll;
  expect(error == (refused ? make_error_code(Errc::unsupported) : std::error_code()), name(id),
         "is modified, or not: " + error.message());
  if (error) return;
  const Events removed = model.mask & ~mask & kDescriptorConditions;
  const bool begins = !model.on_descriptor();
  model.mask = mask;
  if (!model.attached) return;
  if (begins) model.attached_as = turn_.count();  // after the others on its descriptor
  turn_.forget_conditions(id, removed);
  if (model.on_descriptor()) model.file = file;
}

void LoopScript::assign(int id) {
  ModelEvent& model = models_[id];
  int fd = -1;
  Events mask = Events::none;
  choose(fd, mask);
  if (model.attached) {
    return expect(thrown_by([&] { events_[id]->assign(fd, mask); }) == Errc::already_attached,
                  name(id), "is assigned while it is attached");
  }
  events_[id]->assign(fd, mask);
  note("assign " + name(id) + " to " + std::to_string(fd) + " for " + to_string(mask));
  model.assign(fd, mask);
  turn_.forget(id);
}

}  // namespace event_cpp::test
