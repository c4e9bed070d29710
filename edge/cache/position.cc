#include "edge/cache/position.h"

#include "purge/client/position.h"

namespace bw::edge {

std::string position_text(Position position) { return purge::Position{position}.text(); }

std::optional<Position> parse_position(std::string_view text) {
  const std::optional<purge::Position> parsed = purge::Position::parse(text);
  if (!parsed) return std::nullopt;
  return parsed->value;
}

}  // namespace bw::edge
