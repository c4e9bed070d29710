#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <fstream>

#include "cli/commands.h"
#include "purge/token.h"
#include "tests/support/temp_dir.h"

using namespace bw;
using namespace bw::cli;

namespace {

std::string write(const std::string& path, std::string_view text) {
  std::ofstream(path) << text;
  return path;
}
std::string read(const std::string& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}
std::string between(const std::string& text, std::string_view from, std::string_view to) {
  const size_t start = text.find(from) + from.size();
  return text.substr(start, text.find(to, start) - start);
}

}  // namespace

TEST_CASE("check: a good file says for which program, a bad one every error with its line") {
  test::TempDir dir;
  const std::string good = write(dir / "good.toml",
                                 "[[listen]]\naddress = \"127.0.0.1:0\"\n"
                                 "[[site]]\nname = \"s\"\nhosts = [\"*\"]\n"
                                 "origins = [\"http://127.0.0.1:9000\"]\n");
  const Outcome fine = run_check({.file = good});
  CHECK(fine.code == 0);
  CHECK(fine.out == good + ": good for edge\n");
  CHECK(fine.err.empty());

  const std::string bad = write(dir / "bad.toml",
                                "[memory]\nsize = \"2 potatoes\"\nsizee = 1\n"
                                "[[site]]\nname = \"s\"\nhosts = [\"*\"]\norigins = []\n");
  const Outcome wrong = run_check({.file = bad});
  CHECK(wrong.code == 2);
  CHECK(wrong.out.empty());
  CHECK(wrong.err.find("bad.toml:2") != std::string::npos);
  CHECK(wrong.err.find("bad.toml:3") != std::string::npos);
  CHECK(wrong.err.find("potatoes") != std::string::npos);
}

TEST_CASE("check: no file, no TOML, no program are each 2 with a line") {
  test::TempDir dir;
  const Outcome none = run_check({.file = dir / "none.toml"});
  CHECK(none.code == 2);
  CHECK(none.err.find("none.toml") != std::string::npos);
  const Outcome syntax = run_check({.file = write(dir / "syntax.toml", "[a\n")});
  CHECK(syntax.code == 2);
  CHECK(syntax.err.find("syntax.toml:1") != std::string::npos);
  const Outcome unknown =
      run_check({.file = write(dir / "unknown.toml", "[node]\nname = \"a\"\n")});
  CHECK(unknown.code == 2);
  CHECK(unknown.err.find("--for") != std::string::npos);
}

TEST_CASE("token new: the secret hashes to the table that is printed") {
  SeededRandom random(1);
  const Outcome shown =
      run_token_new({.name = "ci", .sites = {"shop"}, .scopes = {"read"}}, random);
  CHECK(shown.code == 0);
  const std::string secret = "bw_" + between(shown.out, "# bw_", "\n");
  const auto hash = purge::parse_token_hash(between(shown.out, "hash = \"", "\""));
  REQUIRE(hash);
  CHECK((sha256(secret) == hash));
  CHECK(shown.out.find("name = \"ci\"\n") != std::string::npos);
  CHECK(shown.out.find("sites = [\"shop\"]\nscopes = [\"read\"]\n") != std::string::npos);
  CHECK(run_token_new({}, random).out != run_token_new({}, random).out);
}

TEST_CASE("token new: a file for the secret is private and never overwritten") {
  test::TempDir dir;
  SeededRandom random(1);
  const TokenOptions options{.out = dir / "ops.token"};
  const Outcome made = run_token_new(options, random);
  CHECK(made.code == 0);
  const std::string secret = read(dir / "ops.token");
  CHECK(secret.starts_with("bw_"));
  CHECK(made.out.find("bw_") == std::string::npos);
  struct stat info {};
  REQUIRE(::stat((dir / "ops.token").c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0600);
  const Outcome again = run_token_new(options, random);
  CHECK(again.code == 1);
  CHECK(read(dir / "ops.token") == secret);
  CHECK(run_token_new({.scopes = {"purge:everything"}}, random).code == 2);
  CHECK(run_token_new({.name = "a\"b"}, random).code == 2);
}

TEST_CASE("geodb build: a database of lines, or the line that is wrong") {
  test::TempDir dir;
  const std::string lines = write(dir / "a.csv", "192.0.2.0/24,DE,64500\n2001:db8::/32,US\n");
  const Outcome built = run_geodb_build({.from = lines, .out = dir / "a.mmdb"});
  CHECK(built.code == 0);
  CHECK(read(dir / "a.mmdb").size() > 64);
  const std::string bad = write(dir / "b.csv", "192.0.2.0/24,DE\nnonsense\n");
  const Outcome wrong = run_geodb_build({.from = bad, .out = dir / "b.mmdb"});
  CHECK(wrong.code != 0);
  CHECK(wrong.err.find("b.csv:2") != std::string::npos);
  CHECK(run_geodb_build({.from = dir / "no.csv", .out = dir / "c.mmdb"}).code == 1);
}
