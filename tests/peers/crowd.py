#!/usr/bin/python3 -IS
"""Thousands of connections in one process.

usage: crowd.py [-p PORTFILE] [-c N] [-b BYTES] ADDRESS JOB [ARG...]
       crowd.py tagged N SIZE

ADDRESS  HOST:PORT, unix:PATH; with serve: HOST:0, unix:PATH
-c       so many connections at a time (all of them unless said)
-b       size of the receive and send buffers

hold N FILE UNTIL     N connections that say nothing; once they are all there,
                      FILE is made, and once UNTIL is there they are closed
echo N SIZE           each sends SIZE bytes of its own, half-closes, and has to
                      get the same back and then the end of file
take N SIZE FILE      each sends SIZE bytes in tagged blocks, half-closes, and
                      has to get what FILE holds and then the end of file. With
                      UNIX sockets (with TCP: of one block) haul reads them whole
meet N SIZE FILE UNTIL
                      each sends a tagged block of SIZE and has to get those of
                      all the others whole, but not its own; before they begin
                      all are there (FILE.connected, and FILE.go is awaited),
                      after it (FILE) they wait for UNTIL
serve                 echo to everybody, until killed
tagged N SIZE         no connection: standard input is what "take" has sent, the
                      blocks of all in any order but those of one in theirs

Whatever is not as it has to be is said on standard error, with status 1.
"""
import errno
import os
import resource
import select
import signal
import socket
import struct
import sys
import time

BLOCK = 4096
HEAD = struct.Struct("!4sIII")
POOL = os.urandom(1 << 16) * 40
READ = 1 << 18
SENDS = 8


def fail(why):
    sys.stderr.write("crowd.py: %s\n" % why)
    sys.exit(1)


