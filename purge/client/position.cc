#include "purge/client/position.h"

#include <charconv>

namespace bw::purge {
namespace {

std::optional<uint64_t> parse_decimal(std::string_view text, uint64_t most) {
  if (text.empty() || (text.size() > 1 && text[0] == '0')) return std::nullopt;
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value > most) return std::nullopt;
  return value;
}

}  // namespace

std::string Position::text() const {
  return std::to_string(epoch()) + "." + std::to_string(sequence());
}

std::optional<Position> Position::parse(std::string_view text) {
  const size_t dot = text.find('.');
  if (dot == std::string_view::npos) return std::nullopt;
  const auto epoch = parse_decimal(text.substr(0, dot), kMaxEpoch);
  const auto sequence = parse_decimal(text.substr(dot + 1), kMaxSequence);
  if (!epoch || !sequence) return std::nullopt;
  return of(static_cast<uint32_t>(*epoch), *sequence);
}

}  // namespace bw::purge
