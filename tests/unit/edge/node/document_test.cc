#include "tests/support/document.h"

#include "edge/node/check.h"
#include "edge/node/node.h"

using namespace bw;

TEST_CASE("documents: docs/settings.md says what the code says about the edge") {
  check_document("settings.md", "edge", edge::edge_settings_markdown());
}

TEST_CASE("documents: docs/metrics.md says what the code says about the edge") {
  check_document("metrics.md", "edge", edge::Node::metrics_markdown());
}
