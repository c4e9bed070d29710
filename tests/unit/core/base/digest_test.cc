#include "core/base/digest.h"

#include <catch2/catch.hpp>

using namespace bw;

namespace {

std::string hex_of(const Sha256& digest) {
  return hex({reinterpret_cast<const char*>(digest.data()), digest.size()});
}

}  // namespace

TEST_CASE("digest: SHA-256 as FIPS 180-4 has it") {
  CHECK(hex_of(sha256("")) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(hex_of(sha256("abc")) ==
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST_CASE("digest: HMAC-SHA-256 as RFC 4231 has it") {
  CHECK(hex_of(hmac_sha256(std::string(20, '\x0b'), "Hi There")) ==
        "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
  CHECK(hex_of(hmac_sha256("Jefe", "what do ya want for nothing?")) ==
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  // A key longer than a block is hashed first.
  CHECK(hex_of(hmac_sha256(std::string(131, '\xaa'),
                           "Test Using Larger Than Block-Size Key - Hash Key First")) ==
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

TEST_CASE("digest: XXH3 keeps its values, which keys on disk depend on") {
  CHECK(xxh3_64("") == 0x2d06800538d394c2ULL);
  CHECK(xxh3_64("", 1) != xxh3_64(""));
  const Hash128 empty = xxh3_128("");
  CHECK(empty.hi == 0x99aa06d3014798d8ULL);
  CHECK(empty.lo == 0x6001c324468d497fULL);
  CHECK(xxh3_128("a") != xxh3_128("b"));
  CHECK(xxh3_128("a", 1) != xxh3_128("a", 2));
}

TEST_CASE("digest: hex there and back, and what is no hex") {
  std::string all;
  for (int i = 0; i < 256; ++i) all += static_cast<char>(i);
  CHECK(from_hex(hex(all)) == all);
  CHECK(hex("\x0f\xa0") == "0fa0");
  CHECK(from_hex("0FA0") == "\x0f\xa0");
  CHECK(from_hex("") == "");
  for (const char* text : {"0", "0g", "g0", " 0", "0x", "00 ", "/0", ":0", "@0", "`0"}) {
    INFO(text);
    CHECK_FALSE(from_hex(text).has_value());
  }
}

TEST_CASE("digest: base64 as RFC 4648 has it") {
  const struct {
    const char* bytes;
    const char* padded;
    const char* url;
  } rows[] = {
      {"", "", ""},
      {"f", "Zg==", "Zg"},
      {"fo", "Zm8=", "Zm8"},
      {"foo", "Zm9v", "Zm9v"},
      {"foob", "Zm9vYg==", "Zm9vYg"},
      {"fooba", "Zm9vYmE=", "Zm9vYmE"},
      {"foobar", "Zm9vYmFy", "Zm9vYmFy"},
      {"\xfb\xff\xfe", "+//+", "-__-"},
  };
  for (const auto& row : rows) {
    CHECK(base64(row.bytes) == row.padded);
    CHECK(base64url(row.bytes) == row.url);
  }
}

TEST_CASE("digest: secrets are equal when all of them is") {
  CHECK(equal_secret("", ""));
  CHECK(equal_secret("secret", "secret"));
  CHECK_FALSE(equal_secret("secret", "secreT"));
  CHECK_FALSE(equal_secret("secret", "secre"));
  CHECK_FALSE(equal_secret("secret", ""));
}
