#include "geo/loading.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <fstream>

#include "geo/check.h"
#include "tests/support/temp_dir.h"

using namespace bw;
using namespace bw::geo;

TEST_CASE("check: what tables must agree on is told beside the faults of single keys") {
  test::TempDir dir;
  const std::string file = dir / "g.toml";
  std::ofstream(file) << "[[listen]]\naddress = \"nowhere\"\n"                        // 2
                         "[[pop]]\nname = \"fra1\"\naddresses = [\"192.0.2.300\"]\n"  // 5
                         "[[map]]\nname = \"world\"\ndefault = [\"fra2\"]\n"          // in 6
                         "[[zone]]\nname = \"cdn.example\"\nns = [\"ns.cdn.example\"]\n"
                         "[[zone.edge]]\nname = \"www\"\nmap = \"word\"\n"                  // in 12
                         "[[zone.record]]\nname = \"@\"\ntype = \"AA\"\ndata = [\"x\"]\n";  // 17
  const Diagnostics told = check_geodns_file(file);
  for (const std::string& error : told.errors()) UNSCOPED_INFO(error);
  CHECK(told.errors().size() == 5);
  for (const char* part : {":2: listen.address", ":5: pop.addresses", ": map.default: found fra2",
                           ": zone.edge.map: found word", ":17: zone.record.type"}) {
    INFO(part);
    CHECK(std::count_if(told.errors().begin(), told.errors().end(), [&](const auto& error) {
            return error.starts_with(file) && error.find(part) != std::string::npos;
          }) == 1);
  }
}
