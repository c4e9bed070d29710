#include "tests/support/document.h"

#include "geo/check.h"
#include "geo/metrics.h"

using namespace bw;

TEST_CASE("documents: docs/settings.md says what the code says about GeoDNS") {
  check_document("settings.md", "geodns", geo::geodns_settings_markdown());
}

TEST_CASE("documents: docs/metrics.md says what the code says about GeoDNS") {
  metrics::Registry registry;
  const geo::DnsMetrics declared(registry);
  check_document("metrics.md", "geodns", metrics::markdown("GeoDNS", registry));
}
