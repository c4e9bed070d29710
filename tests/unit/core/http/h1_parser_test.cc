#include "core/http/h1_parser.h"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "tests/support/h1_trace.h"

using bw::http::H1Limits;
using bw::http::H1ResponseParser;
using bw::http::testing::RequestReader;
using bw::http::testing::trace_of;

namespace {

std::string request(const std::vector<std::string_view>& pieces, H1Limits limits = {}) {
  RequestReader parser(limits, "http");
  return trace_of(parser, pieces);
}

std::string response(const std::vector<std::string_view>& pieces, std::string_view method = "GET",
                     H1Limits limits = {}) {
  H1ResponseParser parser(limits);
  parser.expect(method);
  return trace_of(parser, pieces);
}

std::vector<std::string_view> single_bytes(std::string_view text) {
  std::vector<std::string_view> pieces;
  for (size_t i = 0; i < text.size(); ++i) pieces.push_back(text.substr(i, 1));
  return pieces;
}

// The trace of the whole, after proving that each cut in two and a cut everywhere give the same.
template <typename Parse>
std::string same_when_cut(std::string_view text, Parse parse) {
  const std::string whole = parse(std::vector<std::string_view>{text});
  for (size_t i = 0; i <= text.size(); ++i) {
    if (parse(std::vector<std::string_view>{text.substr(0, i), text.substr(i)}) != whole) {
      FAIL("cut at " << i << " of:\n" << text);
    }
  }
  CHECK(parse(single_bytes(text)) == whole);
  return whole;
}

std::string cut_request(std::string_view text, H1Limits limits = {}) {
  return same_when_cut(text, [&](const auto& pieces) { return request(pieces, limits); });
}
std::string cut_response(std::string_view text, std::string_view method = "GET",
                         H1Limits limits = {}) {
  return same_when_cut(text, [&](const auto& pieces) { return response(pieces, method, limits); });
}

std::string failed(int status, std::string_view text) {
  return "failed " + std::to_string(status) + " " + std::string(text) + "\n";
}

}  // namespace

TEST_CASE("h1 request: valid messages are read the same however they are cut") {
  struct Row {
    std::string_view text;
    std::string_view trace;
  };
  const Row rows[] = {
      {"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n",
       "head GET http a.example / HTTP/1.1 {} ? keep\nend {}\n"},
      {"\r\nGET /a?b=c HTTP/1.1\r\nHOST:A.Example:80 \r\nX-One:\t two \t\r\nEmpty:\r\n\r\n",
       "head GET http a.example:80 /a?b=c HTTP/1.1 {x-one=two;empty=;} ? keep\nend {}\n"},
      {"GET http://B.example/x HTTP/1.1\r\nHost: a.example\r\n\r\n",
       "head GET http b.example /x HTTP/1.1 {} ? keep\nend {}\n"},
      {"GET HTTPS://b.example?q HTTP/1.1\r\nHost: b.example\r\n\r\n",
       "head GET http b.example /?q HTTP/1.1 {} ? keep\nend {}\n"},
      {"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
       "head OPTIONS http a * HTTP/1.1 {} ? keep\nend {}\n"},
      {"OPTIONS http://a HTTP/1.1\r\nHost: a\r\n\r\n",
       "head OPTIONS http a * HTTP/1.1 {} ? keep\nend {}\n"},
      {"CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n",
       "head CONNECT http a.example:443  HTTP/1.1 {} ? keep\nend {}\n"},
      {"GET / HTTP/1.1\r\nHost: [2001:DB8::1]:8080\r\n\r\n",
       "head GET http [2001:db8::1]:8080 / HTTP/1.1 {} ? keep\nend {}\n"},
      {"GET / HTTP/1.1\r\nHost: a:\r\nConnection: foo, Close\r\n\r\n",
       "head GET http a / HTTP/1.1 {connection=foo, Close;} ? close\nend {}\n"},
      {"GET / HTTP/1.0\r\n\r\n", "head GET http  / HTTP/1.0 {} ? close\nend {}\n"},
      {"GET / HTTP/1.0\r\nHost: a\r\nConnection: Keep-Alive\r\n\r\n",
       "head GET http a / HTTP/1.0 {connection=Keep-Alive;} ? keep\nend {}\n"},
      {"GET / HTTP/1.7\r\nHost: a\r\n\r\n", "head GET http a / HTTP/1.1 {} ? keep\nend {}\n"},
      {"POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
       "head POST http a /p HTTP/1.1 {} 5 body keep\nbody hello\nend {}\n"},
      {"POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n",
       "head POST http a /p HTTP/1.1 {} 0 keep\nend {}\n"},
      {"POST /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n5\r\nhello\r\n"
       "00A ;x=\"y\";z\r\n0123456789\r\n0\r\nX-Sum: 1\r\nContent-Length: 9\r\n\r\n",
       "head POST http a /p HTTP/1.1 {} ? body keep\nbody hello0123456789\nend {x-sum=1;}\n"},
      {"POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi\r\nGET /2 HTTP/1.1\r\nHost: "
       "b\r\n\r\n",
       "head POST http a /1 HTTP/1.1 {} 2 body keep\nbody hi\nend {}\n"
       "head GET http b /2 HTTP/1.1 {} ? keep\nend {}\n"},
      {"GET / HTTP/1.1\r\nHost: a\r\nX: caf\xc3\xa9\r\n\r\n",
       "head GET http a / HTTP/1.1 {x=caf\xc3\xa9;} ? keep\nend {}\n"},
  };
  for (const Row& row : rows) CHECK(cut_request(row.text) == row.trace);
}

