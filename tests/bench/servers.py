"""Servers: how many connections they take a second, what idle ones cost."""

import os
import resource
import time

import proc
from case import Case, Sample
from contenders import Contender, in_modes
from place import MIB

LISTEN = "{haul} listen -q {mode} -k --port-file {port_file} "
SOCAT = "socat {options} TCP-LISTEN:{port},bind=127.0.0.1,fork,backlog=1000"
TCPSERVER = "tcpserver -H -R -l 0 -c 20000 -b 1000 127.0.0.1 {port} "
HELLO = "/bin/echo hello"
THREADS = 4                     # clients at a time
MANY = 10000                    # idle clients
MOST_DESCRIPTORS = MANY + 1000


def socat(address, options=""):
    return SOCAT.replace("{options} ", options) + " " + address


def servers(**commands):
    """haul in both modes, the floor, and peers by their names."""
    made = in_modes(server=commands.pop("haul"))
    least = commands.pop("floor")
    made += [Contender(name.replace("_", " "), server=command)
             for name, command in commands.items()]
    made.append(Contender("floor", server=least))
    return made


class Calls(Case):
    """Clients come, say something, read to the end, and go."""

    unit = "calls/s"
    cpu_unit = "CPU µs/call"
    baseline = "socat"
    target = None               # what clients are forwarded to
    collects = False            # what they say is written to a file

    def __init__(self, place, count):
        super().__init__(place)
        self.count = count

    def pace(self):
        return 0.1 + self.count * 0.7e-3

    def measure(self, contender, ends, check):
        names = dict(self.names, source=os.devnull)
        if self.target:
            names["port"] = proc.free_port()
            names["target_port"] = names["port"]
            target = self.helper(self.target, dict(
                names, address=f"127.0.0.1:{names['port']}"), ends)
            target.until(lambda: proc.port_listens(names["port"]))
        self.place.remove("target")
        server = self.listen(contender, "server", names, ends)
        log = self.place.path("helper.log")
        clients = self.helper(
            f"load call {{address}} {self.count} {THREADS} "
            f"{self.say} {self.expect} > {log}", names, ends)
        clients.wait()
        seconds = float(self.place.text("helper.log"))
        if self.collects:
            self.wait_for_bytes(server)
        server.stop()
        return Sample(self.count / seconds, self.count / 1e6,
                      server=server.usage)

    def wait_for_bytes(self, server):
        target = self.names["target"]
        server.until(lambda: os.path.getsize(target) >= self.count)
        if os.path.getsize(target) != self.count:
            raise proc.Failure("more arrived than was sent")


class Command(Calls):
    name = "calls-command"
    title = "connections a second, each with a COMMAND that answers (echo)"
    say, expect = "''", "'hello\n'"

    def __init__(self, place, count):
        super().__init__(place, count)
        self.contenders = servers(
            haul=LISTEN + f"127.0.0.1 0 -- {HELLO}",
            socat=socat(f"'EXEC:{HELLO}'"),
            socat_nofork=socat(f"'EXEC:{HELLO},nofork'"),
            ncat=f"ncat -k -l 127.0.0.1 {{port}} --exec '{HELLO}'",
            tcpserver=TCPSERVER + HELLO,
            floor="{floor} serve {address} " + HELLO)


class EchoCommand(Calls):
    name = "calls-echo"
    title = "connections a second, each echoed by a COMMAND (cat)"
    say, expect = "x", "x"

    def __init__(self, place, count):
        super().__init__(place, count)
        self.contenders = servers(
            haul=LISTEN + "127.0.0.1 0 -- /bin/cat",
            socat=socat("EXEC:/bin/cat"),
            socat_nofork=socat("EXEC:/bin/cat,nofork"),
            ncat="ncat -k -l 127.0.0.1 {port} --exec /bin/cat",
            tcpserver=TCPSERVER + "/bin/cat",
            floor="{floor} serve {address} /bin/cat")


