"""Measures what one core spends on a request: ours, bare references and other caches in one run.

Servers are pinned to one core, the client and the origin to another. Rounds are interleaved and
nobody is always first; a figure is the median of its rounds. "again" is ours measured a second time
in each round: what the two differ by is noise, and only ratios of one run count. An answer that
isn't 200 with the right length, a sampled body that differs, or a hit that asked the origin makes
no figure but an error of that candidate in that case.
"""
import argparse
import json
import os
import pathlib
import platform
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time

import candidates
import cases
import table

AGAIN = "again"


class Bench:
    def __init__(self, options, folder):
        self.options = options
        self.folder = pathlib.Path(folder)
        self.tools = pathlib.Path(options.tools).resolve()
        self.cert = self.folder / "certificate"
        self.origin_port = 0
        self.running = {}
        self.faults = {}
        self.runs = 0
        self.make_certificate()
        self.origin = candidates.Origin(self).start()
        self.origin_port = self.origin.port

    def make_certificate(self):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
                        "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
                        "-keyout", f"{self.cert}.key", "-out", f"{self.cert}.crt"],
                       check=True, capture_output=True)
        pem = pathlib.Path(f"{self.cert}.pem")
        pem.write_bytes(pathlib.Path(f"{self.cert}.crt").read_bytes() +
                        pathlib.Path(f"{self.cert}.key").read_bytes())
        pem.chmod(0o600)

    def server(self, kind, case):
        key = (kind, case.logged, case.name == "zipf")
        if key not in self.running:
            self.running[key] = kind(self, *key[1:]).start()
        return self.running[key]

    def kinds(self, case):
        """(column, class) of all that take part."""
        found = []
        if case.reference and "reference" in self.options.only:
            found.append(("reference", candidates.REFERENCES[case.reference]))
        if "breakwater" in self.options.only:
            found.append(("breakwater", candidates.Breakwater))
            if case.kind != "idle":
                found.append((AGAIN, candidates.Breakwater))
        if candidates.Against.binary:
            found.append(("against", candidates.Against))
        for peer in candidates.PEERS:
            if (peer.name in self.options.only and case.way in peer.ways and
                    case.name not in peer.cannot and (not case.peers or peer.name in case.peers)):
                found.append((peer.name, peer))
        return [(column, kind) for column, kind in found if kind.missing() is None]

    def load(self, server, case, *arguments):
        command = [self.tools / "bench_load", "--core", candidates.CLIENT_CORE, "--port",
                   server.port_of(case.way), "--watch", ",".join(map(str, server.pids())),
                   *case.load, *arguments]
        if case.repeat:
            self.runs += 1
            command += ["--path", f"{case.repeat}{self.runs}-"]
        if case.name == "zipf":
            command += ["--objects", self.options.objects]
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
        result = json.loads(done.stdout or "{}")
        if done.returncode != 0:
            raise RuntimeError(result.get("error", done.stderr[-300:]))
        return result

    def woken(self):
        status = pathlib.Path(f"/proc/{self.origin.process.pid}/status").read_text()
        return int(re.search(r"^voluntary_ctxt_switches:\s*(\d+)", status, re.M).group(1))

    def warm(self, server, case):
        """The objects into its cache."""
        if case.name == "zipf":
            load = [argument for argument in case.load]
            load[load.index("zipf")] = "each"
            filler = cases.dataclasses.replace(case, load=load)
            self.load(server, filler, "--requests", self.options.objects)
        elif case.hit:
            self.load(server, case, "--seconds", "0.1", "--warmup", "0.2")

    def measure(self, server, case, rate=0):
        seconds = self.options.seconds * (3 if case.unit in ("us/MiB", "ms") or rate else 1)
        arguments = ["--seconds", seconds]
        if case.hit:
            arguments += ["--warmup", "0.1"]
        if rate:
            arguments += ["--rate", int(rate)]
        asked = self.woken()
        result = self.load(server, case, *arguments)
        if case.hit and self.woken() - asked > max(50, result["requests"] / 100):
            raise RuntimeError("the origin was asked while hits were measured")
        if result["requests"] == 0 and case.unit != "us/MiB":
            raise RuntimeError("no answers")
        if server.logged:
            os.truncate(server.log() if os.path.exists(server.log())
                        else server.folder / "output", 0)
        ms = result["server_ms"]
        value = {"us": lambda: ms * 1e3 / result["requests"],
                 "ms": lambda: ms / result["requests"],
                 "us/MiB": lambda: ms * 1e3 / result["mib"],
                 "p99 us": lambda: result["latency_us"]["p99"],
                 "p99.9 us": lambda: result["latency_us"]["p999"]}[case.unit]()
        return {"value": value, **result}

    def idle(self, kind, case):
        """Bytes a connection costs that asked once and waits."""
        server = kind(self)
        server.start()
        try:
            self.load(server, case, "--seconds", "0.2", "--warmup", "0.1")
            before, count = server.memory(), self.options.idle
            holder = subprocess.Popen(
                list(map(str, [self.tools / "bench_load", "--core", candidates.CLIENT_CORE, "--idle",
                               "--connections", count, "--port", server.port_of(case.way),
                               *case.load])),
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            try:
                line = json.loads(holder.stdout.readline() or "{}")
                if "holding" not in line:
                    raise RuntimeError(line.get("error", "no connections"))
                return {"value": max(0, server.memory() - before) / count}
            finally:
                holder.stdin.close()
                holder.wait(10)
        finally:
            server.stop()

    def fail(self, case, column, error):
        text = str(error).strip()
        if (case.name, column) not in self.faults:
            print(f"bench: {case.name}: {column}: {text}", file=sys.stderr)
        self.faults[case.name, column] = text

    def attempt(self, case, column, call):
        try:
            return call()
        except (RuntimeError, subprocess.SubprocessError, OSError, ValueError) as error:
            self.fail(case, column, error)
            return None

    def run(self, wanted):
        results = {case.name: {} for case in wanted}
        print("bench: starting and warming", file=sys.stderr)
        for case in wanted:
            for column, kind in self.kinds(case):
                if case.kind != "idle" and column != AGAIN:
                    self.attempt(case, column, lambda c=case, k=kind: self.warm(
                        self.server(k, c), c))
        for number in range(self.options.rounds):
            print(f"bench: round {number + 1} of {self.options.rounds}", file=sys.stderr)
            for case in wanted:
                turns = [t for t in self.kinds(case) if (case.name, t[0]) not in self.faults]
                if not turns or case.kind == "idle":
                    continue
                shift = number % len(turns)
                rate = self.half_rate(results) if case.kind == "latency" else 0
                for column, kind in turns[shift:] + turns[:shift]:
                    got = self.attempt(case, column, lambda c=case, k=kind: self.measure(
                        self.server(k, c), c, rate))
                    if got:
                        results[case.name].setdefault(column, []).append(got)
        for server in self.running.values():
            server.stop()
        self.running.clear()
        for case in wanted:
            for column, kind in self.kinds(case) if case.kind == "idle" else []:
                got = self.attempt(case, column, lambda c=case, k=kind: self.idle(k, c))
                if got:
                    results[case.name][column] = [got]
        return results

    def half_rate(self, results):
        """Of the slowest peer, as its CPU time on the h1 case allows."""
        seen = [statistics.median(r["value"] for r in runs)
                for runs in results.get("h1", {}).values() if runs]
        return 0.5e6 / max(seen) if seen else 10_000

    def stop(self):
        for server in [*self.running.values(), self.origin]:
            server.stop()


def facts():
    def output(*command):
        done = subprocess.run(command, capture_output=True, text=True)
        return done.stdout.strip() if done.returncode == 0 else ""
    cpu = re.search(r"model name\s*:\s*(.*)", pathlib.Path("/proc/cpuinfo").read_text())
    return {"commit": output("git", "describe", "--always", "--dirty", "--exclude=*"),
            "kernel": platform.release(), "cores": os.cpu_count(),
            "cpu": cpu.group(1) if cpu else platform.machine(), "load": os.getloadavg()[0],
            "date": time.strftime("%Y-%m-%d", time.gmtime())}


def main():
    everyone = ["reference", "breakwater", *(peer.name for peer in candidates.PEERS)]
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("case", nargs="*", help="cases or groups; none: all")
    parser.add_argument("--only", default=",".join(everyone), help="candidates, by commas")
    parser.add_argument("--breakwater", default="build/release/breakwater", metavar="FILE")
    parser.add_argument("--against", default="", metavar="FILE", help="another build of ours")
    parser.add_argument("--tools", default="build/release/tests/bench", metavar="FOLDER")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.4, help="a run")
    parser.add_argument("--idle", type=int, default=2000, help="connections held")
    parser.add_argument("--objects", type=int, default=1_000_000, help="of the case zipf")
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--svg", metavar="FILE")
    options = parser.parse_args()
    options.only = options.only.split(",")
    if set(options.only) - set(everyone):
        parser.error(f"--only takes {', '.join(everyone)}")
    if (os.cpu_count() or 1) < 2:
        sys.exit("bench: needs two cores, one for the server and one for the client")
    # Stopped from outside, the servers still are stopped one by one.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("bench: stopped"))
    wanted = cases.chosen(options.case)
    candidates.Breakwater.binary = options.breakwater
    candidates.Against.binary = options.against
    for kind in [candidates.Breakwater, *candidates.PEERS]:
        if kind.missing() and kind.name in options.only:
            print(f"bench: {kind.missing()}", file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix="bw-bench-", ignore_cleanup_errors=True) as folder:
        os.chmod(folder, 0o755)
        bench = Bench(options, folder)
        try:
            results = bench.run(wanted)
        finally:
            bench.stop()
    machine = facts()
    print(table.text(wanted, results, machine))
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(
            {"machine": machine, "rounds": options.rounds, "results": results,
             "faults": [[*key, text] for key, text in bench.faults.items()]}, indent=1) + "\n")
    if options.svg:
        pathlib.Path(options.svg).write_text(table.picture(wanted, results))


if __name__ == "__main__":
    main()
