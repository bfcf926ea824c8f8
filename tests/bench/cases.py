"""What is measured: the contenders, what they move, and how one run goes."""

import contextlib
import filecmp
import os
import shutil

import proc

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
MODES = "--blocking", "--nonblocking"

# Peers that move standard input to standard output, TCP being between them:
# the end that listens, and the end that connects.
PEERS = {
    "nc.openbsd": ("nc.openbsd -l 127.0.0.1 {port}",
                   "nc.openbsd -N 127.0.0.1 {port}"),
    "nc.traditional": ("nc.traditional -l -s 127.0.0.1 -p {port}",
                       "nc.traditional -q 0 127.0.0.1 {port}"),
    "ncat": ("ncat --recv-only -l 127.0.0.1 {port}",
             "ncat --send-only 127.0.0.1 {port}"),
    "socat": ("socat -u TCP-LISTEN:{port},bind=127.0.0.1 STDOUT",
              "socat -u STDIN TCP:127.0.0.1:{port}"),
    "socat-256k":
        ("socat -b 262144 -u TCP-LISTEN:{port},bind=127.0.0.1 STDOUT",
         "socat -b 262144 -u STDIN TCP:127.0.0.1:{port}"),
}


class Contender:
    """A name and the commands of both ends.

    The commands of an end are words, with {names} in them, and " | ", " < "
    and " > " as in a shell. One with {port_file} chooses its port itself.
    """

    def __init__(self, name, receive, send):
        self.name = name
        self.receive = receive
        self.send = send

    def missing(self):
        """The programs that are not installed."""
        commands = f"{self.receive} | {self.send}".split(" | ")
        programs = {command.split()[0] for command in commands}
        programs.discard("{haul}")
        return sorted(p for p in programs if shutil.which(p) is None)


def haul(mode, raw="", receive="", source="{source}"):
    words = f"{raw} {mode}".strip()
    return Contender(
        f"haul {words}" + (" stdin" if "<" in source else ""),
        f"{{haul}} receive -q {words} --port-file {{port_file}} 127.0.0.1 0"
        f" {receive}",
        f"{{haul}} send -q {words} 127.0.0.1 {{port}} {source}")


def peer(name):
    listen, connect = PEERS[name]
    return Contender(name, listen + " > {target}", connect + " < {source}")


def tar_peer(name):
    listen, connect = PEERS[name]
    return Contender(f"tar | {name} | tar",
                     listen + " | tar -C {target} -xf -",
                     "tar -C {source} -cf - . | " + connect)


def pipeline(text, names, log):
    """The proc.Pipeline of the commands of one end."""
    ends = {"<": os.devnull, ">": os.devnull}
    commands = [[]]
    words = iter(text.split())
    for word in words:
        if word == "|":
            commands.append([])
        elif word in ends:
            ends[word] = next(words).format(**names)
        else:
            commands[-1].append(word.format(**names))
    return proc.Pipeline(commands, log, ends["<"], ends[">"])


class Place:
    """The folder that all files are in, and the program under test."""

    def __init__(self, folder, program):
        self.folder = folder
        self.haul = program

    def path(self, name):
        return os.path.join(self.folder, name)

    def need(self, size):
        free = shutil.disk_usage(self.folder).free
        if size > free:
            raise proc.Failure(f"no room for {size} bytes in {self.folder}")

    def file(self, size):
        """A file of random bytes."""
        path = self.path(f"file-{size}")
        if not os.path.exists(path):
            self.need(size)
            some = os.urandom(min(size, 16 * MIB))
            with open(path, "wb") as f:
                for begin in range(0, size, len(some)):
                    f.write(some[:size - begin])
        return path

    def sparse_file(self, size):
        path = self.path(f"sparse-{size}")
        with open(path, "wb") as f:
            f.truncate(size)
        return path

    def tree(self, files, size):
        """A folder of folders of a hundred files of random bytes each."""
        path = self.path(f"tree-{files}-{size}")
        if not os.path.exists(path):
            for n in range(files):
                folder = os.path.join(path, f"{n // 100:03}")
                os.makedirs(folder, exist_ok=True)
                with open(os.path.join(folder, f"{n:05}"), "wb") as f:
                    f.write(os.urandom(size))
        return path

    def remove(self, name):
        path = self.path(name)
        if os.path.isdir(path):
            shutil.rmtree(path)
        else:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)

    def text(self, name):
        """What is in a file, for a message."""
        with contextlib.suppress(FileNotFoundError):
            with open(self.path(name), errors="replace") as f:
                return f.read()
        return ""


class Sample:
    """One run: the seconds, and what each end has used."""

    def __init__(self, seconds, send, receive):
        self.seconds = seconds
        self.send = send
        self.receive = receive


