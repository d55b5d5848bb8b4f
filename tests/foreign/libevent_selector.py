"""A selector for asyncio that waits in libevent's event_base_loop(), and CPython's tests run with it.

    libevent_selector.py [argument of unittest]...
"""

import ctypes
import selectors
import sys
import unittest

TIMEOUT, READ, WRITE, PERSIST = 0x01, 0x02, 0x04, 0x10
ONCE, NONBLOCK = 0x01, 0x02

libevent = ctypes.CDLL("libevent-2.1.so.7")
Callback = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_short, ctypes.c_void_p)


class Timeval(ctypes.Structure):
    _fields_ = [("seconds", ctypes.c_long), ("microseconds", ctypes.c_long)]


for name, result, arguments in [
        ("event_base_new", ctypes.c_void_p, []),
        ("event_base_free", None, [ctypes.c_void_p]),
        ("event_base_loop", ctypes.c_int, [ctypes.c_void_p, ctypes.c_int]),
        ("event_new", ctypes.c_void_p,
         [ctypes.c_void_p, ctypes.c_int, ctypes.c_short, Callback, ctypes.c_void_p]),
        ("event_add", ctypes.c_int, [ctypes.c_void_p, ctypes.POINTER(Timeval)]),
        ("event_del", ctypes.c_int, [ctypes.c_void_p]),
        ("event_free", None, [ctypes.c_void_p])]:
    getattr(libevent, name).restype = result
    getattr(libevent, name).argtypes = arguments


class LibeventSelector(selectors._BaseSelectorImpl):
    def __init__(self):
        super().__init__()
        self._base = libevent.event_base_new()
        self._ready = []
        self._callback = Callback(lambda fd, what, _: self._ready.append((fd, what)))
        self._timer = libevent.event_new(self._base, -1, 0, self._callback, None)
        self._events = {}

    def register(self, fileobj, events, data=None):
        key = super().register(fileobj, events, data)
        what = PERSIST
        what |= READ if events & selectors.EVENT_READ else 0
        what |= WRITE if events & selectors.EVENT_WRITE else 0
        event = libevent.event_new(self._base, key.fd, what, self._callback, None)
        if libevent.event_add(event, None) != 0:
            libevent.event_free(event)
            super().unregister(fileobj)
            raise PermissionError("event_add")
        self._events[key.fd] = event
        return key

    def unregister(self, fileobj):
        key = super().unregister(fileobj)
        libevent.event_free(self._events.pop(key.fd))
        return key

    def modify(self, fileobj, events, data=None):
        self.unregister(fileobj)
        return self.register(fileobj, events, data)

    def select(self, timeout=None):
        self._ready.clear()
        flags = ONCE
        if timeout is not None and timeout <= 0:
            flags = ONCE | NONBLOCK
        elif timeout is not None:
            microseconds = min(int(timeout * 1e6) + 1, 10**12)
            libevent.event_add(self._timer, Timeval(*divmod(microseconds, 10**6)))
        libevent.event_base_loop(self._base, flags)
        libevent.event_del(self._timer)
        found = []
        for fd, what in self._ready:
            events = selectors.EVENT_READ if what & READ else 0
            events |= selectors.EVENT_WRITE if what & WRITE else 0
            key = self._key_from_fd(fd)
            if key and events & key.events:
                found.append((key, events & key.events))
        return found

    def close(self):
        if self._base:
            for event in [*self._events.values(), self._timer]:
                libevent.event_free(event)
            libevent.event_base_free(self._base)
            self._events.clear()
            self._base = None
        super().close()


if __name__ == "__main__":
    selectors.DefaultSelector = selectors.EpollSelector = LibeventSelector
    unittest.main(module=None, argv=sys.argv)
