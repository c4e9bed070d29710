// GET and HEAD of a file: opened, read and compressed on the executor, a piece at a time.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "core/base/digest.h"
#include "core/http/endpoint.h"
#include "origin/body_stream.h"
#include "origin/folder_file.h"
#include "origin/gzip.h"
#include "origin/object_stream.h"

namespace bw::origin {
namespace {

constexpr size_t kPiece = 256 * 1024;
constexpr uint64_t kMostCompressed = 1 << 20;
constexpr std::string_view kFreshness =
    "max-age=3600, stale-while-revalidate=60, stale-if-error=86400";

bool is_text(std::string_view type) {
  return type.starts_with("text/") || type == "application/json" || type == "image/svg+xml";
}

class FileStream;

// Shared by the handler and the executor's tasks, which may outlive it.
struct FileJob {
  FileJob(net::Loop& l, FileStream* h, std::string f, std::string p)
      : loop(l), handler(h), folder(std::move(f)), path(std::move(p)) {}
  ~FileJob() {
    if (fd >= 0) ::close(fd);
  }

  net::Loop& loop;
  FileStream* handler;  // of the loop; null once the stream ended
  const std::string folder;
  const std::string path;
  bool wants_gzip = false;
  // Set by the opening task before the handler hears of it.
  int fd = -1;
  int error = 0;
  uint64_t size = 0;
  Validators validators;
  std::optional<std::string> compressed;
};

bool read_whole(int fd, std::string& out) {
  size_t done = 0;
  while (done < out.size()) {
    const ssize_t n = ::pread(fd, out.data() + done, out.size() - done, static_cast<off_t>(done));
    if (n <= 0) return false;
    done += static_cast<size_t>(n);
  }
  return true;
}

void open_file(FileJob& job) {
  job.fd = open_below(job.folder, job.path);
  struct stat info {};
  if (job.fd < 0 || ::fstat(job.fd, &info) != 0) {
    job.error = errno;
    return;
  }
  if (!S_ISREG(info.st_mode)) {
    job.error = ENOENT;
    return;
  }
  job.size = static_cast<uint64_t>(info.st_size);
  job.validators.last_modified = info.st_mtim.tv_sec;
  const std::array<int64_t, 4> facts = {info.st_size, info.st_mtim.tv_sec, info.st_mtim.tv_nsec,
                                        static_cast<int64_t>(info.st_ino)};
  char bytes[sizeof facts];
  std::memcpy(bytes, facts.data(), sizeof bytes);
  const Hash128 mark = xxh3_128({bytes, sizeof bytes});
  std::memcpy(bytes, &mark.hi, 8);
  job.validators.etag = "\"" + hex({bytes, 8}) + "\"";
  if (!job.wants_gzip || job.size > kMostCompressed) return;
  std::string whole(job.size, '\0');
  if (read_whole(job.fd, whole)) job.compressed = gzip(whole);
  if (job.compressed) job.validators.etag = gzip_etag(job.validators.etag);
}

class FileStream final : public ObjectStream {
 public:
  FileStream(http::ServerStream& stream, Executor& executor, const std::string& folder,
             std::string path, Duration delay)
      : ObjectStream(stream), executor_(executor), type_(content_type_of(path)) {
    job_ = std::make_shared<FileJob>(loop(), this, folder, std::move(path));
    job_->wants_gzip = is_text(type_) && accepts_gzip(stream.request());
    start_after(delay);
  }
  ~FileStream() override { job_->handler = nullptr; }

  void on_writable() override { read(); }

 private:
  void on_left() override { job_->handler = nullptr; }

  void start() override {
    const Status submitted = executor_.submit([job = job_]() mutable {
      open_file(*job);
      net::Loop& loop = job->loop;
      loop.post([job = std::move(job)] {
        if (job->handler != nullptr) job->handler->on_opened();
      });
    });
    if (!submitted) refuse(503, "busy");
  }

  void refuse(int status, std::string_view name) {
    http::EndpointResponse response = http::EndpointResponse::problem(status, name, "");
    response.fields.add(http::FieldId::cache_control, status == 404 ? "max-age=5" : "no-store");
    response.fields.add(http::FieldId::cache_tag, "static");
    send_whole(response.status, response.fields, response.body);
  }

