"""The plots, as SVG: ratios to the hand-written loop, and how cost grows with size."""

import math
import statistics

import figures
from workers import PEERS

SHOWN = ("event", "event-at", *PEERS, "uring")
# Readable on white and on black.
COLOURS = {"event": "#d9480f", "event-at": "#ff922b", "libevent": "#1c7ed6", "libev": "#2f9e44",
           "libuv": "#9c36b5", "asio": "#e8a200", "go": "#e64980", "uring": "#0c8599",
           "epoll": "#868e96"}
STYLE = """<style>
text { font: 12px sans-serif; fill: #333 } .title { font-size: 14px; font-weight: bold }
.axis { stroke: #999; fill: none } .grid { stroke: #ccc; stroke-width: 0.5 }
@media (prefers-color-scheme: dark) {
  text { fill: #ddd } .axis { stroke: #888 } .grid { stroke: #444 }
}
</style>"""
# (row, cell, figure) of the bars.
BARS = [
    ("ready", "N=1000", "ns"), ("ring", "N=1000 A=1", "ns"), ("ring", "N=1000 A=100", "ns"),
    ("ring-timeout", "N=1000 A=100", "ns"), ("ring-oneshot", "N=1000 A=100", "ns"),
    ("timers", "100,000", "add"), ("timers", "100,000", "later"), ("timers", "100,000", "cancel"),
    ("timers", "100,000", "fire"), ("posts", "post", "ns"), ("signal", "raise and run", "ns"),
    ("changes", "attach, detach, look", "ns"), ("changes", "look", "ns"),
    ("echo", "50 x 64 bytes", "ns"),
]
FULL_SCALE = 4.0  # what is longer is cut off, and says how long it is


class Drawing:
    def __init__(self, width, height):
        self.width, self.height = width, height
        self.parts = []

    def add(self, element, text=None, **attributes):
        given = " ".join(f'{name.rstrip("_").replace("_", "-")}="{value}"'
                         for name, value in attributes.items())
        self.parts.append(f"<{element} {given}/>" if text is None
                          else f"<{element} {given}>{text}</{element}>")

    def text(self, x, y, text, anchor="start", **attributes):
        self.add("text", text, x=f"{x:.1f}", y=f"{y:.1f}", text_anchor=anchor, **attributes)

    def line(self, x1, y1, x2, y2, kind):
        self.add("line", x1=f"{x1:.1f}", y1=f"{y1:.1f}", x2=f"{x2:.1f}", y2=f"{y2:.1f}",
                 class_=kind)

    def svg(self):
        return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {self.height}" '
                f'width="{self.width}" height="{self.height}">\n{STYLE}\n'
                + "\n".join(self.parts) + "\n</svg>\n")


def legend(drawing, names, x, y):
    for name in names:
        drawing.add("rect", x=x, y=y - 9, width=10, height=10, fill=COLOURS[name])
        drawing.text(x + 14, y, name)
        x += 26 + 8 * len(name)


def bars_of(results):
    """(label, {contender: ratio}) of each group of bars."""
    found = {(cell["row"], cell["cell"], cell["figure"]): cell["samples"]
             for part in ("descriptors", "others", "echo") for cell in results.get(part, [])}
    for key in BARS:
        if key in found:
            row, cell, figure = key
            word = {"later": "push back"}.get(figure, figure)
            label = f"{row} {cell}" if figure == "ns" else f"{cell} {row}, {word}"
            yield label, {name: figures.ratio(found[key], name)
                          for name in SHOWN if name in found[key]}


def bar_plot(groups):
    left, scale, bar, gap, top = 210, 130, 11, 12, 62
    height = top + sum(bar * len(ratios) + gap for _, ratios in groups) + 24
    drawing = Drawing(left + int(FULL_SCALE * scale) + 60, height)
    drawing.text(10, 20, "Time in proportion to a loop written by hand on epoll (less is better)",
                 class_="title")
    legend(drawing, [name for name in SHOWN if any(name in ratios for _, ratios in groups)], 10, 42)
    for tick in range(int(FULL_SCALE) + 1):
        drawing.line(left + tick * scale, top - 6, left + tick * scale, height - 22,
                     "axis" if tick <= 1 else "grid")
        drawing.text(left + tick * scale, height - 8, str(tick), "middle")
    y = top
    for label, ratios in groups:
        drawing.text(left - 8, y + bar * len(ratios) / 2 + 4, label, "end")
        for name, ratio in ratios.items():
            length = min(ratio, FULL_SCALE) * scale
            drawing.add("rect", x=left, y=y, width=f"{length:.1f}", height=bar - 1,
                        fill=COLOURS[name])
            if ratio > FULL_SCALE:
                drawing.text(left + length + 4, y + bar - 1, f"{ratio:.0f}x", font_size=10)
            y += bar
        y += gap
    return drawing.svg()


