#include "cli/lab/script_origin.h"

#include <charconv>

#include "cli/lab/pattern.h"

namespace bw::cli {
namespace {

constexpr Duration kPoll = std::chrono::milliseconds(2);
constexpr Duration kLongest = std::chrono::seconds(10);
constexpr size_t kPiece = 64 * 1024;
constexpr std::string_view kHalf = "the first half; ";

uint64_t number_after(std::string_view query, std::string_view key) {
  uint64_t number = 0;
  if (query.starts_with(key)) {
    query.remove_prefix(key.size());
    std::from_chars(query.data(), query.data() + query.size(), number);
  }
  return number;
}

}  // namespace

// One request and its answer.
class ScriptOrigin::Script final : public http::StreamHandler {
 public:
  Script(ScriptOrigin& origin, http::ServerStream& stream)
      : origin_(origin),
        stream_(&stream),
        path_(stream.request().path()),
        timer_(stream.loop(), [this] { look(); }) {
    {
      const std::lock_guard lock(origin_.mutex_);
      Path& mine = origin_.paths_[path_];
      number_ = ++mine.count;
      if (path_.starts_with("/private/") && number_ > 1) {
        counted_ = true;
        mine.most = std::max(mine.most, ++mine.now);
      }
    }
    began_ = stream.loop().now();
  }
  ~Script() override { leave(); }

  void start() {
    const http::RequestHead& request = stream_->request();
    if (path_ == "/upload") {
      stream_->pause_body();
      return look();
    }
    if (path_.starts_with("/private/")) return look();
    if (path_.starts_with("/slow/")) {
      head("max-age=60", 2 * kHalf.size());
      stream_->send_body(Slice::of_static(kHalf));
      return look();
    }
    if (path_ == "/giant") {
      size_ = number_after(request.query().value_or(""), "size=");
      head("max-age=3600", size_);
      return on_writable();
    }
    if (path_ == "/vary") {
      const auto language = request.fields.find("accept-language");
      return whole("max-age=60", "language " + std::string(language.value_or("none")),
                   {{"vary", "accept-language"}});
    }
    if (path_ == "/probe") return whole("max-age=3600", "ok", {});
    if (path_.starts_with("/fresh/")) {
      return whole("max-age=60", path_ + " " + std::to_string(number_),
                   {{"cache-tag", "script-" + path_.substr(7)}, {"etag", "\"" + path_ + "\""}});
    }
    whole("no-store", path_, {});
  }

  void on_body(std::string_view piece) override {
    exact_ = exact_ && is_pattern(received_, piece);
    received_ += piece.size();
    const std::lock_guard lock(origin_.mutex_);
    origin_.uploaded_ += piece.size();
  }
  void on_body_end(const http::FieldList&) override {
    if (path_ == "/upload" && stream_ != nullptr) {
      whole("no-store", std::to_string(received_) + (exact_ ? " exact" : " damaged"), {});
    }
  }
  void on_writable() override {
    if (stream_ == nullptr || path_ != "/giant") return;
    while (sent_ < size_ && stream_->wants_more()) {
      const size_t size = std::min<uint64_t>(kPiece, size_ - sent_);
      const Ref<Buffer> buffer = Buffer::make(size);
      fill_pattern(sent_, buffer->data(), size);
      sent_ += size;
      stream_->send_body(Slice(buffer, buffer->data(), size));
    }
    if (sent_ == size_) finish();
  }
  void on_abort(Error) override {
    leave();
    stream_ = nullptr;
    timer_.cancel();
  }

