"""The servers that are compared: each one worker, pinned, caching one origin, access log off.

A server writes its configuration into a folder of its own, starts, and is stopped by its pid. Ports
are asked from the kernel. Some lack a way in: Varnish has no TLS, h2o no cache (it serves the same
bytes from a file, which it keeps in memory, and says so by its name).
"""
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import stage  # noqa: E402

SERVER_CORE, OTHER_CORE = "0", "1"
BODY = bytes((i * 7 + 3) % 251 for i in range(1024))
PATH = "/object"
DEADLINE = 20


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def until(condition, what):
    stage.until(condition, what, DEADLINE)


def accepts(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def find(program):
    return shutil.which(program) or shutil.which(program, path="/usr/sbin:/usr/local/sbin")


def ticks_of(pid):
    """User and system clock ticks of a process and of children it has reaped; 0: gone."""
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return 0
    return sum(int(fields[i]) for i in (11, 12, 13, 14))


def family(pid):
    """The process and all below it."""
    parents = {}
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text().rsplit(")", 1)[1].split()[1])
        except OSError:
            continue
    members = [pid]
    for member in members:
        members += [child for child, parent in parents.items() if parent == member]
    return members


class Server:
    name = ""
    tls = True  # whether HTTP/2 over TLS can be measured
    core = SERVER_CORE

    def __init__(self, folder, cert, origin_port):
        self.folder = pathlib.Path(folder) / self.name.replace(" ", "-")
        self.folder.mkdir()
        self.folder.chmod(0o755)
        self.cert = cert
        self.origin_port = origin_port
        self.plain_port = free_port()
        self.tls_port = free_port() if self.tls else None
        self.process = None

    @classmethod
    def missing(cls, options):
        """Why it can't be measured; None: it can."""
        return None if find(cls.program) else f"{cls.program} is not installed"

    def write(self, name, text):
        path = self.folder / name
        path.write_text(text)
        return path

    def start(self):
        command = ["taskset", "-c", self.core, *map(str, self.command())]
        self.log = open(self.folder / "output", "wb")
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log, cwd=self.folder)
        try:
            for port in filter(None, (self.plain_port, self.tls_port)):
                until(lambda: self.process.poll() is not None or accepts(port),
                      f"{self.name} listens")
                if self.process.poll() is not None:
                    raise RuntimeError("it ended")
        except RuntimeError as error:
            self.stop()
            said = (self.folder / "output").read_text(errors="replace")[-2000:]
            raise RuntimeError(f"{self.name}: {error}\n{said}") from None

    def stop(self):
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            for pid in reversed(family(self.process.pid)):
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            self.process.wait()

    def cpu_ticks(self):
        return sum(map(ticks_of, family(self.process.pid)))


class Origin(Server):
    """nginx with one static file; its log proves that a measured run asked it nothing."""
    name = "origin"
    program = "nginx"
    tls = False
    core = OTHER_CORE

    def command(self):
        root = self.folder / "root"
        root.mkdir(exist_ok=True)
        (root / PATH[1:]).write_bytes(BODY)
        conf = self.write("nginx.conf", f"""
daemon off; worker_processes 1; pid {self.folder}/pid; error_log stderr error;
{nginx_user()}
events {{ worker_connections 1024; }}
http {{
  {nginx_folders(self.folder)}
  access_log {self.folder}/asked; keepalive_requests 1000000;
  server {{ listen 127.0.0.1:{self.plain_port}; root {root};
    add_header Cache-Control "public, max-age=86400"; default_type application/octet-stream; }}
}}""")
        return [find("nginx"), "-p", self.folder, "-c", conf]

    def asked(self):
        log = self.folder / "asked"
        return log.read_bytes().count(b"\n") if log.exists() else 0


def nginx_user():
    return "user root;" if os.geteuid() == 0 else ""


def nginx_folders(folder):
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    return " ".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)


