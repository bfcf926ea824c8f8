"""Streams: files and pipes over TCP and UNIX sockets, plain and verified."""

import filecmp
import os

from case import Transfer
from contenders import (BOTH, IPERF, TCP, UNIX, YARDSTICK, Contender, floor,
                        in_modes, kind, no_zero_copy, streams, tar)
from place import GIB, KIB, MIB, human

HAUL_LISTEN = "{haul} listen -q {mode} -d --port-file {port_file} "
HAUL_CONNECT = "{haul} connect -q {mode} "
HAUL_RECEIVE = ("{haul} receive -q {mode} --port-file {port_file}"
                " 127.0.0.1 0")
HAUL_SEND = "{haul} send -q {mode} 127.0.0.1 {port}"
FILL = "{load} fill {bytes} | @"
DRAIN = "@ | {load} drain {bytes}"
FROM_FILE = "@ < {source}"
TO_FILE = "@ > {target}"


class Stream(Transfer):
    """One stream from one end to the other."""

    # How the smallest programs send and receive, those that have been the
    # fastest of a run; the names of both ways.
    tcp_ways = unix_ways = ()

    def __init__(self, place, size, unix):
        self.bytes = size
        self.wire = not unix
        via = "a UNIX socket" if unix else "TCP"
        self.name = ("unix-" if unix else "tcp-") + self.kind
        self.title = f"{human(size)}: {self.what.format(via)}"
        super().__init__(place)
        ours, theirs = (("unix:{path}", "unix:{path}") if unix else
                        ("127.0.0.1 0", "127.0.0.1 {port}"))
        commands = {"receive": self.sink.replace("@", HAUL_LISTEN + ours),
                    "send": self.feed.replace("@", HAUL_CONNECT + theirs)}
        self.contenders = in_modes(**commands) + [no_zero_copy(**commands)]
        self.contenders += streams(UNIX if unix else TCP, self.feed,
                                   self.sink)
        where = "unix:{path}" if unix else "{address}"
        for send, receive in self.unix_ways if unix else self.tcp_ways:
            name = send if send == receive else f"{send}, {receive}"
            self.contenders.append(
                floor(name, self.feed, self.sink,
                      f"receive {receive} {where}", f"send {send} {where}"))

    def prepare(self):
        self.source = self.place.file(self.bytes)
        self.place.warm(self.source)


class FileToNull(Stream):
    kind = "file-null"
    what = "file → {} → /dev/null"
    feed, sink = FROM_FILE, TO_FILE
    tcp_ways = (("sendfile", "drop"), ("sendfile", "through"),
                ("through", "drop"))
    unix_ways = ("sendfile", "through"), ("through", "through")

    def __init__(self, place, size, unix):
        super().__init__(place, size, unix)
        self.names["target"] = os.devnull
        self.checked_target = place.path("target")
        if not unix:
            listen, connect = IPERF
            self.contenders.append(
                Contender(YARDSTICK, receive=listen, send=connect))

    def complete(self, contender, check):
        """Looked at in the first round: there it goes to a file."""
        written = "{target}" in contender.commands["receive"]
        return not (check and written) or same(self.source,
                                               self.checked_target)

    def measure(self, contender, ends, check):
        # Nothing can be dropped into a file.
        dropping = "drop" in contender.name
        return super().measure(contender, ends, check and not dropping)

    def reset(self):
        self.place.remove("target")


class PipeToPipe(Stream):
    a_gib = 1.1
    kind = "pipe-pipe"
    what = "pipe → {} → pipe"
    feed, sink = FILL, DRAIN
    tcp_ways = ("splice", "splice"), ("copy", "copy")
    unix_ways = (("splice", "splice"),)

    def prepare(self):
        self.source = None


class FileToFile(Stream):
    a_gib = 1.2
    kind = "file-file"
    what = "file → {} → file"
    feed, sink = FROM_FILE, TO_FILE
    tcp_ways = (("sendfile", "through"), ("through", "through"),
                ("copy", "copy"))
    unix_ways = (("sendfile", "through"),)

    def prepare(self):
        super().prepare()
        self.place.need(self.bytes)

    def reset(self):
        self.place.remove("target")

    def complete(self, contender, check):
        if check:
            return same(self.source, self.names["target"])
        return os.path.getsize(self.names["target"]) == self.bytes


class BothWays(Transfer):
    """Both ends send a file and take the other's, at the same time."""

    a_gib = 2.0
    name = "tcp-both"
    baseline = "socat"          # nc.openbsd -N sometimes loses the end

    def __init__(self, place, size):
        self.bytes = size
        self.title = f"{human(size)} each way at once: file → TCP → pipe"
        super().__init__(place)
        self.amount *= 2
        self.cpu_amount *= 2
        end = f"{FROM_FILE} | {{load}} drain {{bytes}}"
        listen = HAUL_LISTEN.replace(" -d", "") + "127.0.0.1 0"
        self.contenders = in_modes(
            receive=end.replace("@", listen),
            send=end.replace("@", HAUL_CONNECT + "127.0.0.1 {port}"))
        self.contenders += streams(BOTH, end, end)
        talk = "talk sendfile splice "
        self.contenders.append(floor("", end, end, talk + "listen {address}",
                                     talk + "connect {address}"))

    def prepare(self):
        self.source = self.place.file(self.bytes)
        self.place.warm(self.source)


