#include "core/base/reload_turns.h"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

namespace bw {
namespace {

struct Scene {
  int begun = 0;
  bool fails_at_once = false;
  std::vector<std::string> told;
  ReloadTurns turns{[this] {
    ++begun;
    if (fails_at_once) turns.over("no room");
  }};

  void ask(const std::string& who) {
    turns.ask([this, who](const std::string& wrong) { told.push_back(who + ":" + wrong); });
  }
};
using Told = std::vector<std::string>;

}  // namespace

TEST_CASE("reload turns: who asks during one is answered by the next, all of them by one") {
  Scene scene;
  scene.ask("a");
  CHECK(scene.begun == 1);
  scene.ask("b");
  scene.ask("c");
  CHECK(scene.begun == 1);
  scene.turns.over("wrong");
  CHECK(scene.told == Told{"a:wrong"});
  CHECK(scene.begun == 2);
  scene.turns.over();
  CHECK(scene.told == Told{"a:wrong", "b:", "c:"});
  CHECK(scene.begun == 2);
}

TEST_CASE("reload turns: something else may take a turn, and a reload follows it") {
  Scene scene;
  REQUIRE(scene.turns.try_take());
  CHECK_FALSE(scene.turns.try_take());
  scene.ask("a");
  CHECK(scene.begun == 0);
  scene.turns.over();
  CHECK(scene.begun == 1);
  CHECK(scene.told.empty());
  CHECK_FALSE(scene.turns.try_take());
  scene.turns.over();
  CHECK(scene.told == Told{"a:"});
  CHECK(scene.turns.try_take());
}

TEST_CASE("reload turns: one that can't begin answers, and leaves the turn free") {
  Scene scene;
  scene.fails_at_once = true;
  scene.ask("a");
  scene.ask("b");
  CHECK(scene.told == Told{"a:no room", "b:no room"});
  CHECK(scene.begun == 2);
  CHECK(scene.turns.try_take());
}

TEST_CASE("reload turns: who is answered may ask again") {
  Scene scene;
  scene.turns.ask([&](const std::string&) { scene.ask("again"); });
  scene.turns.over();
  CHECK(scene.begun == 2);
  scene.turns.over();
  CHECK(scene.told == Told{"again:"});
}

}  // namespace bw
