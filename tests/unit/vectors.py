#!/usr/bin/python3
"""Print the test vectors of the transfer protocol, which wire.vectors holds.

usage: vectors.py >wire.vectors

This is the format that haul-transfer(7) describes, written down a second time,
without any of haul's code; the hashes are those of xxhsum(1).
"""

import functools
import re
import struct
import subprocess

UNKNOWN = 2**64 - 1
LARGEST = 2**63 - 1

TYPES = {
    "BEGIN": 0x01, "OFFER": 0x02, "FROM": 0x03, "DATA": 0x04, "HOLE": 0x05,
    "CLOSE": 0x06, "DROP": 0x07, "END": 0x08, "BYE": 0x09,
    "KEEPALIVE": 0x20, "ABORT": 0x21,
    "GO": 0x41, "TAKE": 0x42, "CHECK": 0x43, "REFUSE": 0x44, "FAILED": 0x45,
    "CONFIRM": 0x46, "VERDICT": 0x47, "HAVE": 0x48,
}
SHAPES = {"stream": 1, "file": 2, "tree": 3}
KINDS = {"file": 1, "stream": 2, "directory": 3, "link": 4}
PERMISSIONS = {"file": 0o644, "stream": 0o600, "directory": 0o755,
               "link": 0o777}

HEAD = """\
# Test vectors of the transfer protocol that haul-transfer(7) describes, printed
# by vectors.py. A vector is a line that begins with who sends it (S: the
# sender, R: the receiver), followed by what it is, and its bytes in hexadecimal
# digits on the indented lines below. TOKEN*N is a token N times, "TEXT"*N a
# text N times; \\xHH is a byte that is not printable.
#
# "hash" gives the hashes of a content. "refused" is a frame or a preamble that
# is no such thing from that side; its checks are right unless it says otherwise.
# A "conversation" is a whole connection, in one of the orders in which its
# frames can come; "there" is what the receiver has of an entry before.
"""


# --- values -------------------------------------------------------------------

@functools.lru_cache(None)
def xxh(kind, data):
    out = subprocess.run(["xxhsum", kind], input=data, check=True,
                         capture_output=True).stdout.decode()
    return bytes.fromhex(re.search(r"\b[0-9a-f]{16,32}\b", out).group())


def digest(data):
    return xxh("-H2", data)


def check(data):
    return xxh("-H3", data)


def short_check(data):
    return check(data)[4:]


class Repeated:
    """Some bytes, many times: written shorter."""

    def __init__(self, unit, times, tail=b""):
        self.unit, self.times, self.tail = unit, times, tail
        self.data = unit * times + tail

    def text(self):
        tail = quoted(self.tail) if self.tail else ""
        return "%s*%d%s" % (quoted(self.unit), self.times, tail)

    def tokens(self):
        tail = [self.tail.hex()] if self.tail else []
        return ["%s*%d" % (self.unit.hex(), self.times)] + tail


def quoted(data):
    return '"%s"' % "".join(
        chr(c) if 32 <= c < 127 and c not in b'"\\' else "\\x%02x" % c
        for c in data)


def data_of(value):
    if isinstance(value, Repeated):
        return value.data
    return value.encode() if isinstance(value, str) else value


def text_of(value):
    if isinstance(value, Repeated):
        return value.text()
    return quoted(data_of(value))


def tokens_of(value):
    if isinstance(value, Repeated):
        return value.tokens()
    data = data_of(value)
    if len(data) > 32 and len(set(data)) == 1:
        return ["%02x*%d" % (data[0], len(data))]
    return [data.hex()] if data else []


def number(value):
    return "unknown" if value == UNKNOWN else str(value)


# --- frames -------------------------------------------------------------------

class Payload:
    """The bytes of a payload, and the tokens to print them with."""

    def __init__(self):
        self.data, self.tokens = b"", []

    def add(self, *fields):
        for field in fields:
            self.data += data_of(field)
            self.tokens += tokens_of(field)
        return self


def u8(value):
    return struct.pack(">B", value)


def u16(value):
    return struct.pack(">H", value)


def u32(value):
    return struct.pack(">I", value)


def u64(value):
    return struct.pack(">Q", value)