class Forward(Calls):
    name = "calls-forward"
    title = "connections a second, each forwarded to a server that echoes"
    say, expect = "x", "x"
    target = "floor echo {address}"

    def __init__(self, place, count):
        super().__init__(place, count)
        target = "127.0.0.1:{target_port}"
        connect = "127.0.0.1 {target_port}"
        # Not ncat with an ncat for each: one takes 40 ms to start.
        self.contenders = servers(
            haul=LISTEN + f"--forward {target} 127.0.0.1 0",
            socat=socat(f"TCP:{target}"),
            tcpserver_nc=TCPSERVER + f"nc.openbsd -N {connect}",
            floor=f"{{floor}} forward {{address}} {target}")


class Gather(Calls):
    name = "calls-gather"
    title = "connections a second, what they say going to a file (listen -k)"
    baseline = "nc.openbsd"
    say, expect = "x", "''"
    collects = True

    def __init__(self, place, count):
        super().__init__(place, count)
        self.contenders = servers(
            haul=LISTEN + "-d 127.0.0.1 0 > {target}",
            ncat="ncat -k -l 127.0.0.1 {port} > {target}",
            socat=socat("STDOUT", "-u ") + " > {target}",
            floor="{floor} gather {address} > {target}",
            **{"nc.openbsd": "nc.openbsd -k -l 127.0.0.1 {port} > {target}"})


class Crowd(Case):
    """Clients that stay and say nothing."""

    unit = "MiB"
    less = True
    cpu_unit = "CPU µs/client"
    baseline = "ncat"
    idle_seconds = 2

    def __init__(self, place, count):
        super().__init__(place)
        self.count = count
        self.name = f"idle-{count}"
        self.title = (f"{count:,} idle clients: memory of the server"
                      " (less is better)")
        many = {} if count > 1000 else {
            "socat": socat("STDOUT", "-u ") + " > {target}"}
        self.contenders = servers(
            haul=LISTEN + "--backlog 4096 -d 127.0.0.1 0 > {target}",
            ncat=f"ncat -k -l -m {count + 10} 127.0.0.1 {{port}}"
                 " > {target}",
            floor="{floor} gather {address} > {target}", **many)

    def rounds(self, wanted):
        return min(wanted, 3)

    def pace(self):
        return self.idle_seconds + 0.5 + self.count * 3e-4

    def prepare(self):
        most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if most < self.count + 100:
            raise proc.Failure(f"only {most} descriptors: ulimit -n")

    def measure(self, contender, ends, check):
        self.place.remove("target")
        names = dict(self.names)
        server = self.listen(contender, "server", names, ends)
        pid, = server.pids
        clients, say, said = self.crowd(names, ends)
        self.expect_word(said, b"connected")
        self.settle(pid)
        memory, busy = proc.memory(pid), proc.cpu(pid)
        time.sleep(self.idle_seconds)
        busy = proc.cpu(pid) - busy
        if busy > 0.05 * self.idle_seconds:
            raise proc.Failure(f"{busy:.2f} s of CPU time while idle")
        os.write(say, b"\n")
        self.expect_word(said, b"said")
        target = self.names["target"]
        server.until(lambda: os.path.getsize(target) >= self.count)
        os.write(say, b"\n")
        clients.wait()
        server.stop()
        server.usage.memory = memory
        return Sample(memory / MIB, self.count / 1e6, server=server.usage)

    def crowd(self, names, ends):
        """The clients, a pipe to tell them, and one to hear from them."""
        told, say = os.pipe()
        said, tell = os.pipe()
        for fd in say, said:
            ends.callback(os.close, fd)
        text = (f"load crowd {{address}} {self.count} < /dev/fd/{told}"
                f" > /dev/fd/{tell}")
        clients = self.helper(text, names, ends)
        os.close(told)
        os.close(tell)
        return clients, say, said

    def expect_word(self, fd, word):
        if os.read(fd, 64).strip() != word:
            raise proc.Failure("the clients have failed")

    def settle(self, pid):
        """Until the server has taken them all and sleeps."""
        before = -1.0
        while (now := proc.cpu(pid)) != before:
            before = now
            time.sleep(0.1)


def cases(place, quick):
    count = 500 if quick else 2000
    made = [Command(place, count), EchoCommand(place, count),
            Forward(place, count), Gather(place, count), Crowd(place, 1000)]
    return made if quick else made + [Crowd(place, MANY)]
