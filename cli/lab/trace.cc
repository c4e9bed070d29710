#include "cli/lab/trace.h"

#include <zstd.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <vector>

namespace bw::cli {
namespace {

constexpr size_t kMaxLine = 256;
constexpr size_t kMaxKey = 128;

std::string_view next_word(std::string_view& line) {
  const size_t first = std::min(line.find_first_not_of(" \t"), line.size());
  line.remove_prefix(first);
  const std::string_view word = line.substr(0, line.find_first_of(" \t"));
  line.remove_prefix(word.size());
  return word;
}

}  // namespace

std::optional<TraceRequest> parse_trace_line(std::string_view line) {
  if (line.ends_with('\r')) line.remove_suffix(1);
  const std::string_view time = next_word(line);
  const std::string_view key = next_word(line);
  const std::string_view size = next_word(line);
  TraceRequest request{.key = std::string(key), .size = 0};
  const auto end = std::from_chars(size.data(), size.data() + size.size(), request.size);
  const auto plain = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  };
  if (time.empty() || key.empty() || key.size() > kMaxKey || size.empty() ||
      end.ec != std::errc() || end.ptr != size.data() + size.size() || !next_word(line).empty() ||
      !std::all_of(key.begin(), key.end(), plain)) {
    return std::nullopt;
  }
  return request;
}

struct Trace::State {
  std::string file;
  std::ifstream in;
  ZSTD_DStream* zstd = nullptr;  // null: plain text
  std::vector<char> compressed;
  ZSTD_inBuffer input{};
  std::string text;
  size_t at = 0;
  uint64_t line = 0;

  ~State() { ZSTD_freeDStream(zstd); }

  // More text behind what is left; false at the end or when it's broken.
  bool refill(std::string* why) {
    text.erase(0, at);
    at = 0;
    std::vector<char> block(1 << 17);
    if (zstd == nullptr) {
      in.read(block.data(), static_cast<std::streamsize>(block.size()));
      text.append(block.data(), static_cast<size_t>(in.gcount()));
      return in.gcount() > 0;
    }
    for (;;) {
      if (input.pos == input.size) {
        in.read(compressed.data(), static_cast<std::streamsize>(compressed.size()));
        if (in.gcount() == 0) return false;
        input = {compressed.data(), static_cast<size_t>(in.gcount()), 0};
      }
      ZSTD_outBuffer output{block.data(), block.size(), 0};
      const size_t code = ZSTD_decompressStream(zstd, &output, &input);
      if (ZSTD_isError(code) != 0) {
        *why = file + ": " + ZSTD_getErrorName(code);
        return false;
      }
      text.append(block.data(), output.pos);
      if (output.pos > 0) return true;
    }
  }
};

Trace::Trace(std::unique_ptr<State> state) : state_(std::move(state)) {}
Trace::~Trace() = default;

std::unique_ptr<Trace> Trace::open(const std::string& file, std::string* why) {
  auto state = std::make_unique<State>();
  state->file = file;
  state->in.open(file, std::ios::binary);
  if (!state->in) {
    *why = file + ": cannot be read";
    return nullptr;
  }
  if (file.ends_with(".zst")) {
    state->zstd = ZSTD_createDStream();
    state->compressed.resize(ZSTD_DStreamInSize());
  }
  return std::unique_ptr<Trace>(new Trace(std::move(state)));
}

std::optional<TraceRequest> Trace::next(std::string* why) {
  State& state = *state_;
  why->clear();
  for (;;) {
    const size_t end = state.text.find('\n', state.at);
    if (end == std::string::npos && state.text.size() - state.at <= kMaxLine && state.refill(why)) {
      continue;
    }
    if (!why->empty()) return std::nullopt;
    const std::string_view line =
        std::string_view(state.text).substr(state.at, std::min(end, state.text.size()) - state.at);
    state.at = std::min(end, state.text.size() - 1) + 1;
    ++state.line;
    if (line.empty() && end == std::string::npos) return std::nullopt;
    if (line.empty()) continue;
    std::optional<TraceRequest> request = parse_trace_line(line);
    if (!request) *why = state.file + ":" + std::to_string(state.line) + ": not `time_s key size`";
    return request;
  }
}

}  // namespace bw::cli
