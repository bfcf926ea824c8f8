"""What a case is, and what one run of it tells."""

import contextlib

import contenders
import proc
from place import GIB, MIB


class Sample:
    """One run: what was measured, what each end has used, and for what."""

    def __init__(self, value, cpu_amount, **usage):
        self.value = value
        self.cpu_amount = cpu_amount
        self.usage = usage


class Case:
    """One thing that several contenders do.

    name, title
    contenders; baseline: the name of the one that others are compared with
    unit: of the value; less: whether less of it is better
    cpu_unit: what CPU time is told of
    rounds(wanted); warm: a first round is run that does not count
    pace(): the seconds that a contender takes for a round, about
    prepare(): make what is needed before the first round
    cleanup(): remove what is not needed by other cases
    measure(contender, ends, check): one run, a Sample; check: also look
        closely at what came; started pipelines are entered into ends
    """

    baseline = "nc.openbsd"
    less = False
    warm = True
    limit = 120                 # seconds for one run

    def __init__(self, place):
        self.place = place
        self.helpers = {place.load}
        self.absent = {}        # who could have been a contender, and why not
        self.names = {"haul": place.haul, "floor": place.floor,
                      "load": place.load, "port_file": place.path("port"),
                      "path": place.path("socket"),
                      "target": place.path("target")}

    def rounds(self, wanted):
        return wanted

    def pace(self):
        raise NotImplementedError

    def prepare(self):
        pass

    def cleanup(self):
        self.place.remove("target")

    def run(self, contender, check=False):
        """One run, whatever was there before; a Sample."""
        logs = [f"{key}.log" for key in contender.commands]
        for name in "port", "socket", "helper.log", *logs:
            self.place.remove(name)
        try:
            with proc.time_limit(self.limit), contextlib.ExitStack() as ends:
                return self.measure(contender, ends, check)
        except (proc.Failure, OSError) as e:
            said = [self.place.text(log) for log in logs + ["helper.log"]]
            raise proc.Failure(f"{e}\n{''.join(said)[:500]}".strip()) from None
        finally:
            proc.end_strays()

    def start(self, contender, key, names, ends):
        """A pipeline that is ready to go."""
        pipeline = contender.start(key, names, self.place.path(f"{key}.log"),
                                   self.helpers)
        ends.callback(pipeline.kill)
        return pipeline

    def helper(self, command, names, ends):
        """A program of ours that measures or is talked to; started."""
        text = f"{{{command.split()[0]}}} {command.partition(' ')[2]}"
        made = contenders.pipeline(text, names,
                                   self.place.path("helper.log"))
        ends.callback(made.kill)
        made.go()
        return made

    def listen(self, contender, key, names, ends):
        """Start the end that listens; the port is in names afterwards."""
        command = contender.commands[key]
        names["port"] = proc.free_port()
        names["address"] = f"127.0.0.1:{names['port']}"
        server = self.start(contender, key, names, ends)
        server.go()
        if "{port_file}" in command:
            said = server.until(lambda: proc.said_in(names["port_file"]))
            if said.isdecimal():
                names["port"] = int(said)
                names["address"] = f"127.0.0.1:{said}"
        elif "{path}" in command:
            server.until(lambda: proc.path_listens(names["path"]))
        else:
            server.until(lambda: proc.port_listens(names["port"]))
        return server


class Transfer(Case):
    """Something goes from one end to the other."""

    unit = "MiB/s"
    cpu_unit = "CPU s/GiB"
    bytes = 0                   # that go over the wire at least
    wire = True                 # and whether it is the loopback interface
    a_gib = 0.7                 # seconds for a GiB, about
    checked_target = None       # where it goes when it is looked at closely

    def __init__(self, place):
        super().__init__(place)
        self.amount = self.bytes / MIB
        self.cpu_amount = self.bytes / GIB

    def pace(self):
        return 0.1 + self.a_gib * self.bytes / GIB

    def reset(self):
        """Make the target as each run is to find it."""

    def complete(self, contender, check):
        """Whether the target is what was sent."""
        return True

    def measure(self, contender, ends, check):
        self.reset()
        names = dict(self.names, source=self.source, bytes=self.bytes)
        if check and self.checked_target:
            names["target"] = self.checked_target
        receive = self.listen(contender, "receive", names, ends)
        send = self.start(contender, "send", names, ends)
        before = proc.loopback_bytes()
        with proc.Stopwatch() as watch:
            send.go()
            send.wait()
            receive.wait()
        carried = proc.loopback_bytes() - before
        # iperf3 ends when the last of them are under way.
        if self.wire and carried < self.bytes * 0.99:
            raise proc.Failure(f"only {carried} bytes went over loopback")
        if not self.complete(contender, check):
            raise proc.Failure("what arrived is not what was sent")
        return Sample(self.amount / watch.seconds, self.cpu_amount,
                      send=send.usage, receive=receive.usage)
