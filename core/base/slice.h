// Slice: a view of immutable bytes together with the pin that keeps them alive.
//
// Threads: a Slice belongs to one thread; the pinned owner may be shared (its count is atomic).
// Lifetime: bytes live until the last Slice of their owner goes. Bodies travel as slices from the
// store to the socket and aren't copied on the way, but for pieces so small that a copy costs less.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <utility>

#include "core/base/check.h"

namespace bw {

// Something whose bytes may be pinned: a Buffer, or a stored object.
class Pinned {
 public:
  Pinned() = default;
  Pinned(const Pinned&) = delete;
  Pinned& operator=(const Pinned&) = delete;

  void pin() const { count_.fetch_add(1, std::memory_order_relaxed); }
  void unpin() const {
    if (count_.fetch_sub(1, std::memory_order_acq_rel) == 1) last_unpinned();
  }
  uint32_t pins() const { return count_.load(std::memory_order_acquire); }

 protected:
  virtual ~Pinned() = default;
  // Runs on whichever thread dropped the last pin.
  virtual void last_unpinned() const { delete this; }

 private:
  mutable std::atomic<uint32_t> count_{0};
};

// An owning reference to a Pinned.
template <typename T>
class Ref {
 public:
  Ref() = default;
  explicit Ref(T* object) : object_(object) {
    if (object_ != nullptr) object_->pin();
  }
  Ref(const Ref& other) : Ref(other.object_) {}
  Ref(Ref&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  template <typename U>
  requires std::is_convertible_v<U*, T*> Ref(const Ref<U>& other) : Ref(other.get()) {}
  Ref& operator=(Ref other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }
  ~Ref() {
    if (object_ != nullptr) object_->unpin();
  }

  T* get() const { return object_; }
  T* operator->() const { return object_; }
  T& operator*() const { return *object_; }
  explicit operator bool() const { return object_ != nullptr; }
  friend bool operator==(const Ref& a, const Ref& b) { return a.object_ == b.object_; }

 private:
  T* object_ = nullptr;
};

// A heap block of fixed capacity, filled once by its maker and then shared as slices.
class Buffer final : public Pinned {
 public:
  static Ref<Buffer> make(size_t capacity) { return Ref<Buffer>(new Buffer(capacity)); }

  char* data() { return data_; }
  const char* data() const { return data_; }
  size_t capacity() const { return capacity_; }

 private:
  explicit Buffer(size_t capacity) : capacity_(capacity), data_(new char[capacity]) {}
  ~Buffer() override { delete[] data_; }
  size_t capacity_;
  char* data_;
};

class Slice {
 public:
  Slice() = default;
  Slice(Ref<const Pinned> owner, const char* data, size_t size)
      : owner_(std::move(owner)), data_(data), size_(size) {}

  // Bytes that live for ever; pins nothing.
  static Slice of_static(std::string_view bytes) {
    return Slice(Ref<const Pinned>(), bytes.data(), bytes.size());
  }
  static Slice copy_of(std::string_view bytes) {
    if (bytes.empty()) return Slice();
    Ref<Buffer> buffer = Buffer::make(bytes.size());
    std::memcpy(buffer->data(), bytes.data(), bytes.size());
    const char* data = buffer->data();
    return Slice(buffer, data, bytes.size());
  }

  const char* data() const { return data_; }
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  std::string_view view() const { return {data_, size_}; }

  Slice part(size_t offset, size_t length) const {
    BW_CHECK(offset <= size_ && length <= size_ - offset);
    return Slice(owner_, data_ + offset, length);
  }
  // Whether `size` bytes of `owner` from `data` on went on where these end: they are of it then.
  bool try_extend(const Pinned* owner, const char* data, size_t size) {
    if (owner_.get() != owner || data_ + size_ != data || owner == nullptr) return false;
    size_ += size;
    return true;
  }
  void remove_prefix(size_t n) {
    BW_CHECK(n <= size_);
    data_ += n;
    size_ -= n;
  }

 private:
  Ref<const Pinned> owner_;
  const char* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace bw
