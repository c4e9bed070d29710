#include "core/base/result.h"

#include <catch2/catch.hpp>
#include <cerrno>
#include <memory>

using bw::Error;
using bw::Result;

TEST_CASE("result: holds a value or the reason there is none") {
  Result<int> good = 7;
  REQUIRE(good.ok());
  CHECK(*good == 7);
  Result<int> bad = Error{.kind = Error::Kind::timeout, .text = "connect"};
  REQUIRE_FALSE(bad.ok());
  CHECK(bad.error().kind == Error::Kind::timeout);
}

TEST_CASE("result: moves out what cannot be copied") {
  Result<std::unique_ptr<int>> made = std::make_unique<int>(3);
  std::unique_ptr<int> taken = *std::move(made);
  CHECK(*taken == 3);
}

TEST_CASE("result: one line tells text, kind and the system's word") {
  CHECK(describe(bw::errno_error(13, "open log")) == "open log (io, code 13: Permission denied)");
  CHECK(describe(Error{.kind = Error::Kind::malformed, .text = "chunk size"}) ==
        "chunk size (malformed)");
}

TEST_CASE("result: a full disk is a kind of its own, every other errno is io") {
  for (const int code : {ENOSPC, EDQUOT}) {
    CHECK(bw::errno_error(code, "write").kind == Error::Kind::no_space);
  }
  CHECK(bw::errno_error(EIO, "write").kind == Error::Kind::io);
  CHECK(bw::errno_error(EACCES, "write", Error::Side::storage).side == Error::Side::storage);
}
