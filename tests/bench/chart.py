"""The bar chart: a panel for each case, drawn by gnuplot."""

import shutil
import subprocess

import report
from contenders import kind

COLUMNS = 3
WIDTH, NAMES = 440, 180         # pixels, of a panel and of what is left of it
BAR, TITLE = 17, 32             # the height of a bar, and above all of them
COLOURS = {"haul": "#c0392b", "haul --raw": "#e6a39b", "aside": "#dcdcdc",
           "floor": "#9a9a9a", "peer": "#5b7fa6"}


def quoted(text):
    """As gnuplot has it; no enhanced text is asked for."""
    return "'" + str(text).replace("'", "''") + "'"


def length(row, figures):
    """How many times as good as the baseline: longer bars are better."""
    ratio = figures.ratio(row)
    if not ratio:
        return 0.0
    return 1 / ratio if figures.less else ratio


def bars(figures):
    """Name, length, label and colour of each; of floors only the best."""
    for name, row in figures.rows.items():
        if kind(name) == "floor" and name != figures.floor:
            continue
        times = length(row, figures)
        label = (f"{report.times(times)} ({report.number(figures.of(row))}"
                 f"{', wide' if figures.wide(row) else ''})")
        star = "*" if row is figures.base else ""
        yield name + star, times, label, int(COLOURS[kind(name)][1:], 16)


class Canvas:
    """Places in pixels from the top left, as gnuplot has them."""

    def __init__(self, width, height):
        self.width, self.height = width, height

    def x(self, pixels):
        return f"screen {pixels / self.width:.5f}"

    def y(self, pixels):
        return f"screen {1 - pixels / self.height:.5f}"


def panel(canvas, left, top, figures):
    """The commands for one case: horizontal bars, the first one on top."""
    rows = list(bars(figures))
    height = len(rows)
    tics = ", ".join(f"{quoted(row[0])} {height - n}"
                     for n, row in enumerate(rows))
    yield "$bars << END"
    for n, (_, times, label, colour) in enumerate(rows):
        yield f'{times:.6g} {height - n} {colour} "{label}"'
    yield "END"
    yield f"set title {quoted(figures.name + ', ' + figures.unit)}"
    yield f"set lmargin at {canvas.x(left + NAMES)}"
    yield f"set rmargin at {canvas.x(left + WIDTH - 10)}"
    yield f"set tmargin at {canvas.y(top + TITLE)}"
    yield f"set bmargin at {canvas.y(top + TITLE + height * BAR)}"
    yield f"set ytics ({tics})"
    yield f"set xrange [0:{1.95 * max(row[1] for row in rows) or 1:.6g}]"
    yield f"set yrange [0.4:{height + 0.6}]"
    yield ("plot $bars using (0):2:(0):1:($2-0.38):($2+0.38):3 "
           "with boxxyerror fillstyle solid linecolor rgb variable, "
           "$bars using 1:2:(' '.strcol(4)) with labels left")


def script(results, path, headline):
    cases = [report.Figures(result) for result in results]
    lines = [cases[n:n + COLUMNS] for n in range(0, len(cases), COLUMNS)]
    tops = [TITLE]
    for line in lines:
        most = max(len(list(bars(figures))) for figures in line)
        tops.append(tops[-1] + TITLE + most * BAR + 10)
    canvas = Canvas(min(COLUMNS, len(cases)) * WIDTH, tops[-1])
    title = (f"{headline}: how many times as good as * (the value itself);"
             " longer is better")
    yield (f"set terminal svg noenhanced size {canvas.width},{canvas.height}"
           " font 'sans-serif,11' background '#ffffff'")
    yield f"set output {quoted(path)}"
    yield "unset key; unset xtics; set border 2; set ytics nomirror scale 0"
    yield "set title offset 0,-0.5"
    yield "set multiplot"
    yield f"set label 1 {quoted(title)} at {canvas.x(20)},{canvas.y(18)}"
    for line, top in zip(lines, tops):
        for n, figures in enumerate(line):
            yield from panel(canvas, n * WIDTH, top, figures)
            yield "unset label 1"
    yield "unset multiplot"


def draw(results, path, headline):
    """Whether it was drawn: not without gnuplot."""
    results = [result for result in results if result["contenders"]]
    if not results or shutil.which("gnuplot") is None:
        return False
    commands = "\n".join(script(results, path, headline))
    subprocess.run(["gnuplot"], input=commands, text=True, check=True)
    return True
