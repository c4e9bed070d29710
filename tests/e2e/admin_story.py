"""The admin listener of every program: one contract, a drain during which it answers, and SIGHUP."""
import contextlib
import os
import signal
import socket
import ssl

import stage
from cdn import HOST, ONE_POP, CdnStory, certificate
from stage import curl, until

PROBLEM = "application/problem+json"
ADMIN = '[admin]\nlisten = "127.0.0.1:0"\ntoken_file = "admin.token"\n'


class Half:
    """A request whose body is half sent: what a drain waits for."""

    def __init__(self, story, address, path, body):
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), stage.DEADLINE)
        story.addCleanup(self.socket.close)
        self.got = b""
        self.socket.sendall(f"POST {path} HTTP/1.1\r\nHost: {HOST}\r\n"
                            "Authorization: Bearer ops-secret\r\nExpect: 100-continue\r\n"
                            f"Content-Length: {len(body)}\r\n\r\n".encode())
        self.read_until(b"\r\n\r\n")
        assert b" 100 " in self.got, self.got
        self.socket.sendall(body[:3])
        self.rest = body[3:]

    def read_until(self, part):
        while part not in self.got:
            piece = self.socket.recv(65536)
            if not piece:
                raise ConnectionError(f"ended after {self.got}")
            self.got += piece

    def finish(self):
        """The status."""
        self.got = b""
        self.socket.sendall(self.rest)
        self.read_until(b"\r\n\r\n")
        return int(self.got.split(b" ")[1])


class AdminStory(CdnStory):
    posts = ()        # what may be POSTed beyond what all have
    reloads = False   # whether POST /v1/reload is among it
    half = None       # where a body may be sent, and one

    def setUp(self):
        super().setUp()
        self.token = "admin-secret"
        self.write("admin.token", f"{self.token}\n")
        self.process = self.begin()
        self.admin = self.process.address("admin")

    def ask(self, path, token="", method=None):
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return curl(f"http://{self.admin}{path}", method=method, headers=headers,
                    data=b"" if method == "POST" else None)

    def read(self, path="/v1/status"):
        answer = self.ask(path, self.token)
        self.assertEqual(answer.status, 200, answer.body)
        return answer

    def hang_up(self):
        self.process.process.send_signal(signal.SIGHUP)

    def check_contract(self):
        for path in ("/healthz", "/readyz"):
            self.assertEqual(self.ask(path).status, 200)
            wrong = self.ask(path, method="POST")
            self.assertEqual((wrong.status, wrong.field("allow")), (405, "GET, HEAD"))
        self.assertEqual(self.ask("/readyz").json(), {"ready": True, "degraded": []})

        # What is there, and with which methods, is only for who shows the token.
        known = ["/metrics", "/v1/status", *self.posts]
        self.assertEqual(self.ask("/metrics", "guess").status, 401)
        for path in [*known, "/nothing"]:
            for method in ("GET", "PUT"):
                refused = self.ask(path, method=method)
                self.assertEqual((refused.status, refused.field("www-authenticate"),
                                  refused.field("content-type"), refused.field("allow")),
                                 (401, "Bearer", PROBLEM, None), (method, path))
        for path in known:
            allowed = "POST" if path in self.posts else "GET, HEAD"
            wrong = self.ask(path, self.token, "PUT")
            self.assertEqual((wrong.status, wrong.field("allow"), wrong.field("content-type")),
                             (405, allowed, PROBLEM), path)
        for path in {"/nothing", "/v1/reload", "/v1/explain"} - set(known):
            missing = self.ask(path, self.token, "POST")
            self.assertEqual((missing.status, missing.field("content-type")), (404, PROBLEM), path)
        self.assertIn(b"# TYPE breakwater_", self.read("/metrics").body)
        status = self.read().json()
        self.assertEqual((status["name"], status["role"], status["degraded"]),
                         ("one", self.role, []))
        self.assertIn("uptime_s", status)

    def check_hang_up_during_another(self):
        """What came to be while the files were being read is read too."""
        pipe = self.folder / "pipe"
        os.mkfifo(pipe)
        pipe.replace(self.folder / "admin.token")
        self.hang_up()
        with open(self.folder / "admin.token", "w", encoding="ascii") as end:  # it reads now
            self.token = "after-all"
            self.write("new.token", f"{self.token}\n").replace(self.folder / "admin.token")
            self.hang_up()
            for _ in range(3):  # turns of its loop, which see the signal
                self.assertEqual(self.ask("/healthz").status, 200)
            end.write("too-early\n")
        until(lambda: self.ask("/v1/status", self.token).status == 200,
              "the token of the last signal is known")

    def check_hang_up(self):
        self.check_hang_up_during_another()
        before, self.token = self.token, "second-secret"
        self.write("admin.token", f"{self.token}\n")
        self.hang_up()
        until(lambda: self.ask("/v1/status", self.token).status == 200, "the new token is known")
        self.assertEqual(self.ask("/v1/status", before).status, 401)
        if self.reloads:
            done = self.ask("/v1/reload", self.token, "POST")
            self.assertEqual((done.status, done.json()), (200, {"reloaded": True}))
        # What can't be read leaves in force what was.
        (self.folder / "admin.token").unlink()
        self.hang_up()
        until(lambda: any("admin.token_file" in line for line in self.process.errors),
              "the missing file is told")
        self.read()
        if self.reloads:
            until(lambda: self.read().json()["config"]["error"], "the error is told")
            self.assertEqual(self.ask("/readyz").json(), {"ready": True, "degraded": ["config"]})
            wrong = self.ask("/v1/reload", self.token, "POST")
            self.assertEqual((wrong.status, wrong.field("content-type")), (422, PROBLEM))
            self.assertIn("admin.token_file", wrong.json()["detail"])
        self.assertIsNone(self.process.process.poll())

    def check_drain(self):
        half = Half(self, self.process.address("http"), *self.half)
        self.process.process.send_signal(signal.SIGTERM)
        until(lambda: self.ask("/readyz").status == 503, "it drains")
        self.assertEqual(self.ask("/readyz").json(), {"ready": False, "reason": "draining"})
        self.assertEqual(self.ask("/healthz").status, 200)
        self.assertIn("name", self.read().json())
        until(self.refused, "nobody else comes in")
        self.assertIn(half.finish(), (200, 202))
        self.assertEqual(self.process.process.wait(stage.DEADLINE), 0)

    def refused(self):
        host, port = self.process.address("http").rsplit(":", 1)
        with contextlib.suppress(ConnectionRefusedError):
            socket.create_connection((host, int(port)), stage.DEADLINE).close()
            return False
        return True


