"""What is measured: the workloads of the programs, with their sizes."""

from dataclasses import dataclass

from workers import CONTROL, OURS, OURS_AT, PEERS, REFERENCE, USUAL

WITH_URING = (*USUAL, "uring")


@dataclass
class Cell:
    """A workload of one size; `figures` are those of the program's that are reported."""
    row: str
    label: str
    workload: tuple
    figures: tuple = ("ns",)
    contenders: tuple = USUAL
    least: int = 1000
    seconds: float = 0.012
    rounds: float = 1.0  # of the usual number
    place: int | None = 0  # the processor; None: both


TITLES = {
    "ready": "Descriptors that are always readable, nothing is read (ns an event)",
    "ring": "A ring of eventfds: each event reads its own and writes the next (ns an event)",
    "ring-timeout": "The ring with an idle timeout of 10 s that activity starts anew (ns an event)",
    "ring-oneshot": "The ring with one-shots that are attached again in the callback (ns an event)",
    "timers": "Timers: so many are added, pushed back, cancelled, or all due (ns each)",
    "timers-shared": "Timers that share deadlines, as those do that were set in one iteration "
                     "(ns each)",
    "echo": "TCP echo over loopback (ns a round trip, and of the server's processor)",
    "posts": "Functions posted from another thread (ns each), and a round trip (median, ns)",
    "signal": "A signal raised by its own handler (ns)",
    "coroutines": "Coroutines: what a task does, again and again (ns each)",
    "changes": "A loop with nothing to do: attach and detach between two looks, a look (ns)",
}


# What a task does, and its program.
COROUTINES = [
    ("await a child that ends", ("co-child",)),
    ("await a child that yields", ("co-child-waits",)),
    ("spawn one that yields", ("co-spawn",)),
    ("yield, 2 tasks", ("co-switch", 2)),
    ("yield, 100 tasks", ("co-switch", 100)),
    ("sleep, 1 task", ("co-sleep", 1)),
    ("sleep, 1000 tasks", ("co-sleep", 1000)),
    ("wait for an eventfd", ("co-read",)),
    ("channel hop, capacity 1", ("co-channel", 1)),
    ("channel hop, capacity 64", ("co-channel", 64)),
    ("semaphore hop", ("co-semaphore",)),
    ("timeout that does not fire", ("co-timeout",)),
    ("cancel, 3 levels deep", ("co-cancel",)),
]


def descriptor_cells(quick):
    for n in (100, 1000, 9000):
        yield Cell("ready", f"N={n}", ("ready", n), contenders=WITH_URING)
    ring = [(100, 1), (100, 100), (1000, 1), (1000, 100), (1000, 1000), (9000, 1), (9000, 100),
            (9000, 1000)]
    if quick:
        ring = [size for size in ring if size[0] == 1000]
    for n, active in ring:
        yield Cell("ring", f"N={n} A={active}", ("ring", n, active), contenders=WITH_URING)
    for active in (1, 100, 1000):
        yield Cell("ring-timeout", f"N=1000 A={active}", ("ring-timeout", 1000, active))
    for active in (1, 100, 1000):
        yield Cell("ring-oneshot", f"N=1000 A={active}", ("ring-oneshot", 1000, active),
                   contenders=(REFERENCE, CONTROL, "epoll-mod", OURS, *PEERS, "uring"))


def coroutine_cells():
    for label, workload in COROUTINES:
        yield Cell("coroutines", label, workload, contenders=(REFERENCE, CONTROL, OURS, "asio"))


def timer_cells(row, count, rounds, shared=1):
    """Two programs: those that fire have to sleep in between. `shared`: by so many each deadline."""
    both_ways = (REFERENCE, CONTROL, OURS, OURS_AT, *PEERS)
    label = f"{count:,}"
    if shared > 1:
        label += ", all" if shared == count else f", by {shared:,}"
    yield Cell(row, label, ("timers", count, shared), ("add", "later", "cancel"), both_ways,
               least=count, rounds=rounds)
    yield Cell(row, label, ("timers-fire", count, shared), ("fire",), both_ways, least=count,
               seconds=0.02, rounds=rounds)


