"""What keeps an edge and its origin safe: limits, access, rules, bad input, hostile fields."""
import os
import socket
import subprocess
import threading

import stage
from cdn import HOST, CdnStory, answer_with, over_each

FRESH = {"Cache-Control": "max-age=600"}


@over_each
class Guarding:
    def test_a_limit_answers_429_with_its_fields_and_lets_others_through(self):
        origin = self.origin()
        origin.script["/l"] = answer_with(FRESH)
        edge = self.edge(origin.address, site='[[site.limit]]\nname = "per-key"\n'
                         'key = "header:X-Api-Key"\nrate = "1/h"\nburst = 3\n')
        statuses = [edge.get("/l", self.protocol, headers={"X-Api-Key": "a"}) for _ in range(4)]
        self.assertEqual([a.status for a in statuses], [200, 200, 200, 429])
        refused = statuses[3]
        self.assertEqual(refused.field("content-type"), "application/problem+json")
        self.assertIn('"per-key";q=3', refused.field("ratelimit-policy"))
        self.assertIn('"per-key";r=0', refused.field("ratelimit"))
        self.assertGreater(int(refused.field("retry-after")), 0)
        self.assertEqual(edge.get("/l", self.protocol, headers={"X-Api-Key": "b"}).status, 200)
        self.assertEqual(edge.get("/l", self.protocol).status, 200)
        self.assertEqual(edge.total("breakwater_limit_decisions_total", decision="refused"), 1)
        self.assertEqual(edge.total("breakwater_requests_total", verdict="limited"), 1)

    def test_rules_deny_redirect_respond_and_pass(self):
        origin = self.origin()
        origin.script["/api/x"] = answer_with(FRESH)
        self.write("sorry.html", "<p>sorry</p>\n")
        edge = self.edge(origin.address, site="""
[[site.rule]]
path = "/admin/*"
action = "deny"
[[site.rule]]
path = "/old"
action = "redirect:301:https://new.test/"
[[site.rule]]
path = "/down"
action = "respond:503:sorry.html"
[[site.rule]]
path = "/api/*"
action = "pass"
""")
        self.assertEqual(edge.get("/admin/a", self.protocol).status, 403)
        moved = edge.get("/old", self.protocol)
        self.assertEqual((moved.status, moved.field("location")), (301, "https://new.test/"))
        down = edge.get("/down", self.protocol)
        self.assertEqual((down.status, down.body), (503, b"<p>sorry</p>\n"))
        for _ in range(2):
            passed = edge.get("/api/x", self.protocol)
            self.assertIn("fwd=bypass", passed.field("cache-status"))
        self.assertEqual(origin.count("/api/x"), 2)

    def test_an_unknown_host_is_misdirected_and_strange_methods_are_refused(self):
        origin = self.origin()
        edge = self.edge(origin.address)
        unknown = edge.get("/", self.protocol, headers={"Host": "other.test"})
        self.assertEqual(unknown.status, 421)
        self.assertEqual(edge.get("/", self.protocol, method="PURGE").status, 405)
        self.assertEqual(edge.get("/", self.protocol, method="TRACE").status, 405)
        self.assertEqual(origin.requests, [])

    def test_fields_of_tiers_reach_neither_side_and_a_loop_is_seen(self):
        origin = self.origin()
        origin.script["/f"] = answer_with({**FRESH, "Breakwater-Purge-Seq": "9.9",
                                           "Breakwater-Stale": "1"})
        edge = self.edge(origin.address)
        answer = edge.get("/f", self.protocol, headers={
            "Breakwater-Hop": "1", "BREAKWATER_CLIENT": "1.2.3.4", "X-Forwarded-For": "9.9.9.9",
            "X-Original-URL": "/admin"})
        self.assertFalse([n for n, _ in answer.fields if n.startswith("breakwater")])
        _, _, fields = origin.last("/f")
        seen = {name.lower(): value for name, value in fields.items()}
        self.assertFalse([n for n in seen if n.startswith("breakwater")])
        self.assertEqual(seen["x-forwarded-for"], "127.0.0.1")
        self.assertNotIn("x-original-url", seen)
        self.assertEqual(seen["cdn-loop"], "breakwater;node=edge1")
        self.assertEqual(seen["host"], HOST)
        self.assertIn("edge1", seen["via"])
        looped = edge.get("/g", self.protocol, headers={"CDN-Loop": "breakwater;node=edge1"})
        self.assertEqual(looped.status, 508)


