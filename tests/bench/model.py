"""From what one core spends on a request to the nodes that a million requests a second need.

    python3 tests/bench/model.py FIGURES.json      as scripts/bench.sh --json wrote them

Assumes that cores add up (the hit path writes no line that workers share) and that a core is as
fast as the one measured; both are to be proved where there are more cores than two.
"""
import argparse
import json
import math
import pathlib
import statistics

SHARE = 0.6          # of a core and of a card that a plan may use: the rest is for peaks and failures
NODE_CORES = 64
NODE_GBITS = 100
HEAD = 350           # bytes of an answer beside its body, TCP and IP included
BODY = 1024
MIXES = {"HTTP/1.1 keep-alive": "h1", "HTTP/1.1 over TLS": "tls",
         "HTTP/2 over TLS, 16 streams": "h2-tls-16", "HTTP/2 over TLS, 100 streams": "h2-tls-100"}


def rows(results):
    for title, case in MIXES.items():
        runs = results.get(case, {}).get("breakwater")
        if not runs:
            continue
        us = statistics.median(run["value"] for run in runs)
        for rate in (1_000_000, 10_000_000):
            cores = rate * us / 1e6 / SHARE
            gbits = rate * (BODY + HEAD) * 8 / 1e9
            nodes = max(cores / NODE_CORES, gbits / (NODE_GBITS * SHARE))
            limit = "cores" if cores / NODE_CORES >= gbits / (NODE_GBITS * SHARE) else "network"
            yield (f"| {title} | {us:.1f} | {rate // 1_000_000} M/s | {math.ceil(cores)} | "
                   f"{gbits:.0f} | {math.ceil(nodes) + 1} | {limit} |")


def text(results):
    return "\n".join(["| 1 KiB hits by | µs | rate | cores | Gbit/s | nodes, one to spare | limit |",
                      "|---|---|---|---|---|---|---|", *rows(results)])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("figures")
    print(text(json.loads(pathlib.Path(parser.parse_args().figures).read_text())["results"]))


if __name__ == "__main__":
    main()