class LogAxes:
    """A panel with both axes logarithmic."""

    def __init__(self, drawing, box, xs, ys):
        self.drawing, self.box = drawing, box
        self.x_range = (math.log10(min(xs)), math.log10(max(xs)))
        self.y_range = (math.log10(min(ys)) - 0.1, math.log10(max(ys)) + 0.1)

    def x(self, value):
        low, high = self.x_range
        return self.box[0] + self.box[2] * (math.log10(value) - low) / max(high - low, 0.1)

    def y(self, value):
        low, high = self.y_range
        return self.box[1] + self.box[3] * (high - math.log10(value)) / (high - low)

    def draw(self, title, x_title, xs):
        left, top, width, height = self.box
        self.drawing.text(left, top - 10, title, class_="title")
        self.drawing.add("rect", x=left, y=top, width=width, height=height, class_="axis")
        self.drawing.text(left + width / 2, top + height + 34, x_title, "middle")
        for value in xs:
            text = f"{value:,}" if value < 1e5 else f"10^{round(math.log10(value))}"
            self.drawing.text(self.x(value), top + height + 16, text, "middle")
        for decade in range(math.floor(self.y_range[0]), math.ceil(self.y_range[1]) + 1):
            for factor in (1, 2, 5):
                value = factor * 10.0 ** decade
                if self.y_range[0] <= math.log10(value) <= self.y_range[1]:
                    y = self.y(value)
                    self.drawing.line(left, y, left + width, y, "grid")
                    self.drawing.text(left - 6, y + 4, f"{value:g}", "end")

    def labels(self, ends):
        """Names at the ends of the lines, moved apart where they would overlap."""
        last = -math.inf
        for y, name in sorted((self.y(value), name) for name, value in ends.items()):
            last = max(y + 4, last + 13)
            self.drawing.text(self.box[0] + self.box[2] + 6, last, name,
                              style=f"fill: {COLOURS[name]}")

    def plot(self, lines):
        for name, points in lines.items():
            path = " ".join(f"{self.x(x):.1f},{self.y(y):.1f}" for x, y in points)
            dashes = {"stroke_dasharray": "5 3"} if name in ("epoll", "uring") else {}
            self.drawing.add("polyline", points=path, fill="none", stroke=COLOURS[name],
                             stroke_width=2.5 if name == "event" else 1.5, **dashes)
        self.labels({name: points[-1][1] for name, points in lines.items()})


def growth_lines(results, row, figure):
    lines = {}
    for cell in results.get("growth", []):
        if cell["row"] == row and cell["figure"] == figure:
            for name in ("epoll", *SHOWN):
                if name in cell["samples"]:
                    point = (int(cell["cell"].replace(",", "")),
                             statistics.median(cell["samples"][name]))
                    lines.setdefault(name, []).append(point)
    return lines


def growth_plot(panels, x_title):
    """`panels`: (title, lines). Side by side, two in a row."""
    width, height = 330, 230
    columns = min(2, len(panels))
    drawing = Drawing(columns * (width + 140), math.ceil(len(panels) / 2) * (height + 90))
    for i, (title, lines) in enumerate(panels):
        xs = sorted({x for points in lines.values() for x, _ in points})
        ys = [y for points in lines.values() for _, y in points]
        box = (50 + i % 2 * (width + 140), 34 + i // 2 * (height + 90), width, height)
        axes = LogAxes(drawing, box, xs, ys)
        axes.draw(title, x_title, xs)
        axes.plot(lines)
    return drawing.svg()


def write(results, directory):
    """Writes what there are figures for; returns the names of the files, and what they show."""
    made = []

    def save(name, text, svg):
        (directory / name).write_text(svg)
        made.append((name, text))

    groups = list(bars_of(results))
    if groups:
        save("ratios.svg", "Time in proportion to a hand-written loop", bar_plot(groups))
    descriptors = growth_lines(results, "growth-descriptors", "ns")
    if descriptors:
        save("descriptors.svg", "Cost of an event by the number of descriptors",
             growth_plot([("ns an event, all of them ready", descriptors)], "descriptors"))
    timers = [(f"ns to {word}", growth_lines(results, "growth-timers", figure))
              for figure, word in (("add", "add"), ("later", "push back"), ("cancel", "cancel"),
                                   ("fire", "fire"))]
    timers = [panel for panel in timers if panel[1]]
    if timers:
        save("timers.svg", "Cost of a timer by the number of timers", growth_plot(timers, "timers"))
    return made
