"""Purges through an edge and a shield: by tag, URL, prefix, everything; nodes that were away."""
import threading

import stage
from cdn import HOST, CdnStory, over_each
from slow_client import ask_slowly

TIER = '[tier]\ntoken_file = "tier.token"\n'


class TierStory(CdnStory):
    protocol = "h1"

    def tiers(self, origin, edges=2, disk=False, lag_limit="5s"):
        self.write("tier.token", "tier-secret\n")
        purged = self.purged()
        control = self.control(purged, lag_limit)
        shield = self.edge(origin, name="shield1", extra=TIER + control, tls=False)
        made = []
        for i in range(edges):
            made.append(self.start_edge(purged, shield, i, disk))
        return purged, shield, made

    def start_edge(self, purged, shield, i, disk=False):
        extra = TIER + self.control(purged)
        extra += f'[shield]\nnodes = ["http://{shield.http}"]\n'
        if disk:
            extra += f'[disk]\npath = "disk{i}"\nsize = "64MiB"\n'
        return self.edge("127.0.0.1:1", name=f"edge{i}", extra=extra)


class Product:
    """An origin's resource that changes."""

    def __init__(self, origin, path, tag):
        self.version = 1
        origin.script[path] = lambda request: request.answer(
            200, {"Cache-Control": "max-age=600", "Cache-Tag": tag, "ETag": f'"{self.version}"'},
            f"version {self.version}".encode())


@over_each
class Purging(TierStory):
    def test_both_tiers_say_what_they_did_and_one_fetch_fills_both(self):
        origin = self.origin()
        Product(origin, "/p", "product-1")
        _, shield, (one, two) = self.tiers(origin.address)
        first = one.get("/p", self.protocol)
        self.assertRegex(first.field("cache-status"),
                         r"^shield1; fwd=uri-miss; stored.*, edge0; fwd=uri-miss; stored")
        self.assertIsNone(first.field("breakwater-purge-seq"))
        self.assertIsNone(first.field("cache-tag"))
        second = two.get("/p", self.protocol)
        self.assertRegex(second.field("cache-status"), r"^shield1; hit.*, edge1; fwd=uri-miss")
        self.assertIsNotNone(second.field("age"))
        self.assertRegex(two.get("/p", self.protocol).field("cache-status"), r"^edge1; hit")
        self.assertEqual(origin.count("/p"), 1)
        self.assertEqual(shield.total("breakwater_requests_total", verdict="hit"), 1)

    def test_200_clients_on_two_pops_are_one_fetch_and_all_have_its_first_byte_before_its_end(self):
        origin = self.origin()
        go_on = threading.Event()
        self.addCleanup(go_on.set)

        def slow(request):
            request.send_response(200)
            request.send_header("Cache-Control", "max-age=600")
            request.send_header("Content-Length", "200000")
            request.end_headers()
            request.wfile.write(b"a" * 100000)
            go_on.wait(stage.DEADLINE)
            request.wfile.write(b"b" * 100000)

        origin.script["/slow"] = slow
        _, shield, edges = self.tiers(origin.address)
        clients = [ask_slowly(self, edges[i % 2], "/slow") for i in range(200)]
        for client in clients:
            self.assertEqual((client.head(), client.read_exactly(1)), (200, b"a"))
        self.assertFalse(go_on.is_set())
        for edge in edges:
            self.assertEqual(edge.total("breakwater_coalesced_total"), 99)
        self.assertEqual(shield.total("breakwater_coalesced_total"), 1)
        go_on.set()
        rest = b"a" * 99999 + b"b" * 100000
        for client in clients:
            self.assertTrue(client.read_exactly(200000) == rest)
        self.assertEqual(origin.count("/slow"), 1)

    def test_a_purge_by_each_kind_is_gone_everywhere_when_its_receipt_says_so(self):
        origin = self.origin()
        product = Product(origin, "/shop/p", "product-1")
        purged, _, edges = self.tiers(origin.address)
        purges = [{"tags": ["product-1"]}, {"urls": [f"https://{HOST}/shop/p"]},
                  {"prefixes": [f"{HOST}/shop"]}, {"hosts": [HOST]},
                  {"everything": True, "mode": "hard"}, {"everything": True}]
        for what in purges:
            for edge in edges:
                self.assertEqual(edge.get("/shop/p", self.protocol).body,
                                 f"version {product.version}".encode())
            product.version += 1
            receipt = self.purge(purged, **what)
            self.assertEqual(receipt.status, 200, receipt.body)
            told = receipt.json()
            self.assertEqual({r["node"]: r["state"] for r in told["receipts"]},
                             {"edge0": "applied", "edge1": "applied", "shield1": "applied"})
            self.assertEqual(told["laggards"], [])
            for edge in edges:
                answer = edge.get("/shop/p", self.protocol)
                self.assertEqual(answer.body, f"version {product.version}".encode(), what)

    def test_a_node_that_was_away_never_serves_what_was_purged_meanwhile(self):
        origin = self.origin()
        product = Product(origin, "/p", "product-1")
        purged, shield, (edge,) = self.tiers(origin.address, edges=1, disk=True)
        edge.get("/p", self.protocol)
        stage.until(lambda: edge.total("breakwater_disk_objects") == 1, "the object on the disk")
        self.assertEqual(edge.process.stop(), 0)
        product.version = 2
        self.assertIn(self.purge(purged, tags=["product-1"], timeout_ms=1000).status, (200, 202))
        again = self.start_edge(purged, shield, 0, disk=True)
        self.assertEqual(again.get("/p", self.protocol).body, b"version 2")

    def test_a_killed_edge_serves_from_its_disk_again(self):
        origin = self.origin()
        Product(origin, "/p", "product-1")
        purged, shield, (edge,) = self.tiers(origin.address, edges=1, disk=True)
        edge.get("/p", self.protocol)
        stage.until(lambda: edge.total("breakwater_disk_objects") == 1, "the object on the disk")
        edge.process.kill()
        again = self.start_edge(purged, shield, 0, disk=True)
        answer = again.get("/p", self.protocol)
        self.assertEqual(answer.body, b"version 1")
        self.assertRegex(answer.field("cache-status"), r"^edge0; hit")
        self.assertEqual(origin.count("/p"), 1)


