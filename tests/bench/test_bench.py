#!/usr/bin/python3 -B
"""Whether the benchmark tells what was measured, and no more than that."""

import os
import tempfile
import types
import unittest

import budget
import contenders
import markdown
import report
import targets
from case import Sample
from place import GIB, MIB


def result(figures, name="tcp-file-null", absent=None, less=False):
    """A case with the values of each contender, in rounds."""
    def samples(values):
        usage = types.SimpleNamespace(cpu=1.0, memory=MIB)
        return [Sample(value, 1.0, send=usage) for value in values]

    case = types.SimpleNamespace(
        name=name, title="1 GiB: a | b", unit="MiB/s", less=less,
        cpu_unit="CPU s/GiB", baseline="nc.openbsd", absent=absent or {},
        contenders=[contenders.Contender(each) for each in figures])
    return report.case_result(case, {each: samples(values)
                                     for each, values in figures.items()})


def both(values):
    return {f"haul {mode}": values for mode in contenders.MODES}


def status(one, words):
    """The status and text of the one target with these words."""
    target, = (t for t in targets.found([one]) if words in t["name"])
    return target["status"], "; ".join(target["said"])


class Targets(unittest.TestCase):
    asked = "at least 2.1 x nc.openbsd"

    def test_reached_and_missed(self):
        slow = {"nc.openbsd": [10, 10, 11]}
        good = result({**both([30, 31, 30]), **slow})
        self.assertEqual(status(good, self.asked)[0], "reached")
        half = result({"haul --blocking": [30, 31, 30],
                       "haul --nonblocking": [15, 15, 15], **slow})
        self.assertEqual(status(half, self.asked)[0], "MISSED")

    def test_too_wide_is_not_reached(self):
        wide = result({**both([30, 31, 30]), "nc.openbsd": [5, 10, 14]})
        found, said = status(wide, self.asked)
        self.assertEqual(found, "too wide")
        self.assertIn("each round reaches it", said)

    def test_one_round_proves_nothing(self):
        one = result({**both([30]), "nc.openbsd": [10]})
        self.assertEqual(status(one, self.asked)[0], "too wide")

    def test_a_mode_that_failed(self):
        half = result({"haul --blocking": [30, 31, 30],
                       "nc.openbsd": [10, 10, 10]},
                      absent={"haul --nonblocking": "fails"})
        found, said = status(half, self.asked)
        self.assertEqual(found, "open")
        self.assertIn("haul --nonblocking: fails", said)

    def test_a_case_that_failed(self):
        none = result({}, absent=dict.fromkeys(
            ["haul --blocking", "nc.openbsd", "floor"], "the case fails"))
        for words in self.asked, "no peer is better", "within 1.1 x":
            self.assertEqual(status(none, words)[0], "open")

    def test_a_case_that_was_not_run(self):
        every = targets.found([])
        self.assertEqual({t["status"] for t in every}, {"open"})
        line, = targets.lines(every)
        self.assertIn(f"({len(every)} not run)", line)

    def test_peers(self):
        figures = {**both([30, 30, 30]), "nc.openbsd": [10, 10, 10]}
        words = "no peer is better"
        for why, wanted in ("fails", "reached"), ("x not installed", "open"):
            found = status(result(figures, absent={"ncat": why}), words)
            self.assertEqual(found, (wanted, found[1]))
            self.assertIn(f"ncat: {why}", found[1])
        figures["socat"] = [31, 31, 31]
        self.assertEqual(status(result(figures), words)[0], "MISSED")
        figures["socat"] = figures["iperf3"] = [29, 29, 29]
        figures["haul, no zero copy"] = [1, 1, 1]
        self.assertEqual(status(result(figures), words)[0], "reached")

    def test_peers_where_less_is_better(self):
        figures = {**both([15, 15, 15]), "nc.openbsd": [10, 10, 10],
                   "socat": [20, 20, 20]}
        found, said = status(result(figures, less=True), "no peer is better")
        self.assertEqual(found, "MISSED")
        self.assertIn("x nc.openbsd", said)

    def test_what_was_not_asked_for_is_not_told(self):
        one = result(both([30, 30, 30]),
                     absent={"nc.openbsd": "not asked for"})
        line, = targets.lines([t for t in targets.found([one])
                               if "no peer" in t["name"]])
        self.assertIn("1 open (1 not run)", line)

    def test_floor(self):
        words = "within 1.1 x of the floor"
        for value, wanted in (32, "reached"), (34, "MISSED"):
            one = result({**both([30, 30, 30]), "floor a": [20, 20, 20],
                          "floor b": [value] * 3})
            self.assertEqual(status(one, words)[0], wanted)
            less = result({**both([value] * 3), "floor a": [30, 30, 30]},
                          less=True)
            self.assertEqual(status(less, words)[0], wanted)

    def test_plain_work_is_compared_with_plain_work(self):
        one = result({**both([20, 20, 20]), "haul --raw --blocking": [30] * 3,
                      "haul --raw --nonblocking": [30] * 3,
                      "nc.openbsd": [10, 10, 10], "socat": [25, 25, 25]},
                     "verified-null")
        for words in "verified-null: at least", "no peer is better":
            self.assertEqual(status(one, words)[0], "reached")


