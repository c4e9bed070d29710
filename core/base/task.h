// A move-only callable: what loops and executors run (std::move_only_function is C++23).
//
// Threads: none of its own. Bounds: what it holds lies inside it up to kInline bytes, a few
// pointers and a shared_ptr; beyond, one heap allocation. Lifetime: moved or destroyed only while
// not called.
#pragma once

#include <cstddef>
#include <cstring>
#include <new>
#include <type_traits>
#include <utility>

namespace bw {

template <typename Signature>
class UniqueFunction;

template <typename R, typename... Args>
class UniqueFunction<R(Args...)> {
 public:
  static constexpr size_t kInline = 4 * sizeof(void*);

  UniqueFunction() = default;
  UniqueFunction(std::nullptr_t) {}
  template <typename F>
  requires(!std::is_same_v<std::remove_cvref_t<F>, UniqueFunction> &&
           std::is_invocable_r_v<R, F&, Args...>) UniqueFunction(F f)
      : kind_(&kKind<F>) {
    if constexpr (kFits<F>) {
      new (storage_) F(std::move(f));
    } else {
      new (storage_) F*(new F(std::move(f)));
    }
  }
  UniqueFunction(UniqueFunction&& other) noexcept { take(other); }
  UniqueFunction& operator=(UniqueFunction&& other) noexcept {
    UniqueFunction old(std::move(*this));  // goes last: it may look here
    take(other);
    return *this;
  }
  ~UniqueFunction() {
    if (kind_ != nullptr && kind_->destroy != nullptr) kind_->destroy(storage_);
  }

  explicit operator bool() const { return kind_ != nullptr; }
  R operator()(Args... args) { return kind_->call(storage_, std::forward<Args>(args)...); }

 private:
  struct Kind {
    R (*call)(void* storage, Args... args);
    void (*move)(void* from, void* to) noexcept;  // null: as bytes
    void (*destroy)(void* storage) noexcept;      // null: nothing to do
  };
  template <typename F>
  static constexpr bool kFits =
      sizeof(F) <= kInline &&
      alignof(F) <= alignof(void*) && std::is_nothrow_move_constructible_v<F>;
  template <typename F>
  static F& held(void* storage) {
    if constexpr (kFits<F>) {
      return *std::launder(static_cast<F*>(storage));
    } else {
      return **std::launder(static_cast<F**>(storage));
    }
  }
  template <typename F>
  static R call(void* storage, Args... args) {
    return held<F>(storage)(std::forward<Args>(args)...);
  }
  template <typename F>
  static void move(void* from, void* to) noexcept {
    F& f = held<F>(from);
    new (to) F(std::move(f));
    f.~F();
  }
  template <typename F>
  static void destroy(void* storage) noexcept {
    if constexpr (kFits<F>) {
      held<F>(storage).~F();
    } else {
      delete &held<F>(storage);
    }
  }
  template <typename F>
  static constexpr Kind kKind{
      .call = &call<F>,
      .move = kFits<F> && !std::is_trivially_copyable_v<F> ? &move<F> : nullptr,
      .destroy = kFits<F>&& std::is_trivially_destructible_v<F> ? nullptr : &destroy<F>};

  // Into an empty one.
  void take(UniqueFunction& other) noexcept {
    kind_ = std::exchange(other.kind_, nullptr);
    if (kind_ == nullptr) return;
    if (kind_->move != nullptr) {
      kind_->move(other.storage_, storage_);
    } else {
      std::memcpy(storage_, other.storage_, kInline);
    }
  }

  const Kind* kind_ = nullptr;
  // All of it is set, since it is moved as bytes whatever lies in it.
  alignas(void*) unsigned char storage_[kInline] = {};
};

using Task = UniqueFunction<void()>;

}  // namespace bw
