// HTTP/1 heads and chunks as bytes. Framing is our own; a field that isn't well formed is left out,
// so that no value can ever end a line.
//
// Pure; all functions append to `out`. See: RFC 9112.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "core/http/message.h"
#include "core/http/prepared_head.h"

namespace bw::http {

enum class H1Framing : uint8_t { none, length, chunked, until_close };

// Host from `authority`, framing from content_length and has_body; a TE field is named in
// Connection. False, and nothing appended: method, target or authority can't be sent.
bool append_request_head(std::string& out, const RequestHead& head, bool close);

// `length` counts with H1Framing::length; `connection`: "", "close" or "keep-alive"; `date` is
// used when head has none. Fields of framing and connection in `head` are left out.
void append_response_head(std::string& out, const ResponseHead& head, H1Framing framing,
                          uint64_t length, std::string_view connection, std::string_view date);
// The same of a prepared head and `more` fields, which aren't looked at again.
void append_prepared_head(std::string& out, const PreparedHead& head, std::span<const Field> more,
                          H1Framing framing, uint64_t length, std::string_view connection,
                          std::string_view date);
// "HTTP/1.1 100 Continue" and the like.
void append_informational(std::string& out, int status, const FieldList& fields);

// The line before a chunk's data; "\r\n" follows the data. `size` > 0.
void append_chunk_size(std::string& out, uint64_t size);
// The last chunk, trailers that may be trailers, the final empty line.
void append_last_chunk(std::string& out, const FieldList* trailers);

}  // namespace bw::http
