"""The purge service alone: purges, tokens, a node that follows, kill -9 and restart, a clean end."""
import contextlib
import http.client
import json
import subprocess
import threading

from stage import BREAKWATER, Story, curl, main, metric_sum, metrics, until


class Node:
    """A node as the log's contract wants it: it follows, and beats what it has."""

    def __init__(self, address, name, applies=True):
        self.address, self.name, self.applies = address, name, applies
        self.lines = []
        self.end = None
        self.position, self.chain = None, None
        host, port = address.rsplit(":", 1)
        self.connection = http.client.HTTPConnection(host, int(port), timeout=60)
        self.beat()
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        with contextlib.suppress(OSError, http.client.HTTPException):
            self.follow()
        self.end = None

    def beat(self):
        body = {"instance": f"i-{id(self)}", "pop": "fra1", "role": "edge", "addresses": [],
                "load": 0, "state": "ready", "lag_limit_ms": 600000, "sites": {"shop": "fail"},
                "version": "story", "nonce": 1}
        if self.position:
            body.update(applied=self.position, chain=self.chain)
        answer = curl(f"http://{self.address}/v1/nodes/{self.name}", method="PUT",
                      data=json.dumps(body).encode(), headers={"Authorization": "Bearer all"})
        assert answer.status == 200, answer.body

    def follow(self):
        self.connection.request("GET", f"/v1/log?follow=1&node={self.name}",
                                headers={"Authorization": "Bearer all"})
        response = self.connection.getresponse()
        while line := response.readline():
            said = json.loads(line)
            if "digest" not in said:
                self.lines.append(said)
            place = said.get("digest", said)
            self.end = f"{place['e']}.{place['s']}"
            if self.applies and self.end != self.position:
                self.position, self.chain = self.end, place["c"]
                self.beat()


