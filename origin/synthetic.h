// /synthetic/{id}: any number of bytes from a generator, and how they are to be answered.
//
// Pure. The bytes depend on the id (and on the varying field's value) only, at any offset.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/clock.h"
#include "core/http/message.h"
#include "origin/conditional.h"

namespace bw::origin {

// ?size=N, and for stories: delay=DURATION (before the head), rate=SIZE (bytes a second after it),
// cache_control=TEXT, tags=TEXT, vary=FIELD, status=N, chunked=1 (no Content-Length),
// cut=N (the connection breaks after that many bytes), cookie=TEXT.
struct Synthetic {
  std::string id;
  uint64_t seed = 0;
  uint64_t size = 0;
  Duration delay{};
  uint64_t rate = 0;  // 0: as fast as it is taken
  std::string cache_control = "max-age=86400";
  std::string tags;
  std::string vary;
  std::string cookie;
  int status = 200;
  bool chunked = false;
  std::optional<uint64_t> cut;
  Validators validators;
};

// `why` receives a sentence for the client.
std::optional<Synthetic> parse_synthetic(const http::RequestHead& head, std::string* why);
// The bytes at [offset, offset + size).
void fill_synthetic(uint64_t seed, uint64_t offset, char* out, size_t size);

}  // namespace bw::origin