class Breakwater(Server):
    name = "breakwater"
    program = "breakwater"

    @classmethod
    def missing(cls, options):
        cls.program = str(pathlib.Path(options.breakwater).resolve())
        if options.peers_only:
            return "left out by --peers-only"
        return None if os.access(cls.program, os.X_OK) else f"{cls.program} is not built"

    def command(self):
        conf = self.write("edge.toml", f"""
[node]
name = "bench"
pop = "bench"
workers = 1
[[listen]]
address = "127.0.0.1:{self.plain_port}"
[[listen]]
address = "127.0.0.1:{self.tls_port}"
tls = true
[[certificate]]
cert = "{self.cert}.crt"
key = "{self.cert}.key"
[memory]
size = "64MiB"
[log]
access = "off"
[[site]]
name = "bench"
hosts = ["*"]
origins = ["http://127.0.0.1:{self.origin_port}"]
""")
        return [self.program, "edge", "--config", conf]


class Nginx(Server):
    name = "nginx"
    program = "nginx"

    def command(self):
        conf = self.write("nginx.conf", f"""
daemon off; worker_processes 1; pid {self.folder}/pid; error_log stderr error;
{nginx_user()}
events {{ worker_connections 4096; }}
http {{
  {nginx_folders(self.folder)}
  access_log off; keepalive_requests 100000000;
  proxy_cache_path {self.folder}/cache keys_zone=one:16m;
  upstream origin {{ server 127.0.0.1:{self.origin_port}; keepalive 16; }}
  server {{
    listen 127.0.0.1:{self.plain_port};
    listen 127.0.0.1:{self.tls_port} ssl http2;
    ssl_certificate {self.cert}.crt; ssl_certificate_key {self.cert}.key;
    http2_max_concurrent_streams 256;
    location / {{ proxy_pass http://origin; proxy_http_version 1.1;
      proxy_set_header Connection ""; proxy_cache one; }}
  }}
}}""")
        return [find("nginx"), "-p", self.folder, "-c", conf]


class HAProxy(Server):
    name = "HAProxy"
    program = "haproxy"

    def command(self):
        conf = self.write("haproxy.cfg", f"""
global
  nbthread 1
  maxconn 4096
cache one
  total-max-size 64
  max-age 86400
defaults
  mode http
  timeout client 60s
  timeout server 60s
  timeout connect 5s
frontend all
  bind 127.0.0.1:{self.plain_port}
  bind 127.0.0.1:{self.tls_port} ssl crt {self.cert}.pem alpn h2,http/1.1
  http-request cache-use one
  http-response cache-store one
  default_backend origin
backend origin
  http-request cache-use one
  http-response cache-store one
  server origin 127.0.0.1:{self.origin_port}
""")
        return [find("haproxy"), "-db", "-f", conf]


class Varnish(Server):
    name = "Varnish"
    program = "varnishd"
    tls = False

    def command(self):
        return [find("varnishd"), "-F", "-n", self.folder / "work",
                "-a", f"127.0.0.1:{self.plain_port}", "-b", f"127.0.0.1:{self.origin_port}",
                "-s", "malloc,64m", "-p", "thread_pools=1"]


class H2o(Server):
    name = "h2o (file)"
    program = "h2o"

    def command(self):
        root = self.folder / "root"
        root.mkdir(exist_ok=True)
        (root / PATH[1:]).write_bytes(BODY)
        conf = self.write("h2o.conf", f"""
num-threads: 1
{'user: root' if os.geteuid() == 0 else ''}
pid-file: {self.folder}/pid
listen: {{ host: 127.0.0.1, port: {self.plain_port} }}
listen:
  host: 127.0.0.1
  port: {self.tls_port}
  ssl: {{ certificate-file: "{self.cert}.crt", key-file: "{self.cert}.key" }}
hosts:
  default:
    paths: {{ "/": {{ file.dir: {root} }} }}
""")
        return [find("h2o"), "-m", "worker", "-c", conf]


ALL = [Breakwater, HAProxy, Nginx, Varnish, H2o]
