"""What is measured: the rows of the table, how each is loaded, and what we hold ourselves to."""
import dataclasses

H2 = ["--h2", "--connections", "10", "--depth"]


@dataclasses.dataclass
class Case:
    name: str
    title: str
    way: str
    load: list
    reference: str              # h1, h2, proxy; "": none
    most_reference: float = 0   # ratio of CPU to the reference's that we stay under; 0: none
    most_peer: float = 0        # the same to the best peer's
    unit: str = "us"            # us | ms | us/MiB | bytes | p99 us | p99.9 us
    kind: str = "load"          # load | idle | latency
    logged: bool = False
    hit: bool = True            # the origin must not be asked
    repeat: str = ""            # a text that differs each run goes into the path
    peers: tuple = ()           # only these; none: all that can


CASES = [
    Case("h1", "1 KiB hit, HTTP/1.1 keep-alive", "h1", ["--connections", "64"], "h1", 1.2, 0.8),
    Case("h1-log", "same, access log on", "h1", ["--connections", "64"], "h1", 0, 0.8,
         logged=True),
    Case("h1-pipelined", "same, pipelined x16", "h1", ["--connections", "32", "--depth", "16"],
         "h1", 1 / 0.7, 0.125),
    Case("h1-pipelined-log", "same, access log on", "h1",
         ["--connections", "32", "--depth", "16"], "h1", 0, 0.125, logged=True),
    Case("h2c-16", "1 KiB hit, HTTP/2 cleartext, 10 x 16", "h2c", [*H2, "16"], "h2", 0.9, 0.7),
    Case("h2c-100", "same, 10 x 100", "h2c", [*H2, "100"], "h2", 0.6, 0.5),
    Case("h2c-log", "same, access log on", "h2c", [*H2, "100"], "h2", 0, 0.5, logged=True),
    Case("h2-tls-16", "1 KiB hit, HTTP/2 TLS 1.3, 10 x 16", "h2", ["--tls", *H2, "16"], "h2",
         1.0, 0.9),
    Case("h2-tls-100", "same, 10 x 100", "h2", ["--tls", *H2, "100"], "h2", 1.0, 0.65),
    Case("tls", "1 KiB hit, HTTP/1.1 TLS 1.3 keep-alive", "tls",
         ["--tls", "--connections", "64"], "h1", 1.1, 1.05),
    Case("handshake", "full TLS 1.3 handshake and one request, P-256", "tls",
         ["--tls", "--close", "--connections", "16"], "h1", 1.1, 1.05, unit="ms"),
    Case("1m", "1 MiB from memory", "h1",
         ["--connections", "8", "--path", "/1048576/one", "--sample", "16"], "h1", 1.1, 1.05,
         unit="us/MiB"),
    Case("64m", "64 MiB from memory", "h1",
         ["--connections", "4", "--path", "/67108864/one", "--sample", "8"], "h1", 1.1, 1.05,
         unit="us/MiB"),
    Case("1m-tls", "1 MiB from memory, TLS", "tls",
         ["--tls", "--connections", "8", "--path", "/1048576/one", "--sample", "16"], "h1", 1.1,
         1.05, unit="us/MiB"),
    Case("64m-tls", "64 MiB from memory, TLS", "tls",
         ["--tls", "--connections", "4", "--path", "/67108864/one", "--sample", "8"], "h1", 1.1,
         1.05, unit="us/MiB"),
    Case("miss", "miss to a local origin, 1 KiB, stored", "h1",
         ["--connections", "32", "--objects", "9999999", "--choice", "each", "--warmup", "0"],
         "proxy", 1.3, 0.95, hit=False, repeat="/1024/m/"),
    Case("p99", "p99 at half the slowest peer's rate", "h1", ["--connections", "64"], "", 0, 1.0,
         unit="p99 us", kind="latency"),
    Case("p999", "p99.9 at half the slowest peer's rate", "h1", ["--connections", "64"], "", 0,
         1.0, unit="p99.9 us", kind="latency"),
    Case("idle", "an idle connection", "h1", [], "h1", 1.3, 0, unit="bytes", kind="idle"),
    Case("idle-tls", "an idle connection, TLS", "tls", ["--tls"], "h1", 1.3, 1.05, unit="bytes",
         kind="idle"),
    Case("idle-h2", "an idle connection, HTTP/2 over TLS", "h2", ["--tls", "--h2"], "h2", 1.3, 0,
         unit="bytes", kind="idle"),
    Case("zipf", "many 1 KiB objects, Zipf 0.9, pipelined x16", "h1",
         ["--connections", "32", "--depth", "16", "--path", "/1024/z/", "--choice", "zipf"], "",
         0, 0.2, peers=("HAProxy",)),
]
GROUPS = {"h1": ["h1", "h1-log"], "pipelined": ["h1-pipelined", "h1-pipelined-log"],
          "h2c": ["h2c-16", "h2c-100", "h2c-log"], "h2": ["h2c-16", "h2c-100", "h2-tls-16",
          "h2-tls-100"], "h2-tls": ["h2-tls-16", "h2-tls-100"],
          "large": ["1m", "64m", "1m-tls", "64m-tls"], "latency": ["p99", "p999"],
          "memory": ["idle", "idle-tls", "idle-h2"]}
ONLY_BYTES = {"idle": 1024, "idle-h2": 20480}  # bounds that are no ratio


def chosen(names):
    """Cases by name, a group stands for several; none: all. None for an unknown name."""
    wanted = []
    for name in names:
        members = GROUPS.get(name, [name])
        if any(member not in {case.name for case in CASES} for member in members):
            raise SystemExit(f"bench: no case {name}: "
                             f"{' '.join(c.name for c in CASES)}; groups: {' '.join(GROUPS)}")
        wanted += members
    return [case for case in CASES if not wanted or case.name in wanted]
