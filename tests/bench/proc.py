"""Start commands and measure them: seconds, CPU time, peak memory."""

import contextlib
import ctypes
import itertools
import os
import re
import shlex
import signal
import socket
import time

PR_SET_CHILD_SUBREAPER = 36

# The peak memory that wait4() tells begins with that of the process which
# called exec(): started from here, everything would seem as large as Python.
# So a small shell forks the command and goes away, and the command becomes
# our child, this process being a "subreaper". The command does not begin
# before a line comes on descriptor 3, so that the shell takes no part in the
# time that is measured.
STARTER = """
exec 4<&0
{ read -r go <&3 && exec "$@" <&4 3<&- 4<&- 5>&-; } &
echo $! >&5
"""


ASSIGNMENT = re.compile("[A-Z_]+=")


class Failure(Exception):
    """A contender did not do what it was started for."""


def become_subreaper():
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


class Usage:
    """What the processes of one end have used."""

    def __init__(self):
        self.cpu = 0.0      # seconds, user and system
        self.memory = 0     # bytes, the sum of the peaks

    def add(self, rusage):
        self.cpu += rusage.ru_utime + rusage.ru_stime
        self.memory += rusage.ru_maxrss * 1024


class Pipeline:
    """Commands joined by pipes, ready to begin when go() is called."""

    def __init__(self, commands, log, stdin=os.devnull, stdout=os.devnull,
                 helpers=(), status=0):
        """Words like NAME=value in front are for a command's environment.

        What the programs named in helpers use is not counted.
        """
        self.commands = commands
        self.helpers = helpers
        self.status = status
        self.usage = Usage()
        self.pids = {}
        self.gate = -1
        with contextlib.ExitStack() as fds:
            self.prepare(fds, log, stdin, stdout)

    def prepare(self, fds, log, stdin, stdout):
        def keep(fd):
            fds.callback(os.close, fd)
            return fd

        def opened(path, flags):
            return keep(os.open(path, flags, 0o666))

        create = os.O_WRONLY | os.O_CREAT
        err = opened(log, create | os.O_APPEND)
        source = opened(stdin, os.O_RDONLY)
        sink = opened(stdout, create | os.O_TRUNC)
        gate, self.gate = os.pipe()
        keep(gate)
        try:
            for command in self.commands[:-1]:
                reader, writer = map(keep, os.pipe())
                self.start(command, (source, writer, err, gate))
                source = reader
            self.start(self.commands[-1], (source, sink, err, gate))
        except BaseException:
            self.kill()
            raise

    def start(self, words, fds):
        command = list(itertools.dropwhile(ASSIGNMENT.match, words))
        assigned = words[:len(words) - len(command)]
        environment = dict(os.environ)
        environment.update(word.split("=", 1) for word in assigned)
        told, tell = os.pipe()
        actions = [(os.POSIX_SPAWN_DUP2, fd, n) for n, fd in enumerate(fds)]
        actions.append((os.POSIX_SPAWN_DUP2, tell, 5))
        argv = ["sh", "-c", STARTER, "sh", *command]
        starter = os.posix_spawn("/bin/sh", argv, environment,
                                 file_actions=actions,
                                 setsigdef=[signal.SIGPIPE, signal.SIGXFSZ])
        os.close(tell)
        with open(told) as f:
            pid = int(f.readline())
        os.waitpid(starter, 0)
        self.pids[pid] = command

    def go(self):
        os.write(self.gate, b"\n" * len(self.commands))
        self.shut()

    def shut(self):
        if self.gate >= 0:
            os.close(self.gate)
            self.gate = -1

    def running(self):
        """False if a process has ended; it is still to be waited for."""
        flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
        return not any(os.waitid(os.P_PID, pid, flags) for pid in self.pids)

    def until(self, ready):
        """What ready() tells, as soon as it tells something."""
        while not (found := ready()):
            if not self.running():
                self.wait()
                raise Failure("ended before it was ready")
            time.sleep(0.0005)
        return found

    def wait(self):
        """Wait for all; raise Failure if one has not ended as it should."""
        failed = None
        for pid in list(self.pids):
            command, code = self.collect(pid)
            if code != self.status and failed is None:
                how = f"status {code}" if code >= 0 else f"signal {-code}"
                failed = f"{shlex.join(command)}: {how}"
        if failed:
            raise Failure(failed)

    def collect(self, pid):
        _, status, rusage = os.wait4(pid, 0)
        command = self.pids.pop(pid)
        if command[0] not in self.helpers:
            self.usage.add(rusage)
        return command, os.waitstatus_to_exitcode(status)

    def stop(self):
        """End what runs until it is told to end, however it does that."""
        for pid in list(self.pids):
            os.kill(pid, signal.SIGTERM)
            self.collect(pid)

    def kill(self):
        self.shut()
        for pid in list(self.pids):
            with contextlib.suppress(ProcessLookupError, ChildProcessError):
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
            del self.pids[pid]


