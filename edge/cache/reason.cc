#include "edge/cache/reason.h"

#include <iterator>

namespace bw::edge {
namespace {

// In the order of Reason.
constexpr std::string_view kTexts[] = {
    "",
    "absent",
    "expired",
    "purged",
    "soft-purged",
    "must-revalidate",
    "lag",
    "vary",
    "request-no-cache",
    "request-authorization",
    "hit-for-miss",
    "disk-busy",
    "swr",
    "stale-if-error",
    "origin-budget",
    "rule",
    "url-expired",
    "url-signature",
    "url-network",
    "uncacheable:no-store",
    "uncacheable:private",
    "uncacheable:no-cache",
    "uncacheable:set-cookie",
    "uncacheable:authorization",
    "uncacheable:vary-star",
    "uncacheable:no-freshness",
    "uncacheable:status",
    "uncacheable:method",
    "uncacheable:tags-overflow",
    "uncacheable:too-large",
    "uncacheable:partial",
    "uncacheable:tier-unproved",
    "uncacheable:purged-meanwhile",
    "uncacheable:incomplete",
    "uncacheable:no-room",
    "uncacheable:younger",
};
static_assert(std::size(kTexts) == kReasons);

}  // namespace

std::string_view to_text(Reason reason) { return kTexts[static_cast<size_t>(reason)]; }

}  // namespace bw::edge
