// A disk tier in a directory of its own whose callbacks are waited for, and whose time stands
// still.
#pragma once

#include <atomic>
#include <catch2/catch.hpp>
#include <cerrno>
#include <condition_variable>
#include <filesystem>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "core/base/clock.h"
#include "edge/cache/disk_tier.h"
#include "tests/support/temp_dir.h"

namespace bw::test {

// Repeatable bytes, different for each seed.
inline std::string noise(uint64_t seed, size_t size) {
  std::string out(size, '\0');
  SeededRandom random(seed);
  for (size_t i = 0; i < size; i += 8) {
    const uint64_t word = random.next();
    for (size_t j = 0; j < 8 && i + j < size; ++j) out[i + j] = static_cast<char>(word >> (8 * j));
  }
  return out;
}

// Blocks whoever asks while it is shut.
class Gate {
 public:
  void shut() {
    std::lock_guard lock(mutex_);
    shut_ = true;
  }
  void open() {
    {
      std::lock_guard lock(mutex_);
      shut_ = false;
    }
    wake_.notify_all();
  }
  void pass() {
    std::unique_lock lock(mutex_);
    if (shut_) {
      ++held_;
      wake_.notify_all();
    }
    wake_.wait(lock, [this] { return !shut_; });
  }
  // Until somebody stands before it.
  void wait_held() {
    std::unique_lock lock(mutex_);
    wake_.wait(lock, [this] { return held_ > 0; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable wake_;
  bool shut_ = false;
  int held_ = 0;
};

// Time that stands still until a test moves it, for the tier's threads to read.
class SharedClock final : public Clock {
 public:
  MonoTime mono() const override { return {now_.load()}; }
  WallTime wall() const override { return {1'700'000'000'000'000'000 + now_.load()}; }
  void advance(Duration d) { now_.fetch_add(d.count()); }

 private:
  std::atomic<int64_t> now_{1'000'000'000};
};

struct DiskRig {
  static constexpr uint64_t kSize = 64u << 20;

  TempDir dir;
  SharedClock clock;
  edge::DiskOptions options;
  std::unique_ptr<edge::DiskTier> tier;

  DiskRig() {
    options.path = dir / "cache";
    options.size = kSize;
    options.memory = 16u << 20;
    options.queue_bytes = 64u << 20;
    options.first_retry = std::chrono::milliseconds(1);
  }

  void open() {
    tier.reset();
    std::string why;
    auto opened = edge::DiskTier::open(options, clock, &why);
    INFO(why);
    REQUIRE(opened.ok());
    tier = std::move(*opened);
  }

  static Hash128 key(uint64_t id) { return {.hi = id * 0x9e3779b97f4a7c15u, .lo = id}; }
  static std::string canonical(uint64_t id) { return "GET https://h/" + std::to_string(id); }
  static edge::DiskRecord record(uint64_t id, uint64_t generation = 1) {
    edge::DiskRecord out;
    out.key = key(id);
    out.canonical_key = canonical(id);
    out.meta = "meta of " + std::to_string(id);
    out.pos = 10;
    out.generation = generation;
    out.expiry = -5;
    return out;
  }

  // Appends in pieces of an odd size and waits until it can be found, or not.
  Status store(uint64_t id, std::string_view body, uint64_t generation = 1, size_t step = 100'003) {
    Error why;
    auto write = tier->begin_write(record(id, generation), 0, &why);
    if (write == nullptr) return why;
    for (size_t at = 0; at < body.size(); at += step) {
      const Status appended = write->append(Slice::copy_of(body.substr(at, step)));
      if (!appended.ok()) return appended;
    }
    std::promise<Status> done;
    write->commit([&](Status status) { done.set_value(status); });
    return done.get_future().get();
  }

  Result<edge::DiskObject> find(uint64_t id) { return find(key(id), canonical(id)); }
  Result<edge::DiskObject> find(const Hash128& hash, const std::string& text) {
    std::promise<Result<edge::DiskObject>> done;
    tier->find(hash, text, [&](Result<edge::DiskObject> found) { done.set_value(found); });
    return done.get_future().get();
  }

  static Result<std::string> read(const edge::DiskObject& object, uint64_t offset, size_t length) {
    std::promise<Result<std::string>> done;
    object.read(offset, length, [&](Result<Slice> got) {
      done.set_value(got.ok() ? Result<std::string>(std::string(got->view()))
                              : Result<std::string>(got.error()));
    });
    return done.get_future().get();
  }
  static Result<std::string> read_all(const edge::DiskObject& object, size_t step = 200'000) {
    std::string out;
    while (out.size() < object.record().body_size) {
      auto part = read(object, out.size(), step);
      if (!part.ok()) return part.error();
      REQUIRE(part->size() >= 1);
      REQUIRE(part->size() <= step);
      out += *part;
    }
    return out;
  }
  // nullopt: a miss.
  std::optional<std::string> body_of(uint64_t id) {
    auto found = find(id);
    if (!found.ok()) return std::nullopt;
    auto body = read_all(*found);
    if (!body.ok()) return std::nullopt;
    return *body;
  }

  void flush() {
    std::promise<void> done;
    tier->flush([&] { done.set_value(); });
    done.get_future().get();
  }
  void wait_state(edge::DiskState state) {
    while (tier->state() != state) std::this_thread::yield();
  }
  int set_aside() const {
    int count = 0;
    for (const auto& entry : std::filesystem::directory_iterator(options.path)) {
      count += entry.path().filename().string().starts_with("set-aside-") ? 1 : 0;
    }
    return count;
  }
};

}  // namespace bw::test
