#include "geo/locate/locator.h"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>

#include "core/base/clock.h"
#include "geo/locate/database_writer.h"

using namespace bw;
using namespace bw::geo;

namespace {

struct Folder {
  std::string path;
  Folder() {
    std::string made = (std::filesystem::temp_directory_path() / "bw-geo-XXXXXX").string();
    REQUIRE(::mkdtemp(made.data()) != nullptr);
    path = made;
  }
  ~Folder() { std::filesystem::remove_all(path); }
  std::string write(const std::string& name, std::string_view bytes) const {
    std::ofstream(path + "/" + name, std::ios::binary)
        .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    return path + "/" + name;
  }
};

constexpr std::string_view kLines =
    "# lab\n"
    "198.51.100.0/24,DE,64500\n"
    "198.51.0.0/16,us\n"
    "198.51.100.128/25,SG,AS64501\r\n"
    "2001:db8::/32,FR\n"
    "2001:db8:1::/48,IT,64502\n"
    "203.0.113.7,,64503\n";

std::shared_ptr<const Locator> open(const Folder& folder, std::string_view lines) {
  std::string why;
  Result<std::string> bytes = encode_geodb(lines, "lab.csv", 1, &why);
  INFO(why);
  REQUIRE(bytes.ok());
  LocatorOptions options;
  options.country_file = options.asn_file = folder.write("db.mmdb", *bytes);
  auto locator = Locator::open(options, &why);
  INFO(why);
  REQUIRE(locator.ok());
  return *locator;
}

Location at(const Locator& locator, std::string_view ip) {
  return locator.find(*net::Ip::parse(ip));
}

}  // namespace

TEST_CASE("locator: finds country, ASN and the block around the address") {
  Folder folder;
  const auto locator = open(folder, kLines);
  struct Row {
    const char* ip;
    const char* country;
    uint32_t asn;
    unsigned prefix;
  };
  for (const Row& row :
       {Row{"198.51.100.1", "DE", 64500, 25}, Row{"198.51.100.200", "SG", 64501, 25},
        Row{"198.51.99.1", "US", 0, 22}, Row{"198.51.128.1", "US", 0, 17},
        Row{"198.52.0.1", "", 0, 14}, Row{"0.0.0.1", "", 0, 1}, Row{"2001:db8::1", "FR", 0, 48},
        Row{"2001:db8:1::1", "IT", 64502, 48}, Row{"2001:db9::1", "", 0, 32},
        Row{"203.0.113.7", "", 64503, 32}}) {
    INFO(row.ip);
    const Location location = at(*locator, row.ip);
    CHECK(location.country_text() == row.country);
    CHECK(location.asn == row.asn);
    CHECK(unsigned(location.country_prefix) == row.prefix);
  }
}

TEST_CASE("locator: for_each_country tells every network that find() tells") {
  Folder folder;
  const auto locator = open(folder, kLines);
  std::map<std::string, std::string> found;
  REQUIRE(locator
              ->for_each_country([&](const net::Network& network, std::array<char, 2> country) {
                found[network.text()] = std::string(country.data(), 2);
                CHECK(locator->find(network.base).country == country);
                CHECK(locator->find(network.base).country_prefix == network.length);
              })
              .ok());
  CHECK(found.at("198.51.100.0/25") == "DE");
  CHECK(found.at("198.51.100.128/25") == "SG");
  CHECK(found.at("198.51.128.0/17") == "US");
  CHECK(found.at("2001:db8:1::/48") == "IT");
  CHECK(found.count("203.0.113.7/32") == 0);
}

TEST_CASE("locator: random networks are found as the longest prefix says") {
  Folder folder;
  SeededRandom random(7);
  std::vector<std::pair<net::Network, std::string>> networks;
  std::string lines;
  std::map<std::string, bool> seen;
  for (int i = 0; i < 400; ++i) {
    net::Ip ip;
    ip.v6 = random.below(2) == 0;
    for (size_t b = 0; b < (ip.v6 ? 16u : 4u); ++b) {
      ip.bytes[b] = static_cast<uint8_t>(random.below(b == 0 ? 4 : 256));
    }
    // ::/8 of IPv6 holds IPv4.
    if (ip.v6) ip.bytes[0] = 0x20;
    const std::string text = ip.text() + "/" + std::to_string(1 + random.below(ip.v6 ? 64 : 32));
    const net::Network network = *net::Network::parse(text);
    if (seen[network.text()]) continue;
    seen[network.text()] = true;
    const std::string country{char('A' + random.below(26)), char('A' + random.below(26))};
    networks.emplace_back(network, country);
    lines += network.text() + "," + country + "\n";
  }
  const auto locator = open(folder, lines);
  for (int i = 0; i < 4000; ++i) {
    net::Ip ip = networks[random.below(networks.size())].first.base;
    const size_t width = ip.v6 ? 16 : 4;
    for (size_t b = width - random.below(width); b < width; ++b) {
      ip.bytes[b] = static_cast<uint8_t>(random.next());
    }
    std::string wanted;
    int longest = -1;
    for (const auto& [network, country] : networks) {
      if (network.contains(ip) && int(network.length) > longest) {
        longest = network.length;
        wanted = country;
      }
    }
    if (!ip.v6 || ip.bytes[0] != 0) CHECK(locator->find(ip).country_text() == wanted);
  }
}

