// Who may do what: tokens, compared by their hash, with scopes and sites.
//
// Pure. See: core/base/token_file.h for the files.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/digest.h"
#include "purge/client/record.h"

namespace bw::purge {

enum Scope : uint8_t {
  scope_url = 1,
  scope_tag = 2,
  scope_prefix = 4,
  scope_all = 8,
  scope_read = 16,
  scope_node = 32,
};
// "purge:url" and so on; 0: no such scope.
uint8_t parse_scope(std::string_view text);
// hosts need purge:prefix, everything purge:all.
Scope scope_of(Kind kind);

struct Token {
  std::string name;
  Sha256 hash{};
  std::vector<std::string> sites;  // names or "*"
  uint8_t scopes = 0;

  bool allows(Scope scope) const { return (scopes & scope) == scope; }
  bool allows_site(std::string_view site) const;
};

// The token of this secret; nullptr: none. Looks at all of them whatever it finds.
const Token* find_token(const std::vector<Token>& tokens, std::string_view secret);
// `sha256:HEX`.
std::optional<Sha256> parse_token_hash(std::string_view text);

}  // namespace bw::purge
