"""The whole of a small CDN: POPs behind a shield, the origin's API, purges, and the name that leads
clients to their POP. Who asks goes where the name says, over each protocol."""
import json
import subprocess

import stage
from cdn import HOST, CdnStory, over_each

NETWORKS = "198.51.100.0/24,DE\n203.0.113.0/24,US\n192.0.2.0/24,SG\n"
# POP: its address, and the network of clients that are near.
POPS = {"fra1": ("127.0.0.11", "198.51.100.0/24"), "iad1": ("127.0.0.12", "203.0.113.0/24"),
        "sin1": ("127.0.0.13", "192.0.2.0/24")}
ZONE = """
[node]
workers = 2
[[listen]]
address = "127.0.0.1:0"
[admin]
listen = "127.0.0.1:0"
[geo]
country = "geo.mmdb"
[probe]
interval = "100ms"
[[map]]
name = "world"
default = ["fra1", "iad1", "sin1"]
countries = { US = ["iad1", "fra1"] }
continents = { AS = ["sin1", "fra1"] }
[[zone]]
name = "shop.test"
ns = ["ns1.shop.test"]
[[zone.edge]]
name = "www"
map = "world"
answers = 1
[[zone.record]]
name = "ns1"
type = "A"
data = ["127.0.0.1"]
"""


