// Forward declarations of the public types, and the short name of the namespace.
#pragma once

#include <cstdint>

namespace event_cpp {

enum class Backend : std::uint8_t;
enum class Clock : std::uint8_t;
enum class Errc;
enum class Events : std::uint16_t;
enum class Priority : std::uint8_t;
enum class RunMode : std::uint8_t;

class Alarm;
class Base;
class Child;
class Event;
class Hook;
class ManualTime;
class Order;
class Signal;
class Ticker;
class Timer;
class TimeSource;

struct CallbackTime;
struct Options;
struct Stats;

}  // namespace event_cpp

// libevent declares a struct of this name. Define EVENT_CPP_NO_ALIAS in a file that includes both
// libraries, and write event_cpp:: there.
#ifndef EVENT_CPP_NO_ALIAS
namespace event = event_cpp;
#endif
