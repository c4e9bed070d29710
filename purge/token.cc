#include "purge/token.h"

#include <algorithm>
#include <cstring>

namespace bw::purge {
namespace {

std::string_view view(const Sha256& hash) {
  return {reinterpret_cast<const char*>(hash.data()), hash.size()};
}

}  // namespace

uint8_t parse_scope(std::string_view text) {
  if (text == "purge:url") return scope_url;
  if (text == "purge:tag") return scope_tag;
  if (text == "purge:prefix") return scope_prefix;
  if (text == "purge:all") return scope_all;
  if (text == "read") return scope_read;
  if (text == "node") return scope_node;
  return 0;
}

Scope scope_of(Kind kind) {
  switch (kind) {
    case Kind::url:
      return scope_url;
    case Kind::tag:
    case Kind::group:
      return scope_tag;
    case Kind::prefix:
    case Kind::host:
      return scope_prefix;
    default:
      return scope_all;
  }
}

bool Token::allows_site(std::string_view site) const {
  return std::any_of(sites.begin(), sites.end(),
                     [site](const std::string& s) { return s == "*" || s == site; });
}

const Token* find_token(const std::vector<Token>& tokens, std::string_view secret) {
  if (secret.empty()) return nullptr;
  const Sha256 hash = sha256(secret);
  const Token* found = nullptr;
  for (const Token& token : tokens) {
    if (equal_secret(view(hash), view(token.hash)) && found == nullptr) found = &token;
  }
  return found;
}

std::optional<Sha256> parse_token_hash(std::string_view text) {
  constexpr std::string_view kPrefix = "sha256:";
  if (!text.starts_with(kPrefix)) return std::nullopt;
  const auto bytes = from_hex(text.substr(kPrefix.size()));
  Sha256 hash;
  if (!bytes || bytes->size() != hash.size()) return std::nullopt;
  std::memcpy(hash.data(), bytes->data(), hash.size());
  return hash;
}

}  // namespace bw::purge
