// Tells whether a program runs with privileges that whoever started it does not have.
#pragma once

namespace event_cpp::detail {

// True in a set-user-ID or set-group-ID program, and in one with file capabilities: what its
// environment says is then the word of somebody with fewer rights. One file for each way to know.
bool has_borrowed_privileges() noexcept;

}  // namespace event_cpp::detail
