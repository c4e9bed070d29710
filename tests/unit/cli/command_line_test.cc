#include "cli/command_line.h"

#include <catch2/catch.hpp>
#include <cstdlib>

using namespace bw;
using namespace bw::cli;

namespace {

// The command's options, when that is what the words ask for.
template <typename T>
T asked(const std::vector<std::string>& words) {
  const CommandLine line = parse_command_line(words);
  INFO(line.outcome.err);
  REQUIRE(line.command);
  REQUIRE(std::holds_alternative<T>(*line.command));
  return std::get<T>(*line.command);
}

}  // namespace

TEST_CASE("command line: wrong usage says what is wrong on stderr, and is 2") {
  struct Row {
    std::vector<std::string> words;
    std::string_view says;
  };
  const Row rows[] = {
      {{}, "subcommand is required"},
      {{"edgy"}, "did you mean 'edge'?"},
      {{"edge", "--listne", "127.0.0.1:1"}, "--listne"},
      {{"edge", "--listen"}, "--listen"},
      {{"edge", "--workers", "many"}, "--workers"},
      {{"geodns"}, "--config"},
      {{"check"}, "FILE"},
      {{"check", "--for", "nginx", "f"}, "--for"},
      {{"check", "a", "b"}, "b"},
      {{"purge", "--site", "s", "--tag", "t"}, "--control"},
      {{"purge", "--control", "http://h", "--tag", "t"}, "--site"},
      {{"purge", "--control", "http://h", "--site", "s", "--wait", "some"}, "--wait"},
      {{"purge", "--control", "http://h", "--site", "s", "--timeout", "2"}, "--timeout"},
      {{"purge", "--control", "http://h", "--site", "s", "--timeout", "2m"}, "--timeout"},
      {{"purge", "--control", "http://h", "--site", "s", "--soft", "--hard"}, "--soft"},
      {{"explain", "--admin", "http://h"}, "URL"},
      {{"explain", "http://h/"}, "--admin"},
      {{"status"}, "--admin or --control"},
      {{"token"}, "subcommand is required"},
      {{"lab", "--replay", "t", "--max-object", "much"}, "--max-object"},
      {{"geodb", "build", "--from", "x"}, "--out"},
      // Not there yet, and then not known.
      {{"drain"}, "drain"},
      {{"purge", "--control", "http://h", "--site", "s", "--dry-run"}, "--dry-run"},
  };
  for (const Row& row : rows) {
    INFO(row.says);
    const CommandLine line = parse_command_line(row.words);
    CHECK_FALSE(line.command);
    CHECK(line.outcome.code == 2);
    CHECK(line.outcome.out.empty());
    CHECK(line.outcome.err.find(row.says) != std::string::npos);
  }
}

TEST_CASE("command line: help goes to stdout, is 0, and names every command") {
  for (const char* flag : {"--help", "-h"}) {
    const CommandLine line = parse_command_line({flag});
    CHECK(line.outcome.code == 0);
    CHECK(line.outcome.err.empty());
    for (const char* name : {"edge", "purged", "geodns", "origin", "lab", "check", "purge",
                             "explain", "status", "token", "geodb", "Exit codes"}) {
      INFO(name);
      CHECK(line.outcome.out.find(name) != std::string::npos);
    }
  }
  const CommandLine purge = parse_command_line({"purge", "--help"});
  CHECK(purge.outcome.code == 0);
  CHECK(purge.outcome.out.find("--wait") != std::string::npos);
  for (const char* name : {"purged", "purge", "status"}) {
    INFO(name << ": the whole program's last words are not each command's");
    const CommandLine help = parse_command_line({name, "--help"});
    CHECK(help.outcome.out.find("A first look") == std::string::npos);
  }
  CHECK(parse_command_line({"--version"}).outcome.out.starts_with("breakwater "));
}

