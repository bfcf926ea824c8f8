#!/usr/bin/python3 -IS
"""Run a command on descriptors that belong to somebody else, and watch them.

usage: guest.py [OPTION VALUE]... -- COMMAND...

kind K        what descriptors 0, 1 and 2 are: pipe (unless said), file,
              socket, inetd (a socket, the same for 0 and 1), tty (raw)
after MS      stdin gives nothing for so long
await FILE    stdin gives nothing before this file is there
in FILE       what stdin gives; its end of file follows
type TEXT     stdin stays open behind this text (\\n, \\x04 and so on)
out FILE      where what comes from stdout is kept
ended FILE    this file appears at the end of file of stdout
nonblock FDS  these descriptors ("0", "01") are O_NONBLOCK from the start
full BYTES    stdout's pipe holds so many bytes "F" from the start
stall FILE    stdout is not read before this file is there
idle MS       so long after the start (stall: with the stall still on), measure
              the CPU time of the last second
once FILE     wait for this file
kill MS       then kill the command by SIGKILL

On stdout: "exit N" or "signal N", "flags kept" or what became of them,
"terminal kept" or not (tty), "cpu MS" (idle). What the command wrote to stderr
is passed on.
"""
import fcntl
import os
import pty
import select
import signal
import socket
import subprocess
import sys
import termios
import threading
import time
import tty


def flags(fd):
    return fcntl.fcntl(fd, fcntl.F_GETFL)


def cpu_ms(pid):
    with open("/proc/%d/stat" % pid) as f:
        fields = f.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * 1000 // os.sysconf(
        "SC_CLK_TCK")


class Guest:
    def __init__(self, opts):
        self.opts = opts
        self.kind = opts.get("kind", "pipe")
        self.ours, self.theirs = [], []
        self.changed = []
        self.done = False

    def make(self):
        if self.kind == "tty":
            master, slave = pty.openpty()
            tty.setraw(slave)
            if "type" in self.opts:
                attr = termios.tcgetattr(slave)
                attr[3] |= termios.ICANON | termios.ISIG
                termios.tcsetattr(slave, termios.TCSANOW, attr)
            self.ours = [master, master, master]
            self.theirs = [slave, slave, slave]
            self.attr = termios.tcgetattr(slave)
            if "in" in self.opts:
                self.theirs[0] = os.open(self.opts["in"], os.O_RDONLY)
        elif self.kind == "file":
            self.ours = [-1, -1, -1]
            names = [self.opts["in"], self.opts["out"],
                     self.opts["out"] + ".err"]
            self.theirs = [os.open(n, os.O_RDWR | os.O_CREAT) for n in names]
        else:
            for n in range(3):
                if self.kind == "inetd" and n == 1:
                    ours, theirs = os.dup(ours), os.dup(theirs)
                elif self.kind in ("socket", "inetd"):
                    ours, theirs = (s.detach() for s in socket.socketpair())
                elif n == 0:
                    theirs, ours = os.pipe()
                else:
                    ours, theirs = os.pipe()
                self.ours.append(ours)
                self.theirs.append(theirs)
        for n in self.opts.get("nonblock", ""):
            os.set_blocking(self.theirs[int(n)], False)
        if "full" in self.opts:
            os.write(self.theirs[1], b"F" * int(self.opts["full"]))

    def feed(self):
        """Give the command its stdin."""
        time.sleep(int(self.opts.get("after", "0")) / 1000)
        while not os.path.exists(self.opts.get("await", "/")):
            time.sleep(0.005)
        try:
            if "type" in self.opts:
                text = self.opts["type"].encode().decode("unicode_escape")
                os.write(self.ours[0], text.encode("latin-1"))
                return
            with open(self.opts.get("in", "/dev/null"), "rb") as f:
                while True:
                    data = f.read(65536)
                    if not data:
                        break
                    while data:
                        data = data[os.write(self.ours[0], data):]
            if self.kind == "inetd":
                with socket.socket(fileno=self.ours[0]) as s:
                    s.shutdown(socket.SHUT_WR)
                return
            os.close(self.ours[0])
        except OSError:
            pass

    def keep(self, fd, file, stall):
        while stall and not os.path.exists(stall):
            time.sleep(0.005)
        while not (self.done and not select.select([fd], [], [], 0)[0]):
            if not select.select([fd], [], [], 0.05)[0]:
                continue
            try:
                data = os.read(fd, 65536)
            except OSError:
                break
            if not data:
                if fd == self.ours[1] and "ended" in self.opts:
                    open(self.opts["ended"], "w").close()
                break
            file.write(data)
            file.flush()

    def watch(self):
        while not self.done:
            for n in range(3):
                now = flags(self.theirs[n])
                if now != self.before[n] and len(self.changed) < 9:
                    self.changed.append("descriptor %d: %#x became %#x" % (
                        n, self.before[n], now))
            time.sleep(0.002)

    def run(self, command):
        self.make()
        self.before = [flags(fd) for fd in self.theirs]
        threads = [threading.Thread(target=self.watch)]
        child = subprocess.Popen(
            command, stdin=self.theirs[0], stdout=self.theirs[1],
            stderr=self.theirs[2] if self.kind not in ("tty", "file")
            else None, start_new_session=self.kind == "tty",
            preexec_fn=(lambda: fcntl.ioctl(1, termios.TIOCSCTTY, 0))
            if self.kind == "tty" else None)
        if self.kind != "file":
            out = open(self.opts.get("out", "/dev/null"), "wb")
            if self.kind != "tty" or "in" not in self.opts:
                threads.append(threading.Thread(target=self.feed,
                                                daemon=True))
            threads.append(threading.Thread(target=self.keep, args=(
                self.ours[1], out, self.opts.get("stall"))))
            if self.kind != "tty":
                threads.append(threading.Thread(target=self.keep, args=(
                    self.ours[2], sys.stderr.buffer, None)))
        for t in threads:
            t.start()
        if "idle" in self.opts:
            time.sleep(int(self.opts["idle"]) / 1000)
            start = cpu_ms(child.pid)
            time.sleep(1)
            print("cpu %d" % (cpu_ms(child.pid) - start), flush=True)
            if "stall" in self.opts:
                open(self.opts["stall"], "w").close()
        while not os.path.exists(self.opts.get("once", "/")):
            time.sleep(0.005)
        if "kill" in self.opts:
            time.sleep(int(self.opts["kill"]) / 1000)
            child.kill()
        status = child.wait()
        for n in range(3):
            if flags(self.theirs[n]) != self.before[n]:
                self.changed.append("descriptor %d: changed for good" % n)
        self.done = True
        for t in threads:
            if not t.daemon:
                t.join()
        print("exit %d" % status if status >= 0 else "signal %d" % -status)
        print("\n".join(self.changed) or "flags kept")
        if self.kind == "tty":
            kept = termios.tcgetattr(self.theirs[1]) == self.attr
            print("terminal kept" if kept else "terminal changed")


def main():
    signal.alarm(60)
    # A shell starts what runs in the background with SIGINT ignored.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    at = sys.argv.index("--")
    words = sys.argv[1:at]
    opts = dict(zip(words[::2], words[1::2]))
    Guest(opts).run(sys.argv[at + 1:])


main()
