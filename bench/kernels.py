#!/usr/bin/env python3
"""The products among the lines of checkkern --bench, standard input, as a table.

usage: checkkern --bench | kernels.py
"""
import re
import sys

LINE = re.compile(r"scree_(\S+)\s+(\S.*?)\s+([\d.]+) us\s+([\d.]+) GMAC/s\s+([\d.]+) x of C"
                  r"(?:\s+([\d.]+) % of the peak of (\d+))?")


def main():
    print("| kernel | case | us | GMAC/s | of the peak | times C |\n|---|---|--:|--:|--:|--:|")
    for line in sys.stdin:
        found = LINE.match(line)
        if found:
            kernel, case, us, speed, times, percent, peak = found.groups()
            share = f"{float(percent):.0f} % of {peak}" if percent else "-"
            print(f"| {kernel} | {case} | {us} | {speed} | {share} | {times} |")


if __name__ == "__main__":
    main()
