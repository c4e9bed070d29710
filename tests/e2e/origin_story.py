"""The origin API alone: a catalogue, conditional writes, files, paced objects, uploads, a restart."""
import zlib

from stage import Story, curl, main, metric_sum, metrics


class OriginStory(Story):
    def start_origin(self):
        return self.start("origin", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0",
                          "--store", self.folder / "store", "--static", self.folder / "files",
                          "--products", "100", listeners=2)

    def test_the_api_keeps_what_it_was_told(self):
        self.write("files/a.txt", "hello, file\n")
        origin = self.start_origin()
        base = f"http://{origin.address('http')}"

        first = curl(f"{base}/v1/products?limit=3&fields=id")
        self.assertEqual(first.json(), {"items": [{"id": "1"}, {"id": "2"}, {"id": "3"}],
                                        "next": "3"})
        got = curl(f"{base}/v1/products/42")
        self.assertEqual(got.status, 200)
        self.assertEqual(got.field("cache-tag"), f"product-42, category-{got.json()['category']}")
        self.assertIn("stale-while-revalidate", got.field("cache-control"))
        etag = got.field("etag")
        same = curl(f"{base}/v1/products/42", headers={"If-None-Match": etag})
        self.assertEqual((same.status, same.body), (304, b""))

        changed = curl(f"{base}/v1/products/42", method="PATCH", data=b'{"stock": 7}',
                       headers={"If-Match": etag})
        self.assertEqual((changed.status, changed.json()["stock"]), (200, 7))
        late = curl(f"{base}/v1/products/42", method="PATCH", data=b'{"stock": 8}',
                    headers={"If-Match": etag})
        self.assertEqual(late.status, 412)
        self.assertEqual(late.field("content-type"), "application/problem+json")

        file = curl(f"{base}/static/a.txt")
        self.assertEqual((file.status, file.body), (200, b"hello, file\n"))
        part = curl(f"{base}/static/a.txt", headers={"Range": "bytes=7-10"})
        self.assertEqual((part.status, part.body), (206, b"file"))
        self.assertEqual(curl(f"{base}/static/../store/CURRENT", "--path-as-is").status, 404)

        whole = curl(f"{base}/synthetic/k?size=100000")
        self.assertEqual(len(whole.body), 100000)
        part = curl(f"{base}/synthetic/k?size=100000", headers={"Range": "bytes=500-1499"})
        self.assertEqual(part.body, whole.body[500:1500])
        sent = whole.body * 100
        up = curl(f"{base}/synthetic/up", data=sent, headers={"Expect": "100-continue"})
        self.assertEqual(up.json(), {"bytes": len(sent), "crc32": f"{zlib.crc32(sent):08x}"})

        seen = metrics(origin.address("admin"))
        self.assertEqual(metric_sum(seen, "breakwater_origin_requests_total", route="products"), 5)
        self.assertEqual(metric_sum(seen, "breakwater_origin_requests_total", route="static"), 3)
        self.assertEqual(metric_sum(seen, "breakwater_origin_received_bytes_total"), len(sent))

        origin.kill()
        again = self.start_origin()
        kept = curl(f"http://{again.address('http')}/v1/products/42")
        self.assertEqual((kept.json()["stock"], kept.field("etag")), (7, changed.field("etag")))
        self.assertEqual(again.stop(), 0)


if __name__ == "__main__":
    main()