TEST_CASE("h1 request: each broken message is refused with its status, however it is cut") {
  struct Row {
    std::string text;
    int status;
    std::string_view why;
  };
  const std::string get = "GET / HTTP/1.1\r\nHost: a\r\n";
  const std::string post = "POST / HTTP/1.1\r\nHost: a\r\n";
  const std::string chunked = post + "Transfer-Encoding: chunked\r\n\r\n";
  const auto with = [&](std::string_view line) { return get + std::string(line) + "\r\n\r\n"; };
  const auto line = [&](std::string_view first) {
    return std::string(first) + "\r\nHost: a\r\n\r\n";
  };
  const Row rows[] = {
      {post + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 400,
       "Transfer-Encoding with Content-Length"},
      {post + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", 400,
       "Transfer-Encoding with Content-Length"},
      {with("Content-Length: 5\r\nContent-Length: 6"), 400, "differing Content-Length"},
      {with("Content-Length: 5, 5"), 400, "Content-Length"},
      {with("Content-Length: +5"), 400, "Content-Length"},
      {with("Content-Length: -5"), 400, "Content-Length"},
      {with("Content-Length: 0x5"), 400, "Content-Length"},
      {with("Content-Length: 5 5"), 400, "Content-Length"},
      {with("Content-Length:"), 400, "Content-Length"},
      {with("Content-Length: 99999999999999999999"), 400, "Content-Length"},
      {with("Transfer-Encoding: gzip"), 501, "unknown transfer coding"},
      {with("Transfer-Encoding: gzip, chunked"), 501, "unknown transfer coding"},
      {with("Transfer-Encoding: identity"), 501, "unknown transfer coding"},
      {with("Transfer-Encoding: xchunked"), 501, "unknown transfer coding"},
      {with("Transfer-Encoding: chunked, gzip"), 400, "chunked not last"},
      {with("Transfer-Encoding: chunked, chunked"), 400, "chunked twice"},
      {with("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"), 400, "chunked twice"},
      {with("Transfer-Encoding: chunked;q=1"), 400, "Transfer-Encoding"},
      {with("Transfer-Encoding: \"chunked\""), 400, "Transfer-Encoding"},
      {with("Transfer-Encoding: chunked,"), 400, "Transfer-Encoding"},
      {with("Transfer-Encoding: ,chunked"), 400, "Transfer-Encoding"},
      {with("Transfer-Encoding:"), 400, "Transfer-Encoding"},
      {with("Transfer-Encoding: \x0b"
            "chunked"),
       400, "field value"},
      {"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400,
       "Transfer-Encoding in HTTP/1.0"},
      {"GET / HTTP/1.1\nHost: a\n\n", 400, "bare LF"},
      {"GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n", 400, "bare LF"},
      {"GET / HTTP/1.1\r\nHost: a\r\n\n", 400, "bare LF"},
      {with("X: a\rb"), 400, "field value"},
      {with("X: a\r\r"), 400, "field value"},
      {line("GET / HTTP/1.1\r"), 400, "HTTP version"},
      {with("X: a\r\n folded"), 400, "folded line"},
      {with("X: a\r\n\tfolded"), 400, "folded line"},
      {"GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400, "folded line"},
      {with("X : a"), 400, "field name"},
      {with("X\t: a"), 400, "field name"},
      {with(": a"), 400, "field name"},
      {with("X y: a"), 400, "field name"},
      {with("X\xc3: a"), 400, "field name"},
      {with("no colon"), 400, "field line without colon"},
      {with(std::string_view("X: a\0b", 6)), 400, "field value"},
      {with(std::string_view("X\0: a", 5)), 400, "field name"},
      {with("X: a\x01"), 400, "field value"},
      {with("X: a\x7f"), 400, "field value"},
      {with("Host: a"), 400, "several Host fields"},
      {with("Host: b"), 400, "several Host fields"},
      {"GET / HTTP/1.1\r\n\r\n", 400, "no Host field"},
      {"GET http://a/ HTTP/1.1\r\n\r\n", 400, "no Host field"},
      {"GET / HTTP/1.1\r\nHost:\r\n\r\n", 400, "Host field"},
      {"GET / HTTP/1.0\r\nHost: a b\r\n\r\n", 400, "Host field"},
      {"GET / HTTP/1.1\r\nHost: a,b\r\n\r\n", 400, "Host field"},
      {"GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", 400, "Host field"},
      {"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400, "Host field"},
      {"GET / HTTP/1.1\r\nHost: a:99999\r\n\r\n", 400, "Host field"},
      {"GET / HTTP/1.1\r\nHost: a:b\r\n\r\n", 400, "Host field"},
      {"GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", 400, "Host field"},
      {"GET / HTTP/1.1\r\nHost: ::1\r\n\r\n", 400, "Host field"},
      {"GET / HTTP/1.1\r\nHost: [1.2.3.4]\r\n\r\n", 400, "Host field"},
      {"GET http://b/ HTTP/1.1\r\nHost: a?\r\n\r\n", 400, "Host field"},
      {line("GET"), 400, "request line"},
      {line("GET /"), 400, "request line"},
      {line("GET  HTTP/1.1"), 400, "request target"},
      {line("GET / / HTTP/1.1"), 400, "request target"},
      {line("GET  / HTTP/1.1"), 400, "request target"},
      {line("GET /  HTTP/1.1"), 400, "request target"},
      {line("GET\t/ HTTP/1.1"), 400, "request line"},
      {line("GET /\t HTTP/1.1"), 400, "request target"},
      {line("GET a HTTP/1.1"), 400, "request target"},
      {line("GET * HTTP/1.1"), 400, "request target"},
      {line("GET /#f HTTP/1.1"), 400, "request target"},
      {line("GET /\xc3\xa9 HTTP/1.1"), 400, "request target"},
      {line("GET ftp://a/ HTTP/1.1"), 400, "request target"},
      {line("GET http:/// HTTP/1.1"), 400, "request target"},
      {line("GET http://u@a/ HTTP/1.1"), 400, "request target"},
      {line("GET a:80 HTTP/1.1"), 400, "request target"},
      {line("CONNECT / HTTP/1.1"), 400, "request target"},
      {line("CONNECT a HTTP/1.1"), 400, "request target"},
      {line("CONNECT [::1] HTTP/1.1"), 400, "request target"},
      {line("CONNECT http://a/ HTTP/1.1"), 400, "request target"},
      {line("G(T / HTTP/1.1"), 400, "method"},
      {line("GET / HTTP/1.1 "), 400, "request target"},
      {line("GET / http/1.1"), 400, "HTTP version"},
      {line("GET / HTTP/1.10"), 400, "HTTP version"},
      {line("GET / HTTP/x.1"), 400, "HTTP version"},
      {line("GET / HTTP/2.0"), 505, "HTTP version"},
      {line("GET / HTTP/0.9"), 505, "HTTP version"},
      {"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400, "start line"},
      {" GET / HTTP/1.1\r\nHost: a\r\n\r\n", 400, "start line"},
      {"\x16\x03\x01", 400, "start line"},
  };
  for (const Row& row : rows) CHECK(cut_request(row.text) == failed(row.status, row.why));

  const Row chunks[] = {
      {"g\r\n", 400, "chunk size"},
      {"\r\n", 400, "chunk size"},
      {"0x5\r\nhello\r\n", 400, "chunk size"},
      {"-5\r\n", 400, "chunk size"},
      {"+5\r\n", 400, "chunk size"},
      {" 5\r\n", 400, "chunk size"},
      {"5 \r\nhello\r\n", 400, "chunk size"},
      {"fffffffffffffffff\r\n", 400, "chunk size"},
      {"5\nhello\r\n", 400, "bare LF in chunk line"},
      {"5\r\r\nhello\r\n", 400, "chunk size"},
      {"5;a\rb\r\nhello\r\n", 400, "chunk size"},
      {"5;" + std::string(300, 'x') + "\r\nhello\r\n", 400, "chunk line too long"},
      {"0\r\nX : y\r\n\r\n", 400, "field name"},
      {"0\r\nX: y\n\r\n", 400, "bare LF"},
      {"0\r\nX: y\r\n z\r\n\r\n", 400, "folded line"},
  };
  for (const Row& row : chunks) {
    CHECK(cut_request(chunked + row.text) ==
          "head POST http a / HTTP/1.1 {} ? body keep\n" + failed(row.status, row.why));
  }
  CHECK(cut_request(chunked + "5\r\nhello!\r\n") ==
        "head POST http a / HTTP/1.1 {} ? body keep\nbody hello\n" +
            failed(400, "chunk longer than its size"));
  CHECK(cut_request(chunked + "5\r\nhello\n0\r\n\r\n") ==
        "head POST http a / HTTP/1.1 {} ? body keep\nbody hello\n" +
            failed(400, "chunk longer than its size"));
}

TEST_CASE("h1 request: each bound has its status") {
  const H1Limits small{.max_header_size = 200,
                       .max_headers = 3,
                       .max_uri = 20,
                       .max_chunk_line = 16,
                       .max_chunk_extensions = 10};
  const std::string host = " HTTP/1.1\r\nHost: a\r\n";
  CHECK(cut_request("GET /" + std::string(19, 'x') + host + "\r\n", small).starts_with("head"));
  CHECK(cut_request("GET /" + std::string(20, 'x') + host + "\r\n", small) ==
        failed(414, "request target too long"));
  CHECK(cut_request("GET /" + std::string(500, 'x'), small) == failed(414, "start line too long"));
  CHECK(cut_request("GET /" + host + "X: " + std::string(300, 'x'), small) ==
        failed(431, "header fields too large"));
  CHECK(cut_request("GET /" + host + "A: 1\r\nB: 1\r\n\r\n", small).starts_with("head"));
  CHECK(cut_request("GET /" + host + "A: 1\r\nB: 1\r\nC: 1\r\n\r\n", small) ==
        failed(431, "too many header fields"));
  const std::string chunked = "GET /" + host + "Transfer-Encoding: chunked\r\n\r\n";
  const std::string head = "head GET http a / HTTP/1.1 {} ? body keep\n";
  CHECK(cut_request(chunked + "1;abcd\r\nx\r\n1;abcd\r\nx\r\n0\r\n\r\n", small) ==
        head + "body xx\nend {}\n");
  CHECK(cut_request(chunked + "1;abcde\r\nx\r\n1;abcd\r\nx\r\n", small) ==
        head + "body x\n" + failed(400, "chunk extensions too long"));
  CHECK(cut_request(chunked + "0\r\nX: " + std::string(300, 'x'), small) ==
        head + failed(431, "trailers too large"));
  CHECK(cut_request(chunked + "0\r\nA: 1\r\nB: 1\r\nC: 1\r\nD: 1\r\n\r\n", small) ==
        head + failed(431, "too many header fields"));
}

TEST_CASE("h1 response: valid messages are read the same however they are cut") {
  struct Row {
    std::string_view method;
    std::string_view text;
    std::string_view trace;
  };
  const std::string_view closed = "failed closed before a response\n";
  const Row rows[] = {
      {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
       "head 200 HTTP/1.1 {} 2 keep\nbody hi\nend {}\n"},
      {"GET", "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", "head 200 HTTP/1.1 {} 0 keep\nend {}\n"},
      {"GET", "HTTP/1.1 404 \r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
       "head 404 HTTP/1.1 {connection=close;} 0 close\nend {}\n"},
      {"HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n",
       "head 200 HTTP/1.1 {} 50 keep\nend {}\n"},
      {"HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
       "head 200 HTTP/1.1 {} ? keep\nend {}\n"},
      {"GET", "HTTP/1.1 204 No Content\r\n\r\n", "head 204 HTTP/1.1 {} ? keep\nend {}\n"},
      {"GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 50\r\nETag: \"x\"\r\n\r\n",
       "head 304 HTTP/1.1 {etag=\"x\";} 50 keep\nend {}\n"},
      {"GET",
       "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
       "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX-T: y\r\n\r\n",
       "info 100 HTTP/1.1 {} ? close\ninfo 103 HTTP/1.1 {link=</a>;} ? close\n"
       "head 200 HTTP/1.1 {} ? keep\nbody hi\nend {x-t=y;}\n"},
      {"GET", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx",
       "head 200 HTTP/1.0 {connection=keep-alive;} 1 keep\nbody x\nend {}\n"},
  };
  for (const Row& row : rows) {
    CHECK(cut_response(row.text, row.method) == std::string(row.trace) + std::string(closed));
  }
  CHECK(cut_response("HTTP/1.1 200 OK\r\n\r\nall the rest") ==
        "head 200 HTTP/1.1 {} ? close\nbody all the rest\nclosed\n");
  CHECK(cut_response("HTTP/1.0 200 OK\r\n\r\n") == "head 200 HTTP/1.0 {} ? close\nclosed\n");
}

TEST_CASE("h1 response: each broken message is refused, however it is cut") {
  struct Row {
    std::string text;
    std::string_view why;
  };
  const std::string ok = "HTTP/1.1 200 OK\r\n";
  const auto with = [&](std::string_view line) { return ok + std::string(line) + "\r\n\r\n"; };
  const Row rows[] = {
      {with("Content-Length: 5\r\nTransfer-Encoding: chunked"),
       "Transfer-Encoding with Content-Length"},
      {with("Content-Length: 5\r\nContent-Length: 6"), "differing Content-Length"},
      {with("Content-Length: 5, 6"), "Content-Length"},
      {with("Content-Length: +5"), "Content-Length"},
      {with("Content-Length: 0x5"), "Content-Length"},
      {with("Content-Length: 5 5"), "Content-Length"},
      {with("Transfer-Encoding: gzip"), "unknown transfer coding"},
      {with("Transfer-Encoding: chunked, gzip"), "chunked not last"},
      {with("Transfer-Encoding: chunked, chunked"), "chunked twice"},
      {"HTTP/1.1 200 OK\nContent-Length: 0\n\n", "bare LF"},
      {with("X: a\rb"), "field value"},
      {with("X: a\r\n b"), "folded line"},
      {with("X : a"), "field name"},
      {with(std::string_view("X: a\0", 5)), "field value"},
      {with("X: \x02"), "field value"},
      {with("Host: a"), "Host field in a response"},
      {"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "Transfer-Encoding in HTTP/1.0"},
      {"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n",
       "Transfer-Encoding in a 204"},
      {"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", "Content-Length in a 204"},
      {"HTTP/1.1 101 Switching Protocols\r\n\r\n", "unasked 101"},
      {"HTTP/1.1 100 Continue\r\nContent-Length: 5\r\n\r\n", "framing in a 1xx"},
      {"HTTP/2 200 OK\r\n\r\n", "status line"},
      {"HTTP/2.0 200 OK\r\n\r\n", "HTTP version"},
      {"ICY 200 OK\r\n\r\n", "status line"},
      {"HTTP/1.1 20 OK\r\n\r\n", "status line"},
      {"HTTP/1.1 2000 OK\r\n\r\n", "status line"},
      {"HTTP/1.1 099 OK\r\n\r\n", "status code"},
      {"HTTP/1.1 600 OK\r\n\r\n", "status code"},
      {"HTTP/1.1  200 OK\r\n\r\n", "status line"},
      {"HTTP/1.1 200 O\x01K\r\n\r\n", "status line"},
      {"\r\nHTTP/1.1 200 OK\r\n\r\n", "start line"},
      {"<html>", "start line"},
  };
  for (const Row& row : rows) {
    const std::string trace = cut_response(row.text);
    CHECK(trace.starts_with("failed "));
    CHECK(trace.ends_with(std::string(row.why) + "\n"));
  }
  CHECK(cut_response(ok + "Content-Length: 5\r\n\r\nhi") ==
        "head 200 HTTP/1.1 {} 5 keep\nbody hi\nfailed closed within a response\n");
  CHECK(cut_response(ok + "Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n") ==
        "head 200 HTTP/1.1 {} ? keep\nbody hi\nfailed closed within a response\n");
  CHECK(cut_response(ok + "Transfer-Encoding: chunked\r\n\r\n0\r\n") ==
        "head 200 HTTP/1.1 {} ? keep\nfailed closed within a response\n");
  CHECK(cut_response("HTTP/1.1 200 OK\r\nX: ") == "failed closed before a response\n");
}
