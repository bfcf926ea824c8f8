"""Small things: one question and its answer, one start, one datagram."""

import os
import re

import proc
from case import Case, Sample
from contenders import MODES, Contender, in_modes
from place import KIB


class Latency(Case):
    """A question through a pipe, over TCP to a server that echoes, back.

    All of it on one CPU: who wakes on which one would decide otherwise.
    """

    unit = "µs"
    less = True
    cpu_unit = "CPU µs/answer"

    def __init__(self, place, size, count):
        super().__init__(place)
        self.size, self.count = size, count
        self.name = f"latency-{size}"
        self.title = (f"a question of {size} bytes and its answer through"
                      " connect, on one CPU (less is better)")
        ask = f"{{load}} ask {size} {count} "
        told = " > {told}"
        connect = "127.0.0.1 {port}"
        peers = {
            "nc.openbsd": f"nc.openbsd {connect}",
            "nc.traditional": f"nc.traditional {connect}",
            "ncat": f"ncat {connect}",
            "socat": "socat STDIO TCP:127.0.0.1:{port}",
            "socat-nodelay": "socat STDIO TCP:127.0.0.1:{port},nodelay",
            "floor threads": "{floor} talk copy copy connect {address}",
            "floor poll": "{floor} turns {address}",
        }
        self.contenders = in_modes(
            client=ask + "{haul} connect -q {mode} " + connect + told)
        self.contenders += [Contender(name, client=ask + command + told)
                            for name, command in peers.items()]

    def pace(self):
        return 0.1 + self.count * 75e-6

    def measure(self, contender, ends, check):
        port = proc.free_port()
        names = dict(self.names, port=port, address=f"127.0.0.1:{port}")
        server = self.helper("floor echo {address}", names, ends)
        server.until(lambda: proc.port_listens(port))
        names["told"] = self.place.path("told")
        client = self.start(contender, "client", names, ends)
        client.go()
        client.wait()
        seconds, user, system, memory = self.place.text("told").split()
        usage = proc.Usage()
        usage.cpu = float(user) + float(system)
        usage.memory = int(memory) * KIB
        return Sample(float(seconds) * 1e6 / self.count, self.count / 1e6,
                      client=usage)


class Start(Case):
    """Programs that hardly do more than start."""

    unit = "ms"
    less = True
    cpu_unit = "CPU ms/start"
    baseline = "nc.traditional"

    def __init__(self, place, count, kind, commands, status=0):
        super().__init__(place)
        self.count = count
        self.kind, self.status = kind, status
        self.helpers = set()    # what it starts counts as its own
        self.name = f"start-{kind}"
        what = {"version": "--version", "open": "a probe of an open port",
                "closed": "a probe of a closed port"}[kind]
        self.title = f"the whole run of {what} (less is better)"
        self.contenders = [Contender(name, client=command)
                           for name, command in commands.items()]

    def pace(self):
        return 0.1 + self.count * 1.2e-3

    def measure(self, contender, ends, check):
        port = proc.free_port()
        names = dict(self.names, port=port, address=f"127.0.0.1:{port}")
        if self.kind == "open":
            server = self.helper("floor echo {address}", names, ends)
            server.until(lambda: proc.port_listens(port))
        command = contender.commands["client"]
        status = self.status
        if self.kind == "closed" and "nc" in command.split()[0]:
            status = 1
        log = self.place.path("client.log")
        made = Contender("", client=f"{{load}} start {self.count} {status} "
                         + command)
        client = self.start(made, "client", names, ends)
        client.go()
        client.wait()
        with open(log) as f:
            seconds = float(f.read().splitlines()[-1])
        return Sample(seconds * 1e3 / self.count, self.count / 1e3,
                      client=client.usage)


def start_cases(place, count):
    probe = "127.0.0.1 {port}"
    probes = {f"haul {mode}": f"{{haul}} connect -q {mode} --probe {probe}"
              for mode in MODES}
    # Not ncat: it takes 50 ms.
    probes.update((name, f"{name} -z {probe}")
                  for name in ("nc.openbsd", "nc.traditional"))
    probes["floor"] = "{floor} probe 127.0.0.1 {port} {port}"
    versions = {
        "haul": "{haul} --version",
        "nc.openbsd": "nc.openbsd -h",
        "nc.traditional": "nc.traditional -h",
        "ncat": "ncat --version",
        "socat": "socat -V",
        "floor": "{floor} nothing",
    }
    return [Start(place, count, "open", probes),
            Start(place, count, "closed", probes, status=4),
            Start(place, count, "version", versions)]