  void on_opened() {
    if (stream() == nullptr) return;
    if (job_->error != 0) {
      const bool missing = job_->error == ENOENT || job_->error == ENOTDIR ||
                           job_->error == ENAMETOOLONG || job_->error == ELOOP ||
                           job_->error == EXDEV || job_->error == ENXIO;
      refuse(missing ? 404 : job_->error == EACCES ? 403 : 500, missing ? "not-found" : "file");
      return;
    }
    http::FieldList fields;
    fields.add(http::FieldId::content_type, type_);
    fields.add(http::FieldId::cache_control, kFreshness);
    fields.add(http::FieldId::cache_tag, "static");
    if (is_text(type_)) fields.add(http::FieldId::vary, "accept-encoding");
    if (job_->compressed) {
      fields.add(http::FieldId::content_encoding, "gzip");
      send_object_head(std::move(fields), job_->validators, job_->compressed->size(), true);
      if (left() > 0) {
        const size_t from = static_cast<size_t>(offset());
        send_piece(Slice::copy_of(
            std::string_view(*job_->compressed).substr(from, static_cast<size_t>(left()))));
      }
      end();
      return;
    }
    send_object_head(std::move(fields), job_->validators, job_->size, true);
    opened_ = true;
    read();
  }

  void read() {
    if (stream() == nullptr || !opened_ || reading_) return;
    if (left() == 0) {
      end();
      return;
    }
    if (!stream()->wants_more()) return;
    reading_ = true;
    const size_t size = static_cast<size_t>(std::min<uint64_t>(left(), kPiece));
    const Status submitted = executor_.submit([job = job_, size, from = offset()]() mutable {
      Ref<Buffer> buffer = Buffer::make(size);
      const ssize_t n = ::pread(job->fd, buffer->data(), size, static_cast<off_t>(from));
      Slice piece;
      if (n > 0) {
        const char* data = buffer->data();
        piece = Slice(std::move(buffer), data, static_cast<size_t>(n));
      }
      net::Loop& loop = job->loop;
      loop.post([job = std::move(job), piece = std::move(piece)]() mutable {
        if (job->handler != nullptr) job->handler->on_read(std::move(piece));
      });
    });
    if (!submitted) break_off();
  }

  void on_read(Slice piece) {
    reading_ = false;
    if (stream() == nullptr) return;
    if (piece.empty()) {  // shorter than it was, or unreadable: never a whole answer
      break_off();
      return;
    }
    send_piece(std::move(piece));
    read();
  }

  Executor& executor_;
  const std::string_view type_;
  std::shared_ptr<FileJob> job_;
  bool opened_ = false;
  bool reading_ = false;
};

}  // namespace

std::unique_ptr<http::StreamHandler> make_file_stream(http::ServerStream& stream,
                                                      Executor& executor, const std::string& folder,
                                                      std::string path, Duration delay) {
  return std::make_unique<FileStream>(stream, executor, folder, std::move(path), delay);
}

std::optional<std::string> parse_file_path(std::string_view path) {
  const std::optional<std::string> decoded = http::percent_decode(path);
  if (!decoded || decoded->empty() || decoded->find('\0') != std::string::npos) {
    return std::nullopt;
  }
  std::string_view rest = *decoded;
  for (;;) {
    const size_t slash = std::min(rest.find('/'), rest.size());
    const std::string_view segment = rest.substr(0, slash);
    // Hidden files are nobody's business, and ".." must not leave the folder.
    if (segment.empty() || segment.front() == '.') return std::nullopt;
    if (slash == rest.size()) return decoded;
    rest.remove_prefix(slash + 1);
  }
}

std::string_view content_type_of(std::string_view path) {
  struct Type {
    std::string_view ending;
    std::string_view type;
  };
  static constexpr std::array<Type, 16> kTypes = {{{".html", "text/html; charset=utf-8"},
                                                   {".txt", "text/plain; charset=utf-8"},
                                                   {".css", "text/css; charset=utf-8"},
                                                   {".js", "text/javascript; charset=utf-8"},
                                                   {".md", "text/markdown; charset=utf-8"},
                                                   {".csv", "text/csv; charset=utf-8"},
                                                   {".json", "application/json"},
                                                   {".svg", "image/svg+xml"},
                                                   {".png", "image/png"},
                                                   {".jpg", "image/jpeg"},
                                                   {".webp", "image/webp"},
                                                   {".ico", "image/x-icon"},
                                                   {".woff2", "font/woff2"},
                                                   {".mp4", "video/mp4"},
                                                   {".pdf", "application/pdf"},
                                                   {".wasm", "application/wasm"}}};
  for (const Type& type : kTypes) {
    if (path.ends_with(type.ending)) return type.type;
  }
  return "application/octet-stream";
}

}  // namespace bw::origin
