#include "edge/node/settings.h"

#include <catch2/catch.hpp>

#include "core/text/toml.h"
#include "edge/node/sites.h"

using namespace bw;
using namespace bw::edge;
using namespace std::chrono_literals;

namespace {

constexpr const char* kSmall =
    "[[listen]]\naddress = \"127.0.0.1:0\"\n[[site]]\nname = \"shop\"\nhosts = [\"*\"]\n"
    "origins = [\"http://127.0.0.1:9000\"]\n";

std::vector<std::string> errors_of(const std::string& text) {
  Diagnostics diagnostics;
  EdgeSettings settings;
  const auto tree = text::parse_toml(text, "e.toml", diagnostics);
  if (tree) (void)read_settings(*tree, "e.toml", settings, diagnostics);
  return diagnostics.errors();
}

bool refuses(const std::string& text, const std::string& part) {
  for (const std::string& error : errors_of(text)) {
    if (error.find(part) != std::string::npos) return true;
  }
  return false;
}

}  // namespace

TEST_CASE("edge settings: the smallest file, and the defaults it leaves") {
  Diagnostics diagnostics;
  EdgeSettings s;
  REQUIRE(
      read_settings(*text::parse_toml(kSmall, "e.toml", diagnostics), "e.toml", s, diagnostics));
  CHECK(s.memory.size == 2ull << 30);
  CHECK_FALSE(s.disk);
  CHECK(s.sites[0].origin.size() == 1);
  CHECK(s.sites[0].upstream_of("default").first_byte_timeout == 15s);
}

TEST_CASE("edge settings: a relative access log starts at the file") {
  const std::vector<std::pair<std::string, std::string>> rows = {
      {"a.log", "conf/a.log"}, {"/var/a.log", "/var/a.log"}, {"stdout", "stdout"}, {"off", "off"}};
  for (const auto& [written, meant] : rows) {
    Diagnostics diagnostics;
    EdgeSettings s;
    const std::string text = std::string(kSmall) + "\n[log]\naccess = \"" + written + "\"\n";
    REQUIRE(read_settings(*text::parse_toml(text, "conf/e.toml", diagnostics), "conf/e.toml", s,
                          diagnostics));
    CHECK(s.log.access == meant);
  }
}

TEST_CASE("edge settings: rules that join several keys") {
  struct Row {
    std::string more;
    std::string part;
  };
  const std::string small = kSmall;
  const Row rows[] = {
      {"[shield]\nnodes = [\"http://10.1.0.1:8080\"]\n",
       "e.toml:7: shield: found [shield] without"},
      {"[[listen]]\naddress = \"127.0.0.1:0\"\ntls = true\n", ""},
      {"[control]\nurl = \"http://10.0.0.1:9443\"\n", "control.url: found http://10.0.0.1:9443"},
      {"[tier]\ntoken_file = \"t\"\n[shield]\nnodes = [\"registry\"]\n",
       "shield.nodes: found \"registry\"; allowed: http://HOST"},
      {"[disk]\npath = \"d\"\n", "disk.size: found nothing"},
      {"[site.key]\nhost = false\n", "a literal upstream.host"},
      {"[[site.rule]]\ngroup = \"nix\"\n", "a group that an origin names"},
      {"[[site.limit]]\nname = \"a\"\nrate = \"0/s\"\n", "site.limit.rate: found 0/s"},
      {"[[site.limit]]\nname = \"a\"\nrate = \"1/s\"\nkey = \"country\"\n", "[geo]"},
      {"[[site]]\nname = \"shop\"\nhosts = [\"b\"]\norigins = [\"http://b\"]\n", "each name once"},
      {"[[site]]\nname = \"two\"\nhosts = [\"*\"]\norigins = [\"http://b\"]\n", "each host once"},
      {"[[site]]\nname = \"two\"\nhosts = [\"b\"]\n", "at least one origin"},
      {"[memory]\nsize = \"1MiB\"\n",
       "memory.size: found \"1MiB\"; allowed: a size as \"512MiB\", 16MiB"},
      {"[shild]\n", "nearest known key is shield"},
  };
  for (const Row& row : rows) {
    if (row.part.empty()) continue;
    CAPTURE(row.more);
    CHECK(refuses(small + row.more, row.part));
  }
  CHECK(refuses("[[listen]]\naddress = \"127.0.0.1:0\"\ntls = true\n", "a [[certificate]]"));
  CHECK(refuses("", "at least one [[site]]"));
}

