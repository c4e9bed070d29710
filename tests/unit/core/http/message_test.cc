#include "core/http/message.h"

#include <catch2/catch.hpp>

using bw::http::FieldList;
using bw::http::RequestHead;

TEST_CASE("message: path and query split at the first question mark") {
  RequestHead head;
  head.target = "/a/b?c?d";
  CHECK(head.path() == "/a/b");
  CHECK(head.query() == "c?d");
  head.target = "/a";
  CHECK(head.path() == "/a");
  CHECK_FALSE(head.query().has_value());
  head.target = "/a?";
  CHECK(head.query() == "");
}

TEST_CASE("message: hop-by-hop fields and those that Connection names are removed") {
  FieldList fields;
  for (std::string_view name : {"Connection", "Keep-Alive", "TE", "Trailer", "Upgrade", "X-Mine",
                                "Proxy-Connection", "Transfer-Encoding", "X-Kept"}) {
    fields.add(name, name == "Connection" ? "close,  X-Mine ,," : "v");
  }
  bw::http::remove_hop_by_hop(fields);
  REQUIRE(fields.size() == 1);
  CHECK(fields[0].name == "x-kept");
}

TEST_CASE("message: HEAD, 1xx, 204 and 304 have no body") {
  CHECK(bw::http::response_has_body("GET", 200));
  CHECK_FALSE(bw::http::response_has_body("HEAD", 200));
  CHECK_FALSE(bw::http::response_has_body("GET", 204));
  CHECK_FALSE(bw::http::response_has_body("GET", 304));
  CHECK_FALSE(bw::http::response_has_body("GET", 103));
  CHECK_FALSE(bw::http::response_has_body("CONNECT", 200));
  CHECK(bw::http::response_has_body("CONNECT", 405));
}