class Stopwatch:
    """The seconds that a "with" takes."""

    def __enter__(self):
        self.start = time.monotonic()
        return self

    def __exit__(self, *_):
        self.seconds = self.until_now()

    def until_now(self):
        return time.monotonic() - self.start


@contextlib.contextmanager
def time_limit(seconds):
    """Raise Failure in what is running here after so many seconds."""
    def passed(*_):
        raise Failure(f"not done after {seconds} s")

    before = signal.signal(signal.SIGALRM, passed)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def end_strays():
    """End the processes that what we started has left behind."""
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            for stray in children(os.getpid()):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(stray, signal.SIGKILL)
            time.sleep(0.001)


def children(pid):
    found = []
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children") as f:
                found += map(int, f.read().split())
    return found


def family(pid):
    """A process and those that it has started, and so on."""
    found = [pid]
    for one in found:
        found += children(one)
    return found


def memory(pid):
    """The bytes that a process and its family have now, shared ones once."""
    total = 0
    for one in family(pid):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            with open(f"/proc/{one}/smaps_rollup") as f:
                for line in f:
                    if line.startswith("Pss:"):
                        total += int(line.split()[1]) * 1024
    return total


def cpu(pid):
    """The seconds of CPU time of a process and its family until now."""
    ticks = 0
    for one in family(pid):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            with open(f"/proc/{one}/stat") as f:
                fields = f.read().rpartition(")")[2].split()
            ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def sockets(kind, port):
    """The lines of /proc/net about the sockets that are bound to a port."""
    for name in kind, kind + "6":
        with contextlib.suppress(FileNotFoundError):
            with open("/proc/net/" + name) as f:
                for line in f:
                    field = line.split()
                    if field[1].endswith(f":{port:04X}"):
                        yield field


def port_listens(port):
    """Whether somebody listens on this TCP port; nobody is connected to."""
    listen = "0A"
    return any(field[3] == listen for field in sockets("tcp", port))


def port_bound(port):
    """Whether somebody takes datagrams on this UDP port."""
    return any(True for _ in sockets("udp", port))


def port_empty(port):
    """Whether no datagram waits to be read there."""
    return all(field[4].endswith(":00000000")
               for field in sockets("udp", port))


def path_listens(path):
    """Whether somebody listens at this UNIX path."""
    accepting = 0x10000
    with open("/proc/net/unix") as f:
        for line in f:
            field = line.split()
            if field[-1] == path and int(field[3], 16) & accepting:
                return True
    return False


def loopback_bytes():
    """What the loopback interface has carried until now."""
    with open("/proc/net/dev") as f:
        for line in f:
            name, _, numbers = line.partition(":")
            if name.strip() == "lo":
                return int(numbers.split()[0])
    return 0


def said_in(path):
    """The line in the file of --port-file; None while it is not complete."""
    with contextlib.suppress(FileNotFoundError):
        with open(path) as f:
            text = f.read()
        if text.endswith("\n"):
            return text.strip()
    return None


class Elsewhere:
    """How many CPUs other programs kept busy during a "with", about.

    What the kernel does in interrupts counts as theirs as well.
    """

    def __enter__(self):
        self.before = self.read()
        return self

    def __exit__(self, *_):
        now = self.read()
        seconds, busy, ours = (b - a for a, b in zip(self.before, now))
        self.cpus = max(0.0, (busy - ours) / seconds)

    def read(self):
        """The clock, the CPU time of all programs, that of ours."""
        with open("/proc/stat") as f:
            ticks = [int(field) for field in f.readline().split()[1:9]]
        idle, waiting = ticks[3:5]
        busy = (sum(ticks) - idle - waiting) / os.sysconf("SC_CLK_TCK")
        return time.monotonic(), busy, sum(os.times()[:4])
