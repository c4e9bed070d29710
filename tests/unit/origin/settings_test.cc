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
  REQUIRE(l.settings.listen.size() == 1);
  CHECK(l.settings.listen[0].address == "127.0.0.1:9000");
  CHECK_FALSE(l.settings.listen[0].tls);
  CHECK_FALSE(l.settings.admin);
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
  REQUIRE(l.settings.listen.size() == 2);
  CHECK(l.settings.listen[0].address == "127.0.0.1:0");
  CHECK(l.settings.listen[1].address == "unix:o.sock");
  CHECK(l.settings.origin.static_files == l.dir / "files");
  CHECK(l.settings.origin.products == 5);
  CHECK(l.settings.origin.delay == std::chrono::milliseconds(250));
  CHECK(l.settings.log.level == log::Level::warning);
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

TEST_CASE("settings: the tables of all programs, and their short forms under [origin]") {
  const std::string certificate = "[[certificate]]\ncert = \"c.pem\"\nkey = \"c.key\"\n";
  const Loaded tables(
      "[node]\nname = \"o1\"\n[[listen]]\naddress = \"127.0.0.1:1\"\ntls = true\n" + certificate +
      "[admin]\nlisten = \"127.0.0.1:2\"\ntoken_file = \"a.token\"\n[origin]\nproducts = 1\n");
  INFO((tables.diagnostics.errors().empty() ? "" : tables.diagnostics.errors()[0]));
  REQUIRE(tables.right);
  REQUIRE(tables.settings.listen.size() == 1);
  CHECK(tables.settings.listen[0].tls);
  CHECK(tables.settings.admin->token_file == tables.dir / "a.token");
  CHECK(tables.settings.node.name == "o1");

  const Loaded brief(certificate +
                     "[origin]\nlisten = [\"127.0.0.1:1\", \"https://127.0.0.1:2\"]\n"
                     "admin = \"127.0.0.1:3\"\n");
  INFO((brief.diagnostics.errors().empty() ? "" : brief.diagnostics.errors()[0]));
  REQUIRE(brief.right);
  REQUIRE(brief.settings.listen.size() == 2);
  CHECK_FALSE(brief.settings.listen[0].tls);
  CHECK(brief.settings.listen[1].tls);
  CHECK(brief.settings.listen[1].address == "127.0.0.1:2");
  CHECK(brief.settings.admin->listen == "127.0.0.1:3");
  CHECK(brief.settings.admin->token_file.empty());
}

TEST_CASE("settings: --admin goes over both places, and keeps the file's token") {
  OriginOptions options;
  options.admin = "127.0.0.1:9";
  for (const char* text : {"[admin]\nlisten = \"127.0.0.1:2\"\ntoken_file = \"a.token\"\n",
                           "[origin]\nadmin = \"127.0.0.1:2\"\n"}) {
    const Loaded l(text, options);
    REQUIRE(l.right);
    CHECK(l.settings.admin->listen == "127.0.0.1:9");
    CHECK(l.settings.admin->token_file.empty() == (text[1] == 'o'));
  }
}

TEST_CASE("settings: TLS needs a certificate, and the admin listener has one place") {
  const Loaded tls("[origin]\nlisten = \"https://127.0.0.1:1\"\n");
  CHECK_FALSE(tls.right);
  REQUIRE(tls.diagnostics.errors().size() == 1);
  CHECK(tls.diagnostics.errors()[0].find("certificate") != std::string::npos);
  const Loaded twice("[admin]\nlisten = \"127.0.0.1:2\"\n[origin]\nadmin = \"127.0.0.1:3\"\n");
  CHECK_FALSE(twice.right);
  REQUIRE(twice.diagnostics.errors().size() == 1);
  CHECK(twice.diagnostics.errors()[0].find("origin.admin") != std::string::npos);
}
