"""GeoDNS as resolvers meet it: dig over UDP and TCP, databases that change, POPs that fail."""
import re
import subprocess

from stage import Process, Story, curl, main, metric_sum, metrics, until  # noqa: F401

NETWORKS = "198.51.100.0/24,DE,64500\n203.0.113.0/24,US\n192.0.2.0/24,SG\n"
FILE = """
[node]
workers = 2
[[listen]]
address = "127.0.0.1:0"
[admin]
listen = "127.0.0.1:0"
[geo]
country = "geo.mmdb"
[state]
path = "state"
[rrl]
responses = "{rate}"
[probe]
interval = "100ms"
{pops}
[[map]]
name = "world"
default = ["fra1", "iad1", "sin1"]
countries = {{ US = ["iad1"] }}
continents = {{ AS = ["sin1"] }}
[[zone]]
name = "cdn.example"
ns = ["ns1.cdn.example"]
serial = {serial}
[[zone.edge]]
name = "www"
map = "world"
[[zone.record]]
name = "ns1"
type = "A"
data = ["192.0.2.53"]
[[zone.record]]
name = "big"
type = "TXT"
data = ["{big}"]
"""
POPS = """
[[pop]]
name = "fra1"
addresses = ["192.0.2.11", "192.0.2.12"]
[[pop]]
name = "iad1"
addresses = ["192.0.2.21"]
[[pop]]
name = "sin1"
addresses = ["192.0.2.31"]
"""


