#!/usr/bin/python3 -IS
"""A relay between two programs that does harm at exactly chosen bytes.

usage: tamper.py [-p PORTFILE] [-c FILE] [-m FILE] [-g FILE] [-v FILE] [-n N]
                 ADDRESS [FAULT=WAY:LIST]...

ADDRESS  where each connection goes on to: connect:HOST:PORT,
         connect-unix:PATH, or port-file:FILE, which is port FILE of 127.0.0.1
         as it is at that moment
-p       once listening (on 127.0.0.1), the port appears in this file
-c       at the end of each connection a line "UP DOWN END" is added to this
         file: the bytes passed on, and how it ended: end, reset, cut, frozen
-m       this file appears when a fault has been done
-g       "hold" lasts until this file is there
-v       the process of "kill": its number is in this file
-n       leave after so many connections

WAY is up (from who connected here) or down. LIST has a number for each
connection in turn, "-" for none; behind the last there is none, or "N*" goes
for all that follow.

cut=     reset both sides after so many bytes, acknowledged ones
end=     end both sides in order after so many bytes
stall=   pass on nothing more this way after so many bytes, an end neither
freeze=  the same, both ways
hold=    the same as freeze, until the file of -g is there
kill=    after so many bytes, kill the process of -v by SIGKILL and go on
flip=    flip one bit of this byte (the first is 0)
rate=    bytes a second
"""
import fcntl
import os
import select
import signal
import socket
import struct
import sys
import termios
import threading
import time

SIZE = 262144
NOTHING = struct.pack("ii", 1, 0)
NEVER = 1 << 62


