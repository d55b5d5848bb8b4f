// Marks what the shared library shows to its users; all else in it is hidden.
#pragma once

#define EVENT_API __attribute__((visibility("default")))