 private:
  // Whether what this request waits for has come.
  void look() {
    if (stream_ == nullptr) return;
    const Path mine = origin_.path(path_);
    bool go = mine.released;
    if (path_.starts_with("/private/") && number_ > 1) go = mine.most >= mine.together;
    if (!go) {
      if (stream_->loop().now() - began_ > kLongest) {
        std::exchange(stream_, nullptr)
            ->abort(Error{.kind = Error::Kind::timeout, .text = "a step that never came"});
        return leave();
      }
      timer_.arm(kPoll);
      return;
    }
    if (path_ == "/upload") {
      stream_->resume_body();
    } else if (path_.starts_with("/private/")) {
      whole("private", path_ + " " + std::to_string(number_), {});
    } else {
      stream_->send_body(Slice::of_static(kHalf));
      finish();
    }
  }
  void head(std::string_view cache_control, uint64_t size,
            const std::vector<std::pair<std::string, std::string>>& more = {}) {
    http::ResponseHead head;
    head.status = 200;
    head.content_length = size;
    head.fields.add("cache-control", cache_control);
    head.fields.add("content-type", "text/plain");
    for (const auto& [name, value] : more) head.fields.add(name, value);
    stream_->send_head(head);
  }
  void whole(std::string_view cache_control, const std::string& body,
             const std::vector<std::pair<std::string, std::string>>& more) {
    head(cache_control, body.size(), more);
    if (stream_->request().method != "HEAD") stream_->send_body(Slice::copy_of(body));
    finish();
  }
  void finish() {
    leave();
    std::exchange(stream_, nullptr)->finish();
  }
  void leave() {
    if (!std::exchange(counted_, false)) return;
    const std::lock_guard lock(origin_.mutex_);
    --origin_.paths_[path_].now;
  }

  ScriptOrigin& origin_;
  http::ServerStream* stream_;  // null: the answer is over
  const std::string path_;
  uint64_t number_ = 0;
  bool counted_ = false;
  MonoTime began_;
  uint64_t size_ = 0, sent_ = 0, received_ = 0;
  bool exact_ = true;
  net::Timer timer_;
};

namespace {

template <typename Script, typename Origin>
class ScriptService final : public http::Service {
 public:
  explicit ScriptService(Origin& origin) : origin_(origin) {}
  std::unique_ptr<http::StreamHandler> on_request(http::ServerStream& stream) override {
    auto script = std::make_unique<Script>(origin_, stream);
    script->start();
    return script;
  }

 private:
  Origin& origin_;
};

}  // namespace

ScriptOrigin::ScriptOrigin(Clock& clock)
    : thread_(std::make_unique<net::LoopThread>("lab-origin", clock)) {}

std::unique_ptr<ScriptOrigin> ScriptOrigin::make(Clock& clock, std::string* why) {
  const Result<net::ListenSocket> socket =
      net::open_listen_socket(*net::Address::parse("127.0.0.1:0"), false, why);
  if (!socket) return nullptr;
  std::unique_ptr<ScriptOrigin> origin(new ScriptOrigin(clock));
  origin->address_ = socket->address;
  origin->service_ = std::make_unique<ScriptService<Script, ScriptOrigin>>(*origin);
  origin->thread_->run_and_wait([&] {
    net::Loop& loop = origin->thread_->loop();
    origin->server_ =
        std::make_unique<http::Server>(loop, *origin->service_, http::ServerOptions{});
    origin->listener_ = std::make_unique<net::Listener>(
        loop, socket->fd, [server = origin->server_.get()](int fd, const net::Address& peer) {
          server->accept(fd, peer);
        });
  });
  return origin;
}

ScriptOrigin::~ScriptOrigin() {
  thread_->run_and_wait([this] {
    listener_.reset();
    server_->close_all();
  });
  thread_->run_and_wait([this] { server_.reset(); });
  thread_->run_and_wait([] {});
}

ScriptOrigin::Path ScriptOrigin::path(const std::string& name) const {
  const std::lock_guard lock(mutex_);
  const auto at = paths_.find(name);
  return at == paths_.end() ? Path{} : at->second;
}
uint64_t ScriptOrigin::count(const std::string& name) const { return path(name).count; }
size_t ScriptOrigin::most_together(const std::string& name) const { return path(name).most; }
void ScriptOrigin::release(const std::string& name) {
  const std::lock_guard lock(mutex_);
  paths_[name].released = true;
}
void ScriptOrigin::gather(const std::string& name, size_t together) {
  const std::lock_guard lock(mutex_);
  paths_[name].together = together;
}
uint64_t ScriptOrigin::uploaded() const {
  const std::lock_guard lock(mutex_);
  return uploaded_;
}

}  // namespace bw::cli
