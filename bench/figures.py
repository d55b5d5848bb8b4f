"""What the samples say: medians, ratios, and which differences are larger than the noise."""

import math
import statistics

from workers import CONTROL, OURS, PEERS, REFERENCE

LEAST_NOISE = 0.01  # nobody believes less


def quartile_spread(values):
    if len(values) < 4:
        return max(values) - min(values)
    first, _, third = statistics.quantiles(values, n=4)
    return third - first


def ratios(samples, name, to):
    """Of the same rounds."""
    return [mine / other for mine, other in zip(samples[name], samples[to]) if other > 0]


def ratio(samples, name, to=REFERENCE):
    found = ratios(samples, name, to)
    return statistics.median(found) if found else math.nan


def uncertainty(found):
    """Twice the standard error of a median, by the spread of the middle half."""
    return 1.9 * quartile_spread(found) / math.sqrt(len(found))


def noise(samples):
    """How far a program and its own twin are apart."""
    if CONTROL not in samples:
        return LEAST_NOISE
    found = ratios(samples, CONTROL, REFERENCE)
    return max(LEAST_NOISE, abs(statistics.median(found) - 1), uncertainty(found))


def best_peer(samples):
    """Of the libraries, the one with the lowest median ratio; None if there is none."""
    present = [name for name in PEERS if name in samples]
    return min(present, key=lambda name: ratio(samples, name), default=None)


def verdict(samples):
    """How ours compares with the best peer: ahead, level, behind, and by what factor."""
    peer = best_peer(samples)
    if peer is None or OURS not in samples:
        return None
    found = ratios(samples, OURS, peer)
    middle = statistics.median(found)
    limit = max(noise(samples), uncertainty(found))
    word = "ahead" if middle < 1 - limit else "behind" if middle > 1 + limit else "level"
    return {"peer": peer, "ratio": middle, "limit": limit, "word": word}


def verdict_of_counts(values):
    """The same for figures that do not wobble."""
    peers = {name: values[name] for name in PEERS if name in values}
    if not peers or OURS not in values:
        return None
    peer = min(peers, key=peers.get)
    mine, best = values[OURS], peers[peer]
    word = "level" if abs(mine - best) <= 0.005 * max(best, 1) else (
        "ahead" if mine < best else "behind")
    return {"peer": peer, "ratio": mine / best if best else math.nan, "limit": 0, "word": word}


def short(value):
    """A number with three figures, and k or M."""
    if value != value:
        return "-"
    for limit, unit in ((1e7, "M"), (1e4, "k")):
        if abs(value) >= limit:
            scale = 1e6 if unit == "M" else 1e3
            return f"{value / scale:.3g}{unit}" if abs(value / scale) < 1000 else (
                f"{value / scale:,.0f}{unit}")
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
