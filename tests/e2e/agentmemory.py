"""The agent's memory of a process, from outside: as agent/wire.h lays it out."""
import os
import re
import struct

MAGIC = b"asyncmon"
# From the header's start: magic, version, size, self; and where the pools are told.
AT_VERSION, AT_SELF, AT_POOLS = 8, 16, 88 + 8 * 13
AT_EVENTS = AT_POOLS + 24 * 5


def find(pid):
    """Where the header is."""
    with open("/proc/%d/maps" % pid) as maps, open("/proc/%d/mem" % pid, "rb", 0) as mem:
        for line in maps:
            m = re.match(r"([0-9a-f]+)-[0-9a-f]+ rw-p \S+ \S+ 0\b", line)
            if not m:
                continue
            start = int(m.group(1), 16)
            if os.pread(mem.fileno(), 8, start) == MAGIC:
                return start
    raise AssertionError("no memory of the agent in %d" % pid)


class Memory:
    def __init__(self, pid):
        self.start = find(pid)
        self.fd = os.open("/proc/%d/mem" % pid, os.O_RDWR | os.O_CLOEXEC)

    def read(self, offset, size):
        return os.pread(self.fd, size, self.start + offset)

    def write(self, offset, data):
        assert os.pwrite(self.fd, data, self.start + offset) == len(data)

    def events(self):
        """struct agent_events."""
        return dict(zip(("until", "head", "addr", "capacity", "slot_size", "unwritten"),
                        struct.unpack("<QQQIIQ", self.read(AT_EVENTS, 40))))

    def used(self):
        """(offset, bytes) of what is used: the header, and of each pool."""
        pools = [struct.unpack("<QIIII", self.read(AT_POOLS + 24 * i, 24)) for i in range(4)]
        return [(0, AT_POOLS + 4 * 24)] + [(at - self.start, size * used)
                                           for at, size, _, used, _ in pools]

    def close(self):
        os.close(self.fd)
