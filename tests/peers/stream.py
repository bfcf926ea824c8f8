#!/usr/bin/python3 -IS
"""A stream peer that does exactly what it is told, step after step.

usage: stream.py [-p PORTFILE] [-o FILE] [-b BYTES] ADDRESS STEP...

ADDRESS  listen:HOST  connect:HOST:PORT  listen-unix:PATH  connect-unix:PATH
-p       once listening, the port number (or path) appears in this file
-o       what is received is written here
-b       size of the receive and send buffers

recv=N         receive N bytes
recv-eof       receive until the end of file; a reset is a failure
recv-reset     receive until a reset; an end of file is a failure
recv-any       receive until an end of file or a reset
slow=N/MS      receive until the end of file, N bytes every MS milliseconds
acked          wait until the other side has acknowledged all that was sent
unread=N       wait until N bytes lie unread in the receive buffer
text=STRING    send this (with \\n and \\r)
send=FILE      send this file
flood=FILE     the same, while the next steps go on; "join" waits for it
send-some      send zeros until the peer takes no more for 300 ms
send-reset     send zeros until a reset
echo           send back what comes until the end of file
talk=MS        from now on send a byte every MS milliseconds
shut           half-close
close, reset   end the connection in order, or with a reset
sleep=MS
touch=FILE     create this file
await=FILE     wait until this file is there
accept         take a further connection instead of this one
"""
import errno
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

NOTHING = struct.pack("ii", 1, 0)


class Peer:
    def __init__(self):
        self.out = None
        self.listener = None
        self.conn = None
        self.count = 0
        self.flooding = None

    def fail(self, why):
        sys.stderr.write("stream.py: %s after %d bytes\n" % (why, self.count))
        sys.stderr.flush()
        os._exit(1)

    def take(self, size=65536):
        """Data, b"" at the end of file, None after a reset."""
        try:
            data = self.conn.recv(size)
        except OSError as e:
            if e.errno in (errno.ECONNRESET, errno.EPIPE):
                return None
            raise
        self.count += len(data)
        if self.out:
            self.out.write(data)
            self.out.flush()
        return data

    def drain(self, wanted):
        while True:
            data = self.take()
            if data:
                continue
            end = "eof" if data == b"" else "reset"
            if wanted not in (end, "any"):
                self.fail("%s instead of %s" % (end, wanted))
            return

    def recv(self, arg):
        left = int(arg)
        while left:
            data = self.take(min(left, 65536))
            if not data:
                self.fail("ended with %d bytes missing" % left)
            left -= len(data)

    def slow(self, arg):
        size, ms = (int(x) for x in arg.split("/"))
        while True:
            left = size
            while left:
                data = self.take(left)
                if data is None:
                    self.fail("reset instead of eof")
                if data == b"":
                    return
                left -= len(data)
            time.sleep(ms / 1000)

    def unread(self, arg):
        have = bytearray(4)
        while True:
            fcntl.ioctl(self.conn, termios.FIONREAD, have)
            if struct.unpack("i", have)[0] >= int(arg):
                return
            time.sleep(0.005)

    def acked(self):
        """Wait for an empty send queue (TCP counts what is not acked)."""
        have = bytearray(4)
        while True:
            fcntl.ioctl(self.conn, termios.TIOCOUTQ, have)
            if struct.unpack("i", have)[0] == 0:
                return
            time.sleep(0.005)

    def send_some(self):
        self.conn.setblocking(False)
        while select.select([], [self.conn], [], 0.3)[1]:
            try:
                self.conn.send(bytes(65536))
            except BlockingIOError:
                pass
        self.conn.setblocking(True)

    def send_reset(self):
        while True:
            try:
                self.conn.send(bytes(65536))
            except (ConnectionResetError, BrokenPipeError):
                return

    def talk(self, arg):
        def run():
            try:
                while True:
                    self.conn.sendall(b".")
                    time.sleep(int(arg) / 1000)
            except OSError:
                pass
        threading.Thread(target=run, daemon=True).start()

    def echo(self):
        while True:
            data = self.take()
            if not data:
                return
            self.conn.sendall(data)

    def send_file(self, arg):
        with open(arg, "rb") as f:
            self.conn.sendall(f.read())

    def flood(self, arg):
        self.flooding = threading.Thread(target=self.send_file, args=(arg,))
        self.flooding.start()

    def reset(self):
        self.conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NOTHING)
        self.conn.close()

    def text(self, arg):
        self.conn.sendall(arg.replace("\\n", "\n").replace("\\r", "\r")
                          .encode())

    def await_file(self, arg):
        while not os.path.exists(arg):
            time.sleep(0.005)

    def step(self, word):
        name, _, arg = word.partition("=")
        steps = {
            "recv": lambda: self.recv(arg),
            "recv-eof": lambda: self.drain("eof"),
            "recv-reset": lambda: self.drain("reset"),
            "recv-any": lambda: self.drain("any"),
            "slow": lambda: self.slow(arg),
            "acked": self.acked,
            "unread": lambda: self.unread(arg),
            "text": lambda: self.text(arg),
            "send": lambda: self.send_file(arg),
            "flood": lambda: self.flood(arg),
            "join": lambda: self.flooding.join(),
            "send-some": self.send_some,
            "send-reset": self.send_reset,
            "echo": self.echo,
            "talk": lambda: self.talk(arg),
            "shut": lambda: self.conn.shutdown(socket.SHUT_WR),
            "close": lambda: self.conn.close(),
            "reset": self.reset,
            "sleep": lambda: time.sleep(int(arg) / 1000),
            "touch": lambda: open(arg, "w").close(),
            "await": lambda: self.await_file(arg),
            "accept": self.accept,
        }
        try:
            steps[name]()
        except OSError as e:
            self.fail("%s: %s" % (word, e))

    def accept(self):
        self.conn = self.listener.accept()[0]

    def open(self, address, portfile, size):
        kind, _, rest = address.partition(":")
        is_unix = kind.endswith("-unix")
        if is_unix:
            family, where, port = socket.AF_UNIX, rest, rest
        else:
            host, port = rest, 0
            if kind == "connect":
                host, _, port = rest.rpartition(":")
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            where = (host, int(port))
        s = socket.socket(family, socket.SOCK_STREAM)
        if size:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, size)
        if kind.startswith("connect"):
            s.connect(where)
            self.conn = s
            return
        s.bind(where)
        s.listen(8)
        self.listener = s
        if portfile:
            with open(portfile + ".new", "w") as f:
                f.write("%s\n" % (port if is_unix else s.getsockname()[1]))
            os.rename(portfile + ".new", portfile)
        self.accept()


def main():
    signal.alarm(60)
    args = sys.argv[1:]
    peer, portfile, size = Peer(), None, 0
    while args[0].startswith("-"):
        if args[0] == "-p":
            portfile = args[1]
        elif args[0] == "-o":
            peer.out = open(args[1], "wb")
        elif args[0] == "-b":
            size = int(args[1])
        args = args[2:]
    peer.open(args[0], portfile, size)
    for word in args[1:]:
        peer.step(word)
    os._exit(0)


main()