class Links(TierStory):
    def test_a_wrong_tier_token_is_refused_and_a_missing_one_is_a_client(self):
        origin = self.origin()
        Product(origin, "/p", "product-1")
        _, shield, _ = self.tiers(origin.address, edges=0)
        wrong = shield.get("/p", headers={"Breakwater-Tier-Token": "guess"})
        self.assertEqual(wrong.status, 403)
        self.assertEqual(shield.total("breakwater_tier_refused_total"), 1)
        plain = shield.get("/p")
        self.assertIsNone(plain.field("breakwater-purge-seq"))
        right = shield.get("/p", headers={"Breakwater-Tier-Token": "tier-secret",
                                          "Breakwater-Purge-Seq": "0.0"})
        self.assertRegex(right.field("breakwater-purge-seq"), r"^\d+\.\d+$")
        self.assertEqual(right.field("cache-tag"), "product-1")

    def test_without_its_shields_an_edge_asks_the_origin(self):
        origin = self.origin()
        Product(origin, "/p", "product-1")
        self.write("tier.token", "tier-secret\n")
        extra = TIER + '[shield]\nnodes = ["http://127.0.0.1:1"]\n'
        edge = self.edge(origin.address, name="edge9", extra=extra)
        self.assertEqual(edge.get("/p").body, b"version 1")

    def test_a_tier_listener_answers_tiers_only(self):
        origin = self.origin()
        self.write("tier.token", "tier-secret\n")
        shield = self.edge(origin.address, name="shield2", extra=TIER, tls=False,
                           listen="tier = true")
        self.assertEqual(shield.get("/p").status, 403)


if __name__ == "__main__":
    stage.main()
