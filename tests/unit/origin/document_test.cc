#include "tests/support/document.h"

#include "origin/metrics.h"
#include "origin/program.h"

using namespace bw;

TEST_CASE("documents: docs/settings.md says what the code says about the origin") {
  check_document("settings.md", "origin", origin::settings_document());
}

TEST_CASE("documents: docs/metrics.md says what the code says about the origin") {
  metrics::Registry registry;
  const origin::OriginMetrics declared(registry);
  check_document("metrics.md", "origin", metrics::markdown("Origin", registry));
}
