"""Writes what was measured as a page of Markdown."""

import math
import statistics

import figures
import rows
from figures import short
from workers import CONTROL, OURS, REFERENCE

ABOUT = """\
Every cell of a table: the median, and after the slash the median of what the contender took in
proportion to `epoll` in the same round; each round gives every contender one slice, in random
order. `epoll` and `uring` are loops written by hand, on epoll and on io_uring: what is practically
possible. `epoll-again` is the same program a second time, so what it differs by is noise. `event` is
this library on epoll, `go` the package for Go that it is modelled on. Best peer: the fastest of the
other libraries. Ahead and behind are said of differences that are larger than what the control
differs by and than the uncertainty of the median; everything else is level. Less is better,
everywhere.
"""
NOTES = {
    "posts": "libevent, libev, libuv and the hand-written loop get the same queue, a vector under "
             "a mutex, and wake up in their own way.",
    "echo": "libuv has uv_poll_t here, asio its own sockets, uring receives and sends through the "
            "ring; all others receive and send in a read event. `cpu` is the server's.",
    "coroutines": "`epoll` is coroutines by hand: symmetric transfer and a queue of handles, without "
                  "a check or an owner, and cancellation for the one row that needs it. asio has no "
                  "semaphore. A yield of asio is a post().",
    "timers": "`event` reads the clock at each `attach` and `rearm`; `event-at` names the "
              "deadline, from a time that it has kept, as `epoll`, libev, libuv and `go` do. `go` "
              "cannot push back: it detaches and attaches.",
    "timers-shared": "Each deadline is drawn once for 20 timers, for 1,000 or for all. `event` and "
                     "asio read the clock for each timer, so that theirs differ all the same; "
                     "`event-at` shares them.",
}
FIGURES = {"ns": "", "cpu": "cpu", "p50": "", "add": "add", "later": "push back",
           "cancel": "cancel", "fire": "fire"}
RATES = ("echo", "posts")  # of which numbers a second are given, too
MEMORY = {"read": "read event", "idle": "read event with idle timeout", "timer": "timer",
          "frame": "frame of a task that sleeps", "task": "the same, spawned",
          "connection": "idle echo connection, resident"}


def table(header, lines):
    yield "| " + " | ".join(header) + " |"
    yield "|" + "---|" * len(header)
    for line in lines:
        yield "| " + " | ".join(line) + " |"
    yield ""


def cells_of(results):
    parts = ("descriptors", "others", "echo", "coroutines")
    return [cell for part in parts for cell in results.get(part, [])]


def label(cell):
    figure = FIGURES[cell["figure"]]
    return f"{cell['cell']} {figure}".strip()


def counted_rows(results):
    """(what, values by contender): the figures that do not wobble."""
    for kind, values in results.get("memory", {}).items():
        yield f"bytes: {MEMORY[kind]}", {name: found["bytes"] for name, found in values.items()}
    counted = {**results.get("counts", {}), **results.get("coroutine_counts", {})}
    for what, values in counted.items():
        yield f"instructions: {what}", {name: found["instructions"]
                                        for name, found in values.items()}
        calls = {name: sum(found["calls"].values()) for name, found in values.items()
                 if found["calls"] is not None}
        if calls:
            yield f"system calls: {what}", calls


def lateness_rows(results):
    late = results.get("lateness", {}).get("late", {})
    cpu = results.get("lateness", {}).get("cpu", {})
    for name in filter(late.get, results["contenders"]):
        values = late[name]
        ordered = sorted(values)
        yield [name, str(len(values)), f"{statistics.median(ordered):.0f}",
               f"{ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))]:.0f}",
               f"{statistics.median(cpu[name]):.1f}",
               str(sum(value < 0 for value in values))]


def said(found):
    if found is None:
        return ["-", "-"]
    by = "" if math.isnan(found["ratio"]) else f" ({found['ratio']:.2f})"
    word = f"**{found['word']}**" if found["word"] == "behind" else found["word"]
    return [found["peer"], word + by]


