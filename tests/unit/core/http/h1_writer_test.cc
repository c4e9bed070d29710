#include "core/http/h1_writer.h"

#include <catch2/catch.hpp>

using namespace bw::http;

TEST_CASE("h1 writer: a request's framing and Host are its own, whatever its fields say") {
  RequestHead head;
  head.method = "POST";
  head.authority = "a.example:81";
  head.target = "/x?y";
  head.has_body = true;
  for (std::string_view name : {"Host", "Content-Length", "Transfer-Encoding", "Connection",
                                "Keep-Alive", "Upgrade", "Proxy-Connection"}) {
    head.fields.add(name, "1");
  }
  head.fields.add("X-A", "b");
  std::string out;
  REQUIRE(append_request_head(out, head, false));
  CHECK(out ==
        "POST /x?y HTTP/1.1\r\nhost: a.example:81\r\nx-a: b\r\ntransfer-encoding: chunked\r\n\r\n");
  head.content_length = 7;
  head.fields.clear();
  head.fields.add(FieldId::te, "trailers");
  out.clear();
  REQUIRE(append_request_head(out, head, true));
  CHECK(out ==
        "POST /x?y HTTP/1.1\r\nhost: a.example:81\r\nte: trailers\r\ncontent-length: 7\r\n"
        "connection: te, close\r\n\r\n");
}

TEST_CASE("h1 writer: nothing that would end a line is ever sent") {
  RequestHead head;
  head.method = "GET";
  head.authority = "a";
  head.target = "/";
  head.fields.add("x-bad", "a\r\nx-injected: 1");
  head.fields.add("x bad", "a");
  head.fields.add("x-nul", std::string_view("a\0b", 3));
  std::string out;
  REQUIRE(append_request_head(out, head, false));
  CHECK(out == "GET / HTTP/1.1\r\nhost: a\r\n\r\n");
  for (std::string_view target : {"/a b", "/a\r\nb", "", "a"}) {
    head.target = target;
    CHECK_FALSE(append_request_head(out, head, false));
  }
  head.target = "/";
  head.authority = "a\r\nb";
  CHECK_FALSE(append_request_head(out, head, false));
}

TEST_CASE("h1 writer: responses get Date, framing and Connection; chunks and trailers end lines") {
  ResponseHead head;
  head.status = 200;
  head.fields.add("Content-Length", "9");
  head.fields.add("X-A", "b");
  std::string out;
  append_response_head(out, head, H1Framing::length, 5, "close", "D");
  CHECK(out ==
        "HTTP/1.1 200 OK\r\nx-a: b\r\ndate: D\r\ncontent-length: 5\r\nconnection: close\r\n\r\n");
  out.clear();
  append_chunk_size(out, 255);
  FieldList trailers;
  trailers.add("x-sum", "1");
  trailers.add("content-length", "1");
  append_last_chunk(out, &trailers);
  CHECK(out == "ff\r\n0\r\nx-sum: 1\r\n\r\n");
}
