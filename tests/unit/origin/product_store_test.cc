#include "origin/product_store.h"

#include <catch2/catch.hpp>
#include <fstream>

#include "core/text/json.h"
#include "origin/api.h"
#include "tests/support/temp_dir.h"

using namespace bw;
using namespace bw::origin;

namespace {

const WallTime kNow{1'764'000'000'000'000'000};

struct StoreRig {
  test::TempDir dir;
  SeededRandom random{1};
  std::unique_ptr<ProductStore> store;
  bool wrote = false;

  explicit StoreRig(bool publishes = true) { open(publishes); }
  void open(bool publishes = true) {
    store = nullptr;
    std::string why;
    auto opened = ProductStore::open(dir.path() + "/store", publishes, random, &why);
    INFO(why);
    REQUIRE(opened.ok());
    store = std::move(*opened);
  }
  http::EndpointResponse ask(std::string method, std::string target, std::string body = {},
                             const char* name = nullptr, std::string_view value = {}) {
    http::EndpointRequest request;
    request.head.method = std::move(method);
    request.head.target = std::move(target);
    request.body = std::move(body);
    if (name != nullptr) request.head.fields.add(name, value);
    wrote = false;
    return answer_from_store(request, *store, kNow, wrote);
  }
  std::vector<std::string> tags() {
    const auto entries = store->outbox(100);
    REQUIRE(entries.ok());
    std::vector<std::string> all;
    for (const OutboxEntry& e : *entries) all.insert(all.end(), e.tags.begin(), e.tags.end());
    REQUIRE(store->forget(entries->empty() ? 0 : entries->back().number).ok());
    return all;
  }
};

const std::string kLamp = R"({"name":"lamp","category":"7"})";
using Tags = std::vector<std::string>;

}  // namespace

TEST_CASE("products: create, read, change, delete, each with what it owes the purge service") {
  StoreRig rig;
  auto made = rig.ask("PUT", "/v1/products/42", kLamp);
  CHECK(made.status == 201);
  CHECK(rig.wrote);
  CHECK(made.fields.find("location") == "/v1/products/42");
  CHECK(rig.tags() == Tags{"product-42", "category-7", "products"});
  auto read = rig.ask("GET", "/v1/products/42");
  CHECK(read.status == 200);
  CHECK_FALSE(rig.wrote);
  CHECK(read.body == made.body);
  CHECK(read.fields.find("etag") == made.fields.find("etag"));
  CHECK(read.fields.find("cache-tag") == "product-42, category-7");
  CHECK(read.fields.find("cache-control")->find("stale-while-revalidate") != std::string::npos);
  CHECK(read.fields.has(http::FieldId::last_modified));
  auto patched = rig.ask("PATCH", "/v1/products/42", R"({"category":"8"})");
  CHECK(patched.status == 200);
  CHECK(patched.body.find(R"("name":"lamp")") != std::string::npos);
  CHECK(rig.tags() == Tags{"product-42", "category-7", "category-8"});
  CHECK(rig.ask("DELETE", "/v1/products/42").status == 204);
  CHECK(rig.tags() == Tags{"product-42", "category-8", "products"});
  auto gone = rig.ask("GET", "/v1/products/42");
  CHECK(gone.status == 404);
  CHECK(gone.fields.find("cache-tag") == "product-42");
  CHECK(rig.ask("DELETE", "/v1/products/42").status == 404);
  CHECK(rig.ask("PATCH", "/v1/products/42", "{}").status == 404);
  CHECK(rig.tags().empty());
}

TEST_CASE("products: conditions") {
  StoreRig rig;
  const auto made = rig.ask("PUT", "/v1/products/42", kLamp, "if-none-match", "*");
  CHECK(made.status == 201);
  const std::string etag(*made.fields.find("etag"));
  CHECK(rig.ask("PUT", "/v1/products/42", kLamp, "if-none-match", "*").status == 412);
  CHECK(rig.ask("PUT", "/v1/products/42", kLamp, "if-match", "\"other\"").status == 412);
  CHECK_FALSE(rig.wrote);
  CHECK(rig.ask("GET", "/v1/products/42", {}, "if-none-match", etag).status == 304);
  const std::string twin = etag.substr(0, etag.size() - 1) + "-gz\"";
  CHECK(rig.ask("PATCH", "/v1/products/42", R"({"stock":5})", "if-match", twin).status == 200);
  CHECK(rig.ask("GET", "/v1/products/42", {}, "if-none-match", etag).status == 200);
}

