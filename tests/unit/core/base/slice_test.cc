#include "core/base/slice.h"

#include <catch2/catch.hpp>
#include <thread>
#include <vector>

using namespace bw;

namespace {

class Owner final : public Pinned {
 public:
  explicit Owner(int& gone) : gone_(gone) {}
  const char bytes[6] = "bytes";

 private:
  ~Owner() override { ++gone_; }
  int& gone_;
};

}  // namespace

TEST_CASE("slice: its owner lives until the last slice goes") {
  int gone = 0;
  Slice part;
  {
    Ref<Owner> owner(new Owner(gone));
    CHECK(owner->pins() == 1);
    const Slice whole(owner, owner->bytes, 5);
    CHECK(owner->pins() == 2);
    part = whole.part(1, 3);
    CHECK(owner->pins() == 3);
  }
  CHECK(gone == 0);
  CHECK(part.view() == "yte");
  Slice moved = std::move(part);
  moved.remove_prefix(2);
  CHECK(moved.view() == "e");
  CHECK(gone == 0);
  moved = Slice();
  CHECK(gone == 1);
}

TEST_CASE("slice: copies are its own, static bytes pin nothing, empty ones neither") {
  std::string text = "text";
  const Slice copy = Slice::copy_of(text);
  text = "gone";
  CHECK(copy.view() == "text");
  CHECK(Slice::of_static("static").view() == "static");
  CHECK(Slice::copy_of("").empty());
  CHECK(Slice().view().empty());
  CHECK(copy.part(4, 0).empty());
  CHECK(copy.part(0, 4).view() == "text");
}

TEST_CASE("slice: references are swapped, compared and given up exactly once") {
  int gone = 0;
  Ref<Owner> a(new Owner(gone));
  Ref<Owner> b = a;
  CHECK(a == b);
  b = b;
  CHECK(a->pins() == 2);
  const Ref<const Pinned> base = a;
  CHECK(a->pins() == 3);
  b = Ref<Owner>(new Owner(gone));
  CHECK_FALSE(a == b);
  CHECK(a->pins() == 2);
  a = std::move(b);
  CHECK_FALSE(b);
  CHECK(gone == 0);  // base still holds the first
  a = Ref<Owner>();
  CHECK(gone == 1);
}

TEST_CASE("slice: threads may share an owner") {
  int gone = 0;
  {
    Ref<Owner> owner(new Owner(gone));
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([held = owner] {
        for (int i = 0; i < 10'000; ++i) {
          const Slice slice(held, held->bytes, 5);
          if (slice.part(0, 2).view() != "by") std::abort();
        }
      });
    }
    owner = Ref<Owner>();
    for (std::thread& thread : threads) thread.join();
  }
  CHECK(gone == 1);
}
