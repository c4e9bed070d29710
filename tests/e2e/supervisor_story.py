"""Sockets that a supervisor opened and hands over, as systemd does: they outlive what serves them."""
import pathlib
import socket
import subprocess
import sys

import stage
from cdn import ONE_POP, CdnStory, answer_with, over_each
from slow_client import ask_slowly

HANDOVER = pathlib.Path(stage.__file__).with_name("handover.py")


class Supervisor:
    """Keeps sockets and starts programs with them; hears what they notify."""

    def __init__(self, story):
        self.story = story
        self.sockets = []  # (name, socket)
        self.heard = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify = str(story.folder / f"notify-{id(self)}")
        self.heard.bind(self.notify)
        self.heard.settimeout(stage.DEADLINE)
        story.addCleanup(self.heard.close)

    def open(self, name, kind=socket.SOCK_STREAM, port=0):
        """Its HOST:PORT."""
        made = socket.socket(type=kind)
        self.story.addCleanup(made.close)
        made.bind(("127.0.0.1", port))
        if kind == socket.SOCK_STREAM:
            made.listen(64)
        self.sockets.append((name, made))
        return f"127.0.0.1:{made.getsockname()[1]}"

    def options(self, **env):
        """What stage.Process needs to start with the sockets."""
        named = [f"{name}={made.fileno()}" for name, made in self.sockets]
        return {"before": [sys.executable, "-B", str(HANDOVER), *named, "--"],
                "pass_fds": [made.fileno() for _, made in self.sockets],
                "env": {"NOTIFY_SOCKET": self.notify, **env}}

    def next_word(self):
        return self.heard.recv(4096).decode().splitlines()[0]


@over_each
class Handed(CdnStory):
    def test_a_client_that_comes_between_two_processes_is_served_by_the_second(self):
        origin = self.origin()
        origin.script["/a"] = answer_with({"Cache-Control": "max-age=600"})
        supervisor = Supervisor(self)
        places = [supervisor.open(name) for name in ("web", "tls", "admin")]

        def start():
            edge = self.edge(origin.address, at="fd:web", tls_at="fd:tls", admin_at="fd:admin",
                             **supervisor.options())
            self.assertEqual([edge.http, edge.https, edge.admin], places)
            self.assertEqual(supervisor.next_word(), "READY=1")
            return edge

        first = start()
        for expected in ("fwd=uri-miss; stored", "hit"):
            answer = first.get("/a", self.protocol)
            self.assertEqual(answer.status, 200)
            self.assertIn(expected, answer.field("cache-status"))
        self.assertEqual(first.total("breakwater_requests_total", verdict="hit"), 1)
        self.assertEqual(first.process.stop(), 0)
        self.assertEqual(supervisor.next_word(), "STOPPING=1")
        # Nobody serves, and still the connection is made: the socket is the supervisor's.
        scheme = 0 if self.protocol == "h1" else 1
        early = socket.create_connection(places[scheme].split(":"), stage.DEADLINE)
        self.addCleanup(early.close)
        second = start()
        client = ask_slowly(self, second, "/a", connected=early)
        self.assertEqual((client.head(), client.read_exactly(6)), (200, b"hello\n"))
        self.assertEqual(second.total("breakwater_requests_total", verdict="miss"), 1)
        self.assertEqual(second.process.stop(), 0)


