#include "origin/api.h"

#include <zlib.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "origin/synthetic.h"
#include "tests/support/temp_dir.h"
#include "tests/unit/core/http/server_rig.h"

using namespace bw;
using namespace bw::origin;

namespace {

struct Answer {
  std::string head;
  std::string body;
  int status() const { return std::stoi(head.substr(9, 3)); }
  bool has(std::string_view line) const {
    return head.find("\r\n" + std::string(line) + "\r\n") != std::string::npos;
  }
};

// The API behind a real socket; the loop is turned by the test, the executor has its threads.
struct ApiRig {
  test::TempDir dir;
  SeededRandom random{1};
  http::ServerRig rig;
  metrics::Registry registry;
  OriginMetrics metrics{registry};
  std::unique_ptr<ProductStore> store;
  std::unique_ptr<Api> api;
  std::unique_ptr<Executor> executor = std::make_unique<Executor>("test", 2, 1000);
  std::unique_ptr<http::Server> server;
  int written = 0;

  explicit ApiRig(Duration delay = {}, size_t most_waiting = 100) {
    std::string why;
    auto opened = ProductStore::open(dir / "store", true, random, &why);
    INFO(why);
    REQUIRE(opened.ok());
    store = std::move(*opened);
    std::filesystem::create_directory(dir / "files");
    ApiOptions options;
    options.static_files = dir / "files";
    options.delay = delay;
    options.most_waiting = most_waiting;
    options.written = [this] { ++written; };
    api = std::make_unique<Api>(rig.loop, *executor, *store, metrics, std::move(options));
    server = std::make_unique<http::Server>(
        rig.loop, *api, http::ServerOptions{.limits = {.max_body_size = 1ull << 40}});
    auto socket = net::open_listen_socket(*net::Address::parse("127.0.0.1:0"), false, &why);
    REQUIRE(socket.ok());
    rig.address = socket->address;
    rig.listener = std::make_unique<net::Listener>(
        rig.loop, socket->fd,
        [this](int fd, const net::Address& peer) { server->accept(fd, peer); });
  }
  ~ApiRig() {
    rig.clients.clear();
    server->close_all();
    executor.reset();
    rig.settle();
  }

  Answer ask(const std::string& line, const std::string& fields = {},
             const std::string& body = {}) {
    net::End& client = rig.connect(line + " HTTP/1.1\r\nHost: o\r\nConnection: close\r\n" + fields +
                                   "\r\n" + body);
    rig.until([&] { return http::over(client); });
    const size_t end = client.got.find("\r\n\r\n");
    REQUIRE(end != std::string::npos);
    return {client.got.substr(0, end + 2), client.got.substr(end + 4)};
  }
  void file(const std::string& name, const std::string& bytes) {
    std::ofstream(dir / ("files/" + name), std::ios::binary) << bytes;
  }
};

std::string synthetic(std::string_view id, size_t size) {
  http::RequestHead head;
  head.method = "GET";
  head.target = "/synthetic/" + std::string(id) + "?size=" + std::to_string(size);
  std::string why;
  std::string bytes(size, '\0');
  fill_synthetic(parse_synthetic(head, &why)->seed, 0, bytes.data(), size);
  return bytes;
}

}  // namespace

TEST_CASE("api: products over HTTP") {
  ApiRig rig;
  REQUIRE(rig.store->generate(10, WallTime{1'764'000'000'000'000'000}).ok());
  const Answer got = rig.ask("GET /v1/products/7");
  CHECK(got.status() == 200);
  CHECK(got.body.starts_with("{\"id\":\"7\""));
  const Answer head = rig.ask("HEAD /v1/products/7");
  CHECK(head.status() == 200);
  CHECK(head.body.empty());
  CHECK(head.has("content-length: " + std::to_string(got.body.size())));
  CHECK(rig.written == 0);
  const std::string body = R"({"name":"x","category":"1"})";
  CHECK(rig.ask("PUT /v1/products/new", "Content-Length: " + std::to_string(body.size()) + "\r\n",
                body)
            .status() == 201);
  CHECK(rig.written == 1);
  CHECK(rig.ask("GET /nothing").status() == 404);
  CHECK(rig.ask("GET /healthz").body == "{\"ok\":true}");
  CHECK(rig.metrics.requests.with({"products"}).value() == 3);
}

