#include "purge/receipt_times.h"

#include <catch2/catch.hpp>

using namespace bw;
using namespace bw::purge;

namespace {
MonoTime at(int64_t ms) { return MonoTime{0} + Duration(std::chrono::milliseconds(ms)); }
Position place(uint64_t sequence) { return Position::of(1, sequence); }
}  // namespace

TEST_CASE("receipt times: a node has a purge from the first beat that covers its last position") {
  ReceiptTimes times;
  times.durable(place(3), at(100));
  times.durable(place(5), at(200));
  times.applied(7, {}, place(2), at(201));
  CHECK(times.times() == 0);
  times.applied(7, place(2), place(4), at(205));
  times.applied(7, place(4), place(5), at(300));
  times.applied(8, {}, place(9), at(400));
  CHECK(times.durable_at(place(3)) == at(100));
  CHECK_FALSE(times.durable_at(place(4)));
  CHECK(times.applied_at(place(3)).at(7) == at(205));
  CHECK(times.applied_at(place(5)).at(7) == at(300));
  CHECK(times.applied_at(place(5)).at(8) == at(400));
  CHECK(times.applied_at(place(4)).empty());
  times.applied(7, place(1), place(5), at(900));  // went back, and came again
  CHECK(times.applied_at(place(3)).at(7) == at(205));
}

TEST_CASE("receipt times: many purges or many nodes cost the oldest their times, and no memory") {
  ReceiptTimes times;
  for (uint64_t i = 1; i <= ReceiptTimes::kMaxPurges + 10; ++i) times.durable(place(i), at(0));
  CHECK(times.purges() == ReceiptTimes::kMaxPurges);
  CHECK_FALSE(times.durable_at(place(10)));
  CHECK(times.durable_at(place(11)));
  for (uint32_t node = 0; node < 12; ++node) {
    times.applied(node, {}, place(ReceiptTimes::kMaxPurges + 10), at(1));
    REQUIRE(times.times() <= ReceiptTimes::kMaxTimes);
  }
  CHECK(times.purges() > 0);
  CHECK(times.applied_at(place(ReceiptTimes::kMaxPurges + 10)).size() == 12);
}
