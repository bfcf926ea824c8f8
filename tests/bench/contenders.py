"""Who is measured, and with which commands.

A command is words as for a shell, with {names} in them, and " | ", " < " and
" > " as in a shell, and NAME=value in front. One with {port_file} chooses its
port itself.
"""

import os
import shlex
import shutil

import proc

MODES = "--blocking", "--nonblocking"
NO_ZERO_COPY = "haul, no zero copy"
# Why one has no figures.
FAILS, NOT_ASKED = "fails", "not asked for"
YARDSTICK = "iperf3"            # it moves no data of anybody
PROGRAMS = {
    "nc.openbsd", "nc.traditional", "ncat", "socat", "iperf3", "tcpserver",
    "tar", "/bin/echo", "/bin/cat",
}

# Peers that move standard input to standard output over one connection: the
# end that listens and the end that connects, and how they end on end of file.
TCP = {
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
UNIX = {
    "nc.openbsd": ("nc.openbsd -l -U {path}", "nc.openbsd -N -U {path}"),
    "ncat": ("ncat --recv-only -l -U {path}", "ncat --send-only -U {path}"),
    "socat": ("socat -u UNIX-LISTEN:{path} STDOUT",
              "socat -u STDIN UNIX-CONNECT:{path}"),
    "socat-256k": ("socat -b 262144 -u UNIX-LISTEN:{path} STDOUT",
                   "socat -b 262144 -u STDIN UNIX-CONNECT:{path}"),
}
# nc.traditional has no half-close, and so cannot do this.
BOTH = {
    "nc.openbsd": ("nc.openbsd -N -l 127.0.0.1 {port}",
                   "nc.openbsd -N 127.0.0.1 {port}"),
    "ncat": ("ncat -l 127.0.0.1 {port}", "ncat 127.0.0.1 {port}"),
    "socat": ("socat -t 60 TCP-LISTEN:{port},bind=127.0.0.1 STDIO",
              "socat -t 60 STDIO TCP:127.0.0.1:{port}"),
    "socat-256k":
        ("socat -b 262144 -t 60 TCP-LISTEN:{port},bind=127.0.0.1 STDIO",
         "socat -b 262144 -t 60 STDIO TCP:127.0.0.1:{port}"),
}
IPERF = ("iperf3 -s -1 -B 127.0.0.1 -p {port}",
         "iperf3 -c 127.0.0.1 -p {port} -n {bytes}")


def kind(name):
    """What the contender of this name is."""
    if name in (NO_ZERO_COPY, YARDSTICK):
        return "aside"
    for word in "haul --raw", "haul", "floor":
        if name.startswith(word):
            return word
    return "peer"


class Contender:
    """A name, and the commands by what they are for; statuses likewise."""

    def __init__(self, name, statuses=None, **commands):
        self.name = name
        self.commands = commands
        self.statuses = statuses or {}

    def missing(self):
        """The programs that are not installed."""
        words = {word for text in self.commands.values()
                 for word in text.split()}
        return sorted(p for p in words & PROGRAMS if shutil.which(p) is None)

    def start(self, key, names, log, helpers=()):
        """The proc.Pipeline of one of the commands, ready to go."""
        return pipeline(self.commands[key], names, log, helpers,
                        self.statuses.get(key, 0))


def pipeline(text, names, log, helpers=(), status=0):
    ends = {"<": os.devnull, ">": os.devnull}
    commands = [[]]
    words = iter(shlex.split(text))
    for word in words:
        if word == "|":
            commands.append([])
        elif word in ends:
            ends[word] = next(words).format(**names)
        else:
            commands[-1].append(word.format(**names))
    return proc.Pipeline(commands, log, ends["<"], ends[">"], helpers, status)


def in_modes(**commands):
    """haul in both modes; {mode} in the commands is the option."""
    return [Contender(f"haul {mode}",
                      **{key: text.replace("{mode}", mode)
                         for key, text in commands.items()})
            for mode in MODES]


def no_zero_copy(**commands):
    """haul as it is by default but for its fast paths: what they gain."""
    return Contender(NO_ZERO_COPY, **{
        key: text.replace("{haul}", "HAUL_NO_ZEROCOPY=1 {haul}").replace(
            "{mode} ", "") for key, text in commands.items()})


def streams(table, source, sink):
    """The peers of a table; source and sink with @ for the command."""
    return [Contender(name, receive=sink.replace("@", listen),
                      send=source.replace("@", connect))
            for name, (listen, connect) in table.items()]


def floor(name, source, sink, receive, send):
    return Contender(f"floor {name}".strip(),
                     receive=sink.replace("@", "{floor} " + receive),
                     send=source.replace("@", "{floor} " + send))


def tar(name):
    listen, connect = TCP[name]
    return Contender(f"tar | {name} | tar",
                     receive=listen + " | tar -C {target} -xf -",
                     send="tar -C {source} -cf - . | " + connect)