def header(code, length, payload_check, reserved=b"\0\0\0"):
    first = u8(code) + reserved + u32(length) + payload_check
    return [first[:4], first[4:8], first[8:], short_check(first)]


def check_of_payload(code, payload):
    """The content of files has no check but the digest in CLOSE."""
    return bytes(4) if code == TYPES["DATA"] else short_check(payload)


def preamble(side, version=1, silence_ms=60000, reserved=0):
    first = b"\x89haul" + side.encode() + b"\r\n" + u16(version) + \
        u16(reserved) + u32(silence_ms)
    return [first[:8], first[8:10], first[10:12], first[12:], check(first)]


def folded(tokens):
    """The tokens in pieces of at most 64 digits."""
    for token in tokens:
        token = token.hex() if isinstance(token, bytes) else token
        while len(token) > 64 and "*" not in token:
            yield token[:64]
            token = token[64:]
        yield token


def show(line, *rows):
    """Print a vector: the line, and rows of tokens."""
    print(line)
    for row in rows:
        text = ""
        for token in folded(row):
            if text and len(text) + len(token) > 69:
                print("\t" + text)
                text = ""
            text += (" " if text else "") + token
        if text:
            print("\t" + text)


def put(side, what, fields, payload):
    code = TYPES[what]
    line = "%s %s %s" % (side, what, fields)
    show(line.rstrip(), header(code, len(payload.data),
                               check_of_payload(code, payload.data)),
         payload.tokens)


# Each prints a frame; the side is the one that sends it.

def put_preamble(side, version=1, silence_ms=60000):
    show("%s PREAMBLE version=%d silence_ms=%d" % (side, version, silence_ms),
         preamble(side, version, silence_ms))


def put_empty(side, what):
    put(side, what, "", Payload())


def put_number(side, what, value):
    put(side, what, "number=%d" % value, Payload().add(u64(value)))


def put_begin(shape, entries=UNKNOWN, size=UNKNOWN):
    put("S", "BEGIN", "shape=%s entries=%s bytes=%s" %
        (shape, number(entries), number(size)),
        Payload().add(u8(SHAPES[shape]), u64(entries), u64(size)))


def offer_payload(kind, mode, mtime_s, mtime_ns, size, stored, name, target):
    return Payload().add(
        u8(kind), u8(0), u16(mode), u32(mtime_ns), struct.pack(">q", mtime_s),
        u64(size), u64(stored), u16(len(data_of(name))),
        u16(len(data_of(target))), name, target)


def put_offer(kind, name, size=0, stored=None, mode=None,
              mtime=(1700000000, 123456789), target=""):
    mode = PERMISSIONS[kind] if mode is None else mode
    stored = size if stored is None else stored
    payload = offer_payload(KINDS[kind], mode, *mtime, size, stored, name,
                            target)
    fields = "kind=%s mode=%04o mtime_s=%d mtime_ns=%d size=%s stored=%s" % (
        (kind, mode) + mtime + (number(size), number(stored)))
    put("S", "OFFER", "%s name=%s target=%s" %
        (fields, text_of(name), text_of(target)), payload)
    return digest(payload.data)


def put_data(content):
    put("S", "DATA", "content=" + text_of(content), Payload().add(content))


def put_close(size, content_digest):
    put("S", "CLOSE", "size=%d digest=%s" % (size, content_digest.hex()),
        Payload().add(u64(size), content_digest))


def put_end(entries, size, failed, missing, total):
    put("S", "END", "entries=%d bytes=%d failed=%d missing=%d digest=%s" %
        (entries, size, failed, missing, total.hex()),
        Payload().add(u64(entries), u64(size), u64(failed), u64(missing),
                      total))


def put_check(content_digest):
    put("R", "CHECK", "digest=" + content_digest.hex(),
        Payload().add(content_digest))


def put_confirm(entries, size):
    put("R", "CONFIRM", "entries=%d bytes=%d" % (entries, size),
        Payload().add(u64(entries), u64(size)))


def put_verdict(entries, failed, total):
    put("R", "VERDICT", "entries=%d failed=%d digest=%s" %
        (entries, failed, total.hex()),
        Payload().add(u64(entries), u64(failed), total))