class PurgeServiceStory(Story):
    def start_purged(self, listen="127.0.0.1:0"):
        self.write("all.token", "all\n")
        self.write("tags.token", "tags\n")
        config = self.write("purged.toml", f'''
[node]
name = "purged-a"
[[listen]]
address = "{listen}"
[admin]
listen = "127.0.0.1:0"
[store]
path = "log"
[[site]]
name = "shop"
hosts = ["www.shop.example"]
[[token]]
name = "all"
token_file = "all.token"
sites = ["*"]
scopes = ["purge:url", "purge:tag", "purge:prefix", "purge:all", "read", "node"]
[[token]]
name = "tags"
token_file = "tags.token"
sites = ["shop"]
scopes = ["purge:tag"]
''')
        return self.start("purged", "--config", config, listeners=2)

    def purge(self, purged, body, token="all", key=None):
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        if key:
            headers["Idempotency-Key"] = key
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return curl(f"http://{purged.address('http')}/v1/sites/shop/purge", method="POST",
                    data=data, headers=headers)

    def test_an_acknowledged_purge_outlives_kill_9_and_is_waited_for_everywhere(self):
        purged = self.start_purged()
        where = purged.address("http")
        node = Node(where, "fra1-a")
        until(lambda: node.position, "the node has its place")
        done = self.purge(purged, {"tags": ["product-42"], "wait": "all"}, key="order-1")
        self.assertEqual(done.status, 200, done.body)
        receipt = done.json()
        self.assertEqual([(r["node"], r["state"]) for r in receipt["receipts"]],
                         [("fra1-a", "applied")])
        self.assertEqual(node.lines[-1]["text"], "product-42")

        Node(where, "sin1-a", applies=False)
        late = self.purge(purged, {"urls": ["https://www.shop.example/p"], "wait": "all",
                                   "wait_timeout_ms": 2000})
        self.assertEqual((late.status, late.json()["laggards"]), (202, ["sin1-a"]))

        purged.kill()
        until(lambda: node.end is None, "the stream broke")
        again = self.start_purged(where)
        # The same request under the same key is the same purge; who was a node is waited for.
        repeated = self.purge(again, {"tags": ["product-42"], "wait": "all",
                                      "wait_timeout_ms": 2000}, key="order-1")
        self.assertEqual(repeated.json()["seq"], receipt["seq"])
        self.assertEqual(sorted(r["node"] for r in repeated.json()["receipts"]),
                         ["fra1-a", "sin1-a"])
        self.assertIn("sin1-a", repeated.json()["laggards"])
        audit = curl(f"http://{where}/v1/sites/shop/purges",
                     headers={"Authorization": "Bearer all"}).json()["purges"]
        self.assertEqual([p["text"] for p in audit], ["product-42", "www.shop.example/p"])
        nodes = curl(f"http://{where}/v1/nodes", headers={"Authorization": "Bearer all"}).json()
        self.assertEqual({n["name"] for n in nodes["nodes"]}, {"fra1-a", "sin1-a"})

        third = Node(where, "iad1-a")
        until(lambda: third.position, "a node follows the new process")
        self.assertEqual(again.stop(), 0)
        until(lambda: third.end is None, "the stream ended")

    def test_what_is_refused_leaves_no_trace(self):
        purged = self.start_purged()
        refused = [
            (self.purge(purged, {"tags": ["t"]}, token="guess"), 401),
            (self.purge(purged, {"everything": True}, token="tags"), 403),
            (self.purge(purged, b"{"), 400),
            (self.purge(purged, {"tags": ["t"], "tgas": []}), 400),
            (self.purge(purged, {"tags": ["t"] * 501}), 413),
            (self.purge(purged, {"tags": ["t" * 1000] * 300}), 413),
            (self.purge(purged, {"tags": ["t"], "urls": ["http://evil.example/"]}), 422),
        ]
        for answer, status in refused:
            self.assertEqual(answer.status, status, answer.body)
            self.assertEqual(answer.field("content-type"), "application/problem+json")
        fine = self.purge(purged, {"tags": ["t"]}, token="tags")
        self.assertEqual((fine.status, fine.json()["seq"]), (202, ["1.2", "1.2"]))

        admin = purged.address("admin")
        self.assertEqual(curl(f"http://{admin}/readyz").json(), {"ready": True, "degraded": []})
        status = curl(f"http://{admin}/v1/status").json()
        self.assertEqual((status["name"], status["end"]), ("purged-a", "1.2"))
        seen = metrics(admin)
        self.assertEqual(metric_sum(seen, "breakwater_purge_records_total", kind="tag"), 1)
        self.assertEqual(metric_sum(seen, "breakwater_purges_total", status="413"), 1)

        # A new secret in a token's file is known without a restart; the old one no more.
        self.write("tags.token", "fresh\n")
        until(lambda: self.purge(purged, {"tags": ["t"]}, token="fresh").status == 202,
              "the new token is known")
        self.assertEqual(self.purge(purged, {"tags": ["t"]}, token="tags").status, 401)

    def test_what_cannot_start_says_why(self):
        purged = self.start_purged()
        taken = subprocess.run(
            [BREAKWATER, "purged", "--config", self.write("taken.toml", f'''
[[listen]]
address = "{purged.address('http')}"
[store]
path = "other-log"
[[site]]
name = "shop"
hosts = ["www.shop.example"]
''')], capture_output=True, text=True, timeout=30, check=False)
        self.assertEqual(taken.returncode, 1, taken.stderr)
        self.assertIn(purged.address("http"), taken.stderr)
        held = subprocess.run([BREAKWATER, "purged", "--config", str(self.folder / "purged.toml")],
                              capture_output=True, text=True, timeout=30, check=False)
        self.assertEqual(held.returncode, 1, held.stderr)
        self.assertIn("held by another process", held.stderr)
        wrong = subprocess.run(
            [BREAKWATER, "purged", "--config", self.write("wrong.toml", '''
[[listen]]
adress = "127.0.0.1:0"
[[site]]
name = "shop"
hosts = ["www.shop.example"]
rate = "lots"
''')], capture_output=True, text=True, timeout=30, check=False)
        self.assertEqual(wrong.returncode, 2)
        for said in ("adress", "rate", "wrong.toml:3", "wrong.toml:7"):
            self.assertIn(said, wrong.stderr)


if __name__ == "__main__":
    main()
