// Bytes of a segment or of the catalogue, as a bad disk may give them: refused or within bounds.
#include <cstdlib>
#include <string>
#include <string_view>

#include "edge/cache/segment.h"

using namespace bw::edge;

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  if (const auto head = parse_record_head(bytes); head.ok()) {
    require(record_head_size(head->canonical_key.size(), head->meta.size(), head->pieces.size(),
                             head->body_here) == size);
    require(head->checksums.size() == blocks_of(head->body_here));
    require(head->body_size == head->pieces.size() * kPieceSize + head->body_here);
  }
  if (const auto row = parse_object_row(bytes); row.ok()) {
    require(encode_object_row(*row) == bytes);
    require(row->body_here <= kPieceSize);
  }
  if (size >= 8) {
    const auto row = parse_segment_row(bytes.substr(0, 8), bytes.substr(8));
    if (row.ok()) require(segment_row_key(row->sequence) == bytes.substr(0, 8));
  }
  // A head whose sum is right, whatever its lengths say.
  if (size >= 16 && size < 4096) {
    RecordHead head;
    head.body_here = static_cast<uint32_t>(size - 16);
    head.body_size = head.body_here;
    head.meta = std::string(bytes.substr(0, 16));
    std::string record(record_head_size(0, 16, 0, head.body_here), '\0');
    const size_t head_size = record.size();
    record += bytes.substr(16);
    seal_record(head, record);
    const auto again = parse_record_head(std::string_view(record).substr(0, head_size));
    require(again.ok() && again->meta == head.meta && again->checksums == head.checksums);
  }
  return 0;
}