class Ports(Case):
    """All ports of the machine are probed; one is known to be open."""

    name = "ports"
    title = "all 65,535 ports of 127.0.0.1 probed"
    unit = "ports/s"
    cpu_unit = "CPU µs/port"
    count = 65535

    def __init__(self, place):
        super().__init__(place)
        some = {"client": 4}    # not all ports are open
        self.contenders = [
            Contender(f"haul {mode}", some,
                      client=f"{{haul}} connect {mode} --probe 127.0.0.1"
                             " 1-65535 > {target}")
            for mode in MODES]
        # These two do not tell which; with -v they would tell of each.
        self.contenders += [
            Contender(name, client=f"{name} -z 127.0.0.1 1-65535")
            for name in ("nc.openbsd", "nc.traditional")]
        self.contenders.append(
            Contender("floor", client="{floor} probe 127.0.0.1 1 65535"
                                      " > {target}"))

    def pace(self):
        return 1.4

    def measure(self, contender, ends, check):
        port = proc.free_port()
        names = dict(self.names, port=port, address=f"127.0.0.1:{port}")
        server = self.helper("floor echo {address}", names, ends)
        server.until(lambda: proc.port_listens(port))
        client = self.start(contender, "client", names, ends)
        with proc.Stopwatch() as watch:
            client.go()
            client.wait()
        told = self.place.text("target")
        if "{target}" in contender.commands["client"] and not re.search(
                rf"\b{port} open", told):
            raise proc.Failure(f"port {port} was not found to be open")
        return Sample(self.count / watch.seconds, self.count / 1e6,
                      client=client.usage)


class Datagrams(Case):
    unit = "datagrams/s"
    cpu_unit = "CPU µs/datagram"
    baseline = "socat"

    def __init__(self, place, count):
        super().__init__(place)
        self.count = count

    def prepare(self):
        self.names["source"] = self.place.lines(self.count * KIB)

    def pace(self):
        return 0.1 + self.count * 5e-6

    def bound(self, names):
        names["port"] = proc.free_port()
        names["address"] = f"127.0.0.1:{names['port']}"

    def drained(self, end, port):
        end.until(lambda: proc.port_empty(port))


class SendDatagrams(Datagrams):
    name = "datagrams-send"
    title = "datagrams of 1 KiB sent over UDP, from a file of lines"

    def __init__(self, place, count):
        super().__init__(place, count)
        ours = "{haul} send -q {mode} -u --datagram line 127.0.0.1 {port}"
        self.contenders = in_modes(send=ours + " < {source}")
        self.contenders += [
            Contender("socat", send="socat -b 1024 -u STDIN"
                      " UDP-SENDTO:127.0.0.1:{port} < {source}"),
            Contender("floor", send="{floor} datagrams {address} 1024"
                      " < {source}")]

    def measure(self, contender, ends, check):
        names = dict(self.names)
        self.bound(names)
        sink = self.helper("floor collect {address}", names, ends)
        sink.until(lambda: proc.port_bound(names["port"]))
        send = self.start(contender, "send", names, ends)
        with proc.Stopwatch() as watch:
            send.go()
            send.wait()
        self.drained(sink, names["port"])
        sink.stop()
        said = self.place.text("helper.log")
        came, dropped = map(int, re.findall("[0-9]+", said))
        if came + dropped != self.count:
            raise proc.Failure(f"{came} and {dropped} dropped of {self.count}")
        return Sample(self.count / watch.seconds, self.count / 1e6,
                      send=send.usage)


class ReceiveDatagrams(Datagrams):
    name = "datagrams-receive"
    title = "datagrams of 1 KiB written to a file, of more than can be taken"

    def __init__(self, place, count):
        super().__init__(place, count)
        ours = ("{haul} receive -q {mode} -u --port-file {port_file}"
                " 127.0.0.1 0 > {target}")
        listen = "-u -l 127.0.0.1 {port} > {target}"
        self.contenders = in_modes(receive=ours)
        self.contenders += [
            Contender("nc.openbsd", receive="nc.openbsd -d " + listen),
            Contender("ncat", receive="ncat --recv-only " + listen),
            Contender("socat", receive="socat -u"
                      " UDP-RECV:{port},bind=127.0.0.1 STDOUT > {target}"),
            Contender("floor", receive="{floor} collect {address}"
                      " > {target}")]

    def measure(self, contender, ends, check):
        names = dict(self.names)
        self.bound(names)
        self.place.remove("target")
        receive = self.start(contender, "receive", names, ends)
        receive.go()
        if "{port_file}" in contender.commands["receive"]:
            names["port"] = int(receive.until(
                lambda: proc.said_in(names["port_file"])))
            names["address"] = f"127.0.0.1:{names['port']}"
        else:
            receive.until(lambda: proc.port_bound(names["port"]))
        with proc.Stopwatch() as watch:
            source = self.helper("floor datagrams {address} 1024 < {source}",
                                 names, ends)
            source.wait()
            self.drained(receive, names["port"])
        receive.stop()
        size = os.path.getsize(names["target"])
        if size == 0 or size % KIB or size > self.count * KIB:
            raise proc.Failure(f"{size} bytes arrived")
        came = size / KIB
        return Sample(came / watch.seconds, came / 1e6, receive=receive.usage)


def cases(place, quick):
    part = 4 if quick else 1
    made = [Latency(place, size, 10000 // part) for size in (1, KIB)]
    made += [SendDatagrams(place, 300000 // part),
             ReceiveDatagrams(place, 300000 // part)]
    made += start_cases(place, 300 // part)
    return made + [Ports(place)]
