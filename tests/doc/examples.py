#!/usr/bin/python3
"""Run the examples of manual pages or of the README, all at the same time.

usage: examples.py HAUL FILE...

The examples are the literal displays in the EXAMPLES section of an mdoc page,
and the blocks marked "console" of a Markdown file. In a block

    east$ haul receive 9000 >file
    > ...
    output

"east" is the host (it may be empty) and what follows "$ " a command; "> "
continues it, anything else is its output. Each host is a folder and a shell of
its own. They run at the same time, each host beginning when the one before it
listens. Every command has to succeed, and the output has to be the one shown:
all of it in a Markdown file, or if any is shown in a page. A file that two
hosts have in the end, in whatever folder, is the same file.

Port 9000 stands for a free one, and the hosts of the examples are this one:
see HOSTS and SERVICES. Ports that the system chose, carriage returns, and the
seconds, rates and digests of summaries are not compared.
"""

import concurrent.futures
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

LIMIT = 15      # seconds for one example
PORT = "9000"
HOSTS = ["east.example", "west.example"]
REPLY = b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n"


class Wrong(Exception):
    pass


# --- reading ------------------------------------------------------------------

def blocks_of_page(text):
    examples = re.search(r"^\.Sh EXAMPLES\n(.*?)(?=^\.Sh )", text,
                         re.M | re.S)
    if examples is None:
        raise Wrong("no EXAMPLES section")
    found = re.findall(r"^\.Bd -literal[^\n]*\n(.*?)^\.Ed",
                       examples.group(1), re.M | re.S)
    return [block.replace(r"\e", "\\") for block in found]


def blocks_of_markdown(text):
    return re.findall(r"^```console\n(.*?)^```", text, re.M | re.S)


class Host:
    def __init__(self, name):
        self.name = name
        self.commands = []
        self.output = []


def hosts_of(block):
    """The hosts of a block, in the order in which they appear."""
    hosts = {}
    host = None
    for line in block.splitlines():
        prompt = re.match(r"(\w*)\$ (.*)", line)
        if prompt:
            host = hosts.setdefault(prompt.group(1), Host(prompt.group(1)))
            host.commands.append(prompt.group(2))
        elif host is None:
            raise Wrong("no command before: " + line)
        elif line.startswith("> "):
            host.commands[-1] += "\n" + line[2:]
        else:
            host.output.append(line)
    return list(hosts.values())


# --- what stands at the other end of some examples ----------------------------

def serve_http(listener):
    peer, _ = listener.accept()
    request = b""
    while not request.endswith(b"\r\n\r\n"):
        data = peer.recv(4096)
        if not data:
            break
        request += data
    else:
        peer.sendall(REPLY)
    peer.close()


def serve_echo(sock):
    data, peer = sock.recvfrom(65536)
    sock.sendto(data, peer)


def serve_sink(sock):
    sock.recvfrom(65536)


def copy(source, sink):
    while True:
        data = source.recv(4096)
        if not data:
            break
        sink.sendall(data)
    sink.shutdown(socket.SHUT_WR)


def serve_socks(listener):
    """SOCKS 5 for the user "me" with the password "secret", once."""
    peer, _ = listener.accept()
    stream = peer.makefile("rb")
    stream.read(stream.read(2)[1])
    peer.sendall(b"\x05\x02")
    if stream.read(11) != b"\x01\x02me\x06secret":
        peer.close()
        return
    peer.sendall(b"\x01\x00")
    kind = stream.read(4)[3]
    if kind == 1:
        host = socket.inet_ntoa(stream.read(4))
    else:
        host = stream.read(stream.read(1)[0]).decode()
    target = socket.create_connection(
        (host, int.from_bytes(stream.read(2), "big")))
    peer.sendall(b"\x05\x00\x00\x01" + bytes(6))
    threading.Thread(target=copy, args=(peer, target), daemon=True).start()
    copy(target, peer)


def on(family, kind, where):
    sock = socket.socket(family, kind)
    sock.settimeout(LIMIT)
    sock.bind(where)
    if kind == socket.SOCK_STREAM:
        sock.listen()
    return sock