class GeoStory(Story):
    def database(self, lines):
        csv = self.write("geo.csv", lines)
        made = Process("geodb", "build", "--from", csv, "--out", self.folder / "geo.mmdb",
                       listeners=0)
        self.assertEqual(made.process.wait(30), 0, made.errors)

    def configure(self, rate="0/s", pops=POPS, serial=1):
        return self.write("geo.toml", FILE.format(rate=rate, pops=pops, serial=serial,
                                                  big="x" * 1400))

    def geodns(self, **options):
        self.database(NETWORKS)
        self.process = self.start("geodns", "--config", self.configure(**options), listeners=2)
        self.host, self.port = self.process.address("dns").rsplit(":", 1)
        self.admin = self.process.address("admin")

    def dig(self, *arguments):
        done = subprocess.run(["dig", f"@{self.host}", "-p", self.port, "+time=5", "+tries=1",
                               *arguments], capture_output=True, text=True, check=True, timeout=30)
        return done.stdout

    def short(self, *arguments):
        return self.dig("www.cdn.example", "+short", *arguments).split()

    def test_three_clients_get_three_pops_over_udp_and_tcp(self):
        self.geodns()
        before = metrics(self.admin)
        for subnet, pop in (("198.51.100.0/24", "192.0.2.1"), ("203.0.113.0/24", "192.0.2.2"),
                            ("192.0.2.0/24", "192.0.2.3")):
            for transport in ("+notcp", "+tcp"):
                answer = self.dig("www.cdn.example", transport, f"+subnet={subnet}")
                found = re.findall(r"^www\S+\s+\d+\s+IN\s+A\s+(\S+)", answer, re.M)
                self.assertTrue(found and all(a.startswith(pop) for a in found), answer)
                scope = int(re.search(rf"CLIENT-SUBNET: {subnet}/(\d+)", answer).group(1))
                self.assertIn(scope, (20, 24), answer)
        after = metrics(self.admin)
        for transport in ("udp", "tcp"):
            moved = [metric_sum(m, "breakwater_dns_queries_total", transport=transport,
                                outcome="answer") for m in (before, after)]
            self.assertEqual(moved[1] - moved[0], 3)
        self.assertIn("country=US scope=24", self.dig("_why.www.cdn.example", "TXT", "+short",
                                                      "+subnet=203.0.113.0/24"))

    def test_too_long_for_udp_comes_over_tcp_by_itself(self):
        self.geodns()
        self.assertIn("flags: qr aa tc", self.dig("big.cdn.example", "TXT", "+ignore"))
        self.assertGreater(len(self.dig("big.cdn.example", "TXT", "+short")), 1400)

    def test_names_that_are_not_there(self):
        self.geodns()
        for arguments, status in ((("none.cdn.example",), "NXDOMAIN"),
                                  (("www.cdn.example", "MX"), "NOERROR"),
                                  (("other.example",), "REFUSED"),
                                  (("version.bind", "TXT", "CH"), "REFUSED")):
            self.assertIn(f"status: {status}", self.dig(*arguments), arguments)

    def test_over_the_rate_udp_says_tc_and_tcp_answers(self):
        self.geodns(rate="2/m")
        for _ in range(2):
            self.assertEqual(len(self.short("+ignore", "+nocookie", "+noedns")), 2)
        self.assertEqual(self.short("+ignore", "+nocookie", "+noedns"), [])
        self.assertEqual(len(self.short("+nocookie", "+noedns")), 2)  # dig goes to TCP
        self.assertGreater(metric_sum(metrics(self.admin), "breakwater_dns_queries_total",
                                      outcome="limited"), 0)

    def test_a_new_database_is_taken_and_a_broken_one_is_not(self):
        self.geodns()
        client = "+subnet=203.0.113.0/24"
        self.assertEqual(self.short(client), ["192.0.2.21"])
        (self.folder / "geo.mmdb").write_bytes(b"\xab\xcd\xefMaxMind.com" * 20)
        until(lambda: curl(f"http://{self.admin}/readyz").json()["degraded"] == ["database"],
              "the broken database is noticed")
        self.assertEqual(self.short(client), ["192.0.2.21"])
        self.database("203.0.113.0/24,SG\n")
        until(lambda: self.short(client) == ["192.0.2.31"], "the new database is in use")
        self.assertEqual(curl(f"http://{self.admin}/readyz").json()["degraded"], [])

    def test_a_reload_takes_a_good_file_and_keeps_the_old_against_a_bad_one(self):
        self.geodns()
        soa = lambda: self.dig("cdn.example", "SOA", "+short").split()[2]  # noqa: E731
        self.configure(serial=2)
        self.process.process.send_signal(1)
        until(lambda: soa() == "2", "the new serial")
        self.write("geo.toml", "nonsense = 1\n")
        self.process.process.send_signal(1)
        until(lambda: curl(f"http://{self.admin}/v1/status").json()["config"]["error"],
              "the error is told")
        self.assertEqual(soa(), "2")
        self.assertEqual(self.process.stop(), 0)

    def test_a_failing_pop_is_left_out_and_when_all_fail_all_is_answered(self):
        origin = self.origin()
        healthy = [True]
        origin.script["/probe"] = lambda r: r.answer(200 if healthy[0] else 500, {}, b"ok")
        port = origin.address.rsplit(":", 1)[1]
        probe = f'probe = "http://cdn.example:{port}/probe"\n'
        pops = POPS.replace('"192.0.2.11", "192.0.2.12"]\n', f'"127.0.0.2"]\n{probe}').replace(
            '"192.0.2.21"]\n', f'"127.0.0.1"]\n{probe}').replace(
            '"192.0.2.31"]\n', f'"127.0.0.3"]\n{probe}')
        self.geodns(pops=pops)
        client = "+subnet=198.51.100.0/24"  # its first POP never answers
        until(lambda: self.short(client) == ["127.0.0.1"], "the healthy POP answers for all")
        healthy[0] = False
        until(lambda: self.short(client) == ["127.0.0.2"], "all down: as if all were healthy")
        found = metrics(self.admin)
        self.assertEqual(metric_sum(found, "breakwater_pop_address_up"), 0)
        self.assertGreater(metric_sum(found, "breakwater_dns_all_down_total"), 0)
        self.assertGreater(origin.count("/probe"), 3)

    def test_what_is_wrong_with_a_file_is_told_by_line(self):
        self.database(NETWORKS)
        path = self.configure()
        path.write_text(path.read_text().replace('map = "world"', 'map = "word"'))
        process = Process("geodns", "--config", path, listeners=0)
        self.assertEqual(process.process.wait(30), 2)
        until(lambda: any("zone.edge.map: found word" in e and "geo.toml:" in e
                          for e in process.errors), "the line")
        (self.folder / "geo.mmdb").unlink()
        process = Process("geodns", "--config", self.configure(), listeners=0)
        self.assertEqual(process.process.wait(30), 1)


if __name__ == "__main__":
    main()
