"""What is common to those who run programs under the library that makes calls fail."""

import errno
import os
import struct

# What stands for "no room now", and for "there is no such call here".
SHORTAGES = ["EMFILE", "ENFILE", "ENOMEM"]
MISSING = ["ENOSYS", "EPERM"]


def environment(preload, report, fault, **more):
    """For a program in which that fails; nothing if its place is 0."""
    chosen = dict(os.environ, LD_PRELOAD=preload, EVENT_FAULT_REPORT=report,
                  ASAN_OPTIONS=os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0")
    chosen.pop("EVENT_BACKEND", None)
    chosen.update(more)
    if fault.nth:
        number = getattr(errno, fault.error)
        chosen["EVENT_FAULT"] = f"{fault.call}:{number}:{fault.nth}{'+' if fault.onwards else ''}"
    return chosen


def read_report(path):
    """(how many failed, {call: how often it was made})"""
    with open(path, "rb") as file:
        data = file.read()
    size, injected, _, _ = struct.unpack_from("<QQqq", data)
    counted = struct.iter_unpack("<40sQ", data[32:32 + 48 * size])
    return injected, {name.rstrip(b"\0").decode(): calls for name, calls in counted if calls}


def text_of(fault):
    if not fault.nth:
        return f"{fault.backend} {fault.act}: nothing fails"
    return (f"{fault.backend} {fault.act}: {fault.call} fails with {fault.error} at call "
            f"{fault.nth}{' and after' if fault.onwards else ''}")