TEST_CASE("locator: a file cut in place after it was opened does no harm") {
  Folder folder;
  const auto locator = open(folder, kLines);
  REQUIRE(::truncate((folder.path + "/db.mmdb").c_str(), 0) == 0);
  CHECK(at(*locator, "198.51.100.1").country_text() == "DE");
}

TEST_CASE("locator: missing, small, cut and random files are refused by name") {
  Folder folder;
  std::string why;
  const std::string whole = *encode_geodb(kLines, "lab.csv", 1, &why);
  LocatorOptions options;
  for (const std::string& file :
       {folder.path + "/none.mmdb", folder.path, folder.write("small", "x"),
        folder.write("zeros", std::string(4096, '\0')),
        folder.write("cut", whole.substr(whole.size() / 2))}) {
    options.country_file = file;
    CHECK_FALSE(Locator::open(options, &why).ok());
    CHECK(why.find(file) != std::string::npos);
  }
}

TEST_CASE("locator: bytes changed anywhere never harm a reader") {
  Folder folder;
  std::string why;
  const std::string whole = *encode_geodb(kLines, "lab.csv", 1, &why);
  SeededRandom random(3);
  for (int i = 0; i < 600; ++i) {
    std::string bytes = whole;
    for (uint64_t n = 1 + random.below(4); n > 0; --n) {
      bytes[random.below(bytes.size())] = static_cast<char>(random.next());
    }
    LocatorOptions options;
    options.country_file = options.asn_file = folder.write("bad.mmdb", bytes);
    const auto locator = Locator::open(options, &why);
    if (!locator.ok()) continue;
    size_t networks = 0;
    (void)(*locator)->for_each_country(
        [&](const net::Network&, std::array<char, 2>) { ++networks; });
    CHECK(networks <= 2 * whole.size());
    (void)at(**locator, "198.51.100.1");
    (void)at(**locator, "2001:db8:1::1");
  }
}

TEST_CASE("database writer: a wrong line is told by file and number") {
  for (const auto& [lines, wanted] : std::map<std::string, std::string>{
           {"1.2.3.0/24,DE\nbad,DE\n", "x.csv:2: \"bad\" is no network"},
           {"1.2.3.0/24,DEU\n", "x.csv:1: \"DEU\" is no country of two letters"},
           {"1.2.3.0/24,D1\n", "x.csv:1: \"D1\" is no country of two letters"},
           {"1.2.3.0/24,DE,x\n", "x.csv:1: \"x\" is no ASN"},
           {"1.2.3.0/24,DE,1,2\n", "x.csv:1: more than three fields; allowed: CIDR,country[,asn]"},
           {"1.2.3.0/24\n", "x.csv:1: neither country nor ASN"},
           {"1.2.3.0/24,DE\n\n1.2.3.9/24,FR\n", "x.csv:3: the network of line 1 again"},
           {"# nothing\n", "x.csv:1: no lines"}}) {
    std::string why;
    CHECK_FALSE(encode_geodb(lines, "x.csv", 1, &why).ok());
    CHECK(why == wanted);
  }
}

TEST_CASE("database writer: writes a whole file, or none") {
  Folder folder;
  std::string why;
  const std::string csv = folder.write("lab.csv", kLines);
  REQUIRE(build_geodb(csv, folder.path + "/out.mmdb", &why).ok());
  LocatorOptions options;
  options.country_file = folder.path + "/out.mmdb";
  CHECK(Locator::open(options, &why).ok());
  CHECK_FALSE(build_geodb(folder.path + "/none.csv", folder.path + "/2.mmdb", &why).ok());
  CHECK(why.find("none.csv") != std::string::npos);
  CHECK_FALSE(build_geodb(csv, folder.path + "/no/such/out.mmdb", &why).ok());
  CHECK_FALSE(std::filesystem::exists(folder.path + "/2.mmdb"));
}
