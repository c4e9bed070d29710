#include "cli/report.h"

#include <catch2/catch.hpp>

using namespace bw;
using namespace bw::cli;
using text::Json;

namespace {
Json json(std::string_view text) {
  Result<Json> parsed = Json::parse(text);
  REQUIRE(parsed);
  return *parsed;
}
}  // namespace

TEST_CASE("report: a receipt names each node, and who is not there yet") {
  CHECK(purge_report(json(R"({"id":"p1","seq":["1.5","1.6"],"durable":true,"mode":"hard","items":2,
    "receipts":[{"node":"fra1-a","pop":"fra1","role":"edge","state":"applied","applied":true,
                 "applied_ms":3,"matched_estimate":null},
                {"node":"sin1-long","pop":"sin1","role":"edge","state":"lagging","applied":false}],
    "laggards":["sin1-long"]})")) ==
        "purge p1: 2 items, hard, durable at 1.5 to 1.6\n"
        "  fra1-a     fra1  edge  applied  3 ms\n"
        "  sin1-long  sin1  edge  lagging  -\n"
        "  not yet: sin1-long\n");
  CHECK(purge_report(json(R"({"id":"p2","seq":["1.5","1.5"],"durable":true})")) ==
        "purge p2, durable at 1.5\n");
}

TEST_CASE("report: explain tells verdict, what is stored, the purge that hit it, and what then") {
  CHECK(explain_report("http://h/a", json(R"({"site":"shop","key":"h/a","variant":null,
    "verdict":"miss","reason":"purged","stored":{"tier":"memory","status":200,"age_s":12,
    "ttl_s":48,"lifetime_from":"max-age","etag":"\"e\"","tags":["a","b"],"position":"1.3",
    "size":2048},"purge":{"seq":"1.4","kind":"tag","mode":"hard","text":"a"},
    "would":{"fetch_from":"http://o:1","validators":["etag"]}})")) ==
        "http://h/a\n"
        "  verdict   miss (purged)\n"
        "  site      shop\n"
        "  key       h/a\n"
        "  stored    in memory, status 200, age 12 s, ttl 48 s (from max-age), 2.0 KiB\n"
        "  etag      \"e\"\n"
        "  tags      a b\n"
        "  position  1.3\n"
        "  purge     1.4 hard tag a\n"
        "  fetch     http://o:1\n"
        "  with      etag\n");
  CHECK(explain_report("u", json(R"({"verdict":"miss","reason":"absent","stored":null})")) ==
        "u\n  verdict   miss (absent)\n  stored    nothing\n");
}

TEST_CASE("report: a node's status, and the table of nodes") {
  const std::string text = status_report(json(R"({"name":"fra1-a","pop":"fra1","role":"edge",
    "version":"0.1.0","uptime_s":7300,"degraded":["disk"],
    "config":{"generation":2,"loaded_at":1,"error":null},
    "control":{"state":"following","applied":"1.9","lag_ms":0},
    "memory":{"size":1073741824,"used":524288,"objects":3},
    "disk":{"state":"full","size":2147483648,"used":2147483648,"objects":9},
    "tiers":[{"url":"http://s:1","state":"up","proved":true}],
    "upstreams":[{"site":"shop","group":"default","address":"10.0.0.1:80","state":"up",
                  "inflight":1,"ewma_ms":12}]})"));
  CHECK(text ==
        "fra1-a, edge of fra1, version 0.1.0, up 2 h\n"
        "  degraded  disk\n"
        "  config    generation 2\n"
        "  control   following, applied 1.9, lag 0 ms\n"
        "  memory    512.0 KiB of 1.0 GiB, 3 objects\n"
        "  disk      full, 2.0 GiB of 2.0 GiB, 9 objects\n"
        "  tier      http://s:1 up\n"
        "upstreams\n"
        "  shop  default  10.0.0.1:80  up  1 in flight  12 ms\n");
  CHECK(status_report(json(R"({"name":"a","version":"1","uptime_s":5,
    "control":{"state":"off","applied":"0.0","lag_ms":0},
    "disk":{"state":"off","size":0,"used":0,"objects":0}})")) ==
        "a, version 1, up 5 s\n  control   off\n  disk      off\n");
  CHECK(nodes_report(json(R"({"nodes":[]})")) == "no node is registered\n");
  CHECK(nodes_report(json(R"({"nodes":[{"name":"a","pop":"p","role":"edge","state":"ready",
    "ready":true,"applied":"1.2","lag_ms":4}]})")) ==
        "  NODE  POP  ROLE  STATE  READY  APPLIED  LAG\n"
        "  a     p    edge  ready  yes    1.2      4 ms\n");
}

TEST_CASE("report: a problem is one line, whatever came") {
  CHECK(problem_line(403, R"({"title":"Forbidden","detail":"the token has no\nscope"})") ==
        "answered 403: Forbidden: the token has no scope");
  CHECK(problem_line(502, "<html>") == "answered 502");
}
