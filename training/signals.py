"""Ctrl-C and SIGTERM, which end a run after its step."""

import signal
import threading
from contextlib import contextmanager


@contextmanager
def stop_signals():
    """→ a list that takes the number of the first SIGINT (Ctrl-C) or SIGTERM. The handlers
    from before are then back, so a second signal acts as usual. In a thread, where Python allows no signal handlers, the
    list stays empty."""
    stop, before = [], {}

    def restore():
        while before:
            number, handler = before.popitem()
            signal.signal(number, signal.SIG_DFL if handler is None else handler)   # None: not set from Python

    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            before[number] = signal.signal(number, lambda number, frame: (stop.append(number), restore()))
    try:
        yield stop
    finally:
        restore()