TEST_CASE("api: synthetic objects, whole and in part") {
  ApiRig rig;
  const std::string bytes = synthetic("k1", 300'000);
  const Answer whole = rig.ask("GET /synthetic/k1?size=300000");
  CHECK(whole.status() == 200);
  CHECK(whole.body == bytes);
  CHECK(whole.has("cache-control: max-age=86400"));
  CHECK(whole.has("content-length: 300000"));
  const Answer part = rig.ask("GET /synthetic/k1?size=300000", "Range: bytes=100001-200000\r\n");
  CHECK(part.status() == 206);
  CHECK(part.body == bytes.substr(100'001, 100'000));
  CHECK(part.has("content-range: bytes 100001-200000/300000"));
  const size_t at = whole.head.find("etag: ") + 6;
  const std::string etag = whole.head.substr(at, whole.head.find('\r', at) - at);
  CHECK(rig.ask("GET /synthetic/k1?size=300000", "If-None-Match: " + etag + "\r\n").status() ==
        304);
  CHECK(rig.ask("HEAD /synthetic/k1?size=300000").body.empty());
  CHECK(rig.ask("GET /synthetic/k1?size=5", "Range: bytes=9-\r\n").status() == 416);
  CHECK(rig.ask("GET /synthetic/k1").status() == 400);
  CHECK(rig.ask("DELETE /synthetic/k1?size=1").status() == 405);
  const Answer chunked = rig.ask("GET /synthetic/k1?size=5&chunked=1");
  CHECK(chunked.has("transfer-encoding: chunked"));
  CHECK(chunked.body == "5\r\n" + synthetic("k1", 5) + "\r\n0\r\n\r\n");
  const Answer failing = rig.ask("GET /synthetic/k1?size=3&status=503&cache_control=no-store");
  CHECK(failing.status() == 503);
  CHECK(failing.has("cache-control: no-store"));
  CHECK(failing.body.size() == 3);
  CHECK(rig.ask("GET /synthetic/k1?size=0").body.empty());
}

TEST_CASE("api: a paced object begins long before its end") {
  ApiRig rig;
  net::End& client =
      rig.rig.connect("GET /synthetic/slow?size=100000&rate=10KiB HTTP/1.1\r\nHost: o\r\n\r\n");
  rig.rig.until([&] { return client.got.find("\r\n\r\n") + 5 < client.got.size(); });
  CHECK(client.got.size() < 20'000);
  for (int second = 0; second < 12; ++second) {
    rig.rig.clock.advance(std::chrono::seconds(1));
    rig.rig.settle();
  }
  CHECK(client.got.ends_with(synthetic("slow", 100'000)));
}

TEST_CASE("api: a cut object breaks visibly") {
  ApiRig rig;
  const Answer cut = rig.ask("GET /synthetic/a?size=1000&cut=10");
  CHECK(cut.has("content-length: 1000"));
  CHECK(cut.body.size() == 10);
}

TEST_CASE("api: uploads are counted, paced or not") {
  ApiRig rig;
  const std::string body = net::pattern(3 << 20, 9);
  const std::string length = "Content-Length: " + std::to_string(body.size()) + "\r\n";
  char crc[16];
  std::snprintf(
      crc, sizeof crc, "%08lx",
      crc32(0, reinterpret_cast<const Bytef*>(body.data()), static_cast<uInt>(body.size())));
  const std::string expected =
      "{\"bytes\":" + std::to_string(body.size()) + ",\"crc32\":\"" + crc + "\"}";
  CHECK(rig.ask("POST /synthetic/up", length, body).body == expected);
  net::End& client = rig.rig.connect("PUT /synthetic/up?rate=1MiB HTTP/1.1\r\nHost: o\r\n" +
                                     length + "\r\n" + body);
  rig.rig.settle();
  CHECK(client.got.empty());
  for (int i = 0; i < 100 && client.got.empty(); ++i) {
    rig.rig.clock.advance(std::chrono::milliseconds(100));
    rig.rig.settle(20);
  }
  CHECK(client.got.ends_with(expected));
}

TEST_CASE("api: static files") {
  ApiRig rig;
  const std::string big = net::pattern(3 << 20, 4);
  rig.file("big.bin", big);
  rig.file("a.css", std::string(5000, 'c'));
  const Answer whole = rig.ask("GET /static/big.bin");
  CHECK(whole.status() == 200);
  CHECK(whole.body == big);
  CHECK(whole.has("cache-tag: static"));
  CHECK(rig.ask("GET /static/big.bin", "Range: bytes=-1000\r\n").body ==
        big.substr(big.size() - 1000));
  const Answer css = rig.ask("GET /static/a.css");
  CHECK(css.body.size() == 5000);
  CHECK(css.has("vary: accept-encoding"));
  CHECK(css.has("content-type: text/css; charset=utf-8"));
  const Answer small = rig.ask("GET /static/a.css", "Accept-Encoding: gzip\r\n");
  CHECK(small.has("content-encoding: gzip"));
  CHECK(small.body.size() < 200);
  CHECK(rig.ask("GET /static/none").status() == 404);
  std::filesystem::create_symlink("../secret", rig.dir / "files/link");
  std::ofstream(rig.dir / "secret") << "s";
  CHECK(rig.ask("GET /static/link").status() == 404);
  CHECK(rig.ask("GET /static/../store/CURRENT").status() == 404);
  CHECK(rig.ask("GET /static/").status() == 404);
  CHECK(rig.ask("POST /static/a.css").status() == 405);
}

TEST_CASE("api: a delay comes before each answer, and a client may go meanwhile") {
  ApiRig rig(std::chrono::seconds(5));
  net::End& one = rig.rig.connect("GET /v1/products HTTP/1.1\r\nHost: o\r\n\r\n");
  net::End& two = rig.rig.connect("GET /synthetic/a?size=1 HTTP/1.1\r\nHost: o\r\n\r\n");
  net::End& three = rig.rig.connect("GET /v1/products HTTP/1.1\r\nHost: o\r\n\r\n");
  rig.rig.settle();
  CHECK((one.got.empty() && two.got.empty()));
  three.connection->close(true);
  rig.rig.clock.advance(std::chrono::seconds(5));
  rig.rig.until([&] { return !one.got.empty() && !two.got.empty(); });
}

TEST_CASE("api: no more requests wait for the delay than may") {
  ApiRig rig(std::chrono::seconds(5), 1);
  net::End& first = rig.rig.connect("GET /v1/products HTTP/1.1\r\nHost: o\r\n\r\n");
  rig.rig.settle();
  net::End& second = rig.rig.connect("GET /v1/products HTTP/1.1\r\nHost: o\r\n\r\n");
  rig.rig.until([&] { return !second.got.empty(); });
  CHECK(second.got.starts_with("HTTP/1.1 503 "));
  CHECK(first.got.empty());
  rig.rig.clock.advance(std::chrono::seconds(5));
  rig.rig.until([&] { return !first.got.empty(); });
  CHECK(first.got.starts_with("HTTP/1.1 200 "));
}
