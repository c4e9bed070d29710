#include "edge/cache/segment.h"

#include <cstring>

namespace bw::edge {
namespace {

constexpr uint32_t kMagic = 0x31525742;  // "BWR1"
constexpr uint8_t kRowVersion = 1;
constexpr size_t kFixedSize = 96;  // of a record's header
constexpr size_t kPlaceSize = 20;
constexpr size_t kObjectRowSize = 1 + kPlaceSize + 4 + 4 + 5 * 8;
constexpr size_t kSegmentRowSize = 1 + 4 + 8 + 8;

// Little-endian numbers, written to and read from a place that is known to be large enough.
template <typename T>
void put(char*& at, T value) {
  for (size_t i = 0; i < sizeof(T); ++i) *at++ = static_cast<char>(value >> (8 * i));
}

template <typename T>
T take(const char*& at) {
  T value = 0;
  for (size_t i = 0; i < sizeof(T); ++i) {
    value = static_cast<T>(value |
                           static_cast<T>(static_cast<T>(static_cast<uint8_t>(*at++)) << (8 * i)));
  }
  return value;
}

void put_place(char*& at, const Place& place) {
  put(at, place.slot);
  put(at, place.sequence);
  put(at, place.offset);
}

Place take_place(const char*& at) {
  Place place;
  place.slot = take<uint32_t>(at);
  place.sequence = take<uint64_t>(at);
  place.offset = take<uint64_t>(at);
  return place;
}

Error corrupt(std::string_view text) {
  return Error{.kind = Error::Kind::corrupt, .side = Error::Side::storage, .text = text};
}

}  // namespace

size_t record_head_size(size_t canonical_key, size_t meta, size_t pieces, size_t body_here) {
  return kFixedSize + canonical_key + meta + pieces * kPlaceSize + blocks_of(body_here) * 8;
}

size_t piece_head_size() { return record_head_size(0, 0, 0, kPieceSize); }

void seal_record(RecordHead& head, std::string& record) {
  const size_t head_size = record_head_size(head.canonical_key.size(), head.meta.size(),
                                            head.pieces.size(), head.body_here);
  BW_CHECK(record.size() == head_size + head.body_here);
  const std::string_view body = std::string_view(record).substr(head_size);
  head.checksums.clear();
  for (size_t at = 0; at < body.size(); at += kBlockSize) {
    head.checksums.push_back(xxh3_64(body.substr(at, kBlockSize)));
  }
  // The checksum of all that comes behind it in the head stands at byte 8.
  char* at = record.data();
  put(at, kMagic);
  put(at, static_cast<uint8_t>(head.kind));
  put(at, uint8_t{1});  // version of the layout
  put(at, uint16_t{0});
  put(at, uint64_t{0});
  put(at, head.key.hi);
  put(at, head.key.lo);
  put(at, head.sequence);
  put(at, head.generation);
  put(at, head.pos);
  put(at, static_cast<uint64_t>(head.expiry));
  put(at, head.body_size);
  put(at, head.body_here);
  put(at, head.number);
  put(at, static_cast<uint32_t>(head.canonical_key.size()));
  put(at, static_cast<uint32_t>(head.meta.size()));
  put(at, static_cast<uint32_t>(head.pieces.size()));
  put(at, uint32_t{0});
  BW_CHECK(at == record.data() + kFixedSize);
  std::memcpy(at, head.canonical_key.data(), head.canonical_key.size());
  at += head.canonical_key.size();
  std::memcpy(at, head.meta.data(), head.meta.size());
  at += head.meta.size();
  for (const Place& place : head.pieces) put_place(at, place);
  for (const uint64_t checksum : head.checksums) put(at, checksum);
  BW_CHECK(at == record.data() + head_size);
  const uint64_t checksum = xxh3_64(std::string_view(record).substr(16, head_size - 16));
  at = record.data() + 8;
  put(at, checksum);
}

Result<RecordHead> parse_record_head(std::string_view bytes) {
  if (bytes.size() < kFixedSize) return corrupt("record is cut off");
  const char* at = bytes.data();
  if (take<uint32_t>(at) != kMagic) return corrupt("no record here");
  RecordHead head;
  const uint8_t kind = take<uint8_t>(at);
  if (kind != static_cast<uint8_t>(RecordHead::Kind::object) &&
      kind != static_cast<uint8_t>(RecordHead::Kind::piece)) {
    return corrupt("record of an unknown kind");
  }
  head.kind = static_cast<RecordHead::Kind>(kind);
  if (take<uint8_t>(at) != 1) return corrupt("record of an unknown version");
  take<uint16_t>(at);
  if (take<uint64_t>(at) != xxh3_64(bytes.substr(16))) return corrupt("record head's checksum");
  head.key.hi = take<uint64_t>(at);
  head.key.lo = take<uint64_t>(at);
  head.sequence = take<uint64_t>(at);
  head.generation = take<uint64_t>(at);
  head.pos = take<uint64_t>(at);
  head.expiry = static_cast<int64_t>(take<uint64_t>(at));
  head.body_size = take<uint64_t>(at);
  head.body_here = take<uint32_t>(at);
  head.number = take<uint32_t>(at);
  const size_t key_size = take<uint32_t>(at);
  const size_t meta_size = take<uint32_t>(at);
  const size_t pieces = take<uint32_t>(at);
  take<uint32_t>(at);
  if (key_size > kMaxCanonicalKey || meta_size > kMaxMeta || pieces > kMaxPieces ||
      head.body_here > kPieceSize || head.body_size != pieces * kPieceSize + head.body_here ||
      record_head_size(key_size, meta_size, pieces, head.body_here) != bytes.size()) {
    return corrupt("record head's lengths");
  }
  head.canonical_key.assign(at, key_size);
  at += key_size;
  head.meta.assign(at, meta_size);
  at += meta_size;
  head.pieces.reserve(pieces);
  for (size_t i = 0; i < pieces; ++i) head.pieces.push_back(take_place(at));
  const size_t blocks = blocks_of(head.body_here);
  head.checksums.reserve(blocks);
  for (size_t i = 0; i < blocks; ++i) head.checksums.push_back(take<uint64_t>(at));
  return head;
}

bool block_holds(const std::vector<uint64_t>& checksums, size_t number, std::string_view block) {
  return number < checksums.size() && checksums[number] == xxh3_64(block);
}

std::string encode_object_row(const ObjectRow& row) {
  std::string out(kObjectRowSize, '\0');
  char* at = out.data();
  put(at, kRowVersion);
  put_place(at, row.at);
  put(at, row.head_size);
  put(at, row.body_here);
  put(at, row.first_sequence);
  put(at, row.bytes);
  put(at, row.generation);
  put(at, row.pos);
  put(at, static_cast<uint64_t>(row.expiry));
  return out;
}

Result<ObjectRow> parse_object_row(std::string_view bytes) {
  if (bytes.size() != kObjectRowSize || static_cast<uint8_t>(bytes[0]) != kRowVersion) {
    return corrupt("object's row in the catalogue");
  }
  const char* at = bytes.data() + 1;
  ObjectRow row;
  row.at = take_place(at);
  row.head_size = take<uint32_t>(at);
  row.body_here = take<uint32_t>(at);
  row.first_sequence = take<uint64_t>(at);
  row.bytes = take<uint64_t>(at);
  row.generation = take<uint64_t>(at);
  row.pos = take<uint64_t>(at);
  row.expiry = static_cast<int64_t>(take<uint64_t>(at));
  // What is read into memory because of a row is bounded here.
  if (row.head_size < kFixedSize ||
      row.head_size > record_head_size(kMaxCanonicalKey, kMaxMeta, kMaxPieces, kPieceSize) ||
      row.body_here > kPieceSize) {
    return corrupt("object's row in the catalogue");
  }
  return row;
}

std::string object_row_key(const Hash128& key) {
  std::string out;
  out.reserve(16);
  for (const uint64_t half : {key.hi, key.lo}) {
    for (int shift = 56; shift >= 0; shift -= 8) out += static_cast<char>(half >> shift);
  }
  return out;
}

std::string encode_segment_row(const SegmentRow& row) {
  std::string out(kSegmentRowSize, '\0');
  char* at = out.data();
  put(at, kRowVersion);
  put(at, row.slot);
  put(at, row.bytes);
  put(at, row.objects);
  return out;
}

Result<SegmentRow> parse_segment_row(std::string_view key, std::string_view bytes) {
  if (key.size() != 8 || bytes.size() != kSegmentRowSize ||
      static_cast<uint8_t>(bytes[0]) != kRowVersion) {
    return corrupt("segment's row in the catalogue");
  }
  SegmentRow row;
  for (const char c : key) row.sequence = row.sequence << 8 | static_cast<uint8_t>(c);
  const char* at = bytes.data() + 1;
  row.slot = take<uint32_t>(at);
  row.bytes = take<uint64_t>(at);
  row.objects = take<uint64_t>(at);
  return row;
}

std::string segment_row_key(uint64_t sequence) {
  std::string out;
  for (int shift = 56; shift >= 0; shift -= 8) out += static_cast<char>(sequence >> shift);
  return out;
}

}  // namespace bw::edge
