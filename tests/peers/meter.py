#!/usr/bin/python3 -IS
"""Measure how evenly something arrives.

usage: meter.py [-w MS] [-p PORTFILE] [SOURCE]

SOURCE   nothing: standard input; udp:HOST: datagrams, until 500 ms of silence
-w       the length of a window (250)
-p       once bound, the port number appears in this file

At the end of file, on stdout: "BYTES MS SHA256", and "most N" and "least N" for
the bytes in any window of that length between the first byte and the last; with
lines instead of a stream of bytes, "gap MS" is the shortest time between reads.
"""
import hashlib
import os
import socket
import sys
import time

SO_RCVBUFFORCE = 33


def reads(source, portfile):
    if source is None:
        while True:
            data = os.read(0, 1 << 20)
            if not data:
                return
            yield data
    host = source.partition(":")[2]
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    try:
        s.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 22)
    except PermissionError:
        pass
    s.bind((host, 0))
    with open(portfile + ".tmp", "w") as f:
        f.write("%d\n" % s.getsockname()[1])
    os.rename(portfile + ".tmp", portfile)
    s.settimeout(15)
    try:
        while True:
            yield s.recv(65536)
            s.settimeout(0.5)
    except socket.timeout:
        return


def main():
    args, opts = sys.argv[1:], {}
    while args and args[0].startswith("-"):
        opts[args[0]] = args[1]
        args = args[2:]
    window = int(opts.get("-w", 250)) / 1000
    digest = hashlib.sha256()
    seen = []
    for data in reads(args[0] if args else None, opts.get("-p")):
        seen.append((time.monotonic(), len(data)))
        digest.update(data)
    total = sum(n for _, n in seen)
    span = seen[-1][0] - seen[0][0]
    print(total, int(span * 1000), digest.hexdigest())
    most, here, at = 0, 0, 0
    least = total
    for when, size in seen:
        if when - seen[0][0] > window:
            least = min(least, here)
        here += size
        while seen[at][0] <= when - window:
            here -= seen[at][1]
            at += 1
        most = max(most, here)
    print("most", most)
    print("least", least)
    gaps = [b[0] - a[0] for a, b in zip(seen, seen[1:])]
    print("gap", int(min(gaps) * 1000) if gaps else 0)


main()
