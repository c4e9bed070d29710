"""Large bodies through small memories, both ways: what is sent arrives, and nobody hoards it."""
import hashlib
import os
import random
import threading

import stage
from cdn import CdnStory, over_each
from slow_client import Standstill, ask_slowly, can_send, ends

MIB = 1 << 20
MEMORY = 16 * MIB  # the least there is
SANITIZED = b"__asan_init" in open(stage.BREAKWATER, "rb").read()
# 1 GiB through 64 MiB in proportion; instrumented code is given less to do.
SIZE = int(os.environ.get("STORY_GIANT_MIB", "64" if SANITIZED else "256")) * MIB
UPLOAD = 50 * MIB
MOST_HELD = MIB
# What a node of these settings takes besides its memory tier; instrumented, memory tells nothing.
MOST_BESIDES = 128 * MIB


class Pattern:
    """Bytes of which no two pieces are alike, so that none can stand for another."""

    def __init__(self, size):
        self.size = size
        self.base = random.Random(13).randbytes(65536 - 8)

    def pieces(self):
        for at in range(0, self.size, 65536):
            yield (at.to_bytes(8, "big") + self.base)[:self.size - at]

    def digest(self):
        made = hashlib.sha256()
        for piece in self.pieces():
            made.update(piece)
        return made.hexdigest()


class Giant:
    """An origin's script for one request: sends the pattern as fast as it is taken, and counts."""

    def __init__(self, pattern, go_on=None):
        self.pattern, self.go_on = pattern, go_on
        self.sent = 0
        self.connection = None

    def __call__(self, request):
        self.connection = request.connection
        if self.go_on is not None:
            self.go_on.wait(stage.DEADLINE)
        request.send_response(200)
        request.send_header("Cache-Control", "max-age=600")
        request.send_header("Content-Length", str(self.pattern.size))
        request.end_headers()
        for piece in self.pattern.pieces():
            piece = memoryview(piece)
            while piece:
                taken = self.connection.send(piece)
                self.sent += taken
                piece = piece[taken:]

    def stuck(self):
        return not can_send(self.connection)


def read_all(client, begun=b""):
    """(bytes, sha256) of what is left of a body, after what was read already."""
    made = hashlib.sha256(begun)
    size = len(begun)
    while piece := client.read():
        made.update(piece)
        size += len(piece)
    return size, made.hexdigest()


def peak_memory(process):
    with open(f"/proc/{process.process.pid}/status", encoding="ascii") as status:
        line = next(line for line in status if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


class GiantStory(CdnStory):
    def client(self, node, path, **request):
        return ask_slowly(self, node, path, buffer=65536, **request)

    def small_node(self, origin, **options):
        return self.edge(origin, memory=f"{MEMORY // MIB}MiB", **options)

    def assert_small(self, node):
        if not SANITIZED:
            self.assertLess(peak_memory(node.process), MEMORY + MOST_BESIDES)


@over_each
class Giants(GiantStory):
    def test_a_slow_reader_of_a_giant_holds_little_and_gets_every_byte(self):
        pattern = Pattern(SIZE)
        giant = Giant(pattern)
        origin = self.origin()
        origin.script["/giant"] = giant
        edge = self.small_node(origin.address)
        client = self.client(edge, "/giant")
        self.assertEqual(client.head(), 200)
        way = Standstill(edge.process, (ends(giant.connection), lambda: giant.sent),
                         (client.ends, lambda: client.taken), giant.stuck)
        begun = b""
        # As a reader at 10 KiB/s: each second's bytes, and then all that can move has moved.
        for _ in range(10):
            begun += client.read_exactly(10240)
            self.assertLessEqual(way.held(), MOST_HELD)
        self.assertLess(giant.sent, SIZE)
        self.assertEqual(read_all(client, begun), (SIZE, pattern.digest()))
        self.assert_small(edge)

    def test_a_giant_through_two_tiers_is_exact_and_then_comes_from_the_disk(self):
        pattern = Pattern(SIZE)
        go_on = threading.Event()
        self.addCleanup(go_on.set)
        origin = self.origin()
        origin.script["/giant"] = Giant(pattern, go_on)
        self.write("tier.token", "tier-secret\n")
        disk = '[tier]\ntoken_file = "tier.token"\n[disk]\npath = "disk-{}"\nsize = "1GiB"\n'
        shield = self.small_node(origin.address, name="shield1", tls=False,
                                 extra=disk.format("shield1"))
        edge = self.small_node("127.0.0.1:1", name="edge1", extra=disk.format("edge1") +
                               f'[shield]\nnodes = ["http://{shield.http}"]\n')
        slow = self.client(edge, "/giant")
        fast = self.client(edge, "/giant")
        stage.until(lambda: edge.total("breakwater_coalesced_total") == 1, "one follows the other")
        go_on.set()
        self.assertEqual((slow.head(), fast.head()), (200, 200))
        begun = slow.read_exactly(10240)
        # From here on the slow one stands still: it keeps nobody.
        self.assertEqual(read_all(fast), (SIZE, pattern.digest()))
        self.assertEqual(read_all(slow, begun), (SIZE, pattern.digest()))
        stage.until(lambda: edge.total("breakwater_disk_objects") == 1, "the object on the disk")
        hits = edge.total("breakwater_requests_total", verdict="hit")
        again = self.client(edge, "/giant")
        self.assertEqual(again.head(), 200)
        self.assertEqual(read_all(again), (SIZE, pattern.digest()))
        self.assertEqual(edge.total("breakwater_requests_total", verdict="hit"), hits + 1)
        self.assertEqual(origin.count("/giant"), 1)
        for node in (edge, shield):
            self.assert_small(node)

    def test_an_upload_waits_for_its_origin_and_passes_exactly(self):
        pattern = Pattern(UPLOAD)
        origin = self.origin()
        go_on = threading.Event()
        self.addCleanup(go_on.set)
        came = {"connection": None, "bytes": 0}

        def upload(request):
            came["connection"] = request.connection
            go_on.wait(stage.DEADLINE)
            made = hashlib.sha256()
            while came["bytes"] < UPLOAD:
                piece = request.rfile.read(min(65536, UPLOAD - came["bytes"]))
                came["bytes"] += len(piece)
                made.update(piece)
            request.answer(200, {"Cache-Control": "no-store"}, made.hexdigest().encode())

        origin.script["/up"] = upload
        edge = self.small_node(origin.address)
        client = self.client(edge, "/up", method="PUT", length=UPLOAD)

        def send():
            for piece in pattern.pieces():
                client.send(piece)
            client.end()

        sender = threading.Thread(target=send)
        sender.start()
        stage.until(lambda: came["connection"], "the request at the origin")
        way = Standstill(edge.process, (client.ends, lambda: client.sent),
                         (ends(came["connection"]), lambda: 0), lambda: client.waiting)
        self.assertLessEqual(way.held(), MOST_HELD)
        self.assertLess(client.sent, UPLOAD)
        go_on.set()
        sender.join()
        self.assertEqual(client.head(), 200)
        self.assertEqual(client.read_exactly(64).decode(), pattern.digest())
        self.assertEqual(came["bytes"], UPLOAD)
        self.assertEqual(edge.total("breakwater_requests_total", verdict="pass"), 1)
        self.assert_small(edge)


if __name__ == "__main__":
    stage.main()
