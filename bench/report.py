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


def chart(result, name="LiteRT"):
    """Bars: how many times as fast as `name` each model runs."""
    rows = [row for row in result["rows"] if name in row["others"]]
    models = list(dict.fromkeys(row["model"] for row in rows))
    most = max([row["others"][name]["ratio"] for row in rows] + [2])
    width, unit = LEFT + 520 + RIGHT, 520 / most
    threads = sorted({row["threads"] for row in rows})
    step = BAR * len(threads) + GAP
    height = TOP + step * len(models) + 30
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
           f'viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">',
           f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
           f'<text x="10" y="20" font-size="14">times as fast as {escape(name)} '
           f'({escape(result["processor"])}, {escape(result["commit"])})</text>']
    for i, n in enumerate(threads):
        x = LEFT + 110 * i
        out += [f'<rect x="{x}" y="28" width="10" height="10" fill="{COLOURS.get(n, "#a0aec0")}"/>',
                f'<text x="{x + 15}" y="37">{n} thread{"s" if n > 1 else ""}</text>']
    for k in range(int(most) + 1):
        x = LEFT + k * unit
        out += [f'<line x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{height - 26}" '
                f'stroke="{"#c53030" if k == 1 else "#e2e8f0"}"/>',
                f'<text x="{x:.1f}" y="{height - 10}" text-anchor="middle">{k}</text>']
    for i, model in enumerate(models):
        y = TOP + i * step + GAP / 2
        out.append(f'<text x="{LEFT - 8}" y="{y + step / 2:.1f}" text-anchor="end">'
                   f'{escape(model)}</text>')
        for row in rows:
            if row["model"] != model:
                continue
            ratio, at = row["others"][name]["ratio"], y + BAR * threads.index(row["threads"])
            out += [f'<rect x="{LEFT}" y="{at:.1f}" width="{ratio * unit:.1f}" '
                    f'height="{BAR - 1}" fill="{COLOURS.get(row["threads"], "#a0aec0")}"/>',
                    f'<text x="{LEFT + ratio * unit + 4:.1f}" y="{at + BAR - 2:.1f}" '
                    f'font-size="10">{ratio:.2f}</text>']
    return "\n".join(out + ["</svg>"]) + "\n"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("json")
    parser.add_argument("--svg")
    arguments = parser.parse_args()
    result = json.loads(pathlib.Path(arguments.json).read_text())
    if arguments.svg:
        pathlib.Path(arguments.svg).write_text(chart(result))
    print(table(result))


if __name__ == "__main__":
    main()
