#include "core/kv/crash_stop.h"

#include <rocksdb/env.h>
#include <rocksdb/file_system.h>

#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstring>

#include "core/base/log.h"

namespace bw::kv {

using rocksdb::FileOptions;
using rocksdb::FSDirectory;
using rocksdb::FSWritableFile;
using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using RocksSlice = rocksdb::Slice;

std::string Latch::text() const {
  std::lock_guard lock(mutex_);
  return text_;
}

void Latch::fall(bool no_space, const std::string& text) {
  std::lock_guard lock(mutex_);
  if (fallen_.load(std::memory_order_relaxed)) return;
  text_ = text;
  no_space_.store(no_space, std::memory_order_release);
  fallen_.store(true, std::memory_order_release);
}

namespace {

bool is_fault(const IOStatus& status) {
  // A missing file or a call the file system doesn't know is an answer, not a broken disk.
  return !status.ok() && !status.IsNotFound() && !status.IsPathNotFound() &&
         !status.IsNotSupported();
}

// Runs one change of the disk unless the latch has fallen; lets it fall when the change fails.
template <typename Change>
IOStatus guarded(Latch& latch, Change change) {
  if (latch.fallen()) return IOStatus::OK();
  if (const int code = latch.fault(); code != 0) {
    latch.fall(code == ENOSPC, std::strerror(code));
    return IOStatus::OK();
  }
  const IOStatus status = change();
  if (!is_fault(status)) return status;
  latch.fall(status.IsNoSpace(), status.ToString());
  return IOStatus::OK();
}

class GuardedFile final : public FSWritableFile {
 public:
  // `target` may be null: made after the latch fell.
  GuardedFile(std::shared_ptr<Latch> latch, std::unique_ptr<FSWritableFile> target)
      : latch_(std::move(latch)), target_(std::move(target)) {}

  IOStatus Append(const RocksSlice& data, const IOOptions& options, IODebugContext* dbg) override {
    size_ += data.size();
    return run([&] { return target_->Append(data, options, dbg); });
  }
  IOStatus Append(const RocksSlice& data, const IOOptions& options,
                  const rocksdb::DataVerificationInfo&, IODebugContext* dbg) override {
    return Append(data, options, dbg);
  }
  IOStatus Truncate(uint64_t size, const IOOptions& options, IODebugContext* dbg) override {
    size_ = size;
    return run([&] { return target_->Truncate(size, options, dbg); });
  }
  IOStatus Close(const IOOptions& options, IODebugContext* dbg) override {
    return run([&] { return target_->Close(options, dbg); });
  }
  IOStatus Flush(const IOOptions& options, IODebugContext* dbg) override {
    return run([&] { return target_->Flush(options, dbg); });
  }
  IOStatus Sync(const IOOptions& options, IODebugContext* dbg) override {
    return run([&] { return target_->Sync(options, dbg); });
  }
  IOStatus Fsync(const IOOptions& options, IODebugContext* dbg) override {
    return run([&] { return target_->Fsync(options, dbg); });
  }
  IOStatus RangeSync(uint64_t offset, uint64_t bytes, const IOOptions& options,
                     IODebugContext* dbg) override {
    return run([&] { return target_->RangeSync(offset, bytes, options, dbg); });
  }
  bool IsSyncThreadSafe() const override { return true; }
  uint64_t GetFileSize(const IOOptions& options, IODebugContext* dbg) override {
    return target_ == nullptr || latch_->fallen() ? size_ : target_->GetFileSize(options, dbg);
  }
  // Preallocation is only a wish, and each failure of it would look like a full disk.
  void PrepareWrite(size_t, size_t, const IOOptions&, IODebugContext*) override {}

 private:
  template <typename Change>
  IOStatus run(Change change) {
    if (target_ == nullptr) return IOStatus::OK();
    return guarded(*latch_, change);
  }

  std::shared_ptr<Latch> latch_;
  std::unique_ptr<FSWritableFile> target_;
  uint64_t size_ = 0;
};

class GuardedDirectory final : public FSDirectory {
 public:
  GuardedDirectory(std::shared_ptr<Latch> latch, std::unique_ptr<FSDirectory> target)
      : latch_(std::move(latch)), target_(std::move(target)) {}
  IOStatus Fsync(const IOOptions& options, IODebugContext* dbg) override {
    if (target_ == nullptr) return IOStatus::OK();
    return guarded(*latch_, [&] { return target_->Fsync(options, dbg); });
  }
  IOStatus FsyncWithDirOptions(const IOOptions& options, IODebugContext* dbg,
                               const rocksdb::DirFsyncOptions& how) override {
    if (target_ == nullptr) return IOStatus::OK();
    return guarded(*latch_, [&] { return target_->FsyncWithDirOptions(options, dbg, how); });
  }
  IOStatus Close(const IOOptions& options, IODebugContext* dbg) override {
    return target_ == nullptr ? IOStatus::OK() : target_->Close(options, dbg);
  }

