"""The operator's commands against a real purge service and a scripted admin API: what they ask,
what they print, and how they exit."""
import json
import os
import subprocess

import stage


class OperatorCommands(stage.Story):
    def run_command(self, *arguments, env=None):
        clean = {k: v for k, v in os.environ.items() if not k.startswith("BREAKWATER_")}
        return subprocess.run([stage.BREAKWATER, *map(str, arguments)], capture_output=True,
                              text=True, timeout=stage.DEADLINE, env={**clean, **(env or {})},
                              check=False)

    def test_help_is_enough_to_go_on(self):
        done = self.run_command("--help")
        self.assertEqual(done.returncode, 0)
        for name in ("edge", "purged", "geodns", "origin", "lab", "check", "purge", "explain",
                     "status", "token", "geodb"):
            self.assertIn(name, done.stdout)
            self.assertEqual(self.run_command(name, "--help").returncode, 0)
        wrong = self.run_command("edge", "--no-such-flag")
        self.assertEqual(wrong.returncode, 2)
        self.assertIn("--no-such-flag", wrong.stderr)
        lab = self.run_command("lab", "--replay", self.folder / "nope")
        self.assertEqual((lab.returncode, lab.stdout), (1, ""), "nothing was started for it")
        self.assertIn("nope", lab.stderr)

    def test_check_knows_the_program(self):
        good = self.write("purged.toml", '[[listen]]\naddress = "127.0.0.1:0"\n'
                                         '[store]\npath = "log"\n[[site]]\nname = "shop"\n'
                                         'hosts = ["shop.example"]\n')
        done = self.run_command("check", good)
        self.assertEqual((done.returncode, done.stderr), (0, ""), done)
        self.assertIn("good for purged", done.stdout)
        bad = self.write("bad.toml", '[store]\npaht = "log"\n')
        done = self.run_command("check", bad)
        self.assertEqual(done.returncode, 2)
        self.assertIn("bad.toml:2", done.stderr)

    def test_a_second_edge_on_a_taken_port_says_so(self):
        flags = ["--workers", "2", "--origin", "http://127.0.0.1:1", "--site", "shop=127.0.0.1"]
        place = self.start("edge", "--listen", "127.0.0.1:0", *flags).address("http")
        second = self.run_command("edge", "--listen", place, *flags)
        self.assertEqual(second.returncode, 1)
        self.assertIn(f"cannot listen on {place}: bind: Address already in use", second.stderr)

    def test_a_purge_with_a_token_of_its_own(self):
        token = self.folder / "ops.token"
        made = self.run_command("token", "new", "--name", "ops", "--out", token)
        self.assertEqual(made.returncode, 0, made.stderr)
        config = self.write("purged.toml", '[[listen]]\naddress = "127.0.0.1:0"\n'
                                           '[store]\npath = "log"\n'
                                           '[[site]]\nname = "shop"\nhosts = ["shop.example"]\n'
                            + made.stdout)
        service = self.start("purged", "--config", config)
        control = "http://" + service.address("http")
        done = self.run_command("purge", "--control", control, "--token-file", token,
                                "--site", "shop", "--tag", "product-42", "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        receipt = json.loads(done.stdout)
        self.assertTrue(receipt["durable"])
        done = self.run_command("purge", "--site", "shop", "--url", "http://shop.example/a",
                                "--soft", env={"BREAKWATER_CONTROL": control,
                                               "BREAKWATER_TOKEN_FILE": str(token)})
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("durable", done.stdout)
        self.assertIn("soft", done.stdout)

        nodes = self.run_command("status", "--control", control, "--token-file", token)
        self.assertEqual(nodes.returncode, 0, nodes.stderr)
        self.assertIn("no node is registered", nodes.stdout)

        refused = self.run_command("purge", "--control", control, "--site", "shop", "--tag", "x")
        self.assertEqual(refused.returncode, 1)
        self.assertIn("401", refused.stderr)
        elsewhere = self.run_command("purge", "--control", control, "--token-file", token,
                                     "--site", "shop", "--url", "http://other.example/")
        self.assertEqual(elsewhere.returncode, 1)
        self.assertIn("422", elsewhere.stderr)
        self.assertEqual(service.stop(), 0)
        gone = self.run_command("purge", "--control", control, "--site", "shop", "--tag", "x")
        self.assertEqual(gone.returncode, 1)
        self.assertEqual(len(gone.stderr.splitlines()), 1)

    def scripted(self, status, answer):
        admin = self.origin()
        asked = []

        def script(request):
            length = int(request.headers.get("Content-Length", 0))
            asked.append((request.command, request.path, request.headers,
                          request.rfile.read(length)))
            request.answer(status, {"Content-Type": "application/json"},
                           json.dumps(answer).encode())

        admin.script["*"] = script
        return "http://" + admin.address, asked

    def test_a_wait_that_is_not_met_is_3(self):
        url, asked = self.scripted(202, {"id": "p", "seq": ["1.1", "1.1"], "durable": True,
                                         "receipts": [], "laggards": ["sin1-a"]})
        done = self.run_command("purge", "--control", url, "--site", "shop", "--everything",
                                "--wait", "all", "--timeout", "100ms")
        self.assertEqual(done.returncode, 3)
        self.assertIn("sin1-a", done.stdout)
        method, path, _, body = asked[0]
        self.assertEqual((method, path), ("POST", "/v1/sites/shop/purge"))
        sent = json.loads(body)
        self.assertEqual((sent["everything"], sent["wait"], sent["wait_timeout_ms"]),
                         (True, "all", 100))

    def test_explain_and_status_ask_the_admin_api(self):
        token = self.write("admin.token", "secret-of-admin\n")
        url, asked = self.scripted(200, {"verdict": "hit", "reason": "", "stored": None,
                                         "name": "fra1-a", "version": "0.1.0", "uptime_s": 1})
        done = self.run_command("explain", "--admin", url, "--token-file", token, "--header",
                                "Accept-Encoding: br", "--client", "192.0.2.1",
                                "http://shop.example/a")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("hit", done.stdout)
        _, path, fields, body = asked[0]
        self.assertEqual(path, "/v1/explain")
        self.assertEqual(fields["Authorization"], "Bearer secret-of-admin")
        self.assertEqual(json.loads(body), {"url": "http://shop.example/a", "method": "GET",
                                            "headers": {"Accept-Encoding": "br"},
                                            "client": "192.0.2.1"})
        done = self.run_command("status", "--admin", url)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("fra1-a", done.stdout)
        self.assertEqual(asked[1][1], "/v1/status")

    def test_a_problem_is_one_line(self):
        url, _ = self.scripted(403, {"title": "Forbidden", "detail": "no token"})
        done = self.run_command("status", "--admin", url)
        self.assertEqual(done.returncode, 1)
        self.assertIn("403: Forbidden: no token", done.stderr)
        self.assertEqual(len(done.stderr.splitlines()), 1)


if __name__ == "__main__":
    stage.main()