class Transfer:
    """Something goes from a sender to a receiver.

    Of a case, the rest of the benchmark wants to know:
    name, title
    contenders; baseline: the name of the one that others are compared with
    rounds(wanted); warm: a first round is run that does not count
    amount, unit: what the rate is told of
    cpu_amount, cpu_unit: what CPU time is told of
    prepare(): make what is needed before the first round
    run(contender, check): one run, a Sample; check: also look at what came
    cleanup(): remove what is not needed by other cases
    """

    baseline = "nc.openbsd"
    warm = True
    unit = "MiB/s"
    cpu_unit = "CPU s/GiB"
    limit = 120                 # seconds for one run
    target = os.devnull

    def __init__(self, place):
        self.place = place
        self.amount = self.bytes / MIB
        self.cpu_amount = self.bytes / GIB

    def rounds(self, wanted):
        return wanted

    def cleanup(self):
        self.place.remove("target")

    def reset(self):
        """Make the target as each run is to find it."""

    def complete(self):
        """Whether the target is what was sent."""
        return True

    def run(self, contender, check=False):
        self.reset()
        for name in "port", "receive.log", "send.log":
            self.place.remove(name)
        try:
            with proc.time_limit(self.limit), contextlib.ExitStack() as ends:
                sample = self.run_ends(contender, ends)
        except proc.Failure as e:
            said = self.place.text("receive.log") + self.place.text("send.log")
            raise proc.Failure(f"{e}\n{said}".strip()) from None
        try:
            if check and not self.complete():
                raise proc.Failure("what arrived is not what was sent")
        except OSError as e:
            raise proc.Failure(f"what arrived cannot be read: {e}") from None
        return sample

    def run_ends(self, contender, ends):
        names = {"haul": self.place.haul, "source": self.source,
                 "target": self.target, "port": proc.free_port(),
                 "port_file": self.place.path("port")}
        receive = pipeline(contender.receive, names,
                           self.place.path("receive.log"))
        ends.callback(receive.kill)
        receive.go()
        if "{port_file}" in contender.receive:
            names["port"] = receive.until(
                lambda: proc.port_in(names["port_file"]))
        else:
            receive.until(lambda: proc.port_listens(names["port"]))
        send = pipeline(contender.send, names, self.place.path("send.log"))
        ends.callback(send.kill)
        with proc.Stopwatch() as watch:
            send.go()
            send.wait()
            receive.wait()
        return Sample(watch.seconds, send.usage, receive.usage)


class FileToNull(Transfer):
    name = "file-null"
    title = "a file of {} over TCP to /dev/null"

    def __init__(self, place, size, peers):
        self.bytes = size
        self.title = self.title.format(human(size))
        self.contenders = [haul(m, receive="> {target}") for m in MODES]
        self.contenders += [haul(m, "--raw", "> {target}") for m in MODES]
        self.contenders += [peer(p) for p in peers]
        super().__init__(place)

    def prepare(self):
        self.source = self.place.file(self.bytes)


class FileToFile(FileToNull):
    name = "file-file"
    title = "a file of {} over TCP to a file"

    def __init__(self, place, size, peers):
        super().__init__(place, size, peers)
        self.contenders[:len(MODES)] = [haul(m, receive="-o {target}")
                                        for m in MODES]
        self.target = place.path("target")

    def prepare(self):
        super().prepare()
        self.place.need(self.bytes)

    def reset(self):
        self.place.remove("target")

    def complete(self):
        filecmp.clear_cache()
        return filecmp.cmp(self.source, self.target, shallow=False)


class SmallFiles(Transfer):
    name = "small-files"
    baseline = "tar | nc.openbsd | tar"
    unit = "files/s"
    cpu_unit = "CPU µs/file"

    def __init__(self, place, files, size, peers):
        self.bytes = files * size
        self.files, self.size = files, size
        self.title = f"{files:,} files of {human(size)} over TCP to a folder"
        self.contenders = [haul(m, "", "-D {target}", "{source}/.")
                           for m in MODES]
        self.contenders += [tar_peer(p) for p in peers]
        self.target = place.path("target")
        super().__init__(place)
        self.amount = files
        self.cpu_amount = files / 1e6

    def rounds(self, wanted):
        return 2 * wanted       # they are short

    def prepare(self):
        self.source = self.place.tree(self.files, self.size)

    def reset(self):
        self.place.remove("target")
        os.mkdir(self.target)

    def complete(self):
        return contents(self.source) == contents(self.target)


class Memory(FileToNull):
    """What this is run for is memory.

    Of a sparse file haul sends hardly anything, so that it also gets the file
    on standard input, as a stream.
    """

    warm = False
    title = "a sparse file of {} over TCP to /dev/null, for its memory"

    def __init__(self, place, size, peers):
        super().__init__(place, size, peers)
        self.contenders[len(MODES):2 * len(MODES)] = [
            haul(m, receive="> {target}", source="< {source}") for m in MODES]
        self.name = f"memory-{human(size).replace(' ', '')}"

    def rounds(self, wanted):
        return min(wanted, 2)

    def prepare(self):
        self.source = self.place.sparse_file(self.bytes)


def contents(top):
    """What is in a tree: the bytes of each file by its name."""
    found = {}
    for folder, _, files in os.walk(top):
        for name in files:
            path = os.path.join(folder, name)
            with open(path, "rb") as f:
                found[os.path.relpath(path, top)] = f.read()
    return found


def human(size):
    for unit, name in (GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB"):
        if size >= unit:
            return f"{size / unit:.4g} {name}"
    return f"{size} bytes"


def all_cases(place, size, peers):
    return [
        FileToNull(place, size, peers),
        FileToFile(place, size, peers),
        SmallFiles(place, 10000, KIB, peers),
        Memory(place, 16 * MIB, peers),
        Memory(place, 4 * GIB, peers),
    ]
