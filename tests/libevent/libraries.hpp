// What each file of the program does with both libraries.
#pragma once

// Declared without either library's types.
bool with_this_library_first();
bool with_libevent_first();