 private:
  std::shared_ptr<Latch> latch_;
  std::unique_ptr<FSDirectory> target_;
};

class CrashStop final : public rocksdb::FileSystemWrapper {
 public:
  explicit CrashStop(std::shared_ptr<Latch> latch)
      : FileSystemWrapper(rocksdb::FileSystem::Default()), latch_(std::move(latch)) {}
  const char* Name() const override { return "CrashStop"; }

  IOStatus NewWritableFile(const std::string& name, const FileOptions& options,
                           std::unique_ptr<FSWritableFile>* result, IODebugContext* dbg) override {
    return make_file(result, [&](std::unique_ptr<FSWritableFile>* file) {
      return target_->NewWritableFile(name, options, file, dbg);
    });
  }
  IOStatus ReopenWritableFile(const std::string& name, const FileOptions& options,
                              std::unique_ptr<FSWritableFile>* result,
                              IODebugContext* dbg) override {
    return make_file(result, [&](std::unique_ptr<FSWritableFile>* file) {
      return target_->ReopenWritableFile(name, options, file, dbg);
    });
  }
  IOStatus ReuseWritableFile(const std::string& name, const std::string& old_name,
                             const FileOptions& options, std::unique_ptr<FSWritableFile>* result,
                             IODebugContext* dbg) override {
    return make_file(result, [&](std::unique_ptr<FSWritableFile>* file) {
      return target_->ReuseWritableFile(name, old_name, options, file, dbg);
    });
  }
  IOStatus NewRandomRWFile(const std::string&, const FileOptions&,
                           std::unique_ptr<rocksdb::FSRandomRWFile>*, IODebugContext*) override {
    return IOStatus::NotSupported("random writes");
  }
  IOStatus NewDirectory(const std::string& name, const IOOptions& options,
                        std::unique_ptr<FSDirectory>* result, IODebugContext* dbg) override {
    std::unique_ptr<FSDirectory> directory;
    const IOStatus status =
        guarded(*latch_, [&] { return target_->NewDirectory(name, options, &directory, dbg); });
    if (!status.ok()) return status;
    *result = std::make_unique<GuardedDirectory>(latch_, std::move(directory));
    return IOStatus::OK();
  }
  IOStatus DeleteFile(const std::string& name, const IOOptions& options,
                      IODebugContext* dbg) override {
    return guarded(*latch_, [&] { return target_->DeleteFile(name, options, dbg); });
  }
  IOStatus Truncate(const std::string& name, size_t size, const IOOptions& options,
                    IODebugContext* dbg) override {
    return guarded(*latch_, [&] { return target_->Truncate(name, size, options, dbg); });
  }
  IOStatus CreateDir(const std::string& name, const IOOptions& options,
                     IODebugContext* dbg) override {
    return guarded(*latch_, [&] { return target_->CreateDir(name, options, dbg); });
  }
  IOStatus CreateDirIfMissing(const std::string& name, const IOOptions& options,
                              IODebugContext* dbg) override {
    return guarded(*latch_, [&] { return target_->CreateDirIfMissing(name, options, dbg); });
  }
  IOStatus DeleteDir(const std::string& name, const IOOptions& options,
                     IODebugContext* dbg) override {
    return guarded(*latch_, [&] { return target_->DeleteDir(name, options, dbg); });
  }
  IOStatus RenameFile(const std::string& from, const std::string& to, const IOOptions& options,
                      IODebugContext* dbg) override {
    return guarded(*latch_, [&] { return target_->RenameFile(from, to, options, dbg); });
  }
  IOStatus LinkFile(const std::string& from, const std::string& to, const IOOptions& options,
                    IODebugContext* dbg) override {
    return guarded(*latch_, [&] { return target_->LinkFile(from, to, options, dbg); });
  }

 private:
  template <typename Make>
  IOStatus make_file(std::unique_ptr<FSWritableFile>* result, Make make) {
    std::unique_ptr<FSWritableFile> file;
    const IOStatus status = guarded(*latch_, [&] { return make(&file); });
    if (!status.ok()) return status;
    *result = std::make_unique<GuardedFile>(latch_, std::move(file));
    return IOStatus::OK();
  }

  std::shared_ptr<Latch> latch_;
};

class QuietLog final : public rocksdb::Logger {
 public:
  QuietLog() : Logger(rocksdb::InfoLogLevel::ERROR_LEVEL) {}
  using Logger::Logv;
  void Logv(const char* format, va_list arguments) override {
    char line[512];
    const int size = std::vsnprintf(line, sizeof line, format, arguments);
    // Where a database is made for the first time RocksDB reports that it wasn't there.
    if (size <= 0 || std::strstr(line, "dir NotFound") != nullptr) return;
    std::string text(line);
    while (!text.empty() && text.back() == '\n') text.pop_back();
    log::warning("rocksdb: " + text);
  }
};

}  // namespace

std::shared_ptr<rocksdb::FileSystem> make_crash_stop(std::shared_ptr<Latch> latch) {
  return std::make_shared<CrashStop>(std::move(latch));
}

std::shared_ptr<rocksdb::Logger> make_quiet_log() { return std::make_shared<QuietLog>(); }

}  // namespace bw::kv