def put_reason(side, what, code, text, entry=None):
    payload, fields = Payload(), ""
    if what == "FAILED":
        payload.add(u64(entry))
        fields = "entry=%d " % entry
    put(side, what, "%scode=%d text=%s" % (fields, code, text_of(text)),
        payload.add(u8(code), text))


# --- single vectors -----------------------------------------------------------

def hashes():
    print("\n# --- hashes\n")
    for content in "", "a", "abc", "hello, world\n":
        put_hash(content)
    for size in 4, 8, 9, 16, 17, 128, 129, 240, 241, 512, 1024, 1025, 65537:
        put_hash(Repeated(b"haul", size // 4, b"haul"[:size % 4]))
    for size in 1, 64, 65536, 200000:
        put_hash(Repeated(b"\0", size))


def put_hash(content):
    data = data_of(content)
    print("hash content=%s xxh3_128=%s xxh3_64=%s" %
          (text_of(content), digest(data).hex(), check(data).hex()))


def preambles():
    print("\n# --- preambles\n")
    for side in "R", "S":
        put_preamble(side)
        put_preamble(side, silence_ms=0)
        put_preamble(side, silence_ms=2**32 - 1)
        put_preamble(side, version=2)
        put_preamble(side, version=65535, silence_ms=1)


def sender_frames():
    print("\n# --- frames of the sender\n")
    name = Repeated(b"nnn/", 1023, b"nnn")
    target = Repeated(b"../", 1364, b"...")
    put_begin("stream", 1)
    put_begin("file", 1, 13)
    put_begin("tree", 10000, 10240000)
    put_begin("tree")
    put_begin("tree", LARGEST, LARGEST)
    put_begin("tree", 0, 0)
    put_offer("file", "notes.txt", 13)
    put_offer("file", "empty", 0, mode=0)
    put_offer("file", "photos/sea.jpg", 70000, mode=0o600, mtime=(0, 0))
    put_offer("file", "sparse.img", 5 * 2**30, stored=4096)
    put_offer("file", Repeated(b"n", 255), LARGEST, mode=0o7777,
              mtime=(LARGEST, 999999999))
    put_offer("file", "old", 1, mtime=(-1, 1))
    put_offer("file", "older", 1, mtime=(-2**63, 0))
    put_offer("file", b"caf\xc3\xa9/\xff\xfe\n\x1b[31m\xe2\x80\xae", 1)
    put_offer("file", name, 1)
    put_offer("stream", "", UNKNOWN)
    put_offer("stream", "pipe", UNKNOWN)
    put_offer("directory", "photos")
    put_offer("directory", name)
    put_offer("link", "photos/latest", target="sea.jpg")
    put_offer("link", "l", target=b"../\xff")
    put_offer("link", name, target=target)
    for value in 0, 1, 13, 2**32, LARGEST:
        put_number("S", "FROM", value)
    put_data("hello, world\n")
    put_data("\0")
    put_data(Repeated(b"haul", 262144))
    for value in 1, 4096, 64 * 2**20:
        put_number("S", "HOLE", value)
    put_close(13, digest(b"hello, world\n"))
    put_close(0, digest(b""))
    put_close(LARGEST, b"\xff" * 16)
    put_reason("S", "DROP", 1, "input/output error")
    put_reason("S", "DROP", 9, "")
    put_reason("S", "DROP", 1, Repeated(b"why ", 256))
    put_end(1, 13, 0, 0, digest(b"total"))
    put_end(0, 0, 0, 0, bytes(16))
    put_end(LARGEST, LARGEST, LARGEST, LARGEST, b"\xff" * 16)
    put_empty("S", "BYE")
    put_empty("S", "KEEPALIVE")
    put_reason("S", "ABORT", 6, "time limit")
    put_reason("S", "ABORT", 1, "")


def receiver_frames():
    print("\n# --- frames of the receiver\n")
    put_empty("R", "GO")
    for value in 0, 1, 13, 2**32, LARGEST:
        put_number("R", "TAKE", value)
    for value in 1, 13, LARGEST:
        put_number("R", "HAVE", value)
    put_check(digest(b"hello, "))
    put_check(bytes(16))
    put_reason("R", "REFUSE", 1, "exists; use --force to replace it")
    put_reason("R", "REFUSE", 9, b"\xff\0\n")
    put_reason("R", "REFUSE", 9, "")
    put_reason("R", "FAILED", 9, "not what was sent", entry=0)
    put_reason("R", "FAILED", 1, "", entry=LARGEST)
    put_reason("R", "FAILED", 1, Repeated(b"why ", 256), entry=9999)
    put_confirm(0, 0)
    put_confirm(3, 1048576)
    put_confirm(LARGEST, LARGEST)
    put_verdict(1, 0, digest(b"total"))
    put_verdict(0, 0, bytes(16))
    put_verdict(LARGEST, LARGEST, b"\xff" * 16)
    put_empty("R", "KEEPALIVE")
    put_reason("R", "ABORT", 1, "no space left on device")
    put_reason("R", "ABORT", 9, Repeated(b"why ", 256))


# --- what is refused ----------------------------------------------------------

def refuse(side, why, code, payload, length=None, reserved=b"\0\0\0",
           payload_check=None):
    length = len(payload) if length is None else length
    if payload_check is None:
        payload_check = check_of_payload(code, payload)
    show("%s refused why=%s" % (side, quoted(why.encode())),
         header(code, length, payload_check, reserved), tokens_of(payload))


def refuse_above(side, what, before=b"", after=b"", values=(2**63, UNKNOWN)):
    for value in values:
        refuse(side, "%s above the limit" % what, TYPES[what],
               before + u64(value) + after)


def refuse_offer(why, kind=1, mode=0o644, mtime_s=0, mtime_ns=0, size=0,
                 stored=0, name="a", target=""):
    payload = offer_payload(kind, mode, mtime_s, mtime_ns, size, stored, name,
                            target).data
    refuse("S", why, TYPES["OFFER"], payload)


def refusals():
    print("\n# --- refused\n")
    show('R refused why="a reserved byte of a preamble"',
         preamble("R", reserved=1))
    show('S refused why="a reserved byte of a preamble"',
         preamble("S", reserved=256))
    for side in "SR":
        for code in 0x00, 0x0a, 0x22, 0x40, 0x49, 0x80, 0xff:
            refuse(side, "unknown type 0x%02x" % code, code, b"")
        for position in range(3):
            reserved = bytes(i == position for i in range(3))
            refuse(side, "reserved byte %d" % (position + 1),
                   TYPES["KEEPALIVE"], b"", reserved=reserved)
    refuse("R", "a frame of the sender", TYPES["BYE"], b"")
    refuse("R", "a frame of the sender", TYPES["FROM"], u64(0))
    refuse("S", "a frame of the receiver", TYPES["GO"], b"")
    refuse("S", "a frame of the receiver", TYPES["TAKE"], u64(0))
    refuse("S", "an empty DATA", TYPES["DATA"], b"")
    refuse("S", "a DATA too long", TYPES["DATA"], b"", length=2**20 + 1)
    refuse("S", "a KEEPALIVE too long", TYPES["KEEPALIVE"], b"\0")
    refuse("S", "no shape", TYPES["BEGIN"], u8(0) + u64(1) + u64(1))
    refuse("S", "unknown shape", TYPES["BEGIN"], u8(4) + u64(1) + u64(1))
    limits()
    refuse("S", "a payload with a wrong check", TYPES["FROM"], u64(1),
           payload_check=short_check(u64(0)))
    refuse("S", "no payload with a wrong check", TYPES["BYE"], b"",
           payload_check=bytes(4))
    refuse("S", "DATA with a check of the payload", TYPES["DATA"], b"a",
           payload_check=short_check(b"a"))
    for side, what in ("S", "DROP"), ("S", "ABORT"), ("R", "ABORT"), \
            ("R", "REFUSE"):
        refuse(side, what + " without a code", TYPES[what], b"")
        refuse(side, what + " with code 0", TYPES[what], b"\0why")
        refuse(side, what + " with code 10", TYPES[what], b"\x0awhy")
        refuse(side, what + " too long", TYPES[what], b"\1" + bytes(1025))
    refuse("R", "FAILED without a code", TYPES["FAILED"], u64(0))
    refuse("R", "FAILED with code 0", TYPES["FAILED"], u64(0) + b"\0why")
    refuse("R", "FAILED too long", TYPES["FAILED"],
           u64(0) + b"\1" + bytes(1025))
    offers()


def limits():
    for shape in 1, 3:
        refuse_above("S", "BEGIN", u8(shape), u64(1), (2**63, UNKNOWN - 1))
        refuse_above("S", "BEGIN", u8(shape) + u64(1), b"",
                     (2**63, UNKNOWN - 1))
    for side, what in ("S", "FROM"), ("S", "HOLE"), ("R", "TAKE"), \
            ("R", "HAVE"):
        refuse_above(side, what)
    refuse_above("S", "CLOSE", b"", bytes(16))
    for i in range(4):
        refuse_above("S", "END", bytes(8 * i), bytes(8 * (3 - i) + 16))
    refuse_above("R", "FAILED", b"", b"\1why")
    refuse_above("R", "CONFIRM", b"", bytes(8))
    refuse_above("R", "CONFIRM", bytes(8))
    refuse_above("R", "VERDICT", b"", bytes(24))
    refuse_above("R", "VERDICT", bytes(8), bytes(16))


def offers():
    refuse_offer("an OFFER of no kind", kind=0)
    refuse_offer("an OFFER of an unknown kind", kind=5)
    refuse_offer("an OFFER with a mode above 07777", mode=0o10000)
    refuse_offer("an OFFER with 1000000000 nanoseconds", mtime_ns=10**9)
    refuse_offer("an OFFER of a file of unknown size", size=UNKNOWN)
    refuse_offer("an OFFER of a file above the limit", size=2**63)
    refuse_offer("an OFFER of a file with more outside of holes", size=1,
                 stored=2)
    refuse_offer("an OFFER of a stream of known size", kind=2, size=1,
                 stored=UNKNOWN)
    refuse_offer("an OFFER of a stream with known holes", kind=2,
                 size=UNKNOWN, stored=0)
    refuse_offer("an OFFER of a directory of unknown size", kind=3,
                 size=UNKNOWN, stored=UNKNOWN)
    refuse_offer("an OFFER of a directory with a size", kind=3, size=1)
    refuse_offer("an OFFER of a directory with bytes", kind=3, stored=1)
    refuse_offer("an OFFER of a link with a size", kind=4, size=1,
                 target="b")
    refuse_offer("an OFFER of a link with bytes", kind=4, stored=1,
                 target="b")
    refuse_offer("an OFFER of a file with a target", target="b")
    refuse_offer("an OFFER of a directory with a target", kind=3, target="b")
    refuse_offer("an OFFER of a link without a target", kind=4)
    refuse_offer("an OFFER with a name too long", name="n" * 4096)
    refuse_offer("an OFFER with a target too long", kind=4, target="t" * 4096)
    good = offer_payload(1, 0o644, 0, 0, 0, 0, "a", "").data
    code = TYPES["OFFER"]
    refuse("S", "an OFFER with a reserved byte", code,
           good[:1] + b"\1" + good[2:])
    refuse("S", "an OFFER cut off in its name", code, good[:-1])
    refuse("S", "an OFFER cut off before its name", code, good[:35])
    refuse("S", "an OFFER that goes on", code, good + b"b")
    refuse("S", "an OFFER that goes on after its target", code,
           offer_payload(4, 0o777, 0, 0, 0, 0, "a", "b").data + b"c")


# --- conversations ------------------------------------------------------------

class Conversation:
    """One connection, with what its end needs: the entries and their sums."""

    def __init__(self, name, shape, entries=UNKNOWN, size=UNKNOWN):
        self.entries, self.total = 0, bytes(16)
        self.bytes = self.failed = self.dropped = 0
        print("\nconversation name=" + quoted(name.encode()))
        put_preamble("R")
        put_preamble("S")
        put_begin(shape, entries, size)
        put_empty("R", "GO")

    def account(self, offer, size=0, content_digest=bytes(16)):
        self.total = digest(self.total + offer + u64(size) + content_digest)
        self.entries += 1
        self.bytes += size

    def whole(self, kind, name, content, **more):
        """An entry of which nothing is there."""
        size = len(content) if kind == "file" else UNKNOWN
        offer = put_offer(kind, name, size, **more)
        put_number("R", "TAKE", 0)
        self.content(content)
        self.close(offer, content)

    def content(self, content):
        """DATA and HOLE, where blocks of 16 zeros count as holes."""
        for part in re.findall(rb"(?:\0{16})+|(?:(?!\0{16})[\0-\xff])+",
                               content):
            if part.startswith(bytes(16)):
                put_number("S", "HOLE", len(part))
            else:
                put_data(part)

    def close(self, offer, content):
        put_close(len(content), digest(content))
        self.account(offer, len(content), digest(content))

    def without_content(self, kind, name, **more):
        offer = put_offer(kind, name, **more)
        put_number("R", "TAKE", 0)
        self.account(offer)

    def resumed(self, name, there, content, agreed):
        offer = put_offer("file", name, len(content))
        print("there content=" + text_of(there))
        put_number("R", "TAKE", len(there))
        put_check(digest(there))
        put_number("S", "FROM", len(there) if agreed else 0)
        self.content(content[len(there):] if agreed else content)
        self.close(offer, content)

    def kept(self, name, there, content):
        """A file that is there and is not replaced."""
        offer = put_offer("file", name, len(content))
        print("there content=" + text_of(there))
        put_number("R", "HAVE", len(there))
        put_check(digest(there))
        if there == content:
            put_number("S", "FROM", len(there))
            self.close(offer, content)
        else:
            put_reason("S", "DROP", 9, "exists and differs")
            self.dropped += 1
            self.account(offer)

    def end(self, missing=0):
        put_confirm(self.entries, self.bytes)
        put_end(self.entries, self.bytes, self.dropped, missing, self.total)
        put_verdict(self.entries, self.failed, self.total)
        put_empty("S", "BYE")


def conversations():
    print("\n# --- conversations")
    c = Conversation("one file", "file", 1, 13)
    c.whole("file", "notes.txt", b"hello, world\n")
    c.end()

    c = Conversation("a stream", "stream", 1)
    c.whole("stream", "", b"hello, world\n")
    c.end()

    c = Conversation("an empty stream", "stream", 1)
    c.whole("stream", "", b"")
    c.end()

    c = Conversation("a tree with a directory and a link", "tree", 5, 91)
    c.without_content("directory", "photos")
    c.whole("file", "photos/empty", b"")
    c.whole("file", "photos/hills.raw", b"hills" + bytes(64) + b"end",
            stored=8)
    c.without_content("link", "photos/latest", target="hills.raw")
    c.whole("file", "photos/sea.raw", b"a picture of sea\n\0\0", mode=0o755)
    c.end()

    c = Conversation("a file is continued", "file", 1, 13)
    c.resumed("notes.txt", b"hello, ", b"hello, world\n", True)
    c.end()

    c = Conversation("files that are there", "tree", 3, 52)
    c.kept("different", b"ABCDEFGHIJKLMNOPQRSTUVWXYZ",
           b"abcdefghijklmnopqrstuvwxyz")
    c.whole("file", "empty", b"")
    c.kept("equal", b"abcdefghijklmnopqrstuvwxyz",
           b"abcdefghijklmnopqrstuvwxyz")
    c.end()

    c = Conversation("a file that has changed starts over", "file", 1, 26)
    c.resumed("disk.img", b"ABCDEFGHIJKLM", b"abcdefghijklmnopqrstuvwxyz",
              False)
    c.end()

    c = Conversation("some of the files do not arrive", "tree")
    offer = put_offer("file", "a", 5)
    put_reason("R", "REFUSE", 1, "exists; use --force to replace it")
    c.account(offer)
    offer = put_offer("file", "b", 5)
    put_number("R", "TAKE", 0)
    put_data("bb")
    put_reason("S", "DROP", 1, "input/output error")
    c.account(offer)
    c.whole("file", "c", b"ccccc")
    put_reason("R", "FAILED", 1, "permission denied", entry=2)
    c.whole("file", "d", b"ddddd")
    c.failed, c.dropped = 2, 1
    c.end(missing=1)

    c = Conversation("the receiver gives up", "file", 1, 26)
    put_offer("file", "disk.img", 26)
    put_number("R", "TAKE", 0)
    put_data("abcdefghijklm")
    put_reason("R", "ABORT", 1, "no space left on device")


def main():
    print(HEAD, end="")
    hashes()
    preambles()
    sender_frames()
    receiver_frames()
    refusals()
    conversations()


main()