def tcp(_):
    sock = on(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0))
    return sock, "127.0.0.1 %d" % sock.getsockname()[1]


def tcp_proxy(folder):
    sock, address = tcp(folder)
    return sock, address.replace(" ", ":")


def udp(_):
    sock = on(socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0))
    return sock, "127.0.0.1 %d" % sock.getsockname()[1]


def unix(folder):
    path = os.path.join(folder, "service.sock")
    return on(socket.AF_UNIX, socket.SOCK_STREAM, path), "unix:" + path


# address in the example: (how to open it, how to serve it, what is answered)
SERVICES = {
    "www.example 80": (tcp, serve_http, "200 OK"),
    "unix:/run/service.sock": (unix, serve_http, "200 OK"),
    "www.example 7": (udp, serve_echo, "status"),
    "log.example 514": (udp, serve_sink, ""),
    "gate.example": (tcp_proxy, serve_socks, ""),
}


# --- running ------------------------------------------------------------------

def free_port():
    """A free port below those that the system chooses for clients."""
    while True:
        port = random.randrange(10000, 32000)
        with socket.socket() as sock:
            try:
                sock.bind(("127.0.0.1", port))
            except OSError:
                continue
            return str(port)


def listens(port):
    tail = ":%04X" % int(port)
    for table in "tcp", "tcp6", "udp", "udp6":
        try:
            with open("/proc/net/" + table) as f:
                rows = [line.split() for line in f][1:]
        except OSError:
            continue
        for row in rows:
            if row[1].endswith(tail) and (table[0] == "u" or row[3] == "0A"):
                return True
    return False


def furnish(folder, host):
    """The files that the commands of a host take for granted."""
    if host.name != "east":
        with open(os.path.join(folder, "disk.img"), "wb") as f:
            f.write(os.urandom(300000))
        with open(os.path.join(folder, "notes.txt"), "w") as f:
            f.write("buy milk\n")
        os.mkdir(os.path.join(folder, "photos"))
        for name in "sea.jpg", "hills.jpg":
            with open(os.path.join(folder, "photos", name), "wb") as f:
                f.write(os.urandom(70000))
        with open(os.path.join(folder, "question.http"), "wb") as f:
            f.write(b"GET / HTTP/1.0\r\n\r\n")
    else:
        with open(os.path.join(folder, "answer.http"), "wb") as f:
            f.write(REPLY)


def find(folder, name):
    """Where something of this name is below a folder, or None."""
    for place, folders, files in os.walk(folder):
        if name in folders + files:
            return os.path.join(place, name)
    return None


def waits_for_listener(command):
    """Does it connect, and try again until somebody listens?"""
    connects = r"haul (connect|send|receive\b.* (-c|--connect))\b"
    return "--retry-for" in command and re.search(connects, command)


def plain(text):
    """A text without what is different in each run."""
    for what in (r"(?<=port )\d{5}\b", r"(?<= in )[\d.]+(?= s, )",
                 r"(?<= s, )[\d.]+ \w+(?=/s\b)", r"(?<=xxh3-128 )[0-9a-f]{32}"):
        text = re.sub(what, "#", text)
    return text.replace("\r", "")


