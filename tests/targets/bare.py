"""A thread and the main thread asleep, each called by C, with no module that is not
built into every executable."""
import _thread
import os
import time


def inner(n=0):
    time.sleep(1000)


_thread.start_new_thread(inner, ())
print('{"pid": %d, "python": ["<module>", "<lambda>", "inner"]}' % os.getpid(),
      flush=True)
sorted([1, 2], key=lambda n: inner())
