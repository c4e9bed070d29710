// Records in segment files and their rows in the catalogue: how bytes lie on disk, and their proof.
//
// A record is header, canonical key, meta, places of earlier pieces, block checksums, body bytes.
// An object of up to a piece (1 MiB) is one record; of a greater one each whole piece is a record
// of its own, written first, and the last record holds the rest and says where the pieces lie.
// Pure. Bounds: checked on parsing; bytes may come from anywhere. See: docs/adr, "pieces of 1 MiB".
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/digest.h"
#include "core/base/result.h"

namespace bw::edge {

constexpr size_t kPieceSize = 1u << 20;
constexpr size_t kBlockSize = 64u << 10;  // of one checksum
constexpr size_t kMaxPieces = 65'536;
constexpr size_t kMaxCanonicalKey = 256u << 10;
constexpr size_t kMaxMeta = 2u << 20;

// Where a record begins. A slot is a file; it gets a new sequence number each time it is reused.
struct Place {
  uint32_t slot = 0;
  uint64_t sequence = 0;
  uint64_t offset = 0;
  friend bool operator==(const Place&, const Place&) = default;
};

// Everything of a record before its body bytes.
struct RecordHead {
  enum class Kind : uint8_t { object = 1, piece = 2 };
  Kind kind = Kind::object;
  uint32_t number = 0;  // of a piece
  Hash128 key;
  uint64_t sequence = 0;  // of the segment it lies in: a reused slot's old bytes don't pass
  uint64_t generation = 0;
  uint64_t pos = 0;
  int64_t expiry = 0;
  uint64_t body_size = 0;  // of the whole object; of a piece: its own
  uint32_t body_here = 0;  // bytes that follow this head
  std::string canonical_key;
  std::string meta;
  std::vector<Place> pieces;
  std::vector<uint64_t> checksums;  // of the blocks that follow
};

size_t record_head_size(size_t canonical_key, size_t meta, size_t pieces, size_t body_here);
// The size of a whole piece's head.
size_t piece_head_size();
// Writes record_head_size() bytes to the front of `record`, whose body bytes are already behind
// them; fills `checksums`.
void seal_record(RecordHead& head, std::string& record);
// `bytes` is exactly a head. Errors: corrupt.
Result<RecordHead> parse_record_head(std::string_view bytes);
// Whether `block` is the bytes that checksum `number` was made of.
bool block_holds(const std::vector<uint64_t>& checksums, size_t number, std::string_view block);
inline size_t blocks_of(size_t bytes) { return (bytes + kBlockSize - 1) / kBlockSize; }

// An object's row in the catalogue, under its 16-byte key.
struct ObjectRow {
  Place at;  // of the record that holds the head
  uint32_t head_size = 0;
  uint32_t body_here = 0;
  uint64_t first_sequence = 0;  // of its oldest piece: when that segment goes, the object goes
  uint64_t bytes = 0;           // of all its records
  uint64_t generation = 0;
  uint64_t pos = 0;
  int64_t expiry = 0;
  friend bool operator==(const ObjectRow&, const ObjectRow&) = default;
};
std::string encode_object_row(const ObjectRow& row);
Result<ObjectRow> parse_object_row(std::string_view bytes);
std::string object_row_key(const Hash128& key);

// A live segment's row, under its 8-byte big-endian sequence number.
struct SegmentRow {
  uint64_t sequence = 0;
  uint32_t slot = 0;
  uint64_t bytes = 0;    // written; the next record begins there
  uint64_t objects = 0;  // whose oldest piece lies here
  friend bool operator==(const SegmentRow&, const SegmentRow&) = default;
};
std::string encode_segment_row(const SegmentRow& row);
Result<SegmentRow> parse_segment_row(std::string_view key, std::string_view bytes);
std::string segment_row_key(uint64_t sequence);

}  // namespace bw::edge
