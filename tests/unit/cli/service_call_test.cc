#include "cli/service_call.h"

#include <catch2/catch.hpp>

using namespace bw;
using namespace bw::cli;

TEST_CASE("service place: URLs of every form we document, and none other") {
  struct Row {
    std::string_view url;
    std::optional<ServicePlace> place;
  };
  const Row rows[] = {
      {"http://127.0.0.1:9180", ServicePlace{false, "127.0.0.1", 9180, "127.0.0.1:9180", ""}},
      {"127.0.0.1:9180/", ServicePlace{false, "127.0.0.1", 9180, "127.0.0.1:9180", ""}},
      {"https://Purge.example", ServicePlace{true, "purge.example", 443, "purge.example", ""}},
      {"http://[::1]:8080", ServicePlace{false, "::1", 8080, "[::1]:8080", ""}},
      {"https://[2001:db8::1]", ServicePlace{true, "2001:db8::1", 443, "[2001:db8::1]", ""}},
      {"unix:/run/bw.sock", ServicePlace{false, "", 0, "localhost", "/run/bw.sock"}},
      {"", std::nullopt},
      {"unix:", std::nullopt},
      {"ftp://h", std::nullopt},
      {"http://h/path", std::nullopt},
      {"http://h:99999", std::nullopt},
      {"http://user@h", std::nullopt},
  };
  for (const Row& row : rows) {
    INFO(row.url);
    CHECK((parse_service_place(row.url) == row.place));
  }
}

TEST_CASE("service call: nobody there, a bad URL and a missing token are each one line") {
  std::string why;
  CHECK_FALSE(call_service({.url = "unix:nobody.sock"}, {.target = "/v1/status"}, &why));
  CHECK(why.find("unix:nobody.sock: ") == 0);
  CHECK_FALSE(call_service({.url = "no url"}, {.target = "/"}, &why));
  CHECK(why.find("no url: ") == 0);
  CHECK_FALSE(
      call_service({.url = "http://127.0.0.1:1", .token_file = "no.token"}, {.target = "/"}, &why));
  CHECK(why.find("no.token: ") == 0);
}
