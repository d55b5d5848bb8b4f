// Context: runs a GLib main context inside a base.
#pragma once

#include <glib.h>
#include <poll.h>

#include <chrono>
#include <cstddef>
#include <memory>
#include <system_error>
#include <utility>
#include <vector>

#include "event/base.hpp"
#include "event/hook.hpp"
#include "event/timer.hpp"

namespace event_cpp::glib {

// Runs a GMainContext inside a base, for servers that use a library which needs GLib. While it
// exists, running the base dispatches the sources of the context; GLib's callbacks run as callbacks
// of the base. Sources may be added and removed at any time, also by other threads.
//
//   event::Base base;
//   event::glib::Context context(base);     // the default context
//   g_timeout_add(100, on_timeout, nullptr);
//   base.dispatch();
//
// A GMainLoop that is run in a callback of GLib iterates the context, but not the base.
// No exception may leave a callback of GLib.
//
// Thread-safety: belongs to the thread that runs the base. That thread owns the GMainContext until
// this is destroyed: see g_main_context_acquire(). Lifetime: base and Context may be destroyed in
// either order; a Context may be destroyed in a callback of the base or of GLib. Cost: each
// iteration of the base includes an iteration of GLib, and a system call for each of the context's
// fds.
class Context {
 public:
  // `context` is not owned, but referenced; null means the default one. Errors: throws
  // std::system_error, std::errc::device_or_resource_busy, if another thread owns the context;
  // std::bad_alloc.
  explicit Context(Base& base, GMainContext* context = nullptr)
      : base_(base),
        context_(context != nullptr ? context : ::g_main_context_default()),
        timer_(base, [this] { turn(); }),
        prepare_(base, Hook::When::before_wait, [this] { prepare(); }) {
    if (::g_main_context_acquire(context_) == FALSE) {
      throw std::system_error(std::make_error_code(std::errc::device_or_resource_busy),
                              "event::glib::Context");
    }
    ::g_main_context_ref(context_);
    prepare();  // so that something is attached before dispatch() looks
  }
  ~Context() {
    if (gone_ != nullptr) *gone_ = true;
    watches_.clear();
    timer_.detach();
    if (prepared_) check();  // what a source has prepared it may have to undo
    ::g_main_context_release(context_);
    ::g_main_context_unref(context_);
  }
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  // If false, dispatch() may return although the context has sources. If true, the default,
  // dispatch() does not return for lack of events, since another thread may always add a source.
  void keep_alive(bool on) {
    keeps_alive_ = on;
    timer_.keep_alive(on);
    for (const std::unique_ptr<Event>& watch : watches_) watch->keep_alive(on);
  }

  GMainContext* get() const noexcept { return context_; }

 private:
  // Called before the base waits. The fds are queried last: from then on GLib's wake-up fd, which
  // is one of them, reports sources that another thread adds.
  void prepare() {
    if (prepared_ && !turn()) return;
    gint priority = 0;
    const bool ready = ::g_main_context_prepare(context_, &priority) != FALSE;
    prepared_ = true;
    priority_ = priority;
    gint milliseconds = -1;
    for (;;) {
      const gint count = ::g_main_context_query(context_, priority_, &milliseconds, fds_.data(),
                                                static_cast<gint>(fds_.size()));
      if (static_cast<std::size_t>(count) <= fds_.size()) {
        count_ = static_cast<std::size_t>(count);
        break;
      }
      fds_.resize(static_cast<std::size_t>(count));
    }
    const bool all_watched = watch();
    if (ready || milliseconds == 0 || !all_watched) {
      timer_.rearm(Duration::zero());
    } else if (milliseconds > 0) {
      timer_.rearm(std::chrono::milliseconds(milliseconds));
    } else {
      timer_.detach();
    }
  }

  // Attaches all fds again each time: a source may have closed its fd and reused it for another
  // file, which GLib does not report. Returns false if one cannot be watched. As with poll(2) it is
  // then always ready, as a regular file, or g_poll() reports to its source that it is not open.
  bool watch() {
    while (watches_.size() < count_) {
      watches_.push_back(std::make_unique<Event>(base_, -1, Events::none, [this] { turn(); }));
      watches_.back()->keep_alive(keeps_alive_);
    }
    for (const std::unique_ptr<Event>& watch : watches_) watch->detach();
    bool all = true;
    for (std::size_t i = 0; i < count_; ++i) {
      const Events wanted = events_of(fds_[i].events) | Events::persist;
      if (watches_[i]->try_attach(fds_[i].fd, wanted)) all = false;
    }
    return all;
  }
  static Events events_of(gushort events) noexcept {
    Events wanted = Events::error;  // which GLib reports unasked
    if ((events & G_IO_IN) != 0) wanted |= Events::read;
    if ((events & G_IO_OUT) != 0) wanted |= Events::write;
    if ((events & G_IO_PRI) != 0) wanted |= Events::urgent;
    if ((events & (G_IO_IN | G_IO_HUP)) == G_IO_HUP) wanted |= Events::closed;
    return wanted;
  }

  // Called when an fd or a timeout is ready. Returns false if this was destroyed.
  bool turn() {
    if (!prepared_) return true;  // another event of this iteration was first
    if (!check()) return true;
    bool gone = false;
    bool* const outer = std::exchange(gone_, &gone);
    ::g_main_context_dispatch(context_);
    if (gone) {
      if (outer != nullptr) *outer = true;
      return false;
    }
    gone_ = outer;
    return true;
  }
  // g_poll() returns the exact conditions, in GLib's format.
  bool check() noexcept {
    prepared_ = false;
    const auto count = static_cast<guint>(count_);
    ::g_poll(fds_.data(), count, 0);
    return ::g_main_context_check(context_, priority_, fds_.data(), static_cast<gint>(count)) !=
           FALSE;
  }

  Base& base_;
  GMainContext* context_;
  gint priority_ = 0;
  std::vector<GPollFD> fds_ = std::vector<GPollFD>(4);
  std::size_t count_ = 0;  // of fds_
  std::vector<std::unique_ptr<Event>> watches_;
  Timer timer_;
  bool keeps_alive_ = true;
  bool prepared_ = false;  // and not checked
  bool* gone_ = nullptr;   // while GLib dispatches: set by the destructor
  Hook prepare_;
};

}  // namespace event_cpp::glib