class Tables(unittest.TestCase):
    def test_markdown(self):
        one = result({**both([30, 30, 30]), "nc.openbsd": [10, 10, 10],
                      "socat": [5, 10, 20], "iperf3": [40, 40, 40],
                      "floor a": [20] * 3, "floor b": [50] * 3},
                     absent={"ncat": "fails"})
        cells = markdown.line(one, GIB)
        self.assertEqual(len(cells), len(markdown.HEADS))
        said = dict(zip(markdown.HEADS, cells))
        self.assertEqual(said[""], r"a \| b: MiB/s")
        self.assertEqual(said["haul --blocking"], "30.0 ×3.00")
        self.assertEqual(said["nc.openbsd"], "**10.0**")
        self.assertEqual(said["socat"], "10.0 ×1.00 ~")
        self.assertEqual(said["ncat"], "fails")
        self.assertEqual(said["others"], "iperf3 40.0 ×4.00")
        self.assertEqual(said["floor"], "50.0 ×5.00")
        self.assertEqual(said["CPU"], "1.00 / 1.00")

    def test_who_asks_for_more_rounds(self):
        steady, varies = [10, 10, 10], [5, 10, 20]
        for name, wanted in [("haul --blocking", True), ("socat", False),
                             ("nc.openbsd", True), ("floor a", False)]:
            one = result({**both(steady), "nc.openbsd": [15, 15, 15],
                          "socat": steady, "floor a": steady,
                          "floor b": [30, 30, 30], name: varies})
            self.assertEqual(report.unsettled(one), wanted, name)


class Time(unittest.TestCase):
    def test_more_rounds_leave_time_for_other_cases(self):
        case = types.SimpleNamespace(warm=True, contenders=[1, 2],
                                     rounds=lambda n: n, pace=lambda: 1.0)
        plan = budget.Budget([case, case], 4, 40)
        self.assertEqual(plan.ahead, 20)
        plan.done(case, 10)
        self.assertAlmostEqual(plan.more(), 30 / budget.PART, places=2)
        slow = budget.Budget([case, case], 4, 40)
        slow.done(case, 20)
        self.assertAlmostEqual(slow.more(), 20 / budget.PART, places=2)
        slow.done(case, 20)
        slow.limit = 0
        self.assertEqual(slow.more(), 0)


class Commands(unittest.TestCase):
    def test_environment(self):
        with tempfile.TemporaryDirectory() as folder:
            log = os.path.join(folder, "log")
            said = os.path.join(folder, "said")
            made = contenders.pipeline(
                "X_Y=1=2 sh -c 'echo $X_Y' | cat > {said}", {"said": said},
                log)
            made.go()
            made.wait()
            with open(said) as f:
                self.assertEqual(f.read(), "1=2\n")
        self.assertNotIn("X_Y", os.environ)


if __name__ == "__main__":
    import proc
    proc.become_subreaper()
    unittest.main()
