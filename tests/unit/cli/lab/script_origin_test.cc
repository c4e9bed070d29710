#include "cli/lab/script_origin.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <set>
#include <thread>

#include "cli/lab/client.h"
#include "cli/lab/pattern.h"
#include "core/net/cert_maker.h"

using namespace bw;
using namespace bw::cli;

namespace {

struct Desk {
  SystemClock clock;
  std::string why;
  std::unique_ptr<ScriptOrigin> origin = ScriptOrigin::make(clock, &why);
  std::unique_ptr<Client> client;

  Desk() {
    REQUIRE(origin != nullptr);
    const auto ca = net::make_ca("test", 1);
    REQUIRE(ca.ok());
    std::string file = (std::filesystem::temp_directory_path() / "bw-lab-XXXXXX").string();
    const int fd = ::mkstemp(file.data());
    REQUIRE(fd >= 0);
    std::ofstream(file) << ca->cert_pem;
    client = Client::make(clock, file, &why);
    std::filesystem::remove(file);
    INFO(why);
    REQUIRE(client != nullptr);
  }
  Ask ask(std::string target) const {
    return Ask{.to = origin->address(), .host = "origin.test", .target = std::move(target)};
  }
};

}  // namespace

TEST_CASE("lab: a slow object's second half waits until all have seen the first") {
  Desk desk;
  std::atomic<size_t> begun{0};
  std::vector<Ask> asks(40, desk.ask("/slow/a"));
  for (Ask& ask : asks) {
    ask.on_first_byte = [&] {
      if (++begun == asks.size()) desk.origin->release("/slow/a");
    };
  }
  for (const Got& got : desk.client->ask_all(asks)) {
    CHECK(got.status == 200);
    CHECK_FALSE(got.error.has_value());
    CHECK(got.body.size() == asks.size() - 8);
  }
  CHECK(desk.origin->count("/slow/a") == 40);
}

TEST_CASE("lab: private answers wait until so many are under way, and differ") {
  Desk desk;
  desk.origin->gather("/private/a", 9);
  desk.origin->release("/private/a");
  std::set<std::string> bodies;
  for (const Got& got : desk.client->ask_all(std::vector<Ask>(10, desk.ask("/private/a")))) {
    bodies.insert(got.body);
  }
  CHECK(bodies.size() == 10);
}

TEST_CASE("lab: large bodies are exact both ways, and an upload waits for the origin") {
  Desk desk;
  Ask giant = desk.ask("/giant?size=9000001");
  bool exact = true;
  giant.on_piece = [&](uint64_t offset, std::string_view piece) {
    exact = exact && is_pattern(offset, piece);
  };
  const Got got = desk.client->ask(giant);
  CHECK(got.size == 9000001);
  CHECK(exact);
  Ask upload = desk.ask("/upload");
  upload.method = "POST";
  upload.upload = 9000001;
  desk.origin->release("/upload");
  CHECK(desk.client->ask(upload).body == "9000001 exact");
  CHECK(desk.origin->uploaded() == 9000001);
}

TEST_CASE("lab: a flow keeps its seats taken and brings every answer once") {
  Desk desk;
  size_t asked = 0;
  std::multiset<std::string> bodies;
  desk.client->flow(
      7,
      [&](Ask& ask) {
        if (asked == 100) return false;
        ask = desk.ask("/fresh/" + std::to_string(asked++));
        return true;
      },
      [&](const Ask& ask, const Got& got) {
        CHECK(got.status == 200);
        CHECK(got.body == ask.target + " 1");
        bodies.insert(got.body);
      });
  CHECK(bodies.size() == 100);
}

TEST_CASE("lab: pattern tells a shifted or changed byte") {
  std::string bytes(1000, '\0');
  fill_pattern(13, bytes.data(), bytes.size());
  CHECK(is_pattern(13, bytes));
  CHECK_FALSE(is_pattern(14, bytes));
  bytes[777] = static_cast<char>(bytes[777] ^ 1);
  CHECK_FALSE(is_pattern(13, bytes));
}