def timer_sizes(quick):
    """Counts of timers, each with the part of the usual number of rounds."""
    sizes = [(1000, 1), (100_000, 1), (1_000_000, 0.2)]
    return sizes[:2] if quick else sizes


def other_cells(quick):
    for count, rounds in timer_sizes(quick):
        yield from timer_cells("timers", count, rounds)
    for count, rounds in timer_sizes(quick):
        for shared in sorted({20, 1000, count}):
            yield from timer_cells("timers-shared", count, rounds / 2, shared)
    yield Cell("posts", "post", ("posts",), place=None)
    yield Cell("posts", "round trip", ("post-trip",), ("p50",), least=100, place=None)
    yield Cell("signal", "raise and run", ("signal",))
    yield Cell("changes", "attach, detach, look", ("change-between",), contenders=WITH_URING)
    yield Cell("changes", "attach, look, detach, look", ("change-waited",),
               contenders=WITH_URING)
    yield Cell("changes", "look", ("empty",), contenders=WITH_URING)


def echo_sizes(quick):
    connections = (1, 50) if quick else (1, 50, 500)
    return [(count, size) for size in (64, 4096) for count in connections]


def growth_cells(quick):
    """What the plots of growth need beside the rows above."""
    for n in (1, 10, 100, 1000, 9000):
        yield Cell("growth-descriptors", f"{n}", ("ready", n), contenders=WITH_URING,
                   rounds=0.5)
    for exponent in range(1, 6 if quick else 7):
        yield from timer_cells("growth-timers", 10 ** exponent, 0.3 if exponent < 5 else 0.1)


# The last point of the plot, where there is memory for it.
MOST_TIMERS = 10_000_000
MEMORY_FOR_MOST_TIMERS = 8 << 30

# Named as the cells are, with what is counted of them.
COUNTED = [
    ("ready N=1000", ("ready", 1000)),
    ("ring N=1000 A=1", ("ring", 1000, 1)),
    ("ring N=1000 A=100", ("ring", 1000, 100)),
    ("ring-timeout N=1000 A=100", ("ring-timeout", 1000, 100)),
    ("ring-oneshot N=1000 A=100", ("ring-oneshot", 1000, 100)),
    ("signal", ("signal",)),
    ("attach, detach, look", ("change-between",)),
    ("look", ("empty",)),
]


def counted_timers(count):
    """With the function that is counted."""
    return [
        ("timers add", ("timers", count), "add_all"),
        ("timers later", ("timers", count), "push_all_back"),
        ("timers cancel", ("timers", count), "cancel_all"),
        ("timers fire", ("timers-fire", count), "fire_all"),
    ]


def counted_shared_timers(count):
    """The same of timers that share deadlines."""
    for name, shared in (("by 20", 20), ("by 1000", 1000), ("all", count)):
        for label, (workload, _), function in counted_timers(count):
            yield f"{label}, shared {name}", (workload, count, shared), function


COUNTED_TIMERS = counted_timers(20_000)
GUARDED_TIMERS = 10_000
# Posts are not in it: how two threads meet differs from run to run, by a quarter of the count.
GUARDED = [
    *((*one, None) for one in COUNTED),
    ("ready-timeout N=1000", ("ready-timeout", 1000), None),
    *((f"co {label}", workload, None) for label, workload in COROUTINES),
    *counted_timers(GUARDED_TIMERS),
]
# From a time that the program keeps: else they would not share deadlines.
GUARDED_AT = list(counted_shared_timers(GUARDED_TIMERS))
MEMORY = ("read", "idle", "timer")
TASK_MEMORY = ("frame", "task")
# Servers of bench/streams: by coroutines, and by callbacks.
STREAMS = ("event echo", "event echo-waiter", "event echo-callbacks")
ON_BACKENDS = [
    *((f"echo, {active} active", ("pairs", 2 * active, active)) for active in (1, 100, 1000)),
    *((f"one-shot echo, {active} active", ("pairs-oneshot", 2 * active, active))
      for active in (1, 100, 1000)),
    *((f"always ready, {active}", ("ready", active)) for active in (1, 100, 1000)),
    ("attach, look, detach, look", ("change-waited",)),
    ("attach, detach, look", ("change-between",)),
    ("make, attach, look, destroy, look", ("change-destroyed",)),
]