def summary_lines(results):
    for cell in cells_of(results):
        samples = cell["samples"]
        found = figures.verdict(samples)
        medians = {name: short(statistics.median(values)) for name, values in samples.items()}
        peer, word = said(found)
        noise = max(figures.noise(samples), found["limit"] if found else 0)
        yield [f"{cell['row']} {label(cell)}", f"{peer} {medians.get(peer, '')}",
               medians.get(OURS, "-"), medians.get(REFERENCE, "-"), word, f"{100 * noise:.0f} %"]
    for what, values in counted_rows(results):
        peer, word = said(figures.verdict_of_counts(values))
        best = short(values[peer]) if peer in values else ""
        yield [what, f"{peer} {best}", short(values.get(OURS, math.nan)),
               short(values.get(REFERENCE, math.nan)), word,
               "pages" if "resident" in what else "none"]


def behind_lines(results):
    """The rows in which ours is behind the best peer, plainly."""
    for line in summary_lines(results):
        if "behind" in line[4]:
            yield f"- {line[0]}: {line[2]} against {line[1]}; {REFERENCE} {line[3]}"


def rate_table(names, cells):
    yield from ("The same as numbers a second:", "")
    yield from table(["", *map(label, cells)], [
        [name, *(short(1e9 / statistics.median(cell["samples"][name]))
                 if name in cell["samples"] else "" for cell in cells)] for name in names])


def row_tables(results):
    for row, title in rows.TITLES.items():
        cells = [cell for cell in cells_of(results) if cell["row"] == row]
        if not cells:
            continue
        yield from (f"### {row}", "", title + ".", "")
        if row in NOTES:
            yield from (NOTES[row], "")
        names = [name for name in results["contenders"]
                 if any(name in cell["samples"] for cell in cells)]
        lines = []
        for name in names:
            line = [name]
            for cell in cells:
                samples = cell["samples"]
                line.append("" if name not in samples else
                            f"{short(statistics.median(samples[name]))} / "
                            f"{figures.ratio(samples, name):.2f}")
            lines.append(line)
        yield from table(["", *map(label, cells)], lines)
        if row in RATES:
            yield from rate_table(names, [cell for cell in cells if cell["figure"] == "ns"])


def other_tables(results):
    if "lateness" in results:
        yield from ("### lateness", "", "One timer of 0.2 to 20 ms after the other on a loop that "
                    "does nothing else, in microseconds. libevent has "
                    "EVENT_BASE_FLAG_PRECISE_TIMER.", "")
        yield from table(["", "timers", "p50", "p99", "processor", "early"],
                         lateness_rows(results))
    if "idle" in results:
        yield from ("### idle", "", "How often a loop with a silent descriptor, and a timer that "
                    "is not due for an hour, woke up in two seconds.", "")
        yield from table(list(results["idle"]), [[str(n) for n in results["idle"].values()]])
    for heading, kinds in (("memory", ("bytes",)), ("counts", ("instructions", "system calls"))):
        found = [(what, values) for what, values in counted_rows(results)
                 if what.startswith(kinds)]
        if not found:
            continue
        yield from (f"### {heading}", "")
        names = [name for name in results["contenders"]
                 if name != CONTROL and any(name in values for _, values in found)]
        yield from table(["", *names], [
            [what, *(f"{values[name]:.3g}" if abs(values.get(name, 0)) < 100 and name in values
                     else f"{values[name]:,.0f}" if name in values else "" for name in names)]
            for what, values in found])


def write(results, plots):
    lines = ["# Side by side", ""]
    lines += [f"- {name}: {text}" for name, text in results["machine"].items()]
    lines += [f"- date: {results['date']}" + (", a quick run" if results["quick"] else "")]
    lines += [f"- left out: {name}: {why}" for name, why in results["missing"].items()]
    lines += ["", ABOUT, "## Summary", ""]
    lines += table(["row", "best peer", OURS, REFERENCE, "against the best peer", "noise"],
                   summary_lines(results))
    if behind := list(behind_lines(results)):
        lines += ["Behind the best peer:", "", *behind, ""]
    for name, text in plots:
        lines += [f"![{text}]({name})", ""]
    lines += ["## Figures", "", *row_tables(results), *other_tables(results)]
    return "\n".join(lines).rstrip() + "\n"
