"""CPU microseconds a server spends on a 1 KiB hit, ours and others' side by side in one run.

Servers are pinned to one core, client and origin to another; rounds are interleaved; a number is the
median over the rounds, beside it the smallest and greatest. The first server is measured twice a
round: what its two columns differ by is noise. Only ratios within one run count. A run in which the
origin was asked, or an answer wasn't 200 with the right length, is no result but an error.
"""
import argparse
import hashlib
import http.client
import json
import os
import pathlib
import platform
import re
import ssl
import statistics
import subprocess
import sys
import tempfile

import servers

WORKLOADS = {
    "HTTP/1.1 keep-alive, 32 connections": ("plain", ["--h1", "-c32"]),
    "HTTP/2 over TLS, 10 x 16 streams": ("tls", ["-c10", "-m16"]),
}
TICK_US = 1e6 / os.sysconf("SC_CLK_TCK")


def make_certificate(folder):
    base = pathlib.Path(folder) / "certificate"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
                    "-keyout", f"{base}.key", "-out", f"{base}.crt"],
                   check=True, capture_output=True)
    pathlib.Path(f"{base}.pem").write_bytes(
        pathlib.Path(f"{base}.crt").read_bytes() + pathlib.Path(f"{base}.key").read_bytes())
    for end in ("key", "crt", "pem"):
        os.chmod(f"{base}.{end}", 0o644 if end == "crt" else 0o600)
    return base


def fetch(server, tls):
    if tls:
        trust_all = ssl.create_default_context()
        trust_all.check_hostname = False
        trust_all.verify_mode = ssl.CERT_NONE
        link = http.client.HTTPSConnection("127.0.0.1", server.tls_port, context=trust_all,
                                           timeout=10)
    else:
        link = http.client.HTTPConnection("127.0.0.1", server.plain_port, timeout=10)
    link.request("GET", servers.PATH, headers={"Host": "localhost"})
    answer = link.getresponse()
    body = answer.read()
    link.close()
    if answer.status != 200 or hashlib.sha256(body).digest() != \
            hashlib.sha256(servers.BODY).digest():
        raise RuntimeError(f"{server.name}: {answer.status}, {len(body)} bytes of another body")


def load(server, way, arguments, requests):
    port, scheme = ((server.plain_port, "http") if way == "plain" else
                    (server.tls_port, "https"))
    done = subprocess.run(
        ["taskset", "-c", servers.OTHER_CORE, "h2load", "-t1", f"-n{requests}", *arguments,
         f"{scheme}://localhost:{port}{servers.PATH}"], capture_output=True, text=True)
    good = re.search(r"status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx", done.stdout)
    data = re.search(r"\((\d+)\) data", done.stdout)
    rate = re.search(r"finished in .*?, ([\d.]+) req/s", done.stdout)
    if done.returncode != 0 or not good or not data or not rate or \
            int(good.group(1)) != requests or int(data.group(1)) != requests * len(servers.BODY):
        raise RuntimeError(f"{server.name}: h2load: {done.stdout[-600:]}{done.stderr[-300:]}")
    return float(rate.group(1))


def measure(server, way, arguments, requests, origin):
    asked = origin.asked()
    before = server.cpu_ticks()
    rate = load(server, way, arguments, requests)
    ticks = server.cpu_ticks() - before
    if origin.asked() != asked:
        raise RuntimeError(f"{server.name}: the origin was asked while hits were measured")
    return {"us": ticks * TICK_US / requests, "rate": rate}


def print_table(results, columns):
    width = max(len(column) for column in columns) + 2
    for workload in WORKLOADS:
        print(f"\n{workload}")
        print(f"  {'':{width}}{'CPU us/request':>15}{'spread':>18}"
              f"{'/ HAProxy':>11}{'/ nginx':>9}{'requests/s':>12}")
        medians = {column: statistics.median(r["us"] for r in runs)
                   for column, runs in results[workload].items()}
        for column, runs in results[workload].items():
            spread = f"{min(r['us'] for r in runs):.1f} - {max(r['us'] for r in runs):.1f}"
            ratios = [f"{medians[column] / medians[other]:.2f}" if medians.get(other) else "-"
                      for other in ("HAProxy", "nginx")]
            rate = statistics.median(r["rate"] for r in runs)
            print(f"  {column:{width}}{medians[column]:>15.1f}{spread:>18}"
                  f"{ratios[0]:>11}{ratios[1]:>9}{rate:>12.0f}")


def facts():
    def output(*command):
        done = subprocess.run(command, capture_output=True, text=True)
        return done.stdout.strip() if done.returncode == 0 else ""
    cpu = re.search(r"model name\s*:\s*(.*)", pathlib.Path("/proc/cpuinfo").read_text())
    return {"commit": output("git", "rev-parse", "HEAD"), "kernel": platform.release(),
            "cpu": cpu.group(1) if cpu else platform.machine(), "cores": os.cpu_count(),
            "load": os.getloadavg()[0]}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--peers-only", action="store_true", help="without breakwater")
    parser.add_argument("--breakwater", default="build/release/breakwater", metavar="FILE")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=60_000, help="a run (default 60000)")
    parser.add_argument("--json", metavar="FILE", help="write every number there too")
    options = parser.parse_args()
    if (os.cpu_count() or 1) < 2:
        sys.exit("bench: needs two cores, one for the server and one for the client")

    started = []
    try:
        with tempfile.TemporaryDirectory(prefix="bw-bench-") as folder:
            os.chmod(folder, 0o755)
            cert = make_certificate(folder)
            origin = servers.Origin(folder, cert, 0)
            origin.start()
            started.append(origin)
            measured = []
            for kind in servers.ALL:
                reason = kind.missing(options)
                if reason is not None:
                    print(f"bench: {kind.name}: {reason}", file=sys.stderr)
                    continue
                server = kind(folder, cert, origin.plain_port)
                server.start()
                started.append(server)
                measured.append(server)
                fetch(server, tls=False)
                if server.tls:
                    fetch(server, tls=True)
                # The client's authority has a port, which is a part of some servers' keys.
                for way, arguments in WORKLOADS.values():
                    if way == "plain" or server.tls:
                        load(server, way, arguments, 1000)
            results = {workload: {} for workload in WORKLOADS}
            turns = [(server.name, server) for server in measured]
            turns.append((f"{measured[0].name} again", measured[0]))
            for number in range(options.rounds):
                print(f"bench: round {number + 1} of {options.rounds}", file=sys.stderr)
                for workload, (way, arguments) in WORKLOADS.items():
                    # Nobody is always first.
                    shift = number % len(turns)
                    for column, server in turns[shift:] + turns[:shift]:
                        if way == "tls" and not server.tls:
                            continue
                        run = measure(server, way, arguments, options.requests, origin)
                        results[workload].setdefault(column, []).append(run)
            columns = [column for column, _ in turns]
            results = {workload: {column: runs[column] for column in columns if column in runs}
                       for workload, runs in results.items()}
            print_table(results, columns)
            if options.json:
                pathlib.Path(options.json).write_text(
                    json.dumps({"machine": facts(), "rounds": options.rounds,
                                "requests": options.requests, "results": results}, indent=1) + "\n")
            for server in reversed(started):
                server.stop()
    except RuntimeError as error:
        sys.exit(f"bench: {error}")
    finally:
        for server in reversed(started):
            server.stop()


if __name__ == "__main__":
    main()