@over_each
class Pops(CdnStory):
    def open(self):
        """Starts all of it, each process once the one that it needs is ready."""
        self.write("tier.token", "tier-secret\n")
        self.purge_service = self.purged()
        self.shop = self.start(
            "origin", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--products", "100",
            "--store", self.folder / "store", "--site", "shop", "--control",
            f"http://{self.purge_service.address('http')}", "--token-file",
            self.folder / "ops.token", listeners=2)
        both = '[tier]\ntoken_file = "tier.token"\n' + self.control(self.purge_service)
        address = self.shop.address("http")
        self.shield = self.edge(address, name="hub1-a", tls=False, extra=both)
        below = both + f'[shield]\nnodes = ["http://{self.shield.http}"]\n'
        self.pops = {pop: self.edge(address, name=f"{pop}-a", extra=below, at=f"{ip}:0",
                                    tls_at=f"{ip}:0") for pop, (ip, _) in POPS.items()}
        self.open_name()

    def open_name(self):
        made = stage.Process("geodb", "build", "--from", self.write("geo.csv", NETWORKS),
                             "--out", self.folder / "geo.mmdb", listeners=0)
        self.assertEqual(made.process.wait(stage.DEADLINE), 0, made.errors)
        text = ZONE + (f'[control]\nurl = "http://{self.purge_service.address("http")}"\n'
                       'token_file = "node.token"\n')
        for pop, (ip, _) in POPS.items():
            port = self.pops[pop].http.rsplit(":", 1)[1]
            text += (f'[[pop]]\nname = "{pop}"\naddresses = ["{ip}"]\n'
                     f'probe = "http://{HOST}:{port}/synthetic/probe?size=1"\n')
        self.dns = self.start("geodns", "--config", self.write("geo.toml", text), listeners=2)

    def addresses(self, pop):
        """What a client near that POP is told."""
        host, port = self.dns.address("dns").rsplit(":", 1)
        done = subprocess.run(
            ["dig", f"@{host}", "-p", port, "+short", "+tries=1", f"+time={int(stage.DEADLINE)}",
             f"+subnet={POPS[pop][1]}", HOST], capture_output=True, text=True, check=True,
            timeout=stage.DEADLINE + 5)
        return done.stdout.split()

    def client(self, pop, path):
        """A client near that POP: asks the name, then who it is told; (that POP, its answer)."""
        (address,) = self.addresses(pop)
        asked = next(name for name, (ip, _) in POPS.items() if ip == address)
        return asked, self.pops[asked].get(path, self.protocol)

    def up(self):
        """The POPs that GeoDNS counts as up."""
        found = stage.metrics(self.dns.address("admin"))
        return {pop for pop in POPS
                if stage.metric_sum(found, "breakwater_pop_address_up", pop=pop) == 1}

    def test_all_are_ready_and_each_client_is_led_to_its_pop_and_served(self):
        self.open()
        for address in (self.shop.address("admin"), self.dns.address("admin"), self.shield.admin,
                        *(node.admin for node in self.pops.values())):
            ready = stage.curl(f"http://{address}/readyz")
            self.assertEqual((ready.status, ready.json()["degraded"]), (200, []), address)
        nodes = stage.curl(f"http://{self.purge_service.address('http')}/v1/nodes",
                           headers={"Authorization": "Bearer ops-secret"}).json()["nodes"]
        self.assertEqual({node["name"]: node["state"] for node in nodes},
                         dict.fromkeys(["hub1-a", "fra1-a", "iad1-a", "sin1-a"], "ready"))
        stage.until(lambda: self.up() == set(POPS), "all POPs up")
        for pop in POPS:
            asked, miss = self.client(pop, "/v1/products/42")
            self.assertEqual((asked, miss.status), (pop, 200))
            self.assertIn(f"{pop}-a; fwd=uri-miss; stored", miss.field("cache-status"))
            _, hit = self.client(pop, "/v1/products/42")
            self.assertRegex(hit.field("cache-status"), f"^{pop}-a; hit")
            self.assertIsNotNone(hit.field("age"))
            self.assertEqual(hit.body, miss.body)
        # Once for the three of them.
        self.assertEqual(stage.metric_sum(stage.metrics(self.shop.address("admin")),
                                          "breakwater_origin_requests_total", route="products"), 1)

    def test_a_product_that_is_written_is_new_on_each_pop(self):
        self.open()
        path = "/v1/products/7"
        for node in self.pops.values():
            node.get(path, self.protocol)
            self.assertRegex(node.get(path, self.protocol).field("cache-status"), r"-a; hit")
        old = json.loads(self.shield.get(path).body)["stock"]
        applied = {pop: node.total("breakwater_purge_applied_total")
                   for pop, node in self.pops.items()}
        written = stage.curl(f"http://{self.shop.address('http')}{path}", method="PATCH",
                             data=json.dumps({"stock": old + 1}).encode(),
                             headers={"Content-Type": "application/merge-patch+json"})
        self.assertEqual((written.status, written.json()["stock"]), (200, old + 1))
        for pop, node in self.pops.items():
            def stock(node=node):
                return node.get(path, self.protocol).json()["stock"]
            stage.until(lambda: stock() == old + 1, f"the new version at {pop}")
            self.assertEqual(stock(), old + 1)
            self.assertGreater(node.total("breakwater_purge_applied_total"), applied[pop])
        audit = stage.curl(f"http://{self.purge_service.address('http')}/v1/sites/shop/purges",
                           headers={"Authorization": "Bearer ops-secret"}).json()["purges"]
        self.assertIn("product-7", [one["text"] for one in audit])

    def test_clients_of_a_killed_pop_are_led_to_the_others_and_served(self):
        self.open()
        stage.until(lambda: self.up() == set(POPS), "all POPs up")
        self.assertEqual(self.client("iad1", "/v1/products/9")[0], "iad1")
        self.pops["iad1"].process.kill()
        stage.until(lambda: POPS["iad1"][0] not in self.addresses("iad1"), "a name without iad1")
        self.assertEqual(self.up(), {"fra1", "sin1"})
        asked, answer = self.client("iad1", "/v1/products/9")
        self.assertEqual((asked, answer.status), ("fra1", 200))
        # Another POP's client had it fetched: the shield has it.
        self.assertRegex(answer.field("cache-status"), "^hub1-a; hit.*, fra1-a; fwd=uri-miss")
        self.assertRegex(self.client("iad1", "/v1/products/9")[1].field("cache-status"),
                         "^fra1-a; hit")
        for pop in ("fra1", "sin1"):
            self.assertEqual(self.client(pop, "/v1/products/9")[0], pop)


if __name__ == "__main__":
    stage.main()