TEST_CASE("edge settings: what isn't built yet is refused") {
  const std::string small = kSmall;
  for (const char* more :
       {"publish_invalidation = true\n", "upgrade = true\n", "[site.cache]\nslice = \"1MiB\"\n",
        "[site.upstream]\nhedge = true\n", "[site.upstream]\nhealth_path = \"/\"\n",
        "[site.upstream]\nslow_start = \"1s\"\n", "[site.upstream]\nsticky_cookie = \"a\"\n",
        "[site.upstream]\nhash = \"client\"\n", "[site.access]\nsigned_urls = {}\n",
        "[tier]\ntoken_file = \"t\"\n[shield]\nnodes = [\"http://s\"]\nwait = \"50ms\"\n",
        "[control]\nurl = \"https://p\"\nrelay = \"\"\n",
        "[[site.limit]]\nname=\"a\"\nrate=\"1/s\"\nalgorithm=\"leaky_bucket\"\n",
        "[[site.limit]]\nname=\"a\"\nrate=\"1/s\"\nipv6_parents={}\n"}) {
    CAPTURE(more);
    CHECK(errors_of(small + more).size() == 1);
  }
}

TEST_CASE("edge settings: flags without a file are the same settings") {
  EdgeFlags flags;
  flags.listen = {"127.0.0.1:8080", "https://127.0.0.1:8443"};
  flags.tls_cert = "c.pem";
  flags.tls_key = "k.pem";
  flags.origin = {"http://127.0.0.1:9000"};
  flags.site = {"shop=www.shop.example,*.cdn.shop.example"};
  flags.memory = "64MiB";
  flags.disk = "cache";
  flags.disk_size = "1GiB";
  flags.workers = 2;
  flags.control = "http://127.0.0.1:9443";
  flags.shield = {"http://127.0.0.2:8080"};
  flags.tier_token_file = "tier.token";
  flags.ca = "ca.pem";
  flags.node = "fra1-a";
  EdgeSettings s;
  Diagnostics diagnostics;
  const bool ok = load_edge_settings(flags, s, diagnostics);
  CAPTURE(diagnostics.errors());
  REQUIRE(ok);
  CHECK(s.listen[1].tls);
  CHECK(s.certificates[0].cert == "c.pem");
  CHECK(s.node.workers == 2);
  CHECK(s.sites[0].hosts.size() == 2);
  CHECK(s.sites[0].upstream_of("default").ca == "ca.pem");
  CHECK(s.tier->ca == "ca.pem");
  CHECK(s.disk->size == 1ull << 30);

  EdgeFlags bare;
  bare.listen = {"https://127.0.0.1:8443"};
  bare.origin = {"http://127.0.0.1:9000"};
  Diagnostics refused;
  EdgeSettings t;
  CHECK_FALSE(load_edge_settings(bare, t, refused));
  REQUIRE(refused.errors().size() == 1);
  CHECK(refused.errors()[0].find("--tls-cert") != std::string::npos);
}