class Edge(AdminStory):
    role = "edge"
    posts = ("/v1/explain", "/v1/reload")
    reloads = True
    half = ("/form", b"a=1&b=2")

    def begin(self):
        origin = self.origin()

        def form(request):
            request.rfile.read(int(request.headers["Content-Length"]))
            request.answer(200, {})

        origin.script["/form"] = form
        return self.edge(origin.address, name="one", tls=False).process

    def test_its_admin_listener(self):
        self.check_contract()
        config = self.folder / "one.toml"
        good = config.read_text()
        config.write_text(good.replace(f'"{HOST}"', f'"{HOST}", "other.test"'))
        self.hang_up()
        until(lambda: self.read().json()["config"]["generation"] == 2, "the file is read again")
        self.check_hang_up()
        self.check_drain()


class Purged(AdminStory):
    role = "purged"
    half = ("/v1/sites/shop/purge", b'{"tags":["t"]}')

    def begin(self):
        self.write("ops.token", "old-secret\n")
        config = self.write("one.toml", f"""
[node]
name = "one"
[[listen]]
address = "127.0.0.1:0"
{ADMIN}
[store]
path = "log"
[[site]]
name = "shop"
hosts = ["{HOST}"]
[[token]]
name = "ops"
token_file = "ops.token"
sites = ["shop"]
scopes = ["purge:tag"]
""")
        return self.start("purged", "--config", config, listeners=2)

    def test_its_admin_listener(self):
        self.check_contract()
        self.write("ops.token", "ops-secret\n")
        self.hang_up()
        address = self.process.address("http")
        purge = lambda: curl(f"http://{address}/v1/sites/shop/purge", method="POST",  # noqa: E731
                             data=b'{"tags":["t"]}',
                             headers={"Authorization": "Bearer ops-secret",
                                      "Content-Type": "application/json"}).status
        until(lambda: purge() == 202, "the new token of a purger is known")
        self.check_hang_up()
        self.check_drain()


class Geodns(AdminStory):
    role = "geodns"
    posts = ("/v1/reload",)
    reloads = True

    def begin(self):
        config = self.write("one.toml", f"""
[node]
name = "one"
workers = 1
[[listen]]
address = "127.0.0.1:0"
{ADMIN}
""" + ONE_POP)
        return self.start("geodns", "--config", config, listeners=2)

    def test_its_admin_listener(self):
        self.check_contract()
        self.hang_up()
        until(lambda: self.read().json()["config"]["generation"] == 2, "the file is read again")
        self.check_hang_up()
        self.assertEqual(self.process.stop(), 0)


class Origin(AdminStory):
    role = "origin"
    half = ("/synthetic/up", b"content")

    def begin(self):
        self.ca, cert, key = certificate(self.folder)
        config = self.write("one.toml", f"""
[node]
name = "one"
[[listen]]
address = "127.0.0.1:0"
[[listen]]
address = "127.0.0.1:0"
tls = true
[[certificate]]
cert = "{cert}"
key = "{key}"
{ADMIN}
[origin]
store = "store"
products = 10
""")
        return self.start("origin", "--config", config, listeners=3)

    def shown(self):
        """The certificate that it shows, PEM."""
        host, port = self.process.address("https").rsplit(":", 1)
        return ssl.get_server_certificate((host, int(port)))

    def test_its_admin_listener_and_tls(self):
        self.check_contract()
        for version in ("1.1", "2"):
            got = curl(f"https://{HOST}/v1/products/7", resolve=self.process.address("https"),
                       ca=self.ca, version=version)
            self.assertEqual((got.status, got.json()["id"]), (200, "7"))
            self.assertEqual(got.version, {"1.1": "HTTP/1.1", "2": "HTTP/2"}[version])
        first = self.shown()
        kept = (self.folder / "www.pem").read_text()
        (self.folder / "www.pem").unlink()
        certificate(self.folder)
        self.assertNotEqual((self.folder / "www.pem").read_text(), kept)
        self.hang_up()
        until(lambda: self.shown() != first, "the new certificate is shown")
        self.check_hang_up()
        self.check_drain()


if __name__ == "__main__":
    stage.main()
