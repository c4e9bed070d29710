// A world for tests, from the text of a settings file.
#pragma once

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "core/text/toml.h"
#include "geo/locate/database_writer.h"
#include "geo/world.h"

namespace bw::geo {

inline std::shared_ptr<const Locator> make_locator(std::string_view lines) {
  std::string why;
  const Result<std::string> bytes = encode_geodb(lines, "test.csv", 1, &why);
  INFO(why);
  REQUIRE(bytes.ok());
  std::string file = (std::filesystem::temp_directory_path() / "bw-geo-XXXXXX").string();
  const int fd = ::mkstemp(file.data());
  REQUIRE(fd >= 0);
  REQUIRE(::write(fd, bytes->data(), bytes->size()) == static_cast<ssize_t>(bytes->size()));
  ::close(fd);
  LocatorOptions options;
  options.country_file = file;
  const auto locator = Locator::open(options, &why);
  std::filesystem::remove(file);  // the locator has its own copy
  INFO(why);
  REQUIRE(locator.ok());
  return *locator;
}

inline constexpr std::string_view kCountries =
    "198.51.100.0/24,DE\n203.0.113.0/24,US\n192.0.2.0/24,SG\n2001:db8:a::/48,US\n"
    "10.9.0.0/16,US\n198.18.0.0/15,FR\n";

inline constexpr std::string_view kWorld = R"(
[[listen]]
address = "127.0.0.1:0"
[[pop]]
name = "fra1"
addresses = ["192.0.2.11", "192.0.2.12", "192.0.2.13", "2001:db8:f::11"]
[[pop]]
name = "iad1"
addresses = ["192.0.2.21", "192.0.2.22"]
[[pop]]
name = "sin1"
addresses = ["192.0.2.31"]
[[map]]
name = "world"
default = ["fra1", "iad1", "sin1"]
countries = { US = ["iad1"] }
continents = { AS = ["sin1", "fra1", "iad1"] }
networks = { "198.51.100.128/25" = ["sin1"], "2001:db8:b::/56" = ["iad1"] }
[[zone]]
name = "cdn.example"
ns = ["ns1.cdn.example", "ns2.cdn.example"]
serial = 7
[[zone.edge]]
name = "www"
map = "world"
[[zone.edge]]
name = "*.wild"
map = "world"
answers = 8
ttl = 20
[[zone.record]]
name = "ns1"
type = "A"
data = ["192.0.2.53"]
[[zone.record]]
name = "static"
type = "A"
ttl = 300
data = ["192.0.2.99", "192.0.2.98"]
[[zone.record]]
name = "www"
type = "TXT"
data = ["hello"]
[[zone.record]]
name = "alias"
type = "CNAME"
data = ["WWW.cdn.example"]
[[zone.record]]
name = "out"
type = "CNAME"
data = ["www.other.example"]
[[zone.record]]
name = "loop"
type = "CNAME"
data = ["loop.cdn.example"]
[[zone.record]]
name = "deep.empty"
type = "CAA"
data = ['0 issue "ca.example"']
[[zone.record]]
name = "sub"
type = "NS"
data = ["ns.sub.cdn.example"]
[[zone.record]]
name = "ns.sub"
type = "A"
data = ["192.0.2.77"]
[[zone.record]]
name = "big"
type = "TXT"
data = ["BIG"]
)";

inline Diagnostics load(std::string text, GeodnsSettings& settings) {
  Diagnostics diagnostics;
  const size_t big = text.find("BIG");
  if (big != std::string::npos) text.replace(big, 3, std::string(1500, 'x'));
  const auto tree = text::parse_toml(text, "geo.toml", diagnostics);
  if (tree) read_settings(*tree, "geo.toml", settings, diagnostics);
  return diagnostics;
}

inline std::string all_errors(const Diagnostics& diagnostics) {
  std::string all;
  for (const std::string& error : diagnostics.errors()) all += error + "\n";
  return all;
}

inline std::shared_ptr<const World> make_world(std::string_view text = kWorld,
                                               std::string_view countries = kCountries) {
  GeodnsSettings settings;
  Diagnostics diagnostics = load(std::string(text), settings);
  INFO(all_errors(diagnostics));
  REQUIRE(diagnostics.ok());
  dns::CookieSecret secret{};
  secret[3] = 9;
  auto world = compile_world(settings, make_locator(countries), {secret}, diagnostics);
  INFO(all_errors(diagnostics));
  REQUIRE(diagnostics.ok());
  return world;
}

inline Health all_up(const World& world) {
  Health health;
  for (const Pop& pop : world.pops) health.up.emplace_back(pop.addresses.size(), true);
  return health;
}

}  // namespace bw::geo
