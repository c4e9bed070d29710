// How far a run of bytes goes: to a line's end, of text, of a field name, of an origin-form target.
//
// Pure. Sixteen bytes at a time where the compiler has SSE2; the portable way of each is in
// namespace `portable` and answers the same. Private to core/http. See: RFC 9112 section 2.2.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/http/h1_syntax.h"

#if defined(__SSE2__)
#include <emmintrin.h>

#include <bit>
#endif

namespace bw::http {

// All answer an offset, `bytes.size()` at most; what lies before `from` isn't looked at.
namespace portable {

template <typename Stops>
size_t scan(std::string_view bytes, size_t from, Stops stops) {
  while (from < bytes.size() && !stops(bytes[from])) ++from;
  return from;
}

inline size_t find_lf(std::string_view bytes, size_t from) {
  return scan(bytes, from, [](char c) { return c == '\n'; });
}

// The first byte that isn't text: a line's end, or what no value may hold.
inline size_t end_of_text(std::string_view bytes, size_t from) {
  return scan(bytes, from, [](char c) { return (syntax::class_of(c) & syntax::kText) == 0; });
}

// The first byte that an origin-form target may not hold.
inline size_t end_of_target(std::string_view bytes, size_t from) {
  return scan(bytes, from, [](char c) { return (syntax::class_of(c) & syntax::kTarget) == 0; });
}

// The first byte that isn't of a token; those before it are put in lower case.
inline char* lower_token(char* at, const char* end) {
  for (; at != end && (syntax::class_of(*at) & syntax::kToken) != 0; ++at) *at = lower_case(*at);
  return at;
}

}  // namespace portable

#if defined(__SSE2__)

namespace sse2 {

inline __m128i load(const char* at) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
}
inline uint32_t bits(__m128i mask) { return static_cast<uint32_t>(_mm_movemask_epi8(mask)); }
inline size_t lowest(uint32_t mask) { return static_cast<size_t>(std::countr_zero(mask)); }
inline __m128i is(__m128i v, char c) { return _mm_cmpeq_epi8(v, _mm_set1_epi8(c)); }
// From `low` to `high`, both ASCII: bytes above 0x7f are negative here, and so outside.
inline __m128i within(__m128i v, char low, char high) {
  return _mm_and_si128(_mm_cmpgt_epi8(v, _mm_set1_epi8(static_cast<char>(low - 1))),
                       _mm_cmplt_epi8(v, _mm_set1_epi8(static_cast<char>(high + 1))));
}

// `stops`: the mask of bytes of a vector that end the run.
template <typename Stops>
size_t scan(std::string_view bytes, size_t from, Stops stops) {
  const char* const data = bytes.data();
  const size_t size = bytes.size();
  for (; size - from >= 16; from += 16) {
    if (const uint32_t mask = stops(load(data + from))) return from + lowest(mask);
  }
  // The last few bytes, seen through the last sixteen.
  const uint32_t mask = stops(load(data + size - 16)) >> (16 - (size - from));
  return mask != 0 ? from + lowest(mask) : size;
}

}  // namespace sse2

inline size_t find_lf(std::string_view bytes, size_t from) {
  if (bytes.size() < 16) return portable::find_lf(bytes, from);
  return sse2::scan(bytes, from, [](__m128i v) { return sse2::bits(sse2::is(v, '\n')); });
}

inline size_t end_of_text(std::string_view bytes, size_t from) {
  if (bytes.size() < 16) return portable::end_of_text(bytes, from);
  return sse2::scan(bytes, from, [](__m128i v) {
    const __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(v, _mm_set1_epi8(0x1f)), v);
    const __m128i bad = _mm_or_si128(low, sse2::is(v, 0x7f));
    return sse2::bits(_mm_andnot_si128(sse2::is(v, '\t'), bad));
  });
}

inline size_t end_of_target(std::string_view bytes, size_t from) {
  if (bytes.size() < 16) return portable::end_of_target(bytes, from);
  return sse2::scan(bytes, from, [](__m128i v) {
    const __m128i marks = _mm_or_si128(_mm_or_si128(sse2::is(v, '"'), sse2::is(v, '#')),
                                       _mm_or_si128(sse2::is(v, '<'), sse2::is(v, '>')));
    return sse2::bits(_mm_andnot_si128(marks, sse2::within(v, 0x21, 0x7e))) ^ 0xffff;
  });
}

// Letters, digits and '-' make nearly all names; a byte of any other kind is left to the table.
inline char* lower_token(char* at, const char* end) {
  while (end - at >= 16) {
    const __m128i v = sse2::load(at);
    const __m128i letters = sse2::within(_mm_or_si128(v, _mm_set1_epi8(0x20)), 'a', 'z');
    const __m128i others = _mm_or_si128(sse2::within(v, '0', '9'), sse2::is(v, '-'));
    const uint32_t common = sse2::bits(_mm_or_si128(letters, others));
    const size_t run = sse2::lowest(~common);
    // Bit 5 tells the cases apart; the shift brings it to where movemask looks.
    uint32_t upper = sse2::bits(letters) & ~sse2::bits(_mm_slli_epi16(v, 2));
    upper &= (1u << run) - 1;
    for (; upper != 0; upper &= upper - 1) {
      char& c = at[sse2::lowest(upper)];
      c = static_cast<char>(c | 0x20);
    }
    at += run;
    if (run < 16) {
      if (*at == ':') return at;
      break;
    }
  }
  return portable::lower_token(at, end);
}

#else

using portable::end_of_target;
using portable::end_of_text;
using portable::find_lf;
using portable::lower_token;

#endif

}  // namespace bw::http