class Run:
    """One example."""

    def __init__(self, block, top, haul, strict):
        self.hosts = hosts_of(block)
        self.folder = tempfile.mkdtemp(dir=top)
        self.haul = haul
        self.strict = strict
        self.port = free_port()
        self.answers = []
        self.texts = {PORT: self.port}
        self.texts.update((name, "127.0.0.1") for name in HOSTS)
        for address, (opening, serving, answer) in SERVICES.items():
            if re.search(re.escape(address) + r"\b", block):
                sock, self.texts[address] = opening(self.folder)
                self.answers.append(answer)
                threading.Thread(target=serving, args=(sock,),
                                 daemon=True).start()

    def script(self, host):
        script = "set -o pipefail\n"
        for command in host.commands:
            for old, new in self.texts.items():
                command = re.sub(r"(?<!\w)%s\b" % re.escape(old),
                                 lambda _, new=new: new, command)
            script += command + "\n"
            if not command.endswith("&"):
                script += "s=$?; [ $s = 0 ] || exit $s\n"
        return script

    def start(self, host):
        folder = os.path.join(self.folder, host.name or "here")
        os.mkdir(folder)
        furnish(folder, host)
        tools = os.path.join(self.folder, "bin")
        if not os.path.exists(tools):
            os.mkdir(tools)
            os.symlink(self.haul, os.path.join(tools, "haul"))
        env = dict(os.environ, LC_ALL="C.UTF-8",
                   PATH=tools + ":" + os.environ["PATH"])
        host.process = subprocess.Popen(
            ["bash", "-c", self.script(host)], cwd=folder, env=env,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, start_new_session=True)
        host.folder = folder

    def await_listener(self, host):
        if any(waits_for_listener(command) for command in host.commands):
            return
        end = time.monotonic() + LIMIT
        while not listens(self.port) and host.process.poll() is None:
            if time.monotonic() > end:
                raise Wrong("nobody listens at port " + self.port)
            time.sleep(0.01)

    def finish(self, host):
        try:
            output = host.process.communicate(timeout=LIMIT)[0]
        except subprocess.TimeoutExpired:
            os.killpg(host.process.pid, signal.SIGKILL)
            output = host.process.communicate()[0]
            raise Wrong("does not end; it said:\n%r" % output) from None
        host.said = output.decode(errors="replace")
        if host.process.returncode != 0:
            raise Wrong("status %d; it said:\n%s" % (host.process.returncode,
                                                     host.said))

    def compare_output(self, host):
        said = re.sub(r"\b%s\b" % self.port, PORT, host.said)
        shown = "".join(line + "\n" for line in host.output)
        if (self.strict or shown) and plain(said) != plain(shown):
            raise Wrong("shows:\n%sbut it says:\n%s" % (shown, said))

    def compare_files(self):
        if len(self.hosts) < 2:
            return
        east, west = (host.folder for host in self.hosts)
        for name in set(os.listdir(east)) | set(os.listdir(west)):
            pair = [find(folder, name) for folder in (east, west)]
            if all(pair) and subprocess.call(["diff", "-rq", *pair]) != 0:
                raise Wrong("%s differs" % name)
        script = " ".join(sum((host.commands for host in self.hosts), []))
        for name in "disk.img", "photos":
            if name in script and not all(find(host.folder, name)
                                          for host in self.hosts):
                raise Wrong("%s did not arrive" % name)

    def run(self):
        try:
            for host in self.hosts:
                if host is not self.hosts[0]:
                    self.await_listener(self.hosts[0])
                self.start(host)
            for host in self.hosts:
                self.finish(host)
                self.compare_output(host)
            self.compare_files()
            said = "".join(host.said for host in self.hosts)
            for answer in self.answers:
                if answer not in said:
                    raise Wrong("no %r in what it said:\n%s" % (answer, said))
        finally:
            for host in self.hosts:
                if hasattr(host, "process") and host.process.poll() is None:
                    os.killpg(host.process.pid, signal.SIGKILL)


def examples_of(path):
    with open(path) as f:
        text = f.read()
    strict = path.endswith(".md")
    blocks = blocks_of_markdown(text) if strict else blocks_of_page(text)
    if not blocks:
        raise Wrong("no examples in " + path)
    return [(path, block, strict) for block in blocks]


def main():
    haul = os.path.abspath(sys.argv[1])
    examples = sum((examples_of(path) for path in sys.argv[2:]), [])
    top = tempfile.mkdtemp()
    wrong = 0
    try:
        with concurrent.futures.ThreadPoolExecutor(len(examples)) as pool:
            runs = [pool.submit(Run(block, top, haul, strict).run)
                    for _, block, strict in examples]
            for (path, block, _), run in zip(examples, runs):
                error = run.exception()
                if error is not None:
                    wrong += 1
                    print("%s:\n%s%s: %s\n" % (path, block,
                                               type(error).__name__, error))
    finally:
        shutil.rmtree(top)
    sys.exit(wrong != 0)


main()
