#include "event/adapters/glib.hpp"

#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <optional>
#include <stdexcept>
#include <thread>

#include "co/support.hpp"

namespace event_cpp::test {
namespace {

class GlibTest : public EveryBackendCo {
 protected:
  struct Unref {
    void operator()(GMainContext* owned) const noexcept { ::g_main_context_unref(owned); }
  };
  std::unique_ptr<GMainContext, Unref> context{::g_main_context_new()};

  // Calls f() from a source of the context, until it returns false.
  template <class F>
  GSource* add(GSource* source, F& f) {
    const GSourceFunc call = [](gpointer data) noexcept -> gboolean {
      return (*static_cast<F*>(data))() ? G_SOURCE_CONTINUE : G_SOURCE_REMOVE;
    };
    ::g_source_set_callback(source, call, &f, nullptr);
    ::g_source_attach(source, context.get());
    ::g_source_unref(source);
    return source;
  }
};

// ------------------------------------------------------------------- Source: ours inside of GLib

#define NEEDS_A_DESCRIPTOR(base) \
  if ((base).fd() < 0) GTEST_SKIP() << "this backend has no descriptor"

BACKEND_TEST(GlibTest, RunsABaseInsideAMainContextUntilNothingIsLeft) {
  Base base(real_time());
  NEEDS_A_DESCRIPTOR(base);
  Pipe pipe = make_pipe();
  int ticks = 0;
  int bytes = 0;
  int timeouts = 0;
  Event readable(base, pipe.reader.get(), kReadPersist, [&](Event& self) {
    char byte = 0;
    if (::read(self.fd(), &byte, 1) == 1) ++bytes;
    if (bytes == 3) self.detach();
  });
  readable.attach();
  Ticker ticker(base, [&](Ticker& self) {
    if (++ticks == 3) self.detach();
  });
  ticker.attach(1ms);
  auto write = [&] {
    ++timeouts;
    return ::write(pipe.writer.get(), "x", 1) == 1 && timeouts < 3;
  };
  add(::g_timeout_source_new(1), write);
  glib::Source source(base, context.get());
  source.run();
  EXPECT_EQ(ticks, 3);
  EXPECT_EQ(bytes, 3);
  EXPECT_EQ(timeouts, 3);
  source.run();  // returns at once
}

BACKEND_TEST(GlibTest, SeesWhatAnotherThreadPostsToABaseInsideAMainContext) {
  Base base(real_time());
  NEEDS_A_DESCRIPTOR(base);
  Timer keeper(base, [] {});
  keeper.attach(Duration::max());
  glib::Source source(base, context.get());
  std::thread other([&] { base.post([&] { keeper.detach(); }); });
  source.run();
  other.join();
}

BACKEND_TEST(GlibTest, RethrowsOrReportsWhatACallbackThrows) {
  Base base(real_time());
  NEEDS_A_DESCRIPTOR(base);
  {
    glib::Source source(base, context.get());
    base.post([] { throw std::runtime_error("thrown"); });
    EXPECT_THROW(source.run(), std::runtime_error);
  }
  int reports = 0;
  glib::Source source(base, context.get(), [&](const std::exception_ptr& error) {
    EXPECT_THROW(std::rethrow_exception(error), std::runtime_error);
    ++reports;
  });
  base.post([] { throw std::runtime_error("thrown"); });
  source.run();
  EXPECT_EQ(reports, 1);
}

BACKEND_TEST(GlibTest, DoesNotRunABaseInsideItselfInANestedMainLoop) {
  Base base(real_time());
  NEEDS_A_DESCRIPTOR(base);
  bool inner_ran = false;
  int nested_timeouts = 0;
  auto nested = [&] { return ++nested_timeouts < 3; };
  base.post([&] {
    base.post([&] { inner_ran = true; });
    add(::g_timeout_source_new(1), nested);
    while (nested_timeouts < 3) ::g_main_context_iteration(context.get(), TRUE);
    EXPECT_FALSE(inner_ran);
  });
  glib::Source source(base, context.get());
  source.run();
  EXPECT_TRUE(inner_ran);
}

BACKEND_TEST(GlibTest, ASourceMayBeDestroyedInACallbackOfItsBase) {
  Base base(real_time());
  NEEDS_A_DESCRIPTOR(base);
  std::optional<glib::Source> source(std::in_place, base, context.get());
  base.post([&] { source.reset(); });
  while (source.has_value()) ::g_main_context_iteration(context.get(), TRUE);
}

BACKEND_TEST(GlibTest, ASourceMayBeDestroyedByItsFunctionForExceptions) {
  Base base(real_time());
  NEEDS_A_DESCRIPTOR(base);
  std::optional<glib::Source> source;
  int calls = 0;
  bool is_there = false;
  const auto captured = std::make_shared<int>(7);
  source.emplace(base, context.get(), [&, captured](const std::exception_ptr&) {
    const std::weak_ptr<int> watched = captured;
    source.reset();
    is_there = watched.use_count() == 2;  // the test's, and that of this function
    ++calls;
  });
  base.post([] { throw std::runtime_error("thrown"); });
  while (calls == 0) ::g_main_context_iteration(context.get(), TRUE);
  EXPECT_TRUE(is_there);
  EXPECT_FALSE(source.has_value());
}

BACKEND_TEST(GlibTest, ASourceMayBeDestroyedWhileItRunsAMainLoop) {
  for (const bool by_glib : {false, true}) {
    Base base(real_time());
    NEEDS_A_DESCRIPTOR(base);
    auto source = std::make_unique<glib::Source>(base, context.get());
    Timer later(base, [] {});
    later.attach(10s);
    auto destroy = [&] {
      source.reset();
      return false;
    };
    if (by_glib) {
      add(::g_idle_source_new(), destroy);
    } else {
      base.post([&] { destroy(); });
    }
    source->run();
    EXPECT_EQ(source, nullptr);
    EXPECT_TRUE(later.attached());
  }
}

// ------------------------------------------------------------------- Context: GLib inside of ours

BACKEND_TEST(GlibTest, RunsAMainContextInsideABase) {
  Base base(real_time());
  Pipe pipe = make_pipe();
  glib::Context inside(base, context.get());
  inside.keep_alive(false);
  int timeouts = 0;
  int idles = 0;
  int bytes = 0;
  auto timeout = [&] { return ++timeouts < 3; };
  auto idle = [&] { return ++idles < 3; };
  auto read = [&] {
    char byte = 0;
    while (::read(pipe.reader.get(), &byte, 1) == 1) ++bytes;
    return bytes < 3;
  };
  add(::g_timeout_source_new(1), timeout);
  add(::g_idle_source_new(), idle);
  const GSourceFunc call = [](gpointer data) noexcept -> gboolean {
    return (*static_cast<decltype(read)*>(data))() ? G_SOURCE_CONTINUE : G_SOURCE_REMOVE;
  };
  struct FdSource {
    static gboolean dispatch(GSource*, GSourceFunc f, gpointer data) { return f(data); }
  };
  static GSourceFuncs functions{nullptr, nullptr, &FdSource::dispatch, nullptr, nullptr, nullptr};
  GSource* const readable = ::g_source_new(&functions, sizeof(GSource));
  ::g_source_add_unix_fd(readable, pipe.reader.get(), G_IO_IN);
  ::g_source_set_callback(readable, call, &read, nullptr);
  ::g_source_attach(readable, context.get());
  ::g_source_unref(readable);
  Ticker ticker(base, [&](Ticker& self) {
    EXPECT_EQ(::write(pipe.writer.get(), "x", 1), 1);
    if (timeouts == 3 && idles == 3 && bytes >= 3) self.detach();
  });
  ticker.attach(1ms);
  run(base);
  EXPECT_EQ(timeouts, 3);
  EXPECT_EQ(idles, 3);
  EXPECT_GE(bytes, 3);
}

BACKEND_TEST(GlibTest, SeesSourcesThatAnotherThreadAddsToAContextInsideABase) {
  Base base(real_time());
  glib::Context inside(base, context.get());
  std::atomic<int> calls{0};
  auto once = [&] {
    if (++calls == 100) base.stop();
    return false;
  };
  std::thread other([&] {
    for (int i = 0; i < 100; ++i) {
      add(::g_idle_source_new(), once);
      while (calls <= i) std::this_thread::yield();
    }
  });
  run(base);  // which sleeps meanwhile
  other.join();
  EXPECT_EQ(calls, 100);
}

// A source that counts how often it was prepared and not checked.
struct Balanced {
  GSource source;
  int* open;
};

BACKEND_TEST(GlibTest, ChecksASourceAsOftenAsItPreparesIt) {
  static GSourceFuncs functions{[](GSource* source, gint* timeout) -> gboolean {
                                  ++*reinterpret_cast<Balanced*>(source)->open;
                                  *timeout = -1;
                                  return FALSE;
                                },
                                [](GSource* source) -> gboolean {
                                  --*reinterpret_cast<Balanced*>(source)->open;
                                  return FALSE;
                                },
                                [](GSource*, GSourceFunc, gpointer) -> gboolean { return TRUE; },
                                nullptr,
                                nullptr,
                                nullptr};
  int open = 0;
  Base base(real_time());
  GSource* const source = ::g_source_new(&functions, sizeof(Balanced));
  reinterpret_cast<Balanced*>(source)->open = &open;
  ::g_source_attach(source, context.get());
  {
    glib::Context inside(base, context.get());
    for (int i = 0; i < 5; ++i) {
      base.post([] {});
      run(base, RunMode::nonblock);
      EXPECT_LE(open, 1);
    }
    const Hook thrower(base, Hook::When::before_wait, [] { throw std::runtime_error("thrown"); });
    for (int i = 0; i < 5; ++i) {
      EXPECT_THROW(run(base, RunMode::nonblock), std::runtime_error);
      EXPECT_LE(open, 1);
    }
  }
  EXPECT_EQ(open, 0);
  ::g_source_destroy(source);
  ::g_source_unref(source);
}

BACKEND_TEST(GlibTest, WatchesAnotherFileWithTheSameNumber) {
  Base base(real_time());
  glib::Context inside(base, context.get());
  static GSourceFuncs functions{
      nullptr, nullptr, [](GSource*, GSourceFunc f, gpointer data) -> gboolean { return f(data); },
      nullptr, nullptr, nullptr};
  int calls = 0;
  const GSourceFunc call = [](gpointer data) noexcept -> gboolean {
    ++*static_cast<int*>(data);
    return G_SOURCE_REMOVE;
  };
  const auto watch = [&](int fd) {
    GSource* const source = ::g_source_new(&functions, sizeof(GSource));
    ::g_source_add_unix_fd(source, fd, G_IO_IN);
    ::g_source_set_callback(source, call, &calls, nullptr);
    ::g_source_attach(source, context.get());
    return source;
  };
  const int first = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  GSource* const before = watch(first);
  run(base, RunMode::nonblock);
  ::g_source_destroy(before);
  ::g_source_unref(before);
  ::close(first);
  const int second = ::eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
  ASSERT_EQ(first, second);
  GSource* const after = watch(second);
  for (int i = 0; i < 10 && calls == 0; ++i) run(base, RunMode::nonblock);
  EXPECT_EQ(calls, 1);
  ::g_source_unref(after);
  ::close(second);
}

BACKEND_TEST(GlibTest, TellsASourceThatItsDescriptorIsNotOpen) {
  Base base(real_time());
  glib::Context inside(base, context.get());
  static GSourceFuncs functions{
      nullptr, nullptr, [](GSource*, GSourceFunc f, gpointer data) -> gboolean { return f(data); },
      nullptr, nullptr, nullptr};
  Pipe pipe = make_pipe();
  GSource* const source = ::g_source_new(&functions, sizeof(GSource));
  ::g_source_add_unix_fd(source, pipe.reader.get(), G_IO_IN);
  const GSourceFunc stop = [](gpointer data) noexcept -> gboolean {
    static_cast<Base*>(data)->stop();
    return G_SOURCE_REMOVE;
  };
  ::g_source_set_callback(source, stop, &base, nullptr);
  pipe.reader.close();
  ::g_source_attach(source, context.get());
  run(base);
  ::g_source_unref(source);
}

BACKEND_TEST(GlibTest, RunsNestedMainLoopsOfAContextInsideABase) {
  Base base(real_time());
  glib::Context inside(base, context.get());
  int nested = 0;
  auto inner = [&] { return ++nested < 3; };
  auto outer = [&] {
    add(::g_timeout_source_new(1), inner);
    while (nested < 3) ::g_main_context_iteration(context.get(), TRUE);
    base.stop();
    return false;
  };
  add(::g_idle_source_new(), outer);
  run(base);
  EXPECT_EQ(nested, 3);
}

BACKEND_TEST(GlibTest, BothReapTheirOwnChildrenOnly) {
  Base base(real_time());
  glib::Context inside(base, context.get());
  const auto start = [](int status) {
    const pid_t pid = ::fork();
    if (pid == 0) ::_exit(status);
    return pid;
  };
  const pid_t for_glib = start(3);
  const pid_t for_base = start(4);
  int left = 2;
  const auto ended = [&] {
    if (--left == 0) base.stop();
  };
  struct Seen {
    int status = -1;
    std::function<void()> ended{};
  } seen{-1, ended};
  GSource* const watch = ::g_child_watch_source_new(for_glib);
  const GChildWatchFunc on_exit = [](GPid, gint status, gpointer data) noexcept {
    static_cast<Seen*>(data)->status = status;
    static_cast<Seen*>(data)->ended();
  };
  ::g_source_set_callback(watch, reinterpret_cast<GSourceFunc>(reinterpret_cast<void*>(on_exit)),
                          &seen, nullptr);
  ::g_source_attach(watch, context.get());
  ::g_source_unref(watch);
  int status = -1;
  Child child(base, for_base, [&](int code) {
    status = code;
    ended();
  });
  child.attach();
  run(base);
  EXPECT_EQ(WEXITSTATUS(seen.status), 3);
  EXPECT_EQ(WEXITSTATUS(status), 4);
}

BACKEND_TEST(GlibTest, AContextMayBeDestroyedInACallbackOfGlibOrOutliveItsBase) {
  std::optional<Base> base(std::in_place, real_time());
  std::optional<glib::Context> inside(std::in_place, *base, context.get());
  auto destroy = [&] {
    inside.reset();
    return false;
  };
  add(::g_idle_source_new(), destroy);
  run(*base);
  EXPECT_FALSE(inside.has_value());
  EXPECT_TRUE(::g_main_context_acquire(context.get()));  // it was let go
  ::g_main_context_release(context.get());
  inside.emplace(*base, context.get());
  base.reset();
  inside.reset();
}

BACKEND_TEST(GlibTest, SaysThatAnotherThreadOwnsTheContext) {
  Base base(real_time());
  std::thread([&] { EXPECT_TRUE(::g_main_context_acquire(context.get())); }).join();
  EXPECT_THROW(glib::Context(base, context.get()), std::system_error);
}

}  // namespace
}  // namespace event_cpp::test
