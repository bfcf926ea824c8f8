"""What was asked of haul, and whether it was reached.

A target is reached only by figures that are all there and close together:
what was left out, has failed or is too wide is said to be so.
"""

import statistics

from contenders import FAILS, MODES, NOT_ASKED, kind
from place import MIB
from report import FOR_MEMORY

REACHED, MISSED, WIDE, OPEN = "reached", "MISSED", "too wide", "open"
MEMORY_LIMIT = 16 * MIB
FLOOR = 1.1             # how far from the floor any case may be

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
    ("latency-1", "value", "<=", 1.05, "floor threads"),
    ("latency-1024", "value", "<=", 1.05, "floor threads"),
    ("start-open", "value", "<=", 1.0, "nc.traditional"),
    ("start-closed", "value", "<=", 1.0, "nc.traditional"),
    ("start-version", "value", "<=", 1.0, "nc.traditional"),
    *((case, "value", ">=", 1.0, peer)
      for case in ("calls-command", "calls-echo")
      for peer in ("socat", "ncat", "tcpserver")),
]
# Of the blocking mode, and compared with what has a thread a direction as well.
BLOCKING_ONLY = "latency-1", "latency-1024"
# Where the smallest program does less: it keeps nothing for a client.
NO_FLOOR = "idle-"
# Where haul does more than the others; its plain work is compared with them.
PLAIN_TOO = "verified-"


def found(results):
    """All targets, ready for JSON."""
    by_name = {result["name"]: result for result in results}
    made = [asked(by_name.get(target[0]), *target) for target in TARGETS]
    for result in results:
        if not result["name"].startswith(FOR_MEMORY):
            made += compared(result)
    made.append(memory_target(results))
    return made


def asked(result, case, key, sign, times, other):
    what = " CPU time" if key == "cpu" else ""
    words = "at least" if sign == ">=" else "at most"
    name = f"{case}:{what} {words} {times} x {other}"
    if result is None:
        return {"name": name, "status": OPEN, "asked": False, "said": []}
    mine = names(result, "haul")
    if case in BLOCKING_ONLY:
        mine = [one for one in mine if one == f"haul {MODES[0]}"]

    def good(ratio):
        return ratio >= times if sign == ">=" else ratio <= times
    return judged(name, result, mine, other, key, good)


def names(result, wanted):
    """All contenders of a kind, those without figures included."""
    every = [row["name"] for row in result["contenders"]]
    every += result["absent"]
    return [name for name in every if kind(name) == wanted]


def compared(result):
    """No peer is better, and the floor is not far."""
    plain = result["name"].startswith(PLAIN_TOO)
    mine = names(result, "haul --raw" if plain else "haul")
    less = result["less_is_better"]

    def within(times):
        return lambda ratio: (1 / ratio if less else ratio) >= 1 / times

    peers = [row for row in result["contenders"]
             if kind(row["name"]) == "peer"]
    choose = min if less else max
    best = choose(peers, key=lambda row: row["median"]["value"],
                  default={"name": None})
    yield judged(f"{result['name']}: no peer is better", result, mine,
                 best["name"], "value", within(1), names(result, "peer"))
    if names(result, "floor") and not result["name"].startswith(NO_FLOOR):
        yield judged(f"{result['name']}: within {FLOOR} x of the floor",
                     result, mine, result["floor"], "value",
                     within(FLOOR), names(result, "floor"))


def judged(name, result, mine, other, key, good, others=()):
    """A target by the figures of some rows against another.

    others: all that the other was chosen from.
    """
    rows = {row["name"]: row for row in result["contenders"]}
    target = {"name": name, "asked": True, "said": []}
    theirs = rows.get(other)
    verdicts = {verdict(target, rows[one], theirs, key, good)
                for one in mine if one in rows and theirs}
    for one in dict.fromkeys([*mine, *([other] if other else []), *others]):
        if one in rows:
            continue
        why = result["absent"].get(one, "no figures")
        target["said"].append(f"{one}: {why}")
        target["asked"] = target["asked"] and why != NOT_ASKED
        # A peer that cannot do it is not better.
        if one in mine or one == other or why != FAILS:
            verdicts.add(OPEN)
    target["status"] = next((each for each in (MISSED, OPEN, WIDE, REACHED)
                             if each in verdicts), OPEN)
    return target


def verdict(target, row, other, key, good):
    mine, theirs = row["rounds"][key], other["rounds"][key]
    ratio = statistics.median(mine) / statistics.median(theirs)
    each = [a / b for a, b in zip(mine, theirs) if b > 0] or [ratio]
    said = (f"{row['name']} {ratio:.2f} x {other['name']}"
            f" ({min(each):.2f} to {max(each):.2f})")
    wide = [one["name"] for one in (row, other) if one["wide"]]
    if wide:
        all_good = good(min(each)) and good(max(each))
        no_good = not any(map(good, each))
        said += (f", too wide{', each round reaches it' if all_good else ''}"
                 f"{', no round reaches it' if no_good else ''}")
    target["said"].append(said)
    if wide:
        return WIDE
    return REACHED if good(ratio) else MISSED


def memory_target(results):
    """The highest peak of either end of a stream or transfer."""
    target = {"name": f"memory of streams below {MEMORY_LIMIT // MIB} MiB",
              "status": OPEN, "asked": False, "said": []}
    peaks = [(max(values), end, result["name"], row["name"])
             for result in results for row in result["contenders"]
             for end, values in row["rounds"]["memory_bytes"].items()
             if row["name"].startswith("haul") and end in ("send", "receive")]
    if peaks:
        peak, end, case, name = max(peaks)
        target["asked"] = True
        target["status"] = REACHED if peak < MEMORY_LIMIT else MISSED
        target["said"] = [f"at most {peak / MIB:.1f} MiB "
                          f"({end} of {name} in {case})"]
    return target


def lines(all_of_them):
    """The lines of the targets, and what they come to."""
    count = dict.fromkeys((REACHED, MISSED, WIDE, OPEN), 0)
    for target in all_of_them:
        count[target["status"]] += 1
        if target["asked"]:
            yield (f"{target['status']:8} {target['name']}: "
                   f"{'; '.join(target['said'])}")
    left = sum(not target["asked"] for target in all_of_them)
    yield (f"{len(all_of_them)} targets: {count[REACHED]} reached, "
           f"{count[MISSED]} missed, {count[WIDE]} too wide to tell, "
           f"{count[OPEN]} open" + (f" ({left} not run)" if left else ""))
