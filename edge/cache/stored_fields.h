// What of a response's fields is stored. Private to edge/cache.
//
// Pure.
#pragma once

#include <string>

#include "core/http/message.h"

namespace bw::edge {

// Leaves fields ready to send: without hop-by-hop fields, framing, Age, what other tiers said of
// the cache, Breakwater-*, and Set-Cookie when it is asked for.
void clean_stored_fields(http::FieldList& fields, bool strip_set_cookie);

}  // namespace bw::edge
