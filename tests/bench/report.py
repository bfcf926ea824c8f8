"""Medians, ratios and spreads, and the tables of them."""

import statistics

from contenders import kind
from place import MIB

WIDE = 0.15             # a spread above this is marked
FOR_MEMORY = "memory-"  # cases that are run for it
BUSY = 0.2              # CPUs busy with other programs: said when above


def spread(values):
    """How far the middle half of the values reaches, against the median."""
    if len(values) < 2:
        return 0.0
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return (high - low) / middle


def contender_result(contender, samples):
    """All that is known of one contender in one case, ready for JSON."""
    values = [s.value for s in samples]
    ends = list(samples[0].usage)
    cpu = {end: [s.usage[end].cpu for s in samples] for end in ends}
    memory = {end: [s.usage[end].memory for s in samples] for end in ends}
    used = [sum(each) / sample.cpu_amount
            for each, sample in zip(zip(*cpu.values()), samples)]
    return {
        "name": contender.name,
        "commands": contender.commands,
        "rounds": {"value": values, "cpu": used, "cpu_seconds": cpu,
                   "memory_bytes": memory},
        "median": {
            "value": statistics.median(values),
            "cpu": statistics.median(used),
            "memory_bytes": {end: statistics.median(memory[end])
                             for end in ends},
        },
        "spread": spread(values),
        "wide": len(values) < 2 or spread(values) > WIDE,
    }


def ratios(row, other):
    return other and {key: row["median"][key] / other["median"][key]
                      if other["median"][key] else None
                      for key in ("value", "cpu")}


def best_of(wanted, rows, less):
    choose = min if less else max
    return choose((row for row in rows if kind(row["name"]) == wanted),
                  key=lambda row: row["median"]["value"], default=None)


def unsettled(result):
    """Whether one of those that decide is too wide: haul, whoever it is
    compared with, and the best of the peers and of the smallest programs."""
    rows, less = result["contenders"], result["less_is_better"]
    deciding = {result["baseline"]}
    for group in "peer", "floor":
        deciding.add((best_of(group, rows, less) or {}).get("name"))
    return not result["name"].startswith(FOR_MEMORY) and any(
        row["wide"] and (row["name"] in deciding
                         or kind(row["name"]) == "haul")
        for row in rows)


def case_result(case, samples):
    """One case; samples: of each contender by its name."""
    rows = [contender_result(c, samples[c.name])
            for c in case.contenders if samples.get(c.name)]
    by_name = {row["name"]: row for row in rows}
    floor = best_of("floor", rows, case.less)
    for row in rows:
        row["to_baseline"] = ratios(row, by_name.get(case.baseline))
        row["to_floor"] = ratios(row, floor)
    return {"name": case.name, "title": case.title, "unit": case.unit,
            "less_is_better": case.less, "cpu_unit": case.cpu_unit,
            "absent": dict(case.absent),
            "baseline": case.baseline, "floor": floor and floor["name"],
            "cpus_busy_elsewhere": 0, "contenders": rows}


class Figures:
    """The one figure of each contender that tables and charts are about: of
    cases that are run for their memory not the speed."""

    def __init__(self, result):
        self.name = result["name"]
        self.memory = self.name.startswith(FOR_MEMORY)
        self.unit = "MiB, both ends" if self.memory else result["unit"]
        self.less = self.memory or result["less_is_better"]
        self.rows = {row["name"]: row for row in result["contenders"]}
        self.base = self.rows.get(result["baseline"])
        floor = self.best("floor")
        self.floor = floor and floor["name"]

    def of(self, row):
        return total_memory(row) / MIB if self.memory \
            else row["median"]["value"]

    def wide(self, row):
        """Speed varies; memory does not."""
        return row["wide"] and not self.memory

    def best(self, wanted):
        choose = min if self.less else max
        return choose((row for row in self.rows.values()
                       if kind(row["name"]) == wanted),
                      key=self.of, default=None)

    def ratio(self, row):
        """To the baseline; None if there is none."""
        least = self.base and self.of(self.base)
        return self.of(row) / least if least else None


def total_memory(row):
    return sum(row["median"]["memory_bytes"].values())


def number(value):
    """Three digits that mean something, and all before the point."""
    if value >= 1000:
        return f"{value:.0f}"
    return f"{value:#.3g}".rstrip(".")


def times(ratio):
    if ratio is None:
        return "-"
    return f"{ratio:.{2 if ratio < 10 else 1 if ratio < 100 else 0}f}"


def table(result):
    """The lines of one case."""
    rows = result["contenders"]
    if not rows:
        return
    yield f"{result['name']}: {result['title']}"
    words = f"rounds: {max(len(r['rounds']['value']) for r in rows)}"
    width = max(22, *(len(row["name"]) + 1 for row in rows))
    unit = max(11, len(result["unit"]))
    cpu = max(11, len(result["cpu_unit"]))
    yield (f"{words:{width}} {result['unit']:>{unit}} {'to *':>5}"
           f" {'floor':>5} {result['cpu_unit']:>{cpu}} {'to *':>5}"
           f" {'floor':>5} {'MiB':>11} spread")
    for row in rows:
        median = row["median"]
        base, floor = row["to_baseline"] or {}, row["to_floor"] or {}
        star = "*" if row["name"] == result["baseline"] else ""
        memory = "+".join(f"{each / MIB:.1f}"
                          for each in median["memory_bytes"].values())
        yield (f"{row['name'] + star:{width}}"
               f" {number(median['value']):>{unit}}"
               f" {times(base.get('value')):>5}"
               f" {times(floor.get('value')):>5}"
               f" {number(median['cpu']):>{cpu}}"
               f" {times(base.get('cpu')):>5}"
               f" {times(floor.get('cpu')):>5} {memory:>11}"
               f" {row['spread']:5.0%}{'!' if row['wide'] else ''}")
    yield from remarks(result)


def remarks(result):
    if any(row["wide"] for row in result["contenders"]):
        yield f"! half of the rounds lie more than {WIDE:.0%} apart: no proof"
    busy = result["cpus_busy_elsewhere"]
    if busy > BUSY:
        yield f"! other programs kept {busy:.1f} CPUs busy meanwhile"


def legend():
    return ("Medians. to *: divided by the contender marked *; floor: divided"
            " by the best\nof the smallest programs. MiB: peak memory of each"
            " end.")
