// Adapter for GLib's main loop: needs its headers and -lglib-2.0. Source runs a base inside a GLib
// main context, for programs with a GTK window. Context runs a GLib main context inside a base, for
// servers.
#pragma once

#include "event/adapters/glib/context.hpp"
#include "event/adapters/glib/source.hpp"
