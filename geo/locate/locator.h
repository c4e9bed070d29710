// Where an address is: country and autonomous system, from MaxMind-format databases.
//
// Threads: a Locator is immutable and shared; a reload makes a new one (keep the old one when it
// fails) and posts it to the loops. Lifetime: reads a private copy of each file, so a file cut or
// replaced in place is harmless. Bounds: a file is 64 bytes to 1 GiB; a look-up walks at most 128
// nodes. Errors: `why` receives a line for people that names the file.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "core/base/result.h"
#include "core/net/address.h"

namespace bw::geo {

struct LocatorOptions {
  std::string country_file;  // empty: none
  std::string country_key = "country.iso_code";
  std::string asn_file;
  std::string asn_key = "autonomous_system_number";
};

struct Location {
  std::array<char, 2> country{};  // upper case; zero: not known
  uint32_t asn = 0;               // 0: not known
  uint8_t country_prefix = 0;     // bits of the block around the address that this holds for
  uint8_t asn_prefix = 0;

  bool has_country() const { return country[0] != 0; }
  std::string_view country_text() const {
    return has_country() ? std::string_view(country.data(), 2) : std::string_view();
  }
};

class Locator {
 public:
  virtual ~Locator() = default;
  static Result<std::shared_ptr<const Locator>> open(const LocatorOptions& options,
                                                     std::string* why);
  virtual Location find(const net::Ip& ip) const = 0;
  // Calls with each network of the country database that names a country; IPv4 as IPv4. Answers
  // an error when the tree is broken.
  using CountryVisitor = std::function<void(const net::Network&, std::array<char, 2> country)>;
  virtual Status for_each_country(const CountryVisitor& visit) const = 0;
  // Bytes held by the copies.
  virtual size_t bytes() const = 0;
};

}  // namespace bw::geo
