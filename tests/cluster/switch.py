#!/usr/bin/python3
"""A network switch for the hosts of hosts.py that delays every frame: for kernels without a queueing discipline that does.

    switch.py SECONDS FIRST...     FIRST: a host's first process, in whose network an interface eth0 is made

Says "ready" when all hosts have theirs. A frame goes to the host it is addressed to, or to all, as late as it is told; frames
between two hosts keep their order. Enough for a few 10,000 frames per second.
"""
import collections
import ctypes
import fcntl
import os
import select
import struct
import sys
import time

SET_INTERFACE, TAP_WITHOUT_HEADER = 0x400454CA, 0x1002  # of linux/if_tun.h
NEW_NETWORK = 0x40000000  # of sched.h
largest_frame = 10_000


def enter(network):
    if ctypes.CDLL(None, use_errno=True).setns(network, NEW_NETWORK) != 0:
        sys.exit(f"setns: {os.strerror(ctypes.get_errno())}")


def interface_of(host):
    """A descriptor that reads and writes the frames of a new interface eth0 in the host's network."""
    own = os.open("/proc/self/ns/net", os.O_RDONLY)
    theirs = os.open(f"/proc/{host}/ns/net", os.O_RDONLY)
    enter(theirs)
    port = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(port, SET_INTERFACE, struct.pack("16sH22x", b"eth0", TAP_WITHOUT_HEADER))
    enter(own)
    os.close(own), os.close(theirs)
    return port


def main(delay, hosts):
    ports = [interface_of(host) for host in hosts]
    print("ready", flush=True)
    poll = select.poll()
    for port in ports:
        poll.register(port, select.POLLIN)
    known = {}  # address: the port behind which it is
    waiting = collections.deque()  # (when, port, frame): the delay is the same for all, so in order of time
    while True:
        now = time.monotonic()
        while waiting and waiting[0][0] <= now:
            _, port, frame = waiting.popleft()
            try:
                os.write(port, frame)
            except OSError:
                pass  # the host's interface is down or full: frames may get lost
        for port, event in poll.poll(1000 * max(0, waiting[0][0] - now) if waiting else None):
            if event & ~select.POLLIN:
                poll.unregister(port)  # the host is gone
                continue
            frame = os.read(port, largest_frame)
            known[frame[6:12]] = port
            to = known.get(frame[:6])
            for other in ports if to is None else [to]:
                if other != port:
                    waiting.append((time.monotonic() + delay, other, frame))


main(float(sys.argv[1]), sys.argv[2:])
