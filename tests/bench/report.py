"""Medians, ratios and spreads; the tables and the targets."""

import statistics

from cases import MIB, MODES

WIDE = 0.15             # a spread above this is marked
BUSY = 0.2              # CPUs busy with other programs: said when above
MEMORY_LIMIT = 16 * MIB
ENDS = "send", "receive"

# What is asked of the rate of "haul MODE", in each mode: the case, how many
# times as fast, as whom.
TARGETS = [
    ("file-null", 1.4, "nc.openbsd"),
    ("file-file", 1.4, "nc.openbsd"),
    ("file-null", 0.7, "haul --raw {mode}"),
    ("file-file", 0.7, "haul --raw {mode}"),
    ("small-files", 1.0, "tar | nc.openbsd | tar"),
]


def spread(values):
    """How far the middle half of the values reaches, against the median."""
    if len(values) < 2:
        return 0.0
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return (high - low) / middle


def contender_result(case, contender, samples):
    """All that is known of one contender in one case, ready for JSON."""
    seconds = [s.seconds for s in samples]
    cpu = [s.send.cpu + s.receive.cpu for s in samples]
    memory = {"send": [s.send.memory for s in samples],
              "receive": [s.receive.memory for s in samples]}
    result = {
        "name": contender.name,
        "receive": contender.receive,
        "send": contender.send,
        "rounds": {
            "seconds": seconds,
            "cpu_seconds_send": [s.send.cpu for s in samples],
            "cpu_seconds_receive": [s.receive.cpu for s in samples],
            "memory_bytes_send": memory["send"],
            "memory_bytes_receive": memory["receive"],
        },
        "median": {
            "rate": case.amount / statistics.median(seconds),
            "cpu": statistics.median(cpu) / case.cpu_amount,
            "memory_bytes_send": statistics.median(memory["send"]),
            "memory_bytes_receive": statistics.median(memory["receive"]),
        },
        "spread": spread(seconds),
    }
    result["wide"] = result["spread"] > WIDE
    return result


def case_result(case, samples, busy):
    """One case; samples: of each contender by its name."""
    rows = [contender_result(case, c, samples[c.name])
            for c in case.contenders if samples.get(c.name)]
    by_name = {row["name"]: row for row in rows}
    baseline = by_name.get(case.baseline)
    for row in rows:
        row["ratio"] = baseline and {
            key: row["median"][key] / baseline["median"][key]
            for key in ("rate", "cpu")}
    return {"name": case.name, "title": case.title, "unit": case.unit,
            "cpu_unit": case.cpu_unit, "baseline": case.baseline,
            "cpus_busy_elsewhere": busy, "contenders": rows}


def table(result):
    """The lines of one case."""
    rows = result["contenders"]
    if not rows:
        return
    yield f"{result['name']}: {result['title']}"
    words = f"rounds: {len(rows[0]['rounds']['seconds'])}, ratios to *"
    width = max(24, *(len(row["name"]) + 1 for row in rows))
    yield (f"{words:{width}} {result['unit']:>7} ratio "
           f"{result['cpu_unit']:>11} ratio MiB send receive spread")
    for row in rows:
        median, ratio = row["median"], row["ratio"] or {}
        star = "*" if row["name"] == result["baseline"] else ""
        mark = "!" if row["wide"] else ""
        yield (f"{row['name'] + star:{width}} {median['rate']:7.0f} "
               f"{number(ratio.get('rate')):>5} "
               f"{median['cpu']:11.3g} {number(ratio.get('cpu')):>5} "
               f"{median['memory_bytes_send'] / MIB:8.1f} "
               f"{median['memory_bytes_receive'] / MIB:7.1f} "
               f"{row['spread']:5.0%}{mark}")
    if any(row["wide"] for row in rows):
        yield f"! half of the rounds lie more than {WIDE:.0%} apart: no proof"
    busy = result["cpus_busy_elsewhere"]
    if busy > BUSY:
        yield f"! other programs kept {busy:.1f} CPUs busy meanwhile"


def number(value):
    return "-" if value is None else f"{value:.2f}"


def targets(results):
    """What was asked and what was reached, ready for JSON."""
    rows = {(result["name"], row["name"]): row
            for result in results for row in result["contenders"]}
    found = []
    for case, least, other in TARGETS:
        for mode in MODES:
            name = f"haul {mode}"
            found.append(speed_target(
                f"{case}: {name}", rows.get((case, name)),
                rows.get((case, other.format(mode=mode))),
                least, other.format(mode=mode)))
    found.append(memory_target(rows))
    return found


def speed_target(name, row, other, least, other_name):
    target = {"name": f"{name} at least {least} x {other_name}",
              "reached": None, "certain": True, "said": "not run"}
    if row and other:
        ratio = row["median"]["rate"] / other["median"]["rate"]
        each = [b / a for a, b in zip(row["rounds"]["seconds"],
                                      other["rounds"]["seconds"])]
        times = sum(r >= least for r in each)
        target["reached"] = ratio >= least
        target["certain"] = not (row["wide"] or other["wide"])
        target["said"] = (f"{ratio:.2f}, in {times} of {len(each)} rounds"
                          f" (from {min(each):.2f} to {max(each):.2f})")
    return target


def memory_target(rows):
    """The highest peak of either end of a verified transfer, in all cases."""
    target = {"name": f"memory of haul below {MEMORY_LIMIT // MIB} MiB",
              "reached": None, "certain": True, "said": "not run"}
    peaks = [(max(row["rounds"][f"memory_bytes_{end}"]), end, case, name)
             for (case, name), row in rows.items() for end in ENDS
             if name.startswith("haul ") and "--raw" not in name]
    if peaks:
        peak, end, case, name = max(peaks)
        target["reached"] = peak < MEMORY_LIMIT
        target["said"] = (f"at most {peak / MIB:.1f} MiB "
                          f"({end} of {name} in {case})")
    return target


def targets_text(found):
    """The lines of the targets; a question mark: by figures too wide."""
    for target in found:
        if target["reached"] is not None:
            word = "reached" if target["reached"] else "MISSED"
            word += "" if target["certain"] else "?"
            yield f"{word:8} {target['name']}:"
            yield f"{'':8} {target['said']}"
    left = sum(target["reached"] is None for target in found)
    if left:
        yield f"not run: {left} targets of {len(found)}"