def own(number, size):
    """What a client sends: another part of the pool for each."""
    at = number * 97 % 65521
    if at + size <= len(POOL):
        return memoryview(POOL)[at:at + size]
    return memoryview((POOL * (size // len(POOL) + 2))[at:at + size])


def tagged(number, size):
    """The same in blocks that say whose they are."""
    out = bytearray()
    while len(out) < size:
        n = min(BLOCK, size - len(out))
        out += HEAD.pack(b"haul", number, len(out), n)
        out += fill(number, len(out), n - HEAD.size)
    return memoryview(out)


def fill(number, at, size):
    word = b"%d at %d, " % (number, at)
    return (word * (size // len(word) + 1))[:size]


class Client:
    def __init__(self, crowd, number):
        self.crowd = crowd
        self.number = number
        self.unsent = self.wanted = memoryview(b"")
        self.got = 0
        self.unit = READ
        self.ended = False
        self.sock = crowd.connect()
        self.events = None

    def watch(self):
        events = select.EPOLLOUT if self.unsent else 0
        if not self.ended:
            events |= select.EPOLLIN
        if self.events is None:
            self.crowd.epoll.register(self.sock, events)
        elif events != self.events:
            self.crowd.epoll.modify(self.sock, events)
        self.events = events

    def begin(self, unsent, wanted, unit=READ):
        self.unsent, self.wanted, self.unit = unsent, wanted, unit
        self.crowd.active += 1
        self.watch()

    def send(self):
        for _ in range(SENDS):
            try:
                n = self.sock.send(self.unsent[:self.unit])
            except BlockingIOError:
                return
            self.unsent = self.unsent[n:]
            if not self.unsent:
                self.sent_all()
                return

    def sent_all(self):
        self.sock.shutdown(socket.SHUT_WR)
        if self.ended:
            self.leave()

    def receive(self):
        try:
            data = self.sock.recv(READ)
        except BlockingIOError:
            return
        if not data:
            self.end_of_file()
            return
        self.take(data)

    def take(self, data):
        end = self.got + len(data)
        if self.wanted[self.got:end] != data:
            fail("client %d got something else than it should between %d "
                 "and %d" % (self.number, self.got, end))
        self.got = end

    def end_of_file(self):
        if self.got != len(self.wanted):
            fail("client %d: the end after %d bytes of %d, %d unsent" % (
                self.number, self.got, len(self.wanted), len(self.unsent)))
        self.ended = True
        if not self.unsent:
            self.leave()

    def leave(self):
        if self.events is not None:
            self.crowd.epoll.unregister(self.sock)
        self.crowd.forget(self)
        self.sock.close()

    def happened(self, events):
        try:
            if events & select.EPOLLOUT and self.unsent:
                self.send()
            if not self.ended and events & ~select.EPOLLOUT:
                self.receive()
        except OSError as e:
            fail("client %d: %s after %d bytes of %d, %d unsent" % (
                self.number, e, self.got, len(self.wanted),
                len(self.unsent)))
        if self.sock.fileno() != -1:
            self.watch()


class Member(Client):
    """One of those who hear each other."""

    def begin_block(self, size, everybody):
        self.heard = {}
        self.part = bytearray()
        self.everybody = everybody
        self.begin(tagged(self.number, size), memoryview(b""))

    def sent_all(self):
        self.check_done()

    def check_done(self):
        if len(self.heard) == self.everybody - 1 and not self.unsent:
            self.crowd.active -= 1
            self.everybody = 0

    def take(self, data):
        self.part += data
        at = 0
        while len(self.part) - at >= HEAD.size:
            mark, who, _, size = HEAD.unpack_from(self.part, at)
            if mark != b"haul" or who == self.number or who in self.heard:
                fail("client %d got %r of %d" % (self.number, mark, who))
            if len(self.part) - at < size:
                break
            if self.part[at + HEAD.size:at + size] != fill(
                    who, HEAD.size, size - HEAD.size):
                fail("client %d got damaged data of %d" % (
                    self.number, who))
            self.heard[who] = True
            at += size
        del self.part[:at]
        self.check_done()

    def end_of_file(self):
        fail("client %d: the end after %d blocks" % (
            self.number, len(self.heard)))


class Echo(Client):
    """At the other side."""

    BOUND = 1 << 19

    def __init__(self, crowd, sock):
        self.crowd, self.sock, self.number = crowd, sock, 0
        self.got, self.unsent, self.wanted = 0, b"", b""
        self.events, self.ended, self.unit = None, False, READ
        self.watch()

    def watch(self):
        events = select.EPOLLOUT if self.unsent else 0
        if not self.ended and len(self.unsent) < self.BOUND:
            events |= select.EPOLLIN
        if self.events is None:
            self.crowd.epoll.register(self.sock, events)
        elif events != self.events:
            self.crowd.epoll.modify(self.sock, events)
        self.events = events

    def take(self, data):
        self.unsent += data
        self.send()

    def sent_all(self):
        if self.ended:
            self.sock.shutdown(socket.SHUT_WR)
            self.leave()

    def end_of_file(self):
        self.ended = True
        if not self.unsent:
            self.sent_all()

    def happened(self, events):
        try:
            if self.unsent:
                self.send()
            if not self.ended and events & ~select.EPOLLOUT:
                self.receive()
        except OSError:
            self.leave()
            return
        if self.sock.fileno() != -1:
            self.watch()


class Crowd:
    def __init__(self, address, size):
        self.address, self.size = address, size
        self.epoll = select.epoll()
        self.clients = {}
        self.active = 0
        host, _, port = address.rpartition(":")
        if address.startswith("unix:"):
            self.family, self.where = socket.AF_UNIX, address[5:]
        else:
            self.family = socket.AF_INET
            self.where = (host, int(port))

    def socket(self):
        s = socket.socket(self.family, socket.SOCK_STREAM)
        if self.size:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.size)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self.size)
        return s

    def connect(self):
        s = self.socket()
        try:
            s.connect(self.where)
        except OSError as e:
            fail("connection %d: %s" % (len(self.clients) + 1, e))
        s.setblocking(False)
        return s

    def add(self, kind, number):
        client = kind(self, number)
        self.clients[client.sock.fileno()] = client
        return client

    def forget(self, client):
        del self.clients[client.sock.fileno()]
        self.active -= 1

    def run(self, timeout=None):
        for fd, events in self.epoll.poll(timeout):
            if fd in self.clients:
                self.clients[fd].happened(events)

    def run_all(self, count, concurrent, begin):
        """Each client begins as soon as there is room for it."""
        number = 0
        while number < count or self.active:
            room = min(concurrent - self.active, 64)
            for _ in range(min(room, count - number)):
                begin(self.add(Client, number))
                number += 1
            self.run(0 if room > 0 and number < count else None)

    def serve(self, portfile):
        listener = self.socket()
        port = self.where
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(self.where)
        listener.listen(4096)
        listener.setblocking(False)
        if self.family != socket.AF_UNIX:
            port = listener.getsockname()[1]
        if portfile:
            with open(portfile + ".tmp", "w") as f:
                f.write("%s\n" % port)
            os.rename(portfile + ".tmp", portfile)
        self.epoll.register(listener, select.EPOLLIN)
        while True:
            for fd, events in self.epoll.poll():
                if fd == listener.fileno():
                    self.accept(listener)
                elif fd in self.clients:
                    self.clients[fd].happened(events)

    def accept(self, listener):
        for _ in range(256):
            try:
                s = listener.accept()[0]
            except BlockingIOError:
                return
            s.setblocking(False)
            self.clients[s.fileno()] = Echo(self, s)


def touch(path):
    open(path, "w").close()


def await_file(path):
    while not os.path.exists(path):
        time.sleep(0.01)


def hold(crowd, count, path, until):
    for number in range(int(count)):
        crowd.add(Client, number)
    touch(path)
    await_file(until)


def echo(crowd, concurrent, count, size):
    def begin(client):
        data = own(client.number, int(size))
        client.begin(data, data)
    crowd.run_all(int(count), concurrent or int(count), begin)


def take(crowd, concurrent, count, size, path):
    with open(path, "rb") as f:
        wanted = memoryview(f.read())
    crowd.run_all(int(count), concurrent or int(count), lambda client:
                  client.begin(tagged(client.number, int(size)), wanted,
                               BLOCK))


def meet(crowd, count, size, path, until):
    members = [crowd.add(Member, n) for n in range(int(count))]
    touch(path + ".connected")
    await_file(path + ".go")
    for m in members:
        m.begin_block(int(size), int(count))
    while crowd.active:
        crowd.run()
    touch(path)
    await_file(until)


def check_tagged(count, size):
    """The blocks of a client have to come in their order."""
    at = [0] * int(count)
    part = b""
    read = sys.stdin.buffer.read
    while True:
        block = read(BLOCK)
        if not block:
            break
        mark, who, offset, length = HEAD.unpack_from(block)
        if mark != b"haul" or who >= int(count):
            fail("%r of %d is no block" % (mark, who))
        if length < len(block):
            fail("blocks have to be of %d" % BLOCK)
        if offset != at[who] or block[HEAD.size:] != fill(
                who, offset + HEAD.size, length - HEAD.size):
            fail("the block of %d at %d instead of %d" % (
                who, offset, at[who]))
        at[who] += length
    bad = [n for n in range(int(count)) if at[n] != int(size)]
    if bad:
        fail("%d are not whole: %d has %d" % (len(bad), bad[0], at[bad[0]]))


def main():
    args = sys.argv[1:]
    opts = {}
    while args and args[0].startswith("-"):
        opts[args[0]] = args[1]
        args = args[2:]
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if args[0] == "tagged":
        check_tagged(*args[1:])
        return
    concurrent = int(opts.get("-c", 0))
    crowd = Crowd(args[0], int(opts.get("-b", 0)))
    jobs = {
        "hold": lambda *a: hold(crowd, *a),
        "echo": lambda *a: echo(crowd, concurrent, *a),
        "take": lambda *a: take(crowd, concurrent, *a),
        "meet": lambda *a: meet(crowd, *a),
        "serve": lambda: crowd.serve(opts.get("-p")),
    }
    jobs[args[1]](*args[2:])


main()
