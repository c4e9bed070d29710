"""Many slow readers of distinct large objects: all get every byte, and memory stays in its bound."""
import os
import random
import threading

import stage
from cdn import CdnStory
from giant_story import MOST_BESIDES, SANITIZED, Pattern, peak_memory, read_all
from slow_client import ask_slowly

MIB = 1 << 20
MEMORY = 64 * MIB
SIZE = 8 * MIB
READERS = int(os.environ.get("STORY_SLOW_READERS", "20" if SANITIZED else "60"))
TRICKLES = 3  # pieces that a slow one takes before it may have the rest


def send_pattern(pattern):
    def answer(request):
        request.send_response(200)
        request.send_header("Cache-Control", "max-age=600")
        request.send_header("Content-Length", str(pattern.size))
        request.end_headers()
        for piece in pattern.pieces():
            request.connection.sendall(piece)
    return answer


class SlowReaders(CdnStory):
    protocol = "h1"

    def client(self, node, path):
        return ask_slowly(self, node, path, buffer=65536)

    def origin_of(self, readers):
        origin = self.origin()
        self.pattern = Pattern(SIZE)
        for n in range(readers):
            origin.script[f"/{n}"] = send_pattern(self.pattern)
        return origin

    def node(self, origin, **options):
        return self.edge(origin, memory=f"{MEMORY // MIB}MiB", tls=False, **options)

    def held(self, node):
        return node.total("breakwater_fill_bytes")

    def assert_bound(self, *nodes):
        for node in nodes:
            # A half for bodies on their way; beyond it the least of each reader's.
            self.assertLessEqual(self.held(node), MEMORY // 2 + READERS * 512 * 1024)
            self.assertLessEqual(node.total("breakwater_memory_bytes", part="cache"),
                                 MEMORY + READERS * 512 * 1024)
            if not SANITIZED:
                self.assertLess(peak_memory(node.process), MEMORY + MOST_BESIDES)

    def begin(self, edge):
        """All have their head, and then trickle in an order of their own."""
        dice = random.Random(60)
        readers = []
        begun = [b""] * READERS
        while len(readers) < READERS:  # a few at once: what the scripted origin's backlog takes
            some = [self.client(edge, f"/{len(readers) + n}") for n in range(4)]
            for reader in some:
                self.assertEqual(reader.head(), 200)
            readers += some
        turns = [n for n in range(READERS) for _ in range(TRICKLES)]
        dice.shuffle(turns)
        for n in turns:
            begun[n] += readers[n].read_exactly(10240)
        return readers, begun

    def end(self, readers, begun):
        """The rest, sixteen at a time."""
        got = [None] * READERS

        def some(first):
            for n in range(first, READERS, 16):
                got[n] = read_all(readers[n], begun[n])

        threads = [threading.Thread(target=some, args=(first,)) for first in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(set(got), {(SIZE, self.pattern.digest())})

    def test_slow_readers_stay_within_the_bound_and_keep_nobody_waiting(self):
        origin = self.origin_of(READERS + 1)
        edge = self.node(origin.address)
        readers, begun = self.begin(edge)
        self.assert_bound(edge)
        # Nobody who is quick waits for them, nor is anything too small refused.
        quick = self.client(edge, f"/{READERS}")
        self.assertEqual(quick.head(), 200)
        self.assertEqual(read_all(quick), (SIZE, self.pattern.digest()))
        self.assert_bound(edge)
        self.assertGreater(edge.total("breakwater_fill_pauses_total"), 0)
        self.end(readers, begun)
        self.assert_bound(edge)
        stage.until(lambda: self.held(edge) == 0, "all is given back")
        self.assertEqual(sum(origin.count(f"/{n}") for n in range(READERS)), READERS)

    def test_objects_that_slow_readers_hold_are_within_the_bound(self):
        origin = self.origin_of(READERS)
        edge = self.node(origin.address)
        readers, begun = [], []
        # One after the other: each may be stored whole before the next one comes.
        for n in range(READERS):
            readers.append(self.client(edge, f"/{n}"))
            self.assertEqual(readers[-1].head(), 200)
            begun.append(readers[-1].read_exactly(10240))
            if n < MEMORY // SIZE // 2:
                stage.until(lambda: edge.total("breakwater_memory_objects") == n + 1, "it is stored")
        self.assert_bound(edge)
        self.end(readers, begun)
        self.assert_bound(edge)
        stage.until(lambda: self.held(edge) == 0, "all is given back")

    def test_slow_readers_behind_a_shield_stay_within_the_bound_of_both(self):
        origin = self.origin_of(READERS)
        self.write("tier.token", "tier-secret\n")
        tier = '[tier]\ntoken_file = "tier.token"\n'
        shield = self.node(origin.address, name="shield1", extra=tier)
        edge = self.node("127.0.0.1:1", name="edge1", extra=tier +
                         f'[shield]\nnodes = ["http://{shield.http}"]\n')
        readers, begun = self.begin(edge)
        self.assert_bound(edge, shield)
        self.end(readers, begun)
        self.assert_bound(edge, shield)
        for node in (edge, shield):
            stage.until(lambda: self.held(node) == 0, "all is given back")

    def test_slow_readers_of_a_node_with_a_disk_stay_within_the_bound(self):
        origin = self.origin_of(READERS)
        edge = self.node(origin.address, extra='[disk]\npath = "disk"\nsize = "1GiB"\n')
        readers, begun = self.begin(edge)
        self.assert_bound(edge)
        self.end(readers, begun)
        self.assert_bound(edge)
        stage.until(lambda: self.held(edge) == 0, "all is given back")


if __name__ == "__main__":
    stage.main()