class HandedToOthers(CdnStory):
    def test_geodns_answers_on_a_datagram_and_a_stream_socket_of_one_name(self):
        supervisor = Supervisor(self)
        place = supervisor.open("dns")
        port = place.rsplit(":", 1)[1]
        supervisor.open("dns", socket.SOCK_DGRAM, int(port))
        admin = supervisor.open("admin")
        config = self.write("geo.toml", """
[node]
workers = 2
[[listen]]
address = "fd:dns"
[admin]
listen = "fd:admin"
""" + ONE_POP)

        def ask(*arguments):
            return ["dig", "@127.0.0.1", "-p", port, "+short", "+tries=1",
                    f"+time={int(stage.DEADLINE)}", *arguments, "www.cdn.example"]

        def start():
            process = self.start("geodns", "--config", config, listeners=2, **supervisor.options())
            self.assertEqual([process.address(kind) for kind in ("dns", "admin")], [place, admin])
            self.assertEqual(supervisor.next_word(), "READY=1")
            return process

        first = start()
        for _ in range(8):  # either worker
            for transport in ("+notcp", "+tcp"):
                done = subprocess.run(ask(transport), capture_output=True, text=True, check=True,
                                      timeout=stage.DEADLINE)
                self.assertEqual(done.stdout, "192.0.2.11\n")
        for transport in ("udp", "tcp"):
            self.assertEqual(stage.metric_sum(stage.metrics(admin), "breakwater_dns_queries_total",
                                              transport=transport, outcome="answer"), 8)
        self.assertEqual(first.stop(), 0)
        self.assertEqual(supervisor.next_word(), "STOPPING=1")
        # Asked while nobody serves: the second process answers.
        waiting = [subprocess.Popen(ask(transport), stdout=subprocess.PIPE, text=True)
                   for transport in ("+notcp", "+tcp")]
        for client in waiting:
            self.addCleanup(client.stdout.close)
            self.addCleanup(client.kill)
        stage.until(lambda: self.waits(port), "both queries in the supervisor's sockets")
        second = start()
        for client in waiting:
            self.assertEqual(client.communicate(timeout=stage.DEADLINE)[0], "192.0.2.11\n")
        self.assertEqual(second.stop(), 0)

    @staticmethod
    def waits(port):
        """A packet and a connection wait at this port."""
        found = set()
        for table in ("udp", "tcp"):
            with open(f"/proc/net/{table}", encoding="ascii") as lines:
                for line in list(lines)[1:]:
                    _, local, _, _, queues = line.split()[:5]
                    if local.endswith(f":{int(port):04X}") and int(queues.split(":")[1], 16) > 0:
                        found.add(table)
        return found == {"udp", "tcp"}

    def test_the_purge_service_and_the_origin_take_theirs(self):
        self.write("ops.token", "ops-secret\n")
        config = self.write("purged.toml", """
[[listen]]
address = "fd:api"
[admin]
listen = "fd:admin"
[store]
path = "log"
[[site]]
name = "shop"
hosts = ["www.shop.test"]
""")
        for command in (("purged", "--config", config),
                        ("origin", "--listen", "fd:api", "--admin", "fd:admin", "--products", "1",
                         "--store", self.folder / "store")):
            with self.subTest(command[0]):
                supervisor = Supervisor(self)
                places = [supervisor.open(name) for name in ("api", "admin")]
                process = self.start(*command, listeners=2, **supervisor.options())
                self.assertEqual([process.address(kind) for kind in ("http", "admin")], places)
                self.assertEqual(supervisor.next_word(), "READY=1")
                self.assertEqual(stage.curl(f"http://{places[1]}/readyz").status, 200)
                self.assertEqual(process.stop(), 0)

    def test_what_was_handed_to_another_process_or_under_another_name_is_not_taken(self):
        supervisor = Supervisor(self)
        supervisor.open("web")
        for name, env in (("web", {"LISTEN_PID": "1"}), ("wob", {})):
            options = supervisor.options(**env)
            done = subprocess.run(
                [*options["before"], stage.BREAKWATER, "edge", "--listen", f"fd:{name}",
                 "--origin", "http://127.0.0.1:1"], env={**stage.os.environ, **options["env"]},
                pass_fds=options["pass_fds"], capture_output=True, text=True,
                timeout=stage.DEADLINE, check=False)
            self.assertEqual(done.returncode, 1, done)
            self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
            self.assertIn(f"fd:{name}: no such descriptor was handed over", done.stderr)


if __name__ == "__main__":
    stage.main()
