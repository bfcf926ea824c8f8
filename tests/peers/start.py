#!/usr/bin/python3 -IS
"""Start a command in a state that a shell cannot easily make.

usage: start.py [OPTION VALUE]... -- COMMAND...

close FDS      without these descriptors: "0", "012"
open N         with N further descriptors open
fsize BYTES    with this limit on the size of a file
ignore SIG     with this signal ignored (HUP); all others as usual
unread FILE    stdout is a pipe whose reader goes when FILE is there
send SIG,FILE  this signal when FILE is there
storm SIG,MS   so many signals as fit, one a millisecond or so, for MS or until
               the command ends; the command is run as a child

Without unread, send and storm the command takes the place of this program;
with them it is run as a child, "exit N" or "signal N" is said on stderr, and
the status is 0 unless this program failed.
"""
import os
import resource
import signal
import subprocess
import sys
import time


def number(name):
    return getattr(signal, "SIG" + name)


def storm(child, arg):
    names, ms = arg.rsplit(",", 1)
    signals = [number(n) for n in names.split(",")]
    end = time.monotonic() + int(ms) / 1000
    sent = 0
    while child.poll() is None and time.monotonic() < end:
        child.send_signal(signals[sent % len(signals)])
        sent += 1
        time.sleep(0.001)
    if child.poll() is None:
        child.send_signal(signal.SIGCONT)
    return sent


def child_run(opts, command):
    reader, writer = None, None
    if "unread" in opts:
        reader, writer = os.pipe()
    child = subprocess.Popen(command, stdin=0, stdout=writer)
    if "unread" in opts:
        os.close(writer)
        while not os.path.exists(opts["unread"]):
            time.sleep(0.005)
        os.close(reader)
        start = time.monotonic()
    if "send" in opts:
        name, _, file = opts["send"].partition(",")
        while not os.path.exists(file) and child.poll() is None:
            time.sleep(0.005)
        child.send_signal(number(name))
    if "storm" in opts:
        sent = storm(child, opts["storm"])
        sys.stderr.write("sent %d signals\n" % sent)
    status = child.wait()
    if "unread" in opts:
        sys.stderr.write("after %d ms\n" % (
            (time.monotonic() - start) * 1000))
    if status < 0:
        sys.stderr.write("signal %d\n" % -status)
    else:
        sys.stderr.write("exit %d\n" % status)


def main():
    at = sys.argv.index("--")
    words = sys.argv[1:at]
    opts = dict(zip(words[::2], words[1::2]))
    command = sys.argv[at + 1:]
    for n in range(1, signal.NSIG):
        if n in (signal.SIGKILL, signal.SIGSTOP, 32, 33):
            continue
        signal.signal(n, signal.SIG_DFL)
    if "ignore" in opts:
        signal.signal(number(opts["ignore"]), signal.SIG_IGN)
    if "open" in opts:
        for _ in range(int(opts["open"])):
            os.set_inheritable(os.open("/dev/null", os.O_RDONLY), True)
    if "fsize" in opts:
        limit = int(opts["fsize"])
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    if {"unread", "send", "storm"} & set(opts):
        child_run(opts, command)
        return
    for n in opts.get("close", ""):
        os.close(int(n))
    os.execvp(command[0], command)


main()
