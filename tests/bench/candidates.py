"""Who is measured: ours, the bare references, and Debian's servers with the fair, fast configuration
that lies in peers/.

A candidate writes its configuration into a folder of its own, starts pinned to the server's core, and
is stopped by its pid. One worker each. `ways` says where it can be asked: h1, h2c, tls (HTTP/1.1),
h2 (over TLS); `cannot` names cases it has no fair part in.
"""
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "support"))
import stage  # noqa: E402

SERVER_CORE, CLIENT_CORE = "0", "1"
DEADLINE = 40
FILES = ("/1024/one", "/1048576/one", "/67108864/one")  # what a server of files is given


def body_of(path):
    """As load/content.h has it."""
    length = int(path.split("/")[1])
    line = path.encode() + b"\n"
    return (line * (length // len(line) + 1))[:length]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def accepts(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


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


class Candidate:
    name = ""
    program = ""
    ways = ("h1", "h2c", "tls", "h2")
    cannot = ()
    core = SERVER_CORE
    log_off = "off"
    separate_h2c = False

    def __init__(self, bench, logged=False, large=False):
        self.bench = bench
        self.logged = logged
        self.large = large  # for a million objects
        self.folder = bench.folder / f"{self.name.replace(' ', '-')}{'-log' if logged else ''}{'-large' if large else ''}"
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()
        self.folder.chmod(0o755)
        self.port, self.tls_port = free_port(), free_port()
        self.h2c_port = free_port() if self.separate_h2c else self.port
        self.process = None
        self.extra = []  # processes beside it

    @classmethod
    def find(cls):
        return shutil.which(cls.program) or shutil.which(cls.program,
                                                         path="/usr/sbin:/usr/local/sbin")

    @classmethod
    def missing(cls):
        """Why it can't be measured; None: it can."""
        return None if cls.find() else f"{cls.program} is not installed"

    def log(self):
        return f"{self.folder}/access.log"

    def configure(self, source, target=None, **more):
        text = (HERE / "peers" / source).read_text()
        user = "user root;" if self.program == "nginx" else "user: root"
        values = {"PORT": self.port, "H2C_PORT": self.h2c_port, "TLS_PORT": self.tls_port,
                  "ORIGIN": self.bench.origin_port, "FOLDER": self.folder,
                  "CERT": self.bench.cert, "USER": user if os.geteuid() == 0 else "",
                  "CACHE": 3072 if self.large else 256,
                  "LOG": self.log_on() if self.logged else self.log_off, **more}
        for key, value in values.items():
            text = text.replace(f"@{key}@", str(value))
        path = self.folder / (target or source)
        path.write_text(text)
        return path

    def log_on(self):
        return self.log()

    def port_of(self, way):
        return {"h1": self.port, "h2c": self.h2c_port}.get(way, self.tls_port)

    def spawn(self, command):
        with open(self.folder / "output", "ab") as output:
            return subprocess.Popen(["taskset", "-c", self.core, *map(str, command)],
                                    stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                    cwd=self.folder)

    def start(self):
        self.process = self.spawn(self.command())
        ports = {self.port_of(way) for way in self.ways}
        try:
            for port in ports:
                stage.until(lambda p=port: self.process.poll() is not None or accepts(p),
                            f"{self.name} listens on {port}", DEADLINE)
            if self.process.poll() is not None:
                raise AssertionError("it ended")
            self.started()
        except AssertionError as error:
            self.stop()
            said = (self.folder / "output").read_text(errors="replace")[-2000:]
            raise RuntimeError(f"{self.name}: {error}\n{said}") from None
        return self

    def started(self):
        pass

    def pids(self):
        return [pid for process in [self.process, *self.extra] for pid in family(process.pid)]

    def stop(self):
        for process in filter(None, [*self.extra, self.process]):
            if process.poll() is not None:
                continue
            members = family(process.pid)
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                for pid in reversed(members):
                    try:
                        os.kill(pid, signal.SIGKILL)
                    except ProcessLookupError:
                        pass
                process.wait()
        shutil.rmtree(self.folder / "store", ignore_errors=True)

    def memory(self):
        """Bytes of its own in memory."""
        total = 0
        for pid in self.pids():
            for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
                if line.startswith(("RssAnon:", "RssShmem:")):
                    total += int(line.split()[1]) * 1024
        return total


class Reference(Candidate):
    """The bare loop of the case: bench_h1, bench_h2 or bench_proxy."""
    name = "reference"
    tool = "h1"

    @classmethod
    def missing(cls):
        return None

    def command(self):
        return [self.bench.tools / f"bench_{self.tool}", "--port", self.port, "--tls-port",
                self.tls_port, "--cert", f"{self.bench.cert}.crt", "--key",
                f"{self.bench.cert}.key", "--origin", self.bench.origin_port]


class ReferenceH1(Reference):
    name = "reference h1"
    ways = ("h1", "tls")
    tool = "h1"


class ReferenceH2(Reference):
    name = "reference h2"
    ways = ("h2c", "h2")
    tool = "h2"


class ReferenceProxy(Reference):
    name = "reference proxy"
    ways = ("h1",)
    tool = "proxy"


class Origin(ReferenceH1):
    name = "origin"
    core = CLIENT_CORE


class Breakwater(Candidate):
    name = "breakwater"
    binary = "build/release/breakwater"

    @classmethod
    def missing(cls):
        return None if os.access(cls.binary, os.X_OK) else f"{cls.binary} is not built"

    def command(self):
        return [pathlib.Path(self.binary).resolve(), "edge", "--config",
                self.configure("breakwater.toml")]


class Against(Breakwater):
    name = "against"


class Nginx(Candidate):
    name = "nginx"
    program = "nginx"
    separate_h2c = True

    def log_on(self):
        return f"{self.log()} combined buffer=64k flush=1s"

    def command(self):
        return [self.find(), "-p", self.folder, "-c", self.configure("nginx.conf")]


class HAProxy(Candidate):
    name = "HAProxy"
    program = "haproxy"
    log_off = ""
    separate_h2c = True

    def log_on(self):
        return "log stdout format raw local0\n  option httplog"

    def command(self):
        return [self.find(), "-db", "-f", self.configure("haproxy.cfg")]


class H2o(Candidate):
    name = "h2o"
    program = "h2o"
    cannot = ("zipf",)
    log_off = ""

    def log_on(self):
        return f"access-log: {self.log()}"

    def command(self):
        for path in FILES:
            file = self.folder / "root" / path[1:]
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(body_of(path))
        return [self.find(), "-m", "worker", "-c", self.configure("h2o.conf")]


class Varnish(Candidate):
    name = "Varnish"
    program = "varnishd"
    ways = ("h1", "h2c")

    def command(self):
        return [self.find(), "-F", "-n", self.folder / "work", "-a", f"127.0.0.1:{self.port}",
                "-f", self.configure("varnish.vcl"), "-s", "malloc,3g", "-p", "thread_pools=1",
                "-p", "thread_pool_min=100", "-p", "feature=+http2", "-p",
                "h2_max_concurrent_streams=256", "-p", "timeout_idle=300"]

    def started(self):
        if self.logged:
            self.extra = [self.spawn(["varnishncsa", "-n", self.folder / "work", "-w",
                                      self.log()])]


class TrafficServer(Candidate):
    name = "Traffic Server"
    program = "traffic_server"
    ways = ("h1", "tls", "h2")

    def command(self):
        etc = self.folder / "etc"
        for name in ("etc", "store", "state", "log"):
            (self.folder / name).mkdir()
        shutil.copy("/etc/trafficserver/ip_allow.yaml", etc)
        (self.folder / "trafficserver").mkdir()
        for name in ("records.config", "remap.config", "ssl_multicert.config", "storage.config",
                     "logging.yaml", "runroot.yaml"):
            made = self.configure(f"trafficserver/{name}", LOG_LEVEL=2 if self.logged else 0)
            shutil.move(made, etc if name != "runroot.yaml" else self.folder)
        return [self.find(), f"--run-root={self.folder}"]

    def log(self):
        return f"{self.folder}/log/access.log"


PEERS = [H2o, HAProxy, Nginx, TrafficServer, Varnish]
REFERENCES = {"h1": ReferenceH1, "h2": ReferenceH2, "proxy": ReferenceProxy}