class Verified(FileToNull):
    """With the receiver's word that all is there and is what was sent."""

    kind = "verified-null"
    what = "a file, verified (plain: --raw, nc), over {} to /dev/null"
    receive, operand = TO_FILE, "{source}"

    def __init__(self, place, size):
        super().__init__(place, size, False)
        self.name = self.kind
        others = [c for c in self.contenders
                  if kind(c.name) in ("peer", "floor")]
        self.contenders = in_modes(
            receive=self.receive.replace("@", HAUL_RECEIVE),
            send=f"{HAUL_SEND} {self.operand}")
        self.contenders += self.compared() + others

    def compared(self):
        """What haul does as well: the same without the verification."""
        plain = in_modes(
            receive=TO_FILE.replace("@", HAUL_RECEIVE + " --raw"),
            send=f"{HAUL_SEND} --raw {{source}}")
        for contender in plain:
            contender.name = contender.name.replace("haul ", "haul --raw ")
        return plain


class VerifiedFile(Verified):
    a_gib = 1.2
    kind = "verified-file"
    what = "a file, verified (plain: --raw, nc), over {} to a file"
    receive = "@ -o {target}"
    tcp_ways = FileToFile.tcp_ways

    def __init__(self, place, size):
        super().__init__(place, size)
        self.names["target"] = self.checked_target

    def prepare(self):
        super().prepare()
        self.place.need(self.bytes)

    def complete(self, contender, check):
        if check:
            return same(self.source, self.checked_target)
        return os.path.getsize(self.checked_target) == self.bytes


class SmallFiles(Transfer):
    name = "small-files"
    baseline = "tar | nc.openbsd | tar"
    a_gib = 30                  # files are slower than their bytes
    unit = "files/s"
    cpu_unit = "CPU µs/file"

    def __init__(self, place, files, size):
        self.bytes = files * size
        self.title = f"{files:,} files of {human(size)} over TCP to a folder"
        super().__init__(place)
        self.files, self.size = files, size
        self.amount = files
        self.cpu_amount = files / 1e6
        self.contenders = in_modes(receive=HAUL_RECEIVE + " -D {target}",
                                   send=HAUL_SEND + " {source}/.")
        self.contenders += [tar(name) for name in ("nc.openbsd", "socat-256k")]

    def rounds(self, wanted):
        return 2 * wanted       # they are short

    def prepare(self):
        self.source = self.place.tree(self.files, self.size)

    def reset(self):
        self.place.remove("target")
        os.mkdir(self.names["target"])

    def complete(self, contender, check):
        came = contents(self.names["target"], check)
        return came == contents(self.source, check)


class Memory(Verified):
    """What this is run for is memory.

    Of a sparse file haul sends hardly anything, so that it also gets the file
    on standard input, as a stream.
    """

    warm = False
    wire = False
    what = "a sparse file over {} to /dev/null, for its memory"

    def __init__(self, place, size):
        super().__init__(place, size)
        self.wire = False
        self.name = f"memory-{human(size).replace(' ', '')}"
        self.contenders = [
            c for c in self.contenders
            if kind(c.name) != "peer" or c.name == self.baseline]

    def compared(self):
        stream = in_modes(receive=TO_FILE.replace("@", HAUL_RECEIVE),
                          send=f"{HAUL_SEND} < {{source}}")
        for contender in stream:
            contender.name += " stdin"
        return stream

    def rounds(self, wanted):
        return min(wanted, 2)

    def prepare(self):
        self.source = self.place.sparse_file(self.bytes)


def same(one, other):
    filecmp.clear_cache()
    return filecmp.cmp(one, other, shallow=False)


def contents(top, check):
    """What is in a tree: the size of each file by its name, or its bytes."""
    found = {}
    for folder, _, files in os.walk(top):
        for name in files:
            path = os.path.join(folder, name)
            key = os.path.relpath(path, top)
            if check:
                with open(path, "rb") as f:
                    found[key] = f.read()
            else:
                found[key] = os.path.getsize(path)
    return found


def cases(place, size, quick):
    made = []
    for unix in False, True:
        made += [FileToNull(place, size, unix), PipeToPipe(place, size, unix),
                 FileToFile(place, size, unix)]
    made += [
        BothWays(place, size // 2),
        Verified(place, size),
        VerifiedFile(place, size),
        SmallFiles(place, 2000 if quick else 10000, KIB),
        Memory(place, 16 * MIB),
    ]
    return made if quick else made + [Memory(place, 4 * GIB)]
