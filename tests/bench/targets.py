"""What was asked of haul, and whether it was reached."""

import statistics

from contenders import MODES
from place import MIB

MEMORY_LIMIT = 16 * MIB
# Those of whom none may be better.
PEERS = ("nc.openbsd", "nc.traditional", "ncat", "socat", "socat-256k",
         "socat nofork", "tcpserver", "tar | nc.openbsd | tar",
         "tar | socat-256k | tar")

# The case, what of it, at least or at most, how many times, of whom.
TARGETS = [
    ("tcp-file-null", "value", ">=", 2.1, "nc.openbsd"),
    ("tcp-file-null", "value", ">=", 1.25, "socat-256k"),
    ("tcp-file-null", "cpu", "<=", 0.45, "nc.openbsd"),
    ("tcp-pipe-pipe", "value", ">=", 2.0, "nc.openbsd"),
    ("tcp-pipe-pipe", "cpu", "<=", 0.5, "nc.openbsd"),
    ("tcp-file-file", "value", ">=", 2.0, "nc.openbsd"),
    ("tcp-file-file", "cpu", "<=", 0.55, "nc.openbsd"),
    ("verified-null", "value", ">=", 1.4, "nc.openbsd"),
    ("verified-file", "value", ">=", 1.4, "nc.openbsd"),
    ("latency-1", "value", "<=", 1.05, "floor"),
    ("latency-1024", "value", "<=", 1.05, "floor"),
    ("start-open", "value", "<=", 1.0, "nc.traditional"),
    ("start-closed", "value", "<=", 1.0, "nc.traditional"),
    ("start-version", "value", "<=", 1.0, "nc.traditional"),
]
BLOCKING_ONLY = "latency-1", "latency-1024"
FLOOR = 1.1             # how far from the floor any case may be
# Not where it does less: keeps nothing for a client, verifies nothing.
NO_FLOOR = "idle-", "verified-", "memory-"


def ours(row):
    return row["name"].startswith("haul")


def found(results):
    """All targets, ready for JSON."""
    made = [asked(results, *target) for target in TARGETS]
    for result in results:
        made += compared(result)
    made.append(memory_target(results))
    return made


def asked(results, case, key, sign, times, other):
    words = "at least" if sign == ">=" else "at most"
    what = "" if key == "value" else " CPU time"
    target = {"name": f"{case}:{what} {words} {times} x {other}",
              "reached": None, "certain": True, "said": []}
    for result in results:
        if result["name"] == case:
            judge(target, result, key, sign, times, other)
    return target


def judge(target, result, key, sign, times, other):
    rows = {row["name"]: row for row in result["contenders"]}
    name = result["floor"] if other == "floor" else other
    modes = MODES[:1] if result["name"] in BLOCKING_ONLY else MODES
    for mode in [*modes, ""]:
        row = rows.get(f"haul {mode}".strip())
        if row is None or name not in rows:
            continue
        mine, theirs = row["rounds"][key], rows[name]["rounds"][key]
        ratio = statistics.median(mine) / statistics.median(theirs)
        good = ratio >= times if sign == ">=" else ratio <= times
        target["reached"] = good and target["reached"] is not False
        if row["wide"] or rows[name]["wide"]:
            target["certain"] = False
        each = [a / b for a, b in zip(mine, theirs)]
        target["said"].append(f"{row['name']} {ratio:.2f} "
                              f"({min(each):.2f} to {max(each):.2f})")


def compared(result):
    """No peer is better, and the floor is not far."""
    rows = result["contenders"]
    mine = [row for row in rows if ours(row) and "--raw" not in row["name"]]
    peers = [row for row in rows if row["name"] in PEERS]
    choose = min if result["less_is_better"] else max
    if mine and peers:
        best = choose(peers, key=lambda row: row["median"]["value"])
        yield times_better(result, mine, best, 1.0)
    if mine and result["floor"] and not result["name"].startswith(NO_FLOOR):
        best = next(row for row in rows if row["name"] == result["floor"])
        yield times_better(result, mine, best, 1 / FLOOR)


def times_better(result, mine, other, least):
    target = {"reached": True, "certain": not other["wide"], "said": []}
    if least == 1:
        target["name"] = f"{result['name']}: no peer is better"
    else:
        target["name"] = f"{result['name']}: within {FLOOR} x of the floor"
    for row in mine:
        ratio = row["median"]["value"] / other["median"]["value"]
        better = 1 / ratio if result["less_is_better"] else ratio
        target["reached"] = target["reached"] and better >= least
        target["certain"] = target["certain"] and not row["wide"]
        target["said"].append(f"{row['name']} {ratio:.2f} x {other['name']}")
    return target


def memory_target(results):
    """The highest peak of either end of a stream or transfer."""
    target = {"name": f"memory of streams below {MEMORY_LIMIT // MIB} MiB",
              "reached": None, "certain": True, "said": []}
    peaks = [(max(values), end, result["name"], row["name"])
             for result in results for row in result["contenders"]
             for end, values in row["rounds"]["memory_bytes"].items()
             if ours(row) and end in ("send", "receive")]
    if peaks:
        peak, end, case, name = max(peaks)
        target["reached"] = peak < MEMORY_LIMIT
        target["said"] = [f"at most {peak / MIB:.1f} MiB "
                          f"({end} of {name} in {case})"]
    return target


def lines(all_of_them):
    """The lines of the targets; a question mark: by figures too wide."""
    for target in all_of_them:
        if target["reached"] is not None:
            word = "reached" if target["reached"] else "MISSED"
            word += "" if target["certain"] else "?"
            yield f"{word:8} {target['name']}: {'; '.join(target['said'])}"
    left = sum(target["reached"] is None for target in all_of_them)
    if left:
        yield f"not run: {left} targets of {len(all_of_them)}"
