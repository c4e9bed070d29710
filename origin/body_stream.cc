#include "origin/body_stream.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <utility>

#include "core/http/dates.h"
#include "core/http/endpoint.h"
#include "core/net/loop.h"
#include "origin/object_stream.h"

namespace bw::origin {
namespace {

constexpr size_t kPiece = 64 * 1024;
constexpr Duration kTick = std::chrono::milliseconds(20);  // of paced bodies

// Bytes that a pace allows after `since`; a tick's worth from the start, at least one byte.
uint64_t allowed_by(uint64_t rate, Duration since) {
  const double seconds = std::chrono::duration<double>(since + kTick).count();
  return std::max<uint64_t>(1, static_cast<uint64_t>(seconds * static_cast<double>(rate)));
}

class Refusal final : public ObjectStream {
 public:
  Refusal(http::ServerStream& stream, http::EndpointResponse response, Duration delay)
      : ObjectStream(stream), response_(std::move(response)) {
    start_after(delay);
  }

 private:
  void start() override { send_whole(response_.status, response_.fields, response_.body); }
  const http::EndpointResponse response_;
};

class SyntheticStream final : public ObjectStream {
 public:
  SyntheticStream(http::ServerStream& stream, Synthetic synthetic, Duration delay)
      : ObjectStream(stream), synthetic_(std::move(synthetic)) {
    start_after(delay + synthetic_.delay);
  }
  void on_writable() override { pump(); }

 private:
  void start() override {
    if (!started_) {
      started_ = true;
      begin();
    }
    pump();
  }

  void begin() {
    http::FieldList fields;
    fields.add(http::FieldId::content_type, "application/octet-stream");
    if (!synthetic_.cache_control.empty()) {
      fields.add(http::FieldId::cache_control, synthetic_.cache_control);
    }
    if (!synthetic_.tags.empty()) fields.add(http::FieldId::cache_tag, synthetic_.tags);
    if (!synthetic_.vary.empty()) fields.add(http::FieldId::vary, synthetic_.vary);
    if (!synthetic_.cookie.empty()) fields.add(http::FieldId::set_cookie, synthetic_.cookie);
    if (synthetic_.status == 200) {
      send_object_head(std::move(fields), synthetic_.validators, synthetic_.size,
                       !synthetic_.chunked);
    } else {
      send_plain_head(synthetic_.status, std::move(fields), synthetic_.size);
    }
    began_ = loop().now();
  }

  void pump() {
    while (stream() != nullptr && left() > 0) {
      uint64_t most = left();
      if (synthetic_.cut) {
        if (given() >= *synthetic_.cut) {
          break_off();
          return;
        }
        most = std::min(most, *synthetic_.cut - given());
      }
      if (synthetic_.rate > 0) {
        const uint64_t allowed = allowed_by(synthetic_.rate, loop().now() - began_);
        if (given() >= allowed) {
          start_after(kTick);
          return;
        }
        most = std::min(most, allowed - given());
      }
      if (!stream()->wants_more()) return;
      const size_t size = static_cast<size_t>(std::min<uint64_t>(most, kPiece));
      Ref<Buffer> buffer = Buffer::make(size);
      fill_synthetic(synthetic_.seed, offset(), buffer->data(), size);
      const char* data = buffer->data();
      send_piece(Slice(buffer, data, size));
    }
    if (stream() != nullptr) end();
  }

  const Synthetic synthetic_;
  bool started_ = false;
  MonoTime began_;
};

class UploadStream final : public ObjectStream {
 public:
  UploadStream(http::ServerStream& stream, uint64_t rate, Duration delay, OriginMetrics& metrics)
      : ObjectStream(stream), rate_(rate), delay_(delay), metrics_(metrics), began_(loop().now()) {}

  void on_body(std::string_view piece) override {
    crc_ =
        crc32(crc_, reinterpret_cast<const Bytef*>(piece.data()), static_cast<uInt>(piece.size()));
    bytes_ += piece.size();
    metrics_.bytes_in.add(piece.size());
    if (rate_ == 0 || bytes_ <= allowed_by(rate_, loop().now() - began_)) return;
    stream()->pause_body();
    start_after(kTick);
  }
  void on_body_end(const http::FieldList&) override {
    whole_ = true;
    start_after(delay_);
  }

 private:
  void start() override {
    if (!whole_) {
      if (bytes_ <= allowed_by(rate_, loop().now() - began_)) {
        stream()->resume_body();
      } else {
        start_after(kTick);
      }
      return;
    }
    std::array<char, 16> crc;
    std::snprintf(crc.data(), crc.size(), "%08lx", crc_);
    http::EndpointResponse response = http::EndpointResponse::json(
        200, "{\"bytes\":" + std::to_string(bytes_) + ",\"crc32\":\"" + crc.data() + "\"}");
    response.fields.add(http::FieldId::cache_control, "no-store");
    send_whole(response.status, response.fields, response.body);
  }

  const uint64_t rate_;
  const Duration delay_;
  OriginMetrics& metrics_;
  const MonoTime began_;
  uint64_t bytes_ = 0;
  unsigned long crc_ = 0;
  bool whole_ = false;
};

}  // namespace

std::unique_ptr<http::StreamHandler> make_refusal(http::ServerStream& stream,
                                                  http::EndpointResponse problem, Duration delay) {
  problem.fields.add(http::FieldId::cache_control, "no-store");
  return std::make_unique<Refusal>(stream, std::move(problem), delay);
}

std::unique_ptr<http::StreamHandler> make_synthetic_stream(http::ServerStream& stream,
                                                           Synthetic synthetic, Duration delay) {
  return std::make_unique<SyntheticStream>(stream, std::move(synthetic), delay);
}

std::unique_ptr<http::StreamHandler> make_upload_stream(http::ServerStream& stream, uint64_t rate,
                                                        Duration delay, OriginMetrics& metrics) {
  return std::make_unique<UploadStream>(stream, rate, delay, metrics);
}

}  // namespace bw::origin
