"""The bar chart: a panel for each case, drawn by gnuplot."""

import shutil
import subprocess

COLUMNS = 3
WIDTH, HEIGHT = 420, 240        # of a panel
COLOURS = {"haul": "#c0392b", "floor": "#b0b0b0", "": "#5b7fa6"}


def quoted(text):
    """As gnuplot has it; no enhanced text is asked for."""
    return "'" + str(text).replace("'", "''") + "'"


def colour(name):
    for word, value in COLOURS.items():
        if name.startswith(word):
            return value
    return COLOURS[""]


def panel(number, result):
    """The commands for one case: horizontal bars, the first one on top."""
    rows = result["contenders"]
    most = max(row["median"]["value"] for row in rows)
    tics = ", ".join(f"{quoted(row['name'])} {len(rows) - n}"
                     for n, row in enumerate(rows))
    yield f"$case{number} << END"
    for n, row in enumerate(rows):
        value = row["median"]["value"]
        code = int(colour(row["name"])[1:], 16)
        yield f"{value:.6g} {len(rows) - n} {code} {label(value)}"
    yield "END"
    yield f"set title {quoted(result['name'] + ': ' + what(result))}"
    yield f"set ytics ({tics})"
    yield f"set xrange [0:{1.25 * most:.6g}]"
    yield f"set yrange [0.4:{len(rows) + 0.6}]"
    yield (f"plot $case{number} using (0):2:(0):1:($2-0.38):($2+0.38):3 "
           "with boxxyerror fillstyle solid linecolor rgb variable, "
           f"$case{number} using 1:2:(' '.strcol(4)) with labels left")


def label(value):
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def what(result):
    less = ", less is better" if result["less_is_better"] else ""
    return result["unit"] + less


def script(results, path, headline):
    rows = -(-len(results) // COLUMNS)
    yield (f"set terminal svg noenhanced size {COLUMNS * WIDTH},"
           f"{rows * HEIGHT + 40} font 'sans-serif,11' background '#ffffff'")
    yield f"set output {quoted(path)}"
    yield "unset key; unset xtics; set border 2; set ytics nomirror scale 0"
    yield "set lmargin 22; set rmargin 2; set tmargin 3; set bmargin 1"
    yield (f"set multiplot layout {rows},{COLUMNS} title {quoted(headline)}")
    for number, result in enumerate(results):
        yield from panel(number, result)
    yield "unset multiplot"


def draw(results, path, headline):
    """Whether it was drawn: not without gnuplot."""
    results = [result for result in results if result["contenders"]]
    if not results or shutil.which("gnuplot") is None:
        return False
    commands = "\n".join(script(results, path, headline))
    subprocess.run(["gnuplot"], input=commands, text=True, check=True)
    return True
