#include "core/base/task.h"

#include <array>
#include <catch2/catch.hpp>
#include <memory>
#include <string>

using bw::Task;
using bw::UniqueFunction;

TEST_CASE("task: what is held is destroyed once, moved or not, small or large") {
  const auto count = std::make_shared<int>(0);
  {
    Task small = [count] { ++*count; };
    Task large = [count, room = std::array<char, 200>{}] { *count += 10 + room[7]; };
    CHECK(count.use_count() == 3);
    Task moved = std::move(small);
    CHECK_FALSE(static_cast<bool>(small));
    moved();
    large();
    CHECK(*count == 11);
    moved = std::move(large);
    CHECK(count.use_count() == 2);
    moved();
    CHECK(*count == 21);
    moved = nullptr;
    CHECK(count.use_count() == 1);
    CHECK_FALSE(static_cast<bool>(moved));
  }
  CHECK(count.use_count() == 1);
}

TEST_CASE("task: move-only things may be held, taken and answered") {
  UniqueFunction<std::unique_ptr<int>(std::unique_ptr<int>)> add =
      [one = std::make_unique<int>(1)](std::unique_ptr<int> to) {
        *to += *one;
        return to;
      };
  CHECK(*add(std::make_unique<int>(2)) == 3);
}

TEST_CASE("task: what assignment replaces may look at the function while it goes") {
  struct Looks {
    Task* task = nullptr;
    bool* empty = nullptr;
    ~Looks() {
      if (task != nullptr) *empty = !static_cast<bool>(*task);
    }
  };
  bool empty = true;
  Task task;
  auto looks = std::make_unique<Looks>();
  looks->task = &task;
  looks->empty = &empty;
  task = [held = std::move(looks)] {};
  task = [] {};
  CHECK_FALSE(empty);
}