TEST_CASE("products: refusals") {
  StoreRig rig;
  CHECK(rig.ask("PUT", "/v1/products/42", "{").status == 400);
  CHECK(rig.ask("PUT", "/v1/products/42", "{}").status == 422);
  CHECK(rig.ask("PUT", "/v1/products/a%20b", kLamp).status == 404);
  CHECK(rig.ask("POST", "/v1/products/42", kLamp).status == 405);
  CHECK(rig.ask("POST", "/v1/products", kLamp).status == 405);
  CHECK(rig.ask("GET", "/v1/products?limit=0").status == 400);
  CHECK(rig.ask("GET", "/v1/products?fields=x").status == 400);
  CHECK(rig.ask("GET", "/v1/products?limit=%zz").status == 400);
  CHECK(rig.ask("GET", "/v1/products/1?fields=%").status == 400);
  CHECK(rig.ask("GET", "/v1/products?cursor=a%2Fb").status == 400);
  CHECK(rig.ask("POST", "/v1/events", "{").status == 400);
  CHECK(rig.ask("GET", "/v1/events").status == 405);
  CHECK(rig.store->empty());
}

TEST_CASE("products: lists go by number, in pages, with tags") {
  StoreRig rig;
  REQUIRE(rig.store->generate(25, kNow).ok());
  std::vector<std::string> ids;
  std::string cursor;
  for (int pages = 0; pages < 5; ++pages) {
    const auto page = rig.ask("GET", "/v1/products?limit=10&fields=id&cursor=" + cursor);
    REQUIRE(page.status == 200);
    const auto json = text::Json::parse(page.body);
    for (const text::Json& item : json->get("items").items()) {
      ids.emplace_back(*item.get("id").as_string());
      CHECK(item.size() == 1);
    }
    if (json->get("next").is_null()) break;
    cursor = *json->get("next").as_string();
    CHECK(page.fields.find("cache-tag")->starts_with("products, product-"));
  }
  REQUIRE(ids.size() == 25);
  for (size_t i = 0; i < ids.size(); ++i) CHECK(ids[i] == std::to_string(i + 1));
}

TEST_CASE("products: gzip has its own tag and varies") {
  StoreRig rig;
  REQUIRE(rig.store->generate(5, kNow).ok());
  const auto plain = rig.ask("GET", "/v1/products");
  const auto small = rig.ask("GET", "/v1/products", {}, "accept-encoding", "gzip");
  CHECK(small.fields.find("content-encoding") == "gzip");
  CHECK(small.body.size() < plain.body.size());
  CHECK(plain.fields.find("vary") == "accept-encoding");
  CHECK(small.fields.find("etag") != plain.fields.find("etag"));
}

TEST_CASE("store: reopened, it has its products, its debts and its name; numbers go on") {
  StoreRig rig;
  rig.ask("PUT", "/v1/products/1", kLamp);
  rig.ask("PUT", "/v1/products/2", kLamp);
  const std::string instance = rig.store->instance();
  CHECK(rig.store->outbox_size() == 2);
  const uint64_t last = rig.store->outbox(10)->back().number;
  rig.open();
  CHECK(rig.store->instance() == instance);
  CHECK(rig.store->outbox_size() == 2);
  REQUIRE(rig.store->forget(last).ok());
  CHECK(rig.store->outbox_size() == 0);
  rig.open();
  rig.ask("DELETE", "/v1/products/1");
  CHECK(rig.store->outbox(10)->front().number == last + 1);
  CHECK(rig.ask("GET", "/v1/products/2").status == 200);
}

TEST_CASE("store: without a purge service nothing is owed") {
  StoreRig rig(false);
  rig.ask("PUT", "/v1/products/1", kLamp);
  CHECK(rig.store->outbox_size() == 0);
  CHECK(rig.store->outbox(10)->empty());
}

TEST_CASE("store: a file of products adds what is missing, and names its faults") {
  StoreRig rig;
  rig.ask("PUT", "/v1/products/1", kLamp);
  const std::string file = rig.dir.path() + "/p.jsonl";
  std::ofstream(file) << R"({"id":"1","name":"other","category":"1"})"
                      << "\n\n"
                      << R"({"id":"2","name":"rug","category":"1"})"
                      << "\n";
  std::string why;
  CHECK(*rig.store->load(file, kNow, &why) == 1);
  CHECK(rig.ask("GET", "/v1/products/1").body.find("lamp") != std::string::npos);
  CHECK(rig.ask("GET", "/v1/products/2").status == 200);
  std::ofstream(file) << "{}\n";
  CHECK_FALSE(rig.store->load(file, kNow, &why).ok());
  CHECK(why.ends_with("p.jsonl:1: no id"));
}

TEST_CASE("events: numbered") {
  StoreRig rig;
  CHECK(rig.ask("POST", "/v1/events", R"({"a":1})").body == R"({"id":"1"})");
  CHECK(rig.ask("POST", "/v1/events", R"({"a":1})").status == 202);
  rig.open();
  CHECK(rig.ask("POST", "/v1/events", R"({"a":1})").body == R"({"id":"3"})");
}
