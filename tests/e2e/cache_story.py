"""What a client sees of the cache: misses, hits, conditions, ranges, variants, stale answers."""
import threading
import time

import stage
from cdn import CdnStory, answer_with, over_each

FRESH = {"Cache-Control": "max-age=600", "ETag": '"v1"', "Cache-Tag": "product-1",
         "Last-Modified": "Sun, 06 Nov 1994 08:49:37 GMT", "Content-Type": "text/plain"}


def drop(request):
    request.close_connection = True
    request.connection.close()


@over_each
class Caching:
    def test_a_miss_is_a_hit_the_next_time_and_says_so(self):
        origin = self.origin()
        origin.script["/a"] = answer_with(FRESH)
        edge = self.edge(origin.address)
        first = edge.get("/a", self.protocol)
        self.assertEqual(first.status, 200)
        self.assertEqual(first.body, b"hello\n")
        self.assertIn("edge1; fwd=uri-miss; stored", first.field("cache-status"))
        second = edge.get("/a", self.protocol)
        self.assertEqual(second.body, b"hello\n")
        self.assertRegex(second.field("cache-status"), r"^edge1; hit; ttl=(600|59\d)$")
        self.assertIsNotNone(second.field("age"))
        self.assertIn("edge1", second.field("via"))
        self.assertIsNone(second.field("cache-tag"))
        self.assertEqual(origin.count("/a"), 1)
        self.assertEqual(edge.total("breakwater_requests_total", verdict="hit"), 1)
        self.assertEqual(edge.total("breakwater_requests_total", verdict="miss"), 1)
        self.assertEqual(edge.total("breakwater_misses_total", reason="absent"), 1)

    def test_conditions_head_and_ranges_are_answered_from_the_cache(self):
        origin = self.origin()
        origin.script["/r"] = answer_with(FRESH, b"0123456789")
        edge = self.edge(origin.address)
        edge.get("/r", self.protocol)
        same = edge.get("/r", self.protocol, headers={"If-None-Match": '"v1"'})
        self.assertEqual((same.status, same.body), (304, b""))
        self.assertEqual(same.field("etag"), '"v1"')
        since = edge.get("/r", self.protocol,
                         headers={"If-Modified-Since": "Sun, 06 Nov 1994 08:49:37 GMT"})
        self.assertEqual(since.status, 304)
        failed = edge.get("/r", self.protocol, headers={"If-Match": '"other"'})
        self.assertEqual(failed.status, 412)
        head = edge.get("/r", self.protocol, method="HEAD")
        self.assertEqual((head.status, head.field("content-length"), head.body), (200, "10", b""))
        part = edge.get("/r", self.protocol, headers={"Range": "bytes=2-4"})
        self.assertEqual((part.status, part.body), (206, b"234"))
        self.assertEqual(part.field("content-range"), "bytes 2-4/10")
        beyond = edge.get("/r", self.protocol, headers={"Range": "bytes=20-"})
        self.assertEqual((beyond.status, beyond.field("content-range")), (416, "bytes */10"))
        self.assertEqual(origin.count("/r"), 1)

    def test_a_range_of_a_cold_object_is_cut_from_the_whole_that_is_stored(self):
        origin = self.origin()
        origin.script["/cold"] = answer_with(FRESH, b"0123456789")
        edge = self.edge(origin.address)
        part = edge.get("/cold", self.protocol, headers={"Range": "bytes=-3"})
        self.assertEqual((part.status, part.body), (206, b"789"))
        whole = edge.get("/cold", self.protocol)
        self.assertEqual((whole.status, whole.body), (200, b"0123456789"))
        self.assertEqual(origin.count("/cold"), 1)

    def test_each_variant_is_stored_and_found(self):
        origin = self.origin()

        def vary(request):
            language = request.headers.get("Accept-Language", "none")
            request.answer(200, {**FRESH, "Vary": "Accept-Language"}, language.encode())

        origin.script["/v"] = vary
        edge = self.edge(origin.address)
        for _ in range(2):
            for language in ("de", "fr"):
                answer = edge.get("/v", self.protocol, headers={"Accept-Language": language})
                self.assertEqual(answer.body, language.encode())
        self.assertEqual(origin.count("/v"), 2)
        self.assertEqual(edge.total("breakwater_misses_total", reason="vary"), 1)

    def test_what_may_not_be_shared_is_never_stored(self):
        origin = self.origin()
        cases = {
            "/private": ({"Cache-Control": "private, max-age=600"}, "uncacheable:private"),
            "/no-store": ({"Cache-Control": "no-store"}, "uncacheable:no-store"),
            "/cookie": ({**FRESH, "Set-Cookie": "a=b"}, "uncacheable:set-cookie"),
            "/star": ({**FRESH, "Vary": "*"}, "uncacheable:vary-star"),
            "/nothing": ({}, "uncacheable:no-freshness"),
        }
        for path, (fields, _) in cases.items():
            origin.script[path] = answer_with(fields)
        edge = self.edge(origin.address)
        for path, (fields, reason) in cases.items():
            first = edge.get(path, self.protocol)
            self.assertIn(f"detail={reason}", first.field("cache-status"), path)
            second = edge.get(path, self.protocol)
            self.assertNotIn("hit;", second.field("cache-status"), path)
            self.assertEqual(origin.count(path), 2, path)

    def test_a_stale_object_is_validated(self):
        origin = self.origin()

        def checked(request):
            if request.headers.get("If-None-Match") == '"v1"':
                request.answer(304, {"ETag": '"v1"', "Cache-Control": "max-age=600"})
            else:
                request.answer(200, {"ETag": '"v1"', "Cache-Control": "max-age=0"}, b"kept")

        origin.script["/s"] = checked
        edge = self.edge(origin.address)
        edge.get("/s", self.protocol)
        second = edge.get("/s", self.protocol)
        self.assertEqual((second.status, second.body), (200, b"kept"))
        self.assertIn("fwd=stale; fwd-status=304", second.field("cache-status"))
        third = edge.get("/s", self.protocol)
        self.assertIn("edge1; hit", third.field("cache-status"))
        self.assertEqual(origin.count("/s"), 2)
        self.assertEqual(edge.total("breakwater_requests_total", verdict="revalidated"), 1)

    def test_stale_while_revalidate_answers_at_once_and_refreshes(self):
        origin = self.origin()
        version = [1]

        def changing(request):
            request.answer(200, {"Cache-Control": "max-age=0, stale-while-revalidate=600"},
                           str(version[0]).encode())

        origin.script["/swr"] = changing
        edge = self.edge(origin.address)
        self.assertEqual(edge.get("/swr", self.protocol).body, b"1")
        version[0] = 2
        stale = edge.get("/swr", self.protocol)
        self.assertEqual(stale.body, b"1")
        self.assertIn("detail=swr", stale.field("cache-status"))
        stage.until(lambda: origin.count("/swr") >= 2, "the refresh")
        stage.until(lambda: edge.get("/swr", self.protocol).body == b"2", "the refreshed answer")
        self.assertGreaterEqual(edge.total("breakwater_upstream_fetches_total", kind="refresh"), 1)

    def test_a_dead_origin_leaves_stale_answers_marked_and_502_for_the_rest(self):
        origin = self.origin()
        origin.script["/kept"] = answer_with(
            {"Cache-Control": "max-age=0, stale-if-error=600"}, b"kept")
        edge = self.edge(origin.address)
        edge.get("/kept", self.protocol)
        # Kept-alive connections die too.
        origin.script["*"] = origin.script["/kept"] = drop
        origin.close()
        stale = edge.get("/kept", self.protocol)
        self.assertEqual((stale.status, stale.body), (200, b"kept"))
        self.assertIn("detail=stale-if-error", stale.field("cache-status"))
        lost = edge.get("/other", self.protocol)
        self.assertEqual(lost.status, 502)
        self.assertEqual(lost.field("content-type"), "application/problem+json")
        self.assertEqual(edge.total("breakwater_requests_total", verdict="stale"), 1)

    def test_a_truncated_body_breaks_visibly_and_is_not_stored(self):
        origin = self.origin()

        def cut(request):
            request.send_response(200)
            request.send_header("Cache-Control", "max-age=600")
            request.send_header("Content-Length", "1000")
            request.end_headers()
            request.wfile.write(b"x" * 10)
            request.close_connection = True

        origin.script["/cut"] = cut
        edge = self.edge(origin.address)
        for _ in range(2):
            try:
                # Nothing was sent yet when the end came: then it is an error, not a short body.
                self.assertEqual(edge.get("/cut", self.protocol).status, 502)
            except ConnectionError:
                pass
        self.assertGreaterEqual(origin.count("/cut"), 2)

    def test_an_unsafe_method_invalidates_its_url(self):
        origin = self.origin()
        version = [1]

        def product(request):
            if request.command == "POST":
                version[0] += 1
                request.rfile.read(int(request.headers.get("Content-Length", 0)))
                request.answer(200, {}, b"written")
            else:
                request.answer(200, FRESH, str(version[0]).encode())

        origin.script["/p"] = product
        edge = self.edge(origin.address)
        self.assertEqual(edge.get("/p", self.protocol).body, b"1")
        self.assertEqual(edge.get("/p", self.protocol, method="POST", data=b"{}").body, b"written")
        self.assertEqual(edge.get("/p", self.protocol).body, b"2")

    def test_an_upload_of_many_megabytes_passes(self):
        origin = self.origin()
        received = []

        def upload(request):
            left = int(request.headers.get("Content-Length", -1))
            total = 0
            if left >= 0:
                while total < left:
                    total += len(request.rfile.read(min(65536, left - total)))
            else:
                while size := int(request.rfile.readline(), 16):
                    total += len(request.rfile.read(size))
                    request.rfile.readline()
                request.rfile.readline()
            received.append(total)
            request.answer(201, {}, b"taken")

        origin.script["/up"] = upload
        edge = self.edge(origin.address)
        body = b"u" * (50 << 20)
        answer = edge.get("/up", self.protocol, method="PUT", data=body)
        self.assertEqual((answer.status, answer.body), (201, b"taken"))
        self.assertEqual(received, [len(body)])

    def test_explain_tells_a_hit_from_a_miss(self):
        origin = self.origin()
        origin.script["/e"] = answer_with(FRESH)
        edge = self.edge(origin.address)
        edge.get("/e", self.protocol)
        scheme = "http" if self.protocol == "h1" else "https"
        hit = edge.explain(f"{scheme}://www.shop.test/e").json()
        self.assertEqual((hit["verdict"], hit["site"]), ("hit", "shop"))
        self.assertEqual(hit["stored"]["etag"], '"v1"')
        miss = edge.explain(f"{scheme}://www.shop.test/never").json()
        self.assertEqual((miss["verdict"], miss["reason"]), ("miss", "absent"))
        self.assertIsNone(miss["stored"])


