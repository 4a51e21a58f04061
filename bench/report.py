"""What compare.py has measured, as a table and as a chart.

usage: report.py FILE.json [--svg FILE.svg]     prints the table
"""
import argparse
import json
import pathlib
from xml.sax.saxutils import escape


def line(row):
    others = "  ".join(f"{name} {other['ms']:.2f} ({other['ratio']:.2f}x)"
                       for name, other in row["others"].items())
    return f"{row['model']} x{row['threads']}: {row['ms']:.2f} ms  {others}"


def head(result):
    versions = ", ".join(f"{name} {version}" for name, version in result["runtimes"].items())
    return (f"{result['processor']}, {result['n_processors']} processors, governor "
            f"{result['governor']}, Linux {result['kernel']}; scree at {result['commit']}, "
            f"{result['date']}; {versions or 'no other runtime'}; medians of "
            f"{result['rounds']} rounds.")


def runtimes_of(result):
    """Those that have run at least one model."""
    return [name for name in result["runtimes"]
            if any(name in row["others"] for row in result["rows"])]


def table(result):
    names = runtimes_of(result)
    lines = [head(result), "",
             "| model | threads | scree ms | " +
             "".join(f"{name} ms | ratio | " for name in names) + "load ms | peak MiB |",
             "|---|--:|--:|" + "--:|--:|" * len(names) + "--:|--:|"]
    for row in result["rows"]:
        cells = [row["model"], str(row["threads"]), f"{row['ms']:.2f}"]
        for name in names:
            other = row["others"].get(name)
            cells += [f"{other['ms']:.2f}", f"**{other['ratio']:.2f}**"] if other else ["-", "-"]
        cells += [f"{row['load_ms']:.1f}", f"{row['peak_mib']:.1f}"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


# ---- the chart -----------------------------------------------------------------------------------

COLOURS = {1: "#2b6cb0", 2: "#90cdf4"}
BAR, GAP, LEFT, RIGHT, TOP = 11, 9, 330, 70, 46


def chart(title, bars, legend):
    """Bars of (what, series, value), grouped by what, from 0 on with a line at 1; legend: {series: name}."""
    groups = list(dict.fromkeys(what for what, _, _ in bars))
    most = max([value for _, _, value in bars] + [2])
    tick = max(1, round(most / 10))
    width, unit = LEFT + 520 + RIGHT, 520 / most
    series = sorted(legend)
    step = BAR * len(series) + GAP
    height = TOP + step * len(groups) + 30
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
           f'viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">',
           f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
           f'<text x="10" y="20" font-size="14">{escape(title)}</text>']
    for i, name in enumerate(series):
        x = LEFT + 110 * i
        out += [f'<rect x="{x}" y="28" width="10" height="10" fill="{COLOURS.get(name, "#a0aec0")}"/>',
                f'<text x="{x + 15}" y="37">{escape(legend[name])}</text>']
    for k in sorted({1, *range(0, int(most) + 1, tick)}):
        x = LEFT + k * unit
        out.append(f'<line x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{height - 26}" '
                   f'stroke="{"#c53030" if k == 1 else "#e2e8f0"}"/>')
        if k != 1 or tick == 1:
            out.append(f'<text x="{x:.1f}" y="{height - 10}" text-anchor="middle">{k}</text>')
    for i, what in enumerate(groups):
        y = TOP + i * step + GAP / 2
        out.append(f'<text x="{LEFT - 8}" y="{y + step / 2:.1f}" text-anchor="end">{escape(what)}</text>')
        for name, value in [(name, value) for other, name, value in bars if other == what]:
            at = y + BAR * series.index(name)
            out += [f'<rect x="{LEFT}" y="{at:.1f}" width="{value * unit:.1f}" '
                    f'height="{BAR - 1}" fill="{COLOURS.get(name, "#a0aec0")}"/>',
                    f'<text x="{LEFT + value * unit + 4:.1f}" y="{at + BAR - 2:.1f}" '
                    f'font-size="10">{value:.2f}</text>']
    return "\n".join(out + ["</svg>"]) + "\n"


def chart_of(result, name="LiteRT"):
    """How many times as fast as `name` each model runs."""
    bars = [(row["model"], row["threads"], row["others"][name]["ratio"])
            for row in result["rows"] if name in row["others"]]
    legend = {n: f"{n} thread{'s' if n > 1 else ''}" for _, n, _ in bars}
    return chart(f"times as fast as {name} ({result['processor']}, {result['commit']})", bars, legend)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("json")
    parser.add_argument("--svg")
    arguments = parser.parse_args()
    result = json.loads(pathlib.Path(arguments.json).read_text())
    if arguments.svg:
        pathlib.Path(arguments.svg).write_text(chart_of(result))
    print(table(result))


if __name__ == "__main__":
    main()
