// Few numbers and few events, so that everything happens to the same ones.
#include "support/fd_script.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <iterator>
#include <utility>
#include <vector>

#include "support/printing.hpp"

namespace event_cpp::test {
namespace {

using detail::FdTable;
using detail::Node;

constexpr int kNumbers[] = {0, 1, 2, 3, 255, 256, 65'535, 65'536, 1'000'000};
constexpr std::size_t kWatches = 12;

}  // namespace

FdScript::FdScript(Random& random, bool keeps) : random_(random) {
  loop_.backend.prefer_lazy_removal(keeps);
  for (std::size_t i = 0; i < kWatches; ++i) {
    watches_.push_back({Node(&kNoOps, nullptr, 0, Events::read, Priority::middle)});
  }
}

int FdScript::any_number() { return kNumbers[random_.below(std::size(kNumbers))]; }

Events FdScript::any_conditions() {
  constexpr Events kEach[] = {Events::read, Events::write, Events::closed};
  Events conditions = kEach[random_.below(3)];
  if (random_.one_in(3)) conditions |= kEach[random_.below(3)];
  return conditions;
}

// What an event asks for. Exclusive and closed do not go together.
Events FdScript::any_mask() {
  Events mask = any_conditions();
  if (random_.one_in(2)) mask |= Events::persist;
  if (!any(mask & Events::closed) && random_.below(8) == 7) mask |= Events::exclusive;
  return mask;
}

void FdScript::step() {
  const int number = any_number();
  Watch& watch = watches_[random_.below(kWatches)];
  switch (random_.below(14)) {
    case 0:
    case 1:
      open_or_close(number);
      break;
    case 12:
      happen_rarely();
      break;
    case 13:
      modify(watch);
      break;
    case 2:
      duplicate(any_number(), number);
      break;
    case 3:
    case 4:
      if (!loop_.backend.is_open(number)) break;
      loop_.backend.set_ready(number, random_.one_in(2) ? Events::none : any_conditions());
      if (random_.one_in(20)) loop_.backend.hang_up(number);
      break;
    case 5:
      loop_.detach(watch.node);
      break;
    case 6:
      loop_.release(watch.node);
      break;
    case 7:
    case 8:
      iterate();
      break;
    default:
      if (!watch.node.attached) attach(watch);
  }
}

void FdScript::happen_rarely() {
  switch (random_.below(60)) {
    case 57:
      return loop_.table.disable_lazy_removal();
    case 58:
      return loop_.table.reserve(random_.below(600));
    case 59:
      return fork();
    default:
      if (random_.one_in(8)) loop_.backend.fail_rebuild(EMFILE);
  }
}

// The child's kernel side knows nothing yet, and files by their numbers alone.
void FdScript::fork() {
  for (Watch& watch : watches_) {
    if (!watch.stayed) loop_.release(watch.node);
  }
  loop_.backend.start_anew();
  ASSERT_EQ(loop_.table.register_all(), 0);
}

void FdScript::open_or_close(int number) {
  if (!loop_.backend.is_open(number)) {
    loop_.backend.open_at(number);
    return;
  }
  if (random_.one_in(2)) let_go(number);  // as one should
  leave(number);
  loop_.backend.close(number);
}

void FdScript::duplicate(int from, int to) {
  if (from == to || !loop_.backend.is_open(from)) return;
  // A registration that was left behind comes back. If somebody still watches the number for the
  // file in between, nothing can tell whose it is: the one thing that must not be done.
  if (loop_.backend.is_registered(to, loop_.backend.file_at(from))) let_go(to);
  leave(to);
  loop_.backend.duplicate(from, to);
}

// The number will not stand for its file any more.
void FdScript::leave(int number) {
  for (Watch& watch : watches_) {
    if (watch.node.descriptor == number) watch.stayed = false;
  }
}

void FdScript::let_go(int number) {
  for (Watch& watch : watches_) {
    if (watch.node.descriptor != number) continue;
    if (watch.stayed && random_.one_in(2)) loop_.detach(watch.node);
    loop_.release(watch.node);
  }
}

void FdScript::attach(Watch& watch) {
  // For another file, which a number that was closed stands for, an event is assigned again.
  if (!watch.stayed || !watch.node.linked || random_.one_in(3)) {
    loop_.release(watch.node);
    watch.node.descriptor = any_number();
    watch.node.events = any_mask();
  }
  const bool fails = random_.one_in(20);
  if (fails) loop_.backend.fail(ENOMEM, 1 + random_.below(2));
  try_to_attach(watch);
  loop_.backend.succeed();
}

void FdScript::modify(Watch& watch) {
  if (!watch.node.attached) return;
  const Events before = std::exchange(watch.node.events, any_mask());
  const int error = loop_.table.interest_changed(watch.node);
  if (error == 0) return;
  watch.node.events = before;
  ASSERT_TRUE(error == EBADF && !watch.stayed) << error;
}

void FdScript::try_to_attach(Watch& watch) {
  const int number = watch.node.descriptor;
  const bool open = loop_.backend.is_open(number);
  const std::size_t updates = loop_.backend.updates;
  const int error = loop_.attach(watch.node);
  // What is exclusive is taken back and added for each change. Else, at worst, what was left behind
  // for another file is found, cannot be changed as it is exclusive, is taken back, and added.
  const bool exclusive = any_exclusive();
  ASSERT_LE(loop_.backend.updates - updates, exclusive ? 7U : 4U);
  if (error == 0) {
    ASSERT_TRUE(open);
    ASSERT_TRUE(watch.node.linked);
    ASSERT_FALSE(watch.node.stale);
    watch.file = loop_.backend.file_at(number);
    watch.stayed = true;
    watch.attached_at = ++clock_;
  } else {
    ASSERT_TRUE(error == ENOMEM || (error == EBADF && !open)) << error;
    ASSERT_FALSE(watch.node.attached);
    // What is remembered of a detached node is of the file that its number stands for.
    ASSERT_TRUE(!watch.node.linked || watch.stayed);
  }
}

void FdScript::iterate() {
  std::vector<const Watch*> due;
  loop_.table.flush();
  for (const Watch& watch : watches_) {
    if (is_due(watch)) due.push_back(&watch);
  }
  unwanted_ = 0;
  const auto reports = loop_.iterate();
  std::vector<const Watch*> fired;
  for (const TinyLoop::Reported& reported : reports) {
    expect_sense(reported);
    for (const TinyLoop::Activation& activation : reported.activations) {
      fired.push_back(&watch_of(*activation.node));
    }
    if (reported.activations.empty()) ++unwanted_;
  }
  for (const Watch* const watch : due) {
    ASSERT_NE(std::find(fired.begin(), fired.end(), watch), fired.end())
        << "one that is ready did not fire";
  }
  ASSERT_TRUE(loop_.flush_error == 0 || loop_.flush_error == EMFILE) << loop_.flush_error;
}

bool FdScript::any_exclusive() const {
  return std::any_of(watches_.begin(), watches_.end(),
                     [](const Watch& watch) { return any(watch.node.events & Events::exclusive); });
}

bool FdScript::is_due(const Watch& watch) {
  if (!watch.node.attached || !watch.stayed) return false;
  EXPECT_FALSE(watch.node.stale) << "its file is still there";
  return any(watch.node.events & loop_.backend.ready(watch.node.descriptor) & FdTable::kConditions);
}

// Who fires is attached, asked for it, and its file is the one that is ready.
void FdScript::expect_sense(const TinyLoop::Reported& reported) {
  std::uint64_t last = 0;
  for (const TinyLoop::Activation& activation : reported.activations) {
    const Watch& watch = watch_of(*activation.node);
    ASSERT_EQ(watch.file, reported.report.file) << "of another file";
    ASSERT_EQ(watch.node.descriptor, reported.report.ready.fd);
    ASSERT_TRUE(any(activation.what));
    ASSERT_EQ(activation.what, reported.report.ready.what(watch.node.events) & watch.node.events &
                                   FdTable::kConditions);
    ASSERT_GT(watch.attached_at, last) << "out of order, or twice";
    last = watch.attached_at;
  }
}

FdScript::Watch& FdScript::watch_of(Node& node) {
  static_assert(offsetof(Watch, node) == 0);
  return reinterpret_cast<Watch&>(node);
}

void FdScript::expect_calm() {
  constexpr int kEnough = 6;
  loop_.backend.fail_rebuild(0);
  for (int i = 0; i < kEnough; ++i) iterate();
  ASSERT_EQ(unwanted_, 0U) << "the kernel reports what nobody wants";
  const std::size_t updates = loop_.backend.updates;
  iterate();
  ASSERT_EQ(unwanted_, 0U);
  ASSERT_EQ(loop_.backend.updates, updates) << "there was nothing more to say";
  for (const int number : kNumbers) expect_told(number);
}

void FdScript::expect_told(int number) {
  Events wanted = Events::none;
  bool remembered = false;
  for (const Watch& watch : watches_) {
    if (watch.node.descriptor != number || !watch.node.linked) continue;
    if (!watch.node.attached) remembered = true;
    if (watch.node.attached && watch.stayed) wanted |= watch.node.events & FdTable::kConditions;
  }
  if (!any(wanted)) return;
  const Events told =
      loop_.backend.registered(number).value_or(Events::none) & FdTable::kConditions;
  ASSERT_EQ(wanted & ~told, Events::none) << "number " << number;
  ASSERT_TRUE(remembered || told == wanted) << "number " << number;
}

}  // namespace event_cpp::test
