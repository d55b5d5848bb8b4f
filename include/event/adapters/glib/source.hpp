// Source: runs a base inside a GLib main context.
#pragma once

#include <glib.h>

#include <algorithm>
#include <chrono>
#include <exception>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <system_error>
#include <utility>

#include "event/base.hpp"
#include "event/error.hpp"

namespace event_cpp::glib {

// Runs a base inside a GMainContext, for programs whose main loop is GLib's, such as those with a
// GTK window. While it exists, iterating the context also runs the ready callbacks of the base.
//
//   event::Base base;
//   event::glib::Source source(base);       // of the default context
//   gtk_main();
//
// A GMainLoop that is run inside a callback of the base does not run the base, which cannot be
// re-entered.
//
// Thread-safety: belongs to the thread that iterates the context, and so runs the base. Lifetime:
// it may be destroyed in a callback of the base or of GLib; the base outlives it. It does not keep
// a GMainLoop running: see run().
class Source {
 public:
  // `on_exception` is called with an exception of a callback of the base, since none may pass
  // through GLib. It may destroy this. Without it, and outside run(), such an exception ends the
  // program (std::terminate). Null `context` means the default one. Errors: throws
  // std::system_error, Errc::unsupported, if the base has no descriptor that GLib can wait for: see
  // Base::fd(). It needs epoll or kqueue.
  explicit Source(Base& base, GMainContext* context = nullptr,
                  std::function<void(std::exception_ptr)> on_exception = nullptr)
      : base_(base), context_(context) {
    if (on_exception) {
      on_exception_ =
          std::make_shared<std::function<void(std::exception_ptr)>>(std::move(on_exception));
    }
    const int fd = base.fd();
    if (fd < 0) throw std::system_error(Errc::unsupported, "event::glib::Source");
    static GSourceFuncs functions{&prepare, &check, &dispatch, nullptr, nullptr, nullptr};
    source_ = ::g_source_new(&functions, sizeof(Part));
    reinterpret_cast<Part*>(source_)->self = this;
    ::g_source_set_name(source_, "event");
    ::g_source_add_unix_fd(source_, fd, G_IO_IN);
    ::g_source_attach(source_, context);
  }
  ~Source() {
    if (gone_ != nullptr) *gone_ = true;
    for (Run* run = running_; run != nullptr; run = run->outer) run->gone = true;
    quit();
    ::g_source_destroy(source_);
    ::g_source_unref(source_);
  }
  Source(const Source&) = delete;
  Source& operator=(const Source&) = delete;

  // Runs a GMainLoop until nothing that keeps the base alive is left, or g_main_loop_quit(loop())
  // is called, or this is destroyed. Errors: throws what a callback of the base throws, unless
  // there is an `on_exception`.
  void run() {
    Run run{::g_main_loop_new(context_, FALSE), running_};
    running_ = &run;
    if (base_.has_work()) ::g_main_loop_run(run.loop);
    if (!run.gone) running_ = run.outer;
    ::g_main_loop_unref(run.loop);
    if (run.thrown != nullptr) std::rethrow_exception(run.thrown);
  }
  // The main loop of run(); null outside run().
  GMainLoop* loop() const noexcept { return running_ != nullptr ? running_->loop : nullptr; }

  // The GSource, for g_source_set_priority() and similar calls. Not to be freed.
  GSource* get() const noexcept { return source_; }

 private:
  // A run() that is under way.
  struct Run {
    GMainLoop* loop;
    Run* outer;  // in a callback of which it was called
    std::exception_ptr thrown{};
    bool gone = false;  // the Source is
  };
  void quit() noexcept {
    for (Run* run = running_; run != nullptr; run = run->outer) ::g_main_loop_quit(run->loop);
  }

  struct Part {
    GSource source;  // first, as GLib asks for
    Source* self;
  };
  static Source& of(GSource* source) noexcept { return *reinterpret_cast<Part*>(source)->self; }

  // Called before GLib sleeps. Sets how long it may sleep, rounded up, so that it does not wake too
  // early.
  static gboolean prepare(GSource* source, gint* milliseconds) noexcept {
    const Base& base = of(source).base_;
    *milliseconds = -1;
    if (base.running()) return FALSE;
    const std::optional<Duration> left = base.next_timeout();
    if (left.has_value()) {
      const auto rounded = std::chrono::ceil<std::chrono::milliseconds>(*left);
      constexpr std::chrono::milliseconds kLongest(std::numeric_limits<gint>::max());
      *milliseconds = static_cast<gint>(std::min(rounded, kLongest).count());
    }
    return *milliseconds == 0 ? TRUE : FALSE;
  }
  // Called after GLib has slept. GLib tests the fd itself.
  static gboolean check(GSource* source) noexcept {
    const Base& base = of(source).base_;
    return !base.running() && base.next_timeout() == Duration::zero() ? TRUE : FALSE;
  }
  static gboolean dispatch(GSource* source, GSourceFunc /*callback*/, gpointer /*data*/) noexcept {
    Source& self = of(source);
    if (self.base_.running()) return G_SOURCE_CONTINUE;
    bool gone = false;
    self.gone_ = &gone;
    Run* const run = self.running_;
    try {
      self.base_.loop(RunMode::nonblock);
    } catch (...) {
      if (!gone) {
        self.report(std::current_exception());
      } else if (run != nullptr) {
        run->thrown = std::current_exception();
      } else {
        std::terminate();  // nobody is left to be told
      }
    }
    if (gone) return G_SOURCE_REMOVE;
    self.gone_ = nullptr;
    if (!self.base_.has_work()) self.quit();
    return G_SOURCE_CONTINUE;
  }
  void report(std::exception_ptr error) {
    if (on_exception_ != nullptr) {
      const auto on_exception = on_exception_;  // it may destroy this
      (*on_exception)(std::move(error));
    } else if (running_ != nullptr) {
      if (running_->thrown == nullptr) running_->thrown = std::move(error);
      ::g_main_loop_quit(running_->loop);
    } else {
      std::rethrow_exception(error);  // out of dispatch(), which ends the program
    }
  }

  Base& base_;
  GMainContext* context_;
  std::shared_ptr<std::function<void(std::exception_ptr)>> on_exception_;
  GSource* source_ = nullptr;
  Run* running_ = nullptr;  // the innermost
  bool* gone_ = nullptr;    // in dispatch(): set by the destructor
};

}  // namespace event_cpp::glib
