"""The figures as a table of Markdown, and as a picture."""
import math
import statistics

import cases

ORDER = ["reference", "breakwater", "again", "against", "h2o", "HAProxy", "nginx",
         "Traffic Server", "Varnish"]
PEERS = ORDER[4:]
COLOURS = {"reference": "#888", "breakwater": "#d62728", "against": "#ff9896", "h2o": "#1f77b4",
           "HAProxy": "#2ca02c", "nginx": "#9467bd", "Traffic Server": "#ff7f0e",
           "Varnish": "#17becf"}


def medians(results, case):
    return {column: statistics.median(run["value"] for run in runs)
            for column, runs in results[case.name].items() if runs}


def figure(value):
    if value is None:
        return "–"
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def held(value, bound):
    if value is None:
        return "–"
    if not bound:
        return f"{value:.2f}"
    return f"{value:.2f} ≤ {bound:.2f} {'yes' if value <= bound else '**no**'}"


def ratios(case, found):
    """Ours to the reference and to the best peer; None where one is missing."""
    ours, reference = found.get("breakwater"), found.get("reference")
    peers = [found[peer] for peer in PEERS if found.get(peer)]
    return (ours / reference if ours and reference else None,
            ours / min(peers) if ours and peers else None)


def text(wanted, results, machine):
    columns = [c for c in ORDER if any(c in results[case.name] for case in wanted)]
    lines = [f"{machine['cpu']}, {machine['cores']} cores, Linux {machine['kernel']}, load "
             f"{machine['load']:.1f}, {machine['date']}, commit {machine['commit']}", "",
             "| case | unit | " + " | ".join(columns) + " | / reference | / best peer |",
             "|---|---|" + "---|" * (len(columns) + 2)]
    for case in wanted:
        found = medians(results, case)
        to_reference, to_peer = ratios(case, found)
        peer = held(to_peer, case.most_peer)
        if case.name in cases.ONLY_BYTES and "breakwater" in found:
            bound = cases.ONLY_BYTES[case.name]
            peer += f", {bound} bytes {'yes' if found['breakwater'] <= bound else '**no**'}"
        cells = [figure(found.get(column)) for column in columns]
        lines.append(f"| {case.title} | {case.unit} | " + " | ".join(cells) +
                     f" | {held(to_reference, case.most_reference)} | {peer} |")
    rates = []
    for case in wanted:
        if case.kind == "load" and case.unit == "us":
            rate = {column: statistics.median(run["rate"] for run in runs)
                    for column, runs in results[case.name].items() if runs}
            rates.append(f"| {case.title} | " +
                         " | ".join(f"{rate[c] / 1000:.0f}" if c in rate else "–"
                                    for c in columns) + " |")
    if rates:
        lines += ["", "| thousand requests a second | " + " | ".join(columns) + " |",
                  "|---|" + "---|" * len(columns), *rates]
    return "\n".join(lines)


def picture(wanted, results):
    """A row a case, a dot a candidate: CPU against the reference's (ours where there is none)."""
    left, width, row = 330, 560, 24
    rows = []
    for case in wanted:
        found = medians(results, case)
        base = found.get("reference") or found.get("breakwater")
        if base:
            rows.append((case.title + (" (log)" if case.logged else ""),
                         {c: v / base for c, v in found.items() if c in COLOURS and v > 0}))
    most = max([ratio for _, dots in rows for ratio in dots.values()] + [2])
    least = min([ratio for _, dots in rows for ratio in dots.values()] + [0.5])
    span = math.log(most / least)

    def x(ratio):
        return left + width * math.log(ratio / least) / span

    height = 70 + row * len(rows)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + width + 30}" '
           f'height="{height}" font-family="sans-serif" font-size="12">',
           '<rect width="100%" height="100%" fill="white"/>']
    for tick in (0.25, 0.5, 1, 2, 4, 8, 16, 32, 64):
        if least <= tick <= most:
            out.append(f'<line x1="{x(tick):.1f}" x2="{x(tick):.1f}" y1="36" y2="{height - 16}" '
                       f'stroke="{"#444" if tick == 1 else "#ddd"}"/>'
                       f'<text x="{x(tick):.1f}" y="{height - 4}" text-anchor="middle">'
                       f'{tick:g}</text>')
    at = 10
    for column, colour in COLOURS.items():
        if any(column in dots for _, dots in rows):
            out.append(f'<circle cx="{at}" cy="14" r="5" fill="{colour}"/>'
                       f'<text x="{at + 9}" y="18">{column}</text>')
            at += 30 + 7 * len(column)
    for number, (title, dots) in enumerate(rows):
        y = 50 + row * number
        out.append(f'<text x="{left - 10}" y="{y + 4}" text-anchor="end">{title}</text>')
        for column, ratio in dots.items():
            out.append(f'<circle cx="{x(ratio):.1f}" cy="{y}" r="5" fill="{COLOURS[column]}">'
                       f'<title>{column} {ratio:.2f}</title></circle>')
    return "\n".join(out) + "\n</svg>\n"
