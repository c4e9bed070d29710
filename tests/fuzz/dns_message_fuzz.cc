// Any bytes to the DNS readers: nothing read past the end, and what was read is written back.
#include <array>
#include <cstddef>
#include <cstdint>

#include "core/base/check.h"
#include "core/dns/message.h"
#include "core/dns/resolve.h"

using namespace bw::dns;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Bytes message(data, size);
  Query query;
  if (parse_query(message, query) == QueryFault::none) {
    std::array<uint8_t, 1232> out{};
    MessageWriter writer(out, out.size());
    writer.set_id(query.header.id);
    if (query.has_question) BW_CHECK(writer.add_question(query.question));
    if (query.edns) BW_CHECK(writer.add_edns(*query.edns));
    Query again;
    BW_CHECK(parse_query(Bytes(out.data(), writer.finish()), again) == QueryFault::none);
    BW_CHECK(again.has_question == query.has_question);
    if (query.has_question) BW_CHECK(again.question.name == query.question.name);
    BW_CHECK(again.edns.has_value() == query.edns.has_value());
  }
  if (size > kHeaderSize) {
    const uint16_t id = uint16_t(data[0] << 8 | data[1]);
    size_t at = kHeaderSize;
    bw::Result<Question> question = read_question(message, at);
    if (question.ok()) (void)parse_response(message, id, question->name, question->type);
  }
  return 0;
}
