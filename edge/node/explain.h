// Explain: why a request would hit or miss now, from the store and the rules, without asking it.
//
// Threads: the loop given; the disk is asked on its own threads. Nothing is fetched, counted or
// raised.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/task.h"
#include "core/http/endpoint.h"
#include "core/net/address.h"
#include "core/net/loop.h"
#include "core/text/json.h"
#include "edge/cache/store.h"
#include "edge/proxy/snapshot.h"

namespace bw::edge {

struct ExplainRequest {
  http::RequestHead head;
  net::Ip client;
};
std::optional<ExplainRequest> parse_explain_request(std::string_view body, std::string* why);

void explain(net::Loop& loop, Store& store, std::shared_ptr<const Snapshot> snapshot,
             ExplainRequest request, UniqueFunction<void(text::Json)> done);
// The same from body to answer, as POST /v1/explain does it.
void answer_explain(net::Loop& loop, Store& store, std::shared_ptr<const Snapshot> snapshot,
                    std::string_view body, http::Reply reply);

}  // namespace bw::edge
