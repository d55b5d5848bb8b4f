// A base inside a GLib main loop, as in a program with a GTK window: a GSource waits for the base's
// descriptor and for its next timeout, and runs whatever is due. GLib's own timeout, a ticker of
// the base and an event on a socket between the two work side by side.
//
// Try it:   glib          it ends by itself after half a second

#include <glib.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <event/event.hpp>
#include <event/net.hpp>
#include <exception>
#include <iostream>
#include <limits>
#include <optional>
#include <stdexcept>
#include <utility>

namespace {

using namespace std::chrono_literals;

// Runs a base in the default GLib main context, until the base has nothing left to wait for.
class GlibRunner {
 public:
  // Errors: throws std::runtime_error if the base has no descriptor that another loop can wait for.
  explicit GlibRunner(event::Base& base) : base_(base) {
    const int fd = base.fd();
    if (fd < 0) {
      throw std::runtime_error("this backend has no descriptor to wait for; it needs epoll");
    }
    source_ = ::g_source_new(&functions, sizeof(Source));
    reinterpret_cast<Source*>(source_)->runner = this;
    ::g_source_add_unix_fd(source_, fd, G_IO_IN);
    ::g_source_attach(source_, nullptr);
    loop_ = ::g_main_loop_new(nullptr, FALSE);
  }
  ~GlibRunner() {
    ::g_source_destroy(source_);
    ::g_source_unref(source_);
    ::g_main_loop_unref(loop_);
  }
  GlibRunner(const GlibRunner&) = delete;
  GlibRunner& operator=(const GlibRunner&) = delete;

  // Errors: throws what a callback of the base has thrown.
  void run() {
    ::g_main_loop_run(loop_);
    if (thrown_) std::rethrow_exception(thrown_);
  }

 private:
  struct Source {
    GSource source;  // first, as GLib asks for
    GlibRunner* runner;
  };

  static GlibRunner& runner_of(GSource* source) noexcept {
    return *reinterpret_cast<Source*>(source)->runner;
  }

  // Before GLib sleeps: how long it may, rounded up, or it would come back too early and wait
  // again.
  static gboolean prepare(GSource* source, gint* milliseconds) noexcept {
    const std::optional<event::Duration> left = runner_of(source).base_.next_timeout();
    *milliseconds = -1;
    if (left) {
      const auto rounded = std::chrono::ceil<std::chrono::milliseconds>(*left);
      constexpr std::chrono::milliseconds kLongest(std::numeric_limits<gint>::max());
      *milliseconds = static_cast<gint>(std::min(rounded, kLongest).count());
    }
    return *milliseconds == 0 ? TRUE : FALSE;
  }

  // After it has slept. That the descriptor is ready GLib sees by itself.
  static gboolean check(GSource* source) noexcept {
    return runner_of(source).base_.next_timeout() == event::Duration::zero() ? TRUE : FALSE;
  }

  // GLib is C: an exception must not pass through it.
  static gboolean dispatch(GSource* source, GSourceFunc, gpointer) noexcept {
    GlibRunner& runner = runner_of(source);
    try {
      runner.base_.loop(event::RunMode::nonblock);
    } catch (...) {
      runner.thrown_ = std::current_exception();
    }
    if (runner.thrown_ || runner.base_.size() == 0) ::g_main_loop_quit(runner.loop_);
    return G_SOURCE_CONTINUE;
  }

  static GSourceFuncs functions;

  event::Base& base_;
  std::exception_ptr thrown_;
  GSource* source_ = nullptr;
  GMainLoop* loop_ = nullptr;
};

GSourceFuncs GlibRunner::functions{&prepare, &check, &dispatch, nullptr, nullptr, nullptr};

// Called by GLib; writes a byte each time, and closes its end the fifth time.
struct Writer {
  event::net::Socket end;
  int calls = 0;

  static gboolean on_timeout(gpointer self) noexcept {
    auto& writer = *static_cast<Writer*>(self);
    std::cout << "glib: timeout " << ++writer.calls << std::endl;
    if (writer.calls < 5 && ::write(writer.end.fd(), "x", 1) == 1) return G_SOURCE_CONTINUE;
    writer.end.close();
    return G_SOURCE_REMOVE;
  }
};

void run() {
  auto [read_end, write_end] = event::net::Socket::pair();
  Writer writer{std::move(write_end)};

  event::Base base;
  event::Event readable(base, read_end.fd(), event::Events::read | event::Events::persist,
                        [](event::Event& self, event::Events) {
                          char byte = 0;
                          const bool is_end = ::read(self.fd(), &byte, 1) != 1;
                          std::cout << "event: " << (is_end ? "end of stream" : "byte")
                                    << std::endl;
                          if (is_end) self.detach();
                        });
  readable.attach();

  int ticks = 0;
  event::Ticker ticker(base, [&ticks](event::Event& self, event::Events) {
    std::cout << "event: tick " << ++ticks << std::endl;
    if (ticks == 6) self.detach();
  });
  ticker.attach(80ms);

  GlibRunner runner(base);
  const guint timeout = ::g_timeout_add(100, &Writer::on_timeout, &writer);
  runner.run();
  if (writer.end) ::g_source_remove(timeout);
}

}  // namespace

int main() {
  try {
    run();
  } catch (const std::exception& error) {
    std::cerr << "glib: " << error.what() << std::endl;
    return 1;
  }
  return 0;
}
