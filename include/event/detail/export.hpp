// EVENT_API marks symbols that the shared library exports; all others are hidden.
#pragma once

#define EVENT_API __attribute__((visibility("default")))
