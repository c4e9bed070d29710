#include "core/text/toml.h"

#include <catch2/catch.hpp>

using namespace bw;
using namespace std::chrono_literals;

namespace {

enum class Mode { slow, fast };

struct Inner {
  std::string name = "x";
  Rate rate;
  std::vector<std::string> hosts;
  uint32_t line = 0;
  void declare(SettingGroup& g) {
    g.place(nullptr, &line);
    g.text("name", &name, "its name").need();
    g.rate("rate", &rate, "how often");
    g.list("hosts", &hosts, "names").rule([](const std::string& text) {
      return text.empty() ? std::string("a name") : std::string();
    });
  }
};

struct Maybe {
  std::string path;
  void declare(SettingGroup& g) { g.path("path", &path, "where").need(); }
};

struct Outer {
  uint16_t port = 80;
  Duration wait = 1s;
  uint64_t size = 1 << 20;
  bool on = false;
  double share = 0.1;
  Mode mode = Mode::slow;
  std::map<std::string, Duration> ttl;
  Inner one;
  std::optional<Maybe> maybe;
  std::vector<Inner> many;
  std::string order;
  void declare(SettingGroup& g) {
    g.integer("port", &port, "a port");
    g.duration("wait", &wait, "waits").between("10ms", "1h").or_off();
    g.size("size", &size, "bytes").between("64KiB", "1TiB");
    g.flag("on", &on, "whether");
    g.number("share", &share, "a share").between("0", "1");
    g.word("mode", &mode, {"slow", "fast"}, "which");
    g.durations("ttl", &ttl, "by status");
    g.then([this] { order = "read"; });
    g.table("maybe", &maybe, "only when written");
    g.tables("many", &many, "several");
    g.check([this](const SettingGroup::Fault& fault) {
      if (port == 1 && on) fault("on", "true", "false with port 1");
    });
  }
};

std::vector<std::string> errors_of(const std::string& text) {
  Diagnostics diagnostics;
  Outer outer;
  const auto tree = text::parse_toml(text, "dir/f.toml", diagnostics);
  if (tree) (void)read_settings(*tree, "dir/f.toml", outer, diagnostics);
  return diagnostics.errors();
}

}  // namespace

TEST_CASE("settings: a whole file is read") {
  Diagnostics diagnostics;
  Outer o;
  const auto tree = text::parse_toml(
      "port = 443\nwait = \"0s\"\nsize = \"2MiB\"\non = true\nshare = 1\nmode = \"fast\"\n"
      "ttl = { 404 = \"10s\" }\n[maybe]\npath = \"p\"\n[[many]]\nname = \"a\"\nrate = \"5/m\"\n"
      "[[many]]\nname = \"b\"\nhosts = [\"h\"]\n",
      "dir/f.toml", diagnostics);
  REQUIRE(tree);
  CHECK(read_settings(*tree, "dir/f.toml", o, diagnostics));
  CHECK(o.port == 443);
  CHECK(o.wait == 0s);
  CHECK(o.size == 2 << 20);
  CHECK(o.on);
  CHECK(o.share == 1.0);
  CHECK(o.mode == Mode::fast);
  CHECK(o.ttl.at("404") == 10s);
  CHECK(o.maybe->path == "dir/p");
  REQUIRE(o.many.size() == 2);
  CHECK(o.many[0].rate == Rate{5, 60s});
  CHECK(o.many[1].hosts == std::vector<std::string>{"h"});
  CHECK(o.many[1].line == 13);
  CHECK(o.order == "read");
}

TEST_CASE("settings: each error names file, line, key, found and allowed") {
  struct Row {
    std::string text;
    std::string error;
  };
  const Row rows[] = {
      {"prt = 1", "dir/f.toml:1: prt: found an unknown key; allowed: nearest known key is port"},
      {"\nport = 70000", "dir/f.toml:2: port: found 70000; allowed: a whole number, 0 to 65535"},
      {"port = \"80\"", "dir/f.toml:1: port: found \"80\"; allowed: a whole number, 0 to 65535"},
      {"wait = \"5ms\"",
       "dir/f.toml:1: wait: found \"5ms\"; allowed: a duration as \"250ms\", 10ms to 1h, or 0 "
       "(off)"},
      {"size = \"big\"",
       "dir/f.toml:1: size: found \"big\"; allowed: a size as \"512MiB\", 64KiB to 1TiB"},
      {"on = 1", "dir/f.toml:1: on: found 1; allowed: true | false"},
      {"mode = \"fas\"", "dir/f.toml:1: mode: found \"fas\"; allowed: slow | fast (nearest: fast)"},
      {"share = 1.5", "dir/f.toml:1: share: found 1.5; allowed: a number, 0 to 1"},
      {"share = nan", "dir/f.toml:1: share: found nan; allowed: a number, 0 to 1"},
      {"[maybe]", "dir/f.toml:1: maybe.path: found nothing; allowed: this key is needed"},
      {"[[many]]\nname = \"a\"\nrate = \"5/x\"",
       "dir/f.toml:3: many.rate: found \"5/x\"; allowed: a rate as \"100/s\", \"100/m\" or "
       "\"100/h\""},
      {"[[many]]\nname = \"a\"\nhosts = [\"\"]",
       "dir/f.toml:3: many.hosts: found \"\"; allowed: a name"},
      {"many = 3", "dir/f.toml:1: many: found 3; allowed: [[many]] tables"},
      {"port = 1\non = true", "dir/f.toml:2: on: found true; allowed: false with port 1"},
      {"ttl = { 404 = 3 }", "dir/f.toml:1: ttl.404: found 3; allowed: a duration as \"250ms\""},
  };
  for (const Row& row : rows) CHECK(errors_of(row.text) == std::vector<std::string>{row.error});
}

TEST_CASE("settings: all errors are told at once") {
  CHECK(errors_of("a = 1\nport = -1\nwait = 3\n[[many]]\n").size() == 4);
}

TEST_CASE("settings: a syntax error has its place") {
  const auto errors = errors_of("port = 1\nwait = = 2\n");
  REQUIRE(errors.size() == 1);
  CHECK(errors[0].rfind("dir/f.toml:2:8: ", 0) == 0);
  CHECK(errors_of("port = 1\nport = 2\n").size() == 1);
  CHECK(errors_of("[#one]\n").size() == 1);
}

TEST_CASE("settings: a flag overrides the file and its path starts where the command runs") {
  Diagnostics diagnostics;
  auto tree = text::parse_toml("port = 1\n[maybe]\npath = \"p\"\n", "dir/f.toml", diagnostics);
  Tree flags;
  flags.at("maybe").at("path") = Tree::string("q");
  override_tree(*tree, flags);
  Outer outer;
  CHECK(read_settings(*tree, "dir/f.toml", outer, diagnostics));
  CHECK(outer.maybe->path == "q");
  CHECK(outer.port == 1);
}

TEST_CASE("settings: the document shows key, default, bounds and help") {
  Outer outer;
  const std::string text =
      settings_markdown("Outer", [&outer](SettingGroup& g) { outer.declare(g); });
  CHECK(text.find("| `port` | integer | `80` | 0 to 65535 | a port |") != std::string::npos);
  CHECK(text.find("| `mode` | text | `\"slow\"` | slow \\| fast | which |") != std::string::npos);
  CHECK(text.find("### `[[many]]`") != std::string::npos);
  CHECK(text.find("exists only when written") != std::string::npos);
}