class Way:
    """One direction of a connection."""

    def __init__(self, src, dst, faults):
        self.src, self.dst, self.faults = src, dst, faults
        self.count = 0
        self.left = b""
        self.stalled = False
        self.eof = False
        self.done = False
        self.not_before = 0

    def wants(self):
        return (not self.left and not self.eof and not self.stalled and
                time.monotonic() >= self.not_before)

    def room(self):
        """How much to take: up to the next fault, and no faster than told."""
        at = [n for name, n in self.faults.items()
              if name not in ("flip", "rate") and n > self.count]
        size = min(at + [self.count + SIZE]) - self.count
        if "rate" in self.faults:
            size = min(size, max(1, self.faults["rate"] // 20))
        return size

    def take(self):
        data = self.src.recv(self.room())
        if not data:
            self.eof = True
            return
        at = self.faults.get("flip", NEVER) - self.count
        if at < len(data):
            data = bytearray(data)
            data[at] ^= 1 << (at + self.count) % 8
            self.faults.pop("flip")
        self.left = memoryview(data)
        if "rate" in self.faults:
            self.not_before = (time.monotonic() +
                               len(data) / self.faults["rate"])

    def give(self):
        if self.left:
            sent = self.dst.send(self.left)
            self.count += sent
            self.left = self.left[sent:]
        if not self.left and self.eof and not self.done:
            self.done = True
            self.dst.shutdown(socket.SHUT_WR)

    def await_acked(self):
        """What was passed on must arrive in spite of the reset."""
        have, end = bytearray(4), time.monotonic() + 5
        while time.monotonic() < end:
            fcntl.ioctl(self.dst, termios.TIOCOUTQ, have)
            if struct.unpack("i", have)[0] == 0:
                return
            time.sleep(0.001)


class Connection:
    def __init__(self, opts, near, far, faults):
        self.opts = opts
        self.ways = [Way(near, far, faults["up"]),
                     Way(far, near, faults["down"])]
        self.open = {near, far}
        self.how = None
        for s in (near, far):
            s.setblocking(False)
            if s.family != socket.AF_UNIX:
                s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def mark(self):
        if "-m" in self.opts:
            open(self.opts["-m"], "w").close()

    def kill(self):
        while True:
            try:
                with open(self.opts["-v"]) as f:
                    pid = int(f.read())
                break
            except (OSError, ValueError):
                time.sleep(0.001)
        os.kill(pid, signal.SIGKILL)
        try:
            while True:
                with open("/proc/%d/stat" % pid) as f:
                    if f.read().rpartition(")")[2].split()[0] in "ZX":
                        return
                time.sleep(0.001)
        except OSError:
            return

    def fire(self, way):
        """Do the faults whose byte has come."""
        for name in ("kill", "cut", "end", "stall", "freeze", "hold"):
            if way.left or way.faults.get(name, NEVER) != way.count:
                continue
            way.faults.pop(name)
            if name == "hold":
                self.mark()
                while not os.path.exists(self.opts["-g"]):
                    time.sleep(0.005)
            elif name == "kill":
                self.kill()
            elif name == "cut":
                way.await_acked()
                self.finish("cut")
            elif name == "end":
                self.finish("end", reset=False)
            else:
                for w in self.ways:
                    w.stalled |= name == "freeze" or w is way
                if name == "freeze":
                    self.how = "frozen"
            self.mark()

    def finish(self, how, reset=True):
        for s in self.open:
            if reset:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NOTHING)
            s.close()
        self.open = set()
        self.how = self.how or how

    def broken(self, s):
        """A side is gone: the other one too, unless it may not know."""
        way = next(w for w in self.ways if w.src is s)
        if not way.stalled:
            self.finish("reset")
            return
        s.close()
        self.open.discard(s)
        self.how = self.how or "reset"

    def wait(self):
        poll = select.poll()
        for s in self.open:
            events = 0
            for way in self.ways:
                if way.src is s and way.wants():
                    events |= select.POLLIN
                if way.dst is s and way.left:
                    events |= select.POLLOUT
            poll.register(s, events)
        slow = any("rate" in w.faults for w in self.ways)
        return dict(poll.poll(10 if slow else 1000))

    def move(self, way, s, events):
        try:
            if s is way.src:
                if way.stalled and events & (select.POLLERR | select.POLLHUP):
                    self.broken(s)
                elif way.wants():
                    way.take()
            if self.open >= {way.src, way.dst}:
                s = way.dst
                way.give()
        except BlockingIOError:
            pass
        except OSError:
            self.broken(s)

    def turn(self):
        for way in self.ways:
            if self.open:
                self.fire(way)
        if not self.open:
            return
        if all(w.done for w in self.ways):
            self.finish("end", reset=False)
            return
        ready = self.wait()
        for way in self.ways:
            for s in (way.dst, way.src):
                if s in self.open and s.fileno() in ready:
                    self.move(way, s, ready[s.fileno()])

    def run(self):
        while self.open:
            self.turn()
        if "-c" in self.opts:
            with open(self.opts["-c"], "a") as f:
                f.write("%d %d %s\n" % (self.ways[0].count,
                                        self.ways[1].count, self.how))


class Faults:
    """What is to be done, for each connection in turn."""

    def __init__(self, words):
        self.lists = []
        for word in words:
            name, _, rest = word.partition("=")
            way, _, items = rest.partition(":")
            self.lists.append((name, way, items.split(",")))

    def next(self):
        faults = {"up": {}, "down": {}}
        for name, way, items in self.lists:
            item = items[0] if items else "-"
            if not item.endswith("*"):
                items[:1] = []
            if item != "-":
                faults[way][name] = int(item.rstrip("*"))
        return faults


def go_on(address):
    kind, _, rest = address.partition(":")
    if kind == "connect-unix":
        s = socket.socket(socket.AF_UNIX)
        s.connect(rest)
        return s
    if kind == "port-file":
        with open(rest) as f:
            rest = "127.0.0.1:" + f.read().strip()
    host, _, port = rest.rpartition(":")
    return socket.create_connection((host, int(port)))


def main():
    signal.alarm(150)
    args, opts = sys.argv[1:], {}
    while args[0].startswith("-"):
        opts[args[0]] = args[1]
        args = args[2:]
    address, faults = args[0], Faults(args[1:])
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    if "-p" in opts:
        with open(opts["-p"] + ".new", "w") as f:
            f.write("%d\n" % listener.getsockname()[1])
        os.rename(opts["-p"] + ".new", opts["-p"])
    threads = []
    while len(threads) < int(opts.get("-n", NEVER)):
        near = listener.accept()[0]
        try:
            far = go_on(address)
        except (OSError, ValueError):
            near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NOTHING)
            near.close()
            continue
        connection = Connection(opts, near, far, faults.next())
        threads.append(threading.Thread(target=connection.run))
        threads[-1].start()
    for thread in threads:
        thread.join()


main()
