"""Edges, shields and a purge service as the stories start them, asked over each protocol.

A story that holds for every protocol derives from OverEach and is run once for each of PROTOCOLS:
HTTP/1.1, HTTP/1.1 over TLS, HTTP/2 over TLS.
"""
import json
import subprocess

import stage

PROTOCOLS = {"h1": ("http", "1.1"), "h1s": ("https", "1.1"), "h2s": ("https", "2")}
HOST = "www.shop.test"
# What a GeoDNS serves at least: one POP for one name.
ONE_POP = """
[[pop]]
name = "fra1"
addresses = ["192.0.2.11"]
[[map]]
name = "world"
default = ["fra1"]
[[zone]]
name = "cdn.example"
ns = ["ns1.cdn.example"]
[[zone.edge]]
name = "www"
map = "world"
"""


def certificate(folder):
    """A throw-away CA and a certificate for HOST below it: (ca, cert, key)."""
    ca, key, cert = folder / "ca.pem", folder / "www.key", folder / "www.pem"
    if cert.exists():
        return ca, cert, key

    def openssl(*arguments):
        subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)

    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    openssl("req", "-x509", *curve, "-keyout", folder / "ca.key", "-out", ca, "-days", "2",
            "-subj", "/CN=story CA")
    openssl("req", *curve, "-keyout", key, "-out", folder / "www.csr", "-subj", f"/CN={HOST}")
    (folder / "www.ext").write_text(f"subjectAltName=DNS:{HOST},DNS:localhost,IP:127.0.0.1\n")
    openssl("x509", "-req", "-in", folder / "www.csr", "-CA", ca, "-CAkey", folder / "ca.key",
            "-CAcreateserial", "-days", "2", "-extfile", folder / "www.ext", "-out", cert)
    key.chmod(0o600)
    return ca, cert, key


class Node:
    """A running edge or shield."""

    def __init__(self, story, process):
        self.story = story
        self.process = process
        self.admin = process.address("admin")
        self.http = process.address("http")
        self.https = next((a for a, k in process.listeners if k == "https"), None)

    def get(self, path, protocol="h1", host=HOST, **options):
        scheme, version = PROTOCOLS[protocol]
        address = self.http if scheme == "http" else self.https
        ca = self.story.folder / "ca.pem" if scheme == "https" else None
        return stage.curl(f"{scheme}://{host}{path}", version=version, resolve=address, ca=ca,
                          **options)

    def metrics(self):
        return stage.metrics(self.admin, "admin-secret")

    def total(self, name, **labels):
        return stage.metric_sum(self.metrics(), name, **labels)

    def explain(self, url, **more):
        body = json.dumps({"url": url, **more}).encode()
        return stage.curl(f"http://{self.admin}/v1/explain", method="POST", data=body,
                          headers={"Authorization": "Bearer admin-secret"})


class CdnStory(stage.Story):
    def edge(self, origin, name="edge1", site="", extra="", workers=2, tls=True, memory="64MiB",
             site_head="", listen="", log="off", at="127.0.0.1:0", tls_at="127.0.0.1:0",
             admin_at="127.0.0.1:0", **start):
        """An edge or shield in front of `origin` (HOST:PORT, or several)."""
        ca, cert, key = certificate(self.folder)
        origins = origin if isinstance(origin, list) else [origin]
        self.write("admin.token", "admin-secret\n")
        tables = ""
        if tls:
            tables += (f'[[listen]]\naddress = "{tls_at}"\ntls = true\n'
                       f'[[certificate]]\ncert = "{cert}"\nkey = "{key}"\n')
        config = self.write(f"{name}.toml", f"""
[node]
name = "{name}"
pop = "{name[:4]}"
workers = {workers}
drain_timeout = "2s"
[[listen]]
address = "{at}"
{listen}
{tables}
[admin]
listen = "{admin_at}"
token_file = "admin.token"
[memory]
size = "{memory}"
[log]
access = "{log}"
{extra}
[[site]]
name = "shop"
hosts = ["{HOST}"]
origins = [{", ".join(f'"http://{o}"' for o in origins)}]
{site_head}
{site}
""")
        process = self.start("edge", "--config", config, listeners=3 if tls else 2, **start)
        return Node(self, process)

    def purged(self, name="purged", data="log"):
        self.write("ops.token", "ops-secret\n")
        self.write("node.token", "node-secret\n")
        config = self.write(f"{name}.toml", f"""
[[listen]]
address = "127.0.0.1:0"
[store]
path = "{data}"
[registry]
heartbeat = "100ms"
[[site]]
name = "shop"
hosts = ["{HOST}"]
[[token]]
name = "ops"
token_file = "ops.token"
sites = ["shop"]
scopes = ["purge:url", "purge:tag", "purge:prefix", "purge:all", "read"]
[[token]]
name = "node"
token_file = "node.token"
sites = ["*"]
scopes = ["node"]
""")
        return self.start("purged", "--config", config, listeners=1)

    def control(self, purged, lag_limit="5s"):
        return (f'[control]\nurl = "http://{purged.address("http")}"\n'
                f'token_file = "node.token"\nlag_limit = "{lag_limit}"\n')

    def purge(self, purged, wait="all", timeout_ms=10000, **what):
        body = json.dumps({**what, "wait": wait, "wait_timeout_ms": timeout_ms}).encode()
        return stage.curl(f"http://{purged.address('http')}/v1/sites/shop/purge", method="POST",
                          data=body, headers={"Authorization": "Bearer ops-secret",
                                              "Content-Type": "application/json"})


def over_each(story):
    """Makes a story class for each protocol; nothing is left of the base, which isn't run."""
    module = __import__(story.__module__)
    bases = (story,) if issubclass(story, CdnStory) else (story, CdnStory)
    for protocol in PROTOCOLS:
        name = f"{story.__name__}Over{protocol.upper()}"
        setattr(module, name, type(name, bases, {"protocol": protocol,
                                                 "__module__": story.__module__}))


def answer_with(fields, body=b"hello\n", status=200):
    return lambda request: request.answer(status, fields, body)
