"""What is to differ from Debian's libevent, and why. Nothing else may."""

DIFFERENCES = {
    ("regress", "et/et_mix_error"):
        "our loop serves level- and edge-triggered events on one descriptor; libevent refuses them",
    ("regress", "main/event_closed_fd_poll"):
        "poll of libevent reports a descriptor as readable that was closed; our loop, on any backend, nothing",
    ("regress", "signal/signal_pipeloss"):
        "it closes a descriptor that it reads out of libevent's base: here that is any number",
    ("regress", "signal/signal_switchbase"):
        "each base that watches a signal gets it; in libevent one of them does",
}
