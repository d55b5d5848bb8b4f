// A base inside a GLib main loop, as in a program with a GTK window. GLib's own timeout, a ticker
// of the base and an event on a socket between the two work side by side.
//
// Try it:   glib          it ends by itself after half a second

#include <glib.h>
#include <unistd.h>

#include <chrono>
#include <event/adapters/glib.hpp>
#include <event/event.hpp>
#include <event/net.hpp>
#include <exception>
#include <iostream>
#include <stdexcept>
#include <utility>

namespace {

using namespace std::chrono_literals;

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

  if (base.fd() < 0) {
    throw std::runtime_error("this backend has no descriptor to wait for; it needs epoll");
  }
  event::glib::Source source(base);
  const guint timeout = ::g_timeout_add(100, &Writer::on_timeout, &writer);
  source.run();
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