TEST_CASE("sites: exact before the longest wildcard before star, and the first rule that holds") {
  const std::string text =
      "[[listen]]\naddress = \"127.0.0.1:0\"\n"
      "[[site]]\nname = \"a\"\nhosts = [\"www.a.example\", \"*.a.example\"]\n"
      "profile = \"static\"\norigins = [\"http://o\"]\n"
      "[[site.origin]]\naddress = \"http://p\"\ngroup = \"second\"\n"
      "[site.cache]\ndefault_ttl = \"10s\"\nmax_ttl = \"1h\"\n"
      "[[site.rule]]\npath = \"/static/*\"\ncache = { default_ttl = \"1h\" }\n"
      "[[site.rule]]\npaths = [\"/api/*\"]\nmethods = [\"POST\"]\naction = \"pass\"\n"
      "group = \"second\"\n"
      "[[site.rule]]\nheader = { X-Old = \"*\" }\naction = \"redirect:301:https://n/\"\n"
      "[[site.rule]]\npath = \"/slow\"\nupstream = { first_byte_timeout = \"60s\" }\n"
      "[[site.rule]]\npath = \"/h2\"\nupstream = { protocol = \"h2\" }\n"
      "[[site]]\nname = \"b\"\nhosts = [\"*.b.a.example\", \"*\"]\norigins = [\"http://o\"]\n"
      "profile = \"private\"\n";
  Diagnostics diagnostics;
  EdgeSettings settings;
  const bool ok = read_settings(*text::parse_toml(text, "e.toml", diagnostics), "e.toml", settings,
                                diagnostics);
  CAPTURE(diagnostics.errors());
  REQUIRE(ok);
  SiteIds ids;
  const CompiledSites compiled = compile_sites(settings, ids, diagnostics);
  REQUIRE(diagnostics.ok());
  const SiteTable& table = *compiled.table;
  const auto name = [&](const char* host) { return table.find(host)->name; };
  CHECK(name("www.a.example:443") == "a");
  CHECK(name("x.y.a.example.") == "a");
  CHECK(name("x.b.a.example") == "b");
  CHECK(name("b.a.example") == "a");
  CHECK(name("[2001:db8::1]:80") == "b");
  CHECK(table.find_by_name("nix") == nullptr);

  const Site& a = *table.find("www.a.example");
  const auto route = [&](const char* method, const char* target, bool old = false) {
    http::RequestHead request;
    request.method = method;
    request.target = target;
    if (old) request.fields.add("x-old", "1");
    return a.match(request, {});
  };
  CHECK(route("GET", "/").rule.empty());
  CHECK(route("GET", "/").policy->default_ttl == 10s);
  CHECK(route("GET", "/").policy->stale_if_error == 24h);
  CHECK(route("GET", "/static/x").policy->default_ttl == 3600s);
  CHECK(route("GET", "/static/x").policy->max_ttl == 3600s);
  CHECK(route("POST", "/api/x").action.kind == RouteAction::Kind::pass);
  CHECK(route("POST", "/api/x").upstream.group == "second");
  CHECK_FALSE(route("POST", "/api/x").policy->stores);
  CHECK(route("GET", "/api/x").rule.empty());
  CHECK(route("GET", "/", true).action.location == "https://n/");
  CHECK(route("GET", "/slow").upstream.group == "default");
  CHECK(route("GET", "/slow").upstream.deadlines.first_byte == 60s);
  CHECK(route("GET", "/h2").upstream.group == "default#5");
  CHECK_FALSE(table.find("else")->route.policy->stores);
  CHECK(compiled.upstreams.size() == 4);
  CHECK(ids.id_of("a") == a.id);
}

TEST_CASE("sites: a respond file that isn't there is an error") {
  Diagnostics diagnostics;
  EdgeSettings settings;
  const std::string text =
      std::string(kSmall) + "[[site.rule]]\naction = \"respond:503:nowhere.html\"\n";
  REQUIRE(read_settings(*text::parse_toml(text, "e.toml", diagnostics), "e.toml", settings,
                        diagnostics));
  SiteIds ids;
  (void)compile_sites(settings, ids, diagnostics);
  REQUIRE(diagnostics.errors().size() == 1);
  CHECK_THAT(diagnostics.errors()[0],
             Catch::Matchers::StartsWith("e.toml:7: site.rule.action: nowhere.html: ") &&
                 Catch::Matchers::Contains("No such file"));
}

TEST_CASE("sites: a process that has given out all its numbers refuses another name") {
  Diagnostics diagnostics;
  EdgeSettings settings;
  REQUIRE(read_settings(*text::parse_toml(kSmall, "e.toml", diagnostics), "e.toml", settings,
                        diagnostics));
  SiteIds ids;
  for (uint32_t i = 1; i < kMaxServedSites; ++i) REQUIRE(ids.id_of(std::to_string(i)) == i);
  CHECK(ids.id_of("1") == 1);
  (void)compile_sites(settings, ids, diagnostics);
  REQUIRE(diagnostics.errors().size() == 1);
  CHECK_THAT(diagnostics.errors()[0], Catch::Matchers::StartsWith("site shop: "));
}
