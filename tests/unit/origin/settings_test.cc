#include "origin/settings.h"

#include <catch2/catch.hpp>
#include <fstream>

#include "tests/support/temp_dir.h"

using namespace bw;
using namespace bw::origin;

namespace {

struct Loaded {
  OriginSettings settings;
  Diagnostics diagnostics;
  bool right = false;
  std::string file;
  test::TempDir dir;

  Loaded(const std::string& text, OriginOptions options = {}) {
    if (!text.empty()) {
      file = options.config = dir / "o.toml";
      std::ofstream(file) << text;
    }
    right = load_settings(options, settings, diagnostics);
  }
};

}  // namespace

TEST_CASE("settings: nothing given is a whole origin") {
  const Loaded l("");
  REQUIRE(l.right);
  CHECK(l.settings.origin.listen == std::vector<std::string>{"127.0.0.1:9000"});
  CHECK(l.settings.origin.products == 10'000);
  CHECK(l.settings.origin.control.empty());
}

TEST_CASE("settings: a file, and flags over it") {
  OriginOptions options;
  options.products = 5;
  options.delay = "250ms";
  options.listen = {"127.0.0.1:0", "unix:o.sock"};
  const Loaded l(
      "[origin]\nlisten = \"127.0.0.1:1\"\nstatic = \"files\"\nproducts = 7\nsite = \"shop\"\n"
      "control = \"https://p.example:9443\"\n[log]\nlevel = \"warning\"\n",
      options);
  INFO((l.diagnostics.errors().empty() ? "" : l.diagnostics.errors()[0]));
  REQUIRE(l.right);
  CHECK(l.settings.origin.listen == options.listen);
  CHECK(l.settings.origin.static_files == l.dir / "files");
  CHECK(l.settings.origin.products == 5);
  CHECK(l.settings.origin.delay == std::chrono::milliseconds(250));
  CHECK(l.settings.log.level == LogSettings::Level::warning);
}

TEST_CASE("settings: every fault is told with its line") {
  const Loaded l(
      "[origin]\nlisten = \"nowhere\"\ndelay = \"fast\"\nproduct = 1\n"
      "control = \"http://192.0.2.1:1\"\nsite = \"shop\"\n");
  CHECK_FALSE(l.right);
  REQUIRE(l.diagnostics.errors().size() == 4);
  const auto told = [&](const std::string& start, const std::string& part) {
    for (const std::string& error : l.diagnostics.errors()) {
      if (error.starts_with(l.file + start) && error.find(part) != std::string::npos) return true;
    }
    return false;
  };
  for (const std::string& error : l.diagnostics.errors()) UNSCOPED_INFO(error);
  CHECK(told(":2", "listen"));
  CHECK(told(":3", "delay"));
  CHECK(told(":4", "product"));
  CHECK(told("", "insecure"));
}

TEST_CASE("settings: publishing needs the site's name") {
  const Loaded l("[origin]\ncontrol = \"http://127.0.0.1:1\"\n");
  CHECK_FALSE(l.right);
  REQUIRE(l.diagnostics.errors().size() == 1);
  CHECK(l.diagnostics.errors()[0].find("site") != std::string::npos);
}