@over_each
class Coalescing:
    def test_many_clients_on_a_cold_object_are_one_fetch_and_get_its_first_byte_early(self):
        origin = self.origin()
        go_on = threading.Event()
        self.addCleanup(go_on.set)

        def slow(request):
            request.send_response(200)
            request.send_header("Cache-Control", "max-age=600")
            request.send_header("Content-Length", "200000")
            request.end_headers()
            request.wfile.write(b"a" * 100000)
            request.wfile.flush()
            go_on.wait(stage.DEADLINE)
            request.wfile.write(b"b" * 100000)

        origin.script["/slow"] = slow
        edge = self.edge(origin.address)
        answers = []
        clients = [threading.Thread(target=lambda: answers.append(edge.get("/slow", self.protocol)))
                   for _ in range(20)]
        for client in clients:
            client.start()
        stage.until(lambda: edge.total("breakwater_coalesced_total", site="shop") >= 19,
                    "nineteen followers")
        self.assertEqual(len(answers), 0)
        go_on.set()
        for client in clients:
            client.join()
        self.assertEqual({(a.status, a.body == b"a" * 100000 + b"b" * 100000) for a in answers},
                         {(200, True)})
        self.assertEqual(origin.count("/slow"), 1)

    def test_an_uncacheable_answer_releases_all_who_wait_in_parallel(self):
        origin = self.origin()
        waiting = threading.Semaphore(0)
        first_may_answer = threading.Event()
        all_may_answer = threading.Event()
        self.addCleanup(first_may_answer.set)
        self.addCleanup(all_may_answer.set)
        order = []

        def private(request):
            order.append(1)
            first = len(order) == 1
            waiting.release()
            (first_may_answer if first else all_may_answer).wait(stage.DEADLINE)
            request.answer(200, {"Cache-Control": "private"}, b"mine")

        origin.script["/mine"] = private
        edge = self.edge(origin.address)
        answers = []
        clients = [threading.Thread(target=lambda: answers.append(edge.get("/mine", self.protocol)))
                   for _ in range(8)]
        for client in clients:
            client.start()
        stage.until(lambda: edge.total("breakwater_coalesced_total", site="shop") >= 7,
                    "seven followers")
        first_may_answer.set()
        # All seven are at the origin at one time: none waits for another.
        stage.until(lambda: origin.count("/mine") == 8, "all waiters at the origin")
        all_may_answer.set()
        for client in clients:
            client.join()
        self.assertEqual([a.body for a in answers], [b"mine"] * 8)


if __name__ == "__main__":
    stage.main()