TEST_CASE("command line: an edge without a file") {
  const auto flags = asked<edge::EdgeFlags>(
      {"edge", "--listen", "127.0.0.1:0", "--listen", "https://127.0.0.1:0", "--origin",
       "http://127.0.0.1:9000", "--workers", "2", "--site", "shop=a.example,b.example"});
  CHECK(flags.listen == std::vector<std::string>{"127.0.0.1:0", "https://127.0.0.1:0"});
  CHECK(flags.origin == std::vector<std::string>{"http://127.0.0.1:9000"});
  CHECK(flags.workers == 2);
  CHECK(flags.site == std::vector<std::string>{"shop=a.example,b.example"});
  CHECK(flags.config.empty());
}

TEST_CASE("command line: programs take their flags") {
  const auto purged = asked<purge::PurgedOptions>(
      {"purged", "--listen", "127.0.0.1:0", "--data", "log", "--token-file", "t", "--site", "a=b"});
  CHECK(purged.data == "log");
  CHECK(purged.token_file == "t");
  CHECK(purged.sites == std::vector<std::string>{"a=b"});
  const auto origin = asked<origin::OriginOptions>(
      {"origin", "--listen", "127.0.0.1:0", "--products", "100", "--static", "www"});
  CHECK(origin.products == 100);
  CHECK(origin.static_files == "www");
  const auto geodns = asked<geo::GeodnsOptions>({"geodns", "--config", "g.toml"});
  CHECK(geodns.config_file == "g.toml");
  CHECK(asked<LabOptions>({"lab", "--check"}).check);
  CHECK(parse_command_line({"lab", "--check", "--replay", "t"}).outcome.code == 2);
  CHECK(asked<LabOptions>({"lab", "--replay", "t", "--max-object", "1MiB"}).max_object == 1 << 20);
}

TEST_CASE("command line: a purge") {
  const auto purge = asked<PurgeOptions>({"purge", "--control", "http://127.0.0.1:9443",
                                          "--token-file", "ops.token", "--site", "shop", "--tag",
                                          "a", "--tag", "b", "--url", "http://h/p?*", "--soft",
                                          "--wait", "all", "--timeout", "500ms", "--json"});
  CHECK(purge.service.url == "http://127.0.0.1:9443");
  CHECK(purge.service.token_file == "ops.token");
  CHECK(purge.tags == std::vector<std::string>{"a", "b"});
  CHECK(purge.urls == std::vector<std::string>{"http://h/p?*"});
  CHECK(purge.soft);
  CHECK(purge.wait == "all");
  CHECK(purge.timeout == std::chrono::milliseconds(500));
  CHECK(purge.json);
}

TEST_CASE("command line: the environment stands in for what isn't given") {
  ::setenv("BREAKWATER_ADMIN", "http://127.0.0.1:1", 1);
  ::setenv("BREAKWATER_TOKEN_FILE", "env.token", 1);
  const auto explain = asked<ExplainOptions>({"explain", "http://h/"});
  CHECK(explain.admin.url == "http://127.0.0.1:1");
  CHECK(explain.admin.token_file == "env.token");
  CHECK(asked<StatusOptions>({"status", "--admin", "http://h:2"}).admin.url == "http://h:2");
  ::unsetenv("BREAKWATER_ADMIN");
  ::unsetenv("BREAKWATER_TOKEN_FILE");
}

TEST_CASE("command line: a service that is named beats a node that the environment names") {
  ::setenv("BREAKWATER_ADMIN", "http://127.0.0.1:9180", 1);
  const auto all = asked<StatusOptions>({"status", "--control", "http://127.0.0.1:9443"});
  CHECK(all.control == "http://127.0.0.1:9443");
  CHECK(all.admin.url.empty());
  const CommandLine both = parse_command_line(
      {"status", "--control", "http://127.0.0.1:9443", "--admin", "http://127.0.0.1:9280"});
  CHECK_FALSE(both.command);
  CHECK(both.outcome.code == 2);
  ::unsetenv("BREAKWATER_ADMIN");
}
