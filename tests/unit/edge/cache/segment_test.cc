#include "edge/cache/segment.h"

#include <catch2/catch.hpp>

#include "tests/unit/edge/cache/disk_rig.h"

using namespace bw;
using edge::RecordHead;

namespace {

RecordHead sample() {
  return {
      .kind = RecordHead::Kind::object,
      .number = 0,
      .key = {1, 2},
      .sequence = 3,
      .generation = 4,
      .pos = 5,
      .expiry = -6,
      .body_size = (2u << 20) + 100'000,
      .body_here = 100'000,
      .canonical_key = "key",
      .meta = std::string("me\0ta", 5),
      .pieces = {{.slot = 1, .sequence = 2, .offset = 3}, {.slot = 1, .sequence = 2, .offset = 9}}};
}

std::string sealed(RecordHead head) {
  const size_t size = edge::record_head_size(head.canonical_key.size(), head.meta.size(),
                                             head.pieces.size(), head.body_here);
  std::string record = std::string(size, '\0') + test::noise(1, head.body_here);
  edge::seal_record(head, record);
  return record.substr(0, size);
}

}  // namespace

TEST_CASE("segment: a record's head comes back as it was sealed") {
  const auto head = edge::parse_record_head(sealed(sample()));
  REQUIRE(head.ok());
  CHECK(head->kind == RecordHead::Kind::object);
  CHECK(head->key == Hash128{1, 2});
  CHECK(head->sequence == 3);
  CHECK(head->generation == 4);
  CHECK(head->pos == 5);
  CHECK(head->expiry == -6);
  CHECK(head->body_size == (2u << 20) + 100'000);
  CHECK(head->body_here == 100'000);
  CHECK(head->canonical_key == "key");
  CHECK(head->meta == std::string("me\0ta", 5));
  CHECK(head->pieces == sample().pieces);
  const std::string body = test::noise(1, 100'000);
  REQUIRE(head->checksums.size() == 2);
  CHECK(edge::block_holds(head->checksums, 0, std::string_view(body).substr(0, 65'536)));
  CHECK(edge::block_holds(head->checksums, 1, std::string_view(body).substr(65'536)));
  CHECK_FALSE(edge::block_holds(head->checksums, 1, std::string_view(body).substr(65'535)));
  CHECK_FALSE(edge::block_holds(head->checksums, 2, ""));
}

TEST_CASE("segment: no flipped bit and no cut of a head passes") {
  const std::string good = sealed(sample());
  for (size_t at = 0; at < good.size(); ++at) {
    // The two reserved bytes behind the version mean nothing.
    if (at == 6 || at == 7) continue;
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 4);
    CHECK_FALSE(edge::parse_record_head(bad).ok());
  }
  for (size_t size = 0; size < good.size(); ++size) {
    CHECK_FALSE(edge::parse_record_head(good.substr(0, size)).ok());
  }
  CHECK_FALSE(edge::parse_record_head(good + "x").ok());
}

TEST_CASE("segment: a well-summed head whose lengths don't fit is corrupt") {
  RecordHead head = sample();
  head.body_size -= 1;
  CHECK_FALSE(edge::parse_record_head(sealed(head)).ok());
}

TEST_CASE("segment: rows of the catalogue come back, and others are corrupt") {
  const edge::ObjectRow row{.at = {.slot = 7, .sequence = 8, .offset = 9},
                            .head_size = 200,
                            .body_here = 11,
                            .first_sequence = 12,
                            .bytes = 13,
                            .generation = 14,
                            .pos = 15,
                            .expiry = -16};
  const std::string bytes = edge::encode_object_row(row);
  CHECK(*edge::parse_object_row(bytes) == row);
  CHECK_FALSE(edge::parse_object_row(bytes.substr(1)).ok());
  CHECK_FALSE(edge::parse_object_row("").ok());
  edge::ObjectRow huge = row;
  huge.head_size = 0xffffffff;
  CHECK_FALSE(edge::parse_object_row(edge::encode_object_row(huge)).ok());

  const edge::SegmentRow segment{.sequence = 0x1234, .slot = 2, .bytes = 3, .objects = 4};
  const std::string key = edge::segment_row_key(segment.sequence);
  CHECK(*edge::parse_segment_row(key, edge::encode_segment_row(segment)) == segment);
  CHECK_FALSE(edge::parse_segment_row("short", edge::encode_segment_row(segment)).ok());
  CHECK(edge::segment_row_key(255) < edge::segment_row_key(256));
}
