"""What the tiers promise, measured on loopback: one fetch for many, and how fast a purge is gone.

    python3 tests/bench/tiers.py [--runs N]        BREAKWATER names the binary

* one fetch: 200 clients on two edges ask for one cold object through a shield, half of them within
  50 ms of the fill's start, half within 50 ms of its end; the origin must be asked once in every run.
* purge: from the answer that says durable to a GET on each edge that answers the new version.
"""
import argparse
import asyncio
import http.client
import os
import pathlib
import random
import statistics
import sys
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import cdn  # noqa: E402
import stage  # noqa: E402

TIER = '[tier]\ntoken_file = "tier.token"\n'
FILL = 0.3  # seconds from the first client to the fill's last byte
SIZE = 100_000


async def get(address, path, at):
    await asyncio.sleep(max(0.0, at - time.monotonic()))
    host, port = address.rsplit(":", 1)
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"GET {path} HTTP/1.1\r\nHost: {cdn.HOST}\r\nConnection: close\r\n\r\n".encode())
    answer = await reader.read()
    while piece := await reader.read():
        answer += piece
    writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    return head.split(b" ")[1] == b"200" and len(body) == SIZE


async def one_run(edges, path, dice, end):
    """`end` lets the origin send the second half: the clients' clock says when a fill ends."""
    begin = time.monotonic() + 0.05
    loop = asyncio.get_running_loop()
    loop.call_later(begin + FILL - time.monotonic(), end.set)
    clients = [get(edges[0].http, path, begin)]
    for i in range(199):
        middle = begin if i % 2 == 0 else begin + FILL
        clients.append(get(edges[i % len(edges)].http, path, middle + dice.uniform(-0.05, 0.05)))
    return all(await asyncio.gather(*clients))


class Tiers(cdn.CdnStory):
    runs = 100

    def runTest(self):  # noqa: N802
        origin = self.origin()
        origin.server.request_queue_size = 1024

        end = threading.Event()

        def slow(request):
            request.send_response(200)
            request.send_header("Cache-Control", "max-age=600")
            request.send_header("Content-Length", str(SIZE))
            request.end_headers()
            request.wfile.write(b"x" * (SIZE // 2))
            end.wait(stage.DEADLINE)
            request.wfile.write(b"x" * (SIZE // 2))

        version = [1]
        origin.script["*"] = slow
        origin.script["/product"] = lambda request: request.answer(
            200, {"Cache-Control": "max-age=600", "Cache-Tag": "product-1"},
            str(version[0]).encode())
        self.write("tier.token", "tier-secret\n")
        purged = self.purged()
        control = self.control(purged)
        shield = self.edge(origin.address, name="shield1", extra=TIER + control, tls=False)
        extra = TIER + control + f'[shield]\nnodes = ["http://{shield.http}"]\n'
        edges = [self.edge("127.0.0.1:1", name=f"edge{i}", extra=extra, tls=False)
                 for i in range(2)]

        dice = random.Random(1)
        once = whole = 0
        for run in range(self.runs):
            path = f"/cold/{run}"
            end.clear()
            whole += asyncio.run(one_run(edges, path, dice, end))
            once += origin.count(path) == 1
        print(f"one fetch: {once} of {self.runs} runs; all 200 answers whole in {whole}")

        times = []
        links = [http.client.HTTPConnection(edge.http, timeout=10) for edge in edges]
        for link in links:
            link.connect()
        for _ in range(5 * self.runs):
            for link in links:
                link.request("GET", "/product", headers={"Host": cdn.HOST})
                link.getresponse().read()
            version[0] += 1
            wanted = str(version[0]).encode()
            answer = self.purge_now(purged)
            durable = time.monotonic()
            assert answer == 202, answer
            for link in links:
                while True:
                    link.request("GET", "/product", headers={"Host": cdn.HOST})
                    if link.getresponse().read() == wanted:
                        break
            times.append((time.monotonic() - durable) * 1000)
        times.sort()
        print(f"purge: new on both edges after p50 {statistics.median(times):.1f} ms, "
              f"p99 {times[int(len(times) * 0.99)]:.1f} ms, most {times[-1]:.1f} ms")
        self.assertEqual(once, self.runs)
        self.assertEqual(whole, self.runs)

    def purge_now(self, purged):
        link = http.client.HTTPConnection(purged.address("http"), timeout=10)
        link.request("POST", "/v1/sites/shop/purge", body=b'{"tags":["product-1"]}',
                     headers={"Authorization": "Bearer ops-secret",
                              "Content-Type": "application/json"})
        status = link.getresponse().status
        link.close()
        return status


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=100)
    Tiers.runs = parser.parse_args().runs
    if not os.path.exists(stage.BREAKWATER):
        sys.exit(f"no {stage.BREAKWATER}: scripts/build.sh makes it, BREAKWATER names another")
    result = unittest.TextTestRunner().run(Tiers())
    sys.exit(not result.wasSuccessful())


if __name__ == "__main__":
    main()
