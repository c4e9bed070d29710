#include "tests/support/document.h"

#include "purge/program.h"
#include "purge/service.h"

using namespace bw;

TEST_CASE("documents: docs/settings.md says what the code says about the purge service") {
  check_document("settings.md", "purged", purge::settings_document());
}

TEST_CASE("documents: docs/metrics.md says what the code says about the purge service") {
  metrics::Registry registry;
  const purge::ServiceMetrics declared(registry);
  check_document("metrics.md", "purged", metrics::markdown("Purge service", registry));
}