class Hostile(CdnStory):
    def test_malformed_messages_are_answered_400_and_never_forwarded(self):
        origin = self.origin()
        edge = self.edge(origin.address, tls=False)
        host, port = edge.http.rsplit(":", 1)
        cases = [
            b"GET / HTTP/1.1\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\nx",
            b"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n folded\r\n\r\n",
            b"GET / HTTP/1.1\nHost: a\n\n",
            b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
        ]
        for case in cases:
            with socket.create_connection((host, int(port)), stage.DEADLINE) as client:
                client.sendall(case)
                answer = b""
                while piece := client.recv(65536):
                    answer += piece
            self.assertTrue(answer.startswith(b"HTTP/1.1 400 "), (case, answer[:80]))
        self.assertEqual(origin.requests, [])

    def test_a_blocked_reader_of_the_access_log_costs_lines_never_requests(self):
        origin = self.origin()
        origin.script["/a"] = answer_with(FRESH)
        fifo = self.folder / "access.fifo"
        os.mkfifo(fifo)
        reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)  # opened, never read
        self.addCleanup(os.close, reader)
        edge = self.edge(origin.address, tls=False, workers=1, log=str(fifo))
        edge.get("/a")
        done = subprocess.run(
            ["h2load", "--h1", "-n", "30000", "-c", "4", "-t", "1",
             f"--connect-to={edge.http}", f"http://{HOST}/a"],
            capture_output=True, text=True, timeout=120, check=True)
        self.assertIn("30000 succeeded, 0 failed", done.stdout)
        dropped = stage.until(lambda: edge.total("breakwater_log_dropped_total"), "lost lines")
        self.assertGreater(dropped, 0)


class Starting(CdnStory):
    def failed(self, *arguments):
        return subprocess.run([stage.BREAKWATER, *map(str, arguments)], capture_output=True,
                              text=True, timeout=stage.DEADLINE, check=False)

    def test_all_wrong_settings_are_told_with_file_line_key_and_exit_2(self):
        config = self.write("bad.toml", '[node]\nname = "a"\nworker = 2\n[memory]\nsize = "lots"\n'
                            '[[site]]\nname = "s"\nhosts = ["h"]\norigins = ["ftp://x"]\n')
        for command in (("edge", "--config", config), ("check", config)):
            done = self.failed(*command)
            self.assertEqual(done.returncode, 2, done)
            told = done.stderr + done.stdout
            for wanted in ("bad.toml:3", "worker", "workers", "bad.toml:5", "lots", "bad.toml:9"):
                self.assertIn(wanted, told)

    def test_a_taken_port_is_one_clear_line_and_exit_1(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            done = self.failed("edge", "--listen", f"127.0.0.1:{port}", "--origin",
                               "http://127.0.0.1:1", "--workers", "1")
        self.assertEqual(done.returncode, 1, done)
        self.assertEqual(len(done.stderr.strip().splitlines()), 1, done.stderr)
        self.assertIn(str(port), done.stderr)

    def test_the_first_minute_needs_no_file(self):
        origin = self.origin()
        origin.script["/x"] = answer_with(FRESH)
        process = self.start("edge", "--listen", "127.0.0.1:0", "--origin",
                             f"http://{origin.address}", "--workers", "1")
        for expected in ("fwd=uri-miss; stored", "hit"):
            answer = stage.curl(f"http://{process.address('http')}/x")
            self.assertIn(expected, answer.field("cache-status"))
        self.assertEqual(process.stop(), 0)

    def test_a_drain_lets_what_is_under_way_finish(self):
        origin = self.origin()
        go_on = threading.Event()
        self.addCleanup(go_on.set)

        def slow(request):
            go_on.wait(stage.DEADLINE)
            request.answer(200, FRESH, b"late")

        origin.script["/slow"] = slow
        edge = self.edge(origin.address, tls=False)
        answers = []
        client = threading.Thread(target=lambda: answers.append(edge.get("/slow")))
        client.start()
        stage.until(lambda: origin.count("/slow") == 1, "the fetch")
        edge.process.process.terminate()
        stage.until(lambda: self.refused(edge.http), "closed listeners")
        go_on.set()
        client.join()
        self.assertEqual(answers[0].body, b"late")
        self.assertEqual(edge.process.process.wait(stage.DEADLINE), 0)

    @staticmethod
    def refused(address):
        host, port = address.rsplit(":", 1)
        try:
            socket.create_connection((host, int(port)), 1).close()
        except OSError:
            return True
        return False


if __name__ == "__main__":
    stage.main()
