"""One table of a run, in Markdown: for the README."""

import shlex

import report
from contenders import FAILS, MODES, kind
from place import human

COLUMNS = [f"haul {mode}" for mode in MODES] + [
    "nc.openbsd", "nc.traditional", "ncat", "socat", "socat-256k"]
HEADS = ["", *COLUMNS, "others", "floor", "CPU", "memory"]
TRANSFERS = "MiB/s", "files/s"
NOTES = (
    "Medians; × is the ratio to the value in bold. ↓: less is better. ~: half of"
    " the rounds lie more than {wide:.0%} apart, so that this one proves"
    " nothing. floor: the best of some minimal C programs. CPU (time for the"
    " same work, of both ends) and memory (peak, of both ends): the ratio of"
    " haul in both modes. These figures are of one machine and one run: only"
    " ratios within a run mean anything.")


def text(given):
    return given.replace("|", "\\|")


def cell(row, figures):
    if row is None:
        return ""
    text_of = report.number(figures.of(row))
    if row is figures.base:
        text_of = f"**{text_of}**"
    elif figures.base:
        text_of += f" ×{report.times(figures.ratio(row))}"
    return text_of + (" ~" if figures.wide(row) else "")


def both_modes(figures, of):
    """The ratios of haul to the baseline, in both modes."""
    base = figures.base and of(figures.base)
    found = [of(figures.rows[name]) / base for name in COLUMNS[:2]
             if name in figures.rows and base]
    return " / ".join(map(report.times, found))


def title(result, figures, size):
    """The case; not the size that most of them have."""
    name = result["title"].removeprefix(human(size) + ": ")
    name = name.replace(" (less is better)", "")
    return text(f"{name}: {figures.unit}{' ↓' if figures.less else ''}")


def line(result, size):
    figures = report.Figures(result)
    rows = figures.rows
    cells = {name: cell(rows.get(name), figures) for name in COLUMNS}
    if "haul" in rows:          # no mode matters
        cells.update((name, cell(rows["haul"], figures))
                     for name in COLUMNS[:2])
    for name, why in result["absent"].items():
        if cells.get(name) == "" and why == FAILS:
            cells[name] = FAILS
    others = [f"{text(name)} {cell(row, figures)}"
              for name, row in rows.items()
              if name not in COLUMNS and name != "haul"
              and kind(name) != "floor"]
    cpu = memory = ""
    if result["unit"] in TRANSFERS and not figures.memory:
        cpu = both_modes(figures, lambda row: row["median"]["cpu"])
        memory = both_modes(figures, report.total_memory)
    return [title(result, figures, size), *cells.values(),
            "<br>".join(others), cell(rows.get(figures.floor), figures), cpu,
            memory]


def versions(about):
    return "; ".join(f"{name}: {said}" for name, said in
                     about["programs"].items() if name != "gnuplot" and said)


def page(whole, words):
    """All lines; words: of the command that was given."""
    about = whole["machine"]
    yield (f"{about['cpu']}, {about['cpus']} CPUs,"
           f" {human(about['memory_bytes'])}; {about['kernel']};"
           f" {about.get('compiler', 'an unknown compiler')}"
           f" ({about.get('flags', '')}), {about['libc']};"
           f" {whole['date'][:10]}; `{shlex.join(words)}`:"
           f" {whole['rounds']} rounds, up to {2 * whole['rounds']} where they"
           f" differ, and {human(whole['size'])}.")
    yield ""
    yield f"Versions: {text(versions(about))}."
    yield ""
    yield NOTES.format(wide=report.WIDE)
    yield ""
    yield "| " + " | ".join(HEADS) + " |"
    yield "|---" * len(HEADS) + "|"
    for result in whole["cases"]:
        if result["contenders"]:
            yield "| " + " | ".join(line(result, whole["size"])) + " |"
