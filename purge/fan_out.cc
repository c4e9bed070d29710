#include "purge/fan_out.h"

#include <algorithm>
#include <utility>

namespace bw::purge {
namespace {

constexpr size_t kChunk = 64 * 1024;
constexpr Duration kSlowLook = std::chrono::milliseconds(20);

}  // namespace

struct FanOut::Stream {
  http::Reply reply;
  std::string node;
  std::string instance;
  size_t next = 0;
  bool follow = true;
  bool gone = false;
};

FanOut::FanOut(net::Loop& loop, const LogView& log, Registry& registry, Duration heartbeat)
    : loop_(loop),
      log_(log),
      registry_(registry),
      heartbeat_(heartbeat),
      digests_(loop, [this] { tick(); }),
      pump_again_(loop, [this] { records_came(); }) {
  digests_.arm(heartbeat_);
}

FanOut::~FanOut() = default;

void FanOut::follow(http::Reply reply, std::string node, std::string instance, size_t next,
                    bool follow) {
  if (streams_.size() >= kMaxStreams) {
    return reply.send(http::EndpointResponse::problem(503, "streams", "Too many follow the log."));
  }
  auto stream = std::make_unique<Stream>(
      Stream{std::move(reply), std::move(node), std::move(instance), next, follow, false});
  http::FieldList fields;
  fields.add(http::FieldId::content_type, "application/x-ndjson");
  fields.add(http::FieldId::cache_control, "no-store");
  stream->reply.start_stream(200, fields);
  Stream& made = *stream;
  streams_.push_back(std::move(stream));
  registry_.asked(made.node, loop_.now());
  pump(made);
}

void FanOut::records_came() {
  for (const std::unique_ptr<Stream>& stream : streams_) {
    if (stream->next < log_.size()) pump(*stream);
  }
  drop_gone();
}

void FanOut::nonce_came(const std::string& node) {
  for (const std::unique_ptr<Stream>& stream : streams_) {
    if (stream->node == node && stream->next == log_.size()) digest(*stream);
  }
}

void FanOut::pump(Stream& stream) {
  if (stream.gone) return;
  while (stream.next < log_.size()) {
    if (stream.reply.buffered() > kWaiting) {
      pump_again_.arm(kSlowLook);
      return;
    }
    std::string chunk;
    while (stream.next < log_.size() && chunk.size() < kChunk) {
      append_record_line(chunk, log_.at(stream.next));
      ++stream.next;
    }
    if (!stream.reply.write(chunk)) {
      stream.gone = true;
      return;
    }
  }
  digest(stream);
  if (!stream.follow && !stream.gone) {
    stream.reply.finish();
    stream.gone = true;
  }
}

void FanOut::digest(Stream& stream) {
  // One that doesn't read hears no more until it does, and is in lag.
  if (stream.gone || stream.reply.buffered() > kWaiting) return;
  Digest digest;
  digest.end = log_.end();
  if (const Registry::Node* node = registry_.find(stream.node); node != nullptr) {
    digest.nonce = node->beat.nonce;
  }
  std::string line;
  append_digest_line(line, digest);
  if (!stream.reply.write(line)) {
    stream.gone = true;
    return;
  }
  if (digest.nonce != 0) registry_.echoed(stream.node);
}

bool FanOut::follows(const std::string& node, const std::string& instance) const {
  return std::any_of(streams_.begin(), streams_.end(), [&](const auto& stream) {
    return stream->node == node && stream->instance == instance && !stream->gone &&
           !stream->reply.client_gone();
  });
}

size_t FanOut::waiting() const {
  size_t bytes = 0;
  for (const std::unique_ptr<Stream>& stream : streams_) bytes += stream->reply.buffered();
  return bytes;
}

void FanOut::end_strangers() {
  for (const std::unique_ptr<Stream>& stream : streams_) {
    if (stream->gone || stream->node.empty()) continue;
    if (registry_.knows(stream->node, stream->instance)) continue;
    stream->reply.finish();
    stream->gone = true;
  }
  drop_gone();
}

void FanOut::end_all() {
  for (const std::unique_ptr<Stream>& stream : streams_) {
    if (!stream->gone) stream->reply.finish();
  }
  streams_.clear();
}

void FanOut::drop_gone() {
  std::erase_if(streams_, [](const auto& stream) { return stream->gone; });
}

void FanOut::tick() {
  for (const std::unique_ptr<Stream>& stream : streams_) {
    if (stream->reply.client_gone()) stream->gone = true;
    if (!stream->gone && stream->next == log_.size()) digest(*stream);
  }
  drop_gone();
  digests_.arm(heartbeat_);
}

}  // namespace bw::purge
