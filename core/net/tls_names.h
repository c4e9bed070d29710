// Which certificate answers for which name: exact, then one-label wildcard, then the default.
//
// Names are kept in lower case without a final dot; IP addresses in their canonical text.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace bw::net {

class CertificateNames {
 public:
  // Of two certificates for one name the first added is chosen.
  void add(const std::vector<std::string>& names, bool is_default);
  // The index (order of adding) of the certificate for `sni`; at least one was added.
  size_t find(std::string_view sni) const;
  // Whether one certificate holds both names, or they are the same one, or there was no SNI.
  bool hold_both(std::string_view sni, std::string_view authority) const;

 private:
  const std::vector<size_t>* exact(const std::string& name) const;
  const std::vector<size_t>* wildcard(const std::string& name) const;

  std::unordered_map<std::string, std::vector<size_t>> holders_;  // also of "*.example.test"
  size_t count_ = 0;
  size_t default_ = 0;
  bool has_default_ = false;
};

// Lower case, without brackets, port and final dot: the name in `www.Example.test:443`.
std::string name_of_authority(std::string_view authority);

}  // namespace bw::net
