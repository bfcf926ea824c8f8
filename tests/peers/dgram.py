#!/usr/bin/python3 -IS
"""A datagram peer that does what it is told, step after step.

usage: dgram.py [-p PORTFILE] ADDRESS STEP...

ADDRESS  bind:HOST  bind-unix:PATH  to:HOST:PORT  to-unix:PATH
         (to- sockets are connected; a to-unix one has no name of its own)
-p       once bound, the port number (or path) appears in this file

recv=N       receive N datagrams; for each a line "LENGTH SHA256" on stdout
echo=N       the same, and each is sent back
echo-all     send everything back until killed
from=HOST    the last datagram must have come from this address
send=N,...   datagrams of these lengths, filled from the numbers; the same
             lines on stdout. To the last sender, if not connected
text=STRING  a datagram of this text
refused      wait until the peer's port is reported closed
silent=MS    nothing may arrive for so long
sleep=MS
touch=FILE, await=FILE
"""
import hashlib
import os
import signal
import socket
import sys
import time


def fill(n):
    word = b"%d bytes, of which this is one of many repetitions; " % n
    return (word * (n // len(word) + 1))[:n]


def tell(data):
    digest = hashlib.sha256(data).hexdigest()
    sys.stdout.write("%d %s\n" % (len(data), digest))
    sys.stdout.flush()


class Peer:
    def __init__(self, address, portfile):
        kind, _, rest = address.partition(":")
        self.connected = kind.startswith("to")
        self.sender = None
        if kind.endswith("-unix"):
            family, where, port = socket.AF_UNIX, rest, rest
        else:
            host, port = rest, 0
            if self.connected:
                host, _, port = rest.rpartition(":")
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            where = (host, int(port))
        self.sock = socket.socket(family, socket.SOCK_DGRAM)
        if self.connected:
            self.sock.connect(where)
            return
        self.sock.bind(where)
        if family != socket.AF_UNIX:
            port = self.sock.getsockname()[1]
        if portfile:
            with open(portfile + ".new", "w") as f:
                f.write("%s\n" % port)
            os.rename(portfile + ".new", portfile)

    def recv(self):
        data, self.sender = self.sock.recvfrom(70000)
        tell(data)
        return data

    def send(self, data):
        if self.connected:
            self.sock.send(data)
        else:
            self.sock.sendto(data, self.sender)

    def refused(self):
        try:
            self.sock.recv(1)
        except ConnectionRefusedError:
            return
        sys.exit("dgram.py: not refused")

    def silent(self, arg):
        self.sock.settimeout(int(arg) / 1000)
        try:
            data = self.sock.recv(70000)
        except socket.timeout:
            self.sock.settimeout(None)
            return
        sys.exit("dgram.py: %d bytes came" % len(data))

    def step(self, word):
        name, _, arg = word.partition("=")
        if name == "recv":
            for _ in range(int(arg)):
                self.recv()
        elif name == "echo":
            for _ in range(int(arg)):
                self.send(self.recv())
        elif name == "echo-all":
            while True:
                self.send(self.recv())
        elif name == "from":
            if self.sender[0] != arg:
                sys.exit("dgram.py: came from %s" % self.sender[0])
        elif name == "send":
            for n in arg.split(","):
                tell(fill(int(n)))
                self.send(fill(int(n)))
        elif name == "text":
            self.send(arg.replace("\\n", "\n").encode())
        elif name == "refused":
            self.refused()
        elif name == "silent":
            self.silent(arg)
        elif name == "sleep":
            time.sleep(int(arg) / 1000)
        elif name == "touch":
            open(arg, "w").close()
        elif name == "await":
            while not os.path.exists(arg):
                time.sleep(0.005)
        else:
            sys.exit("dgram.py: no step " + word)


def main():
    signal.alarm(60)
    args = sys.argv[1:]
    portfile = None
    if args[0] == "-p":
        portfile, args = args[1], args[2:]
    peer = Peer(args[0], portfile)
    for word in args[1:]:
        peer.step(word)


main()
