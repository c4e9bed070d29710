// A move-only callable: what loops and executors run (std::move_only_function is C++23).
//
// Threads: none of its own. Bounds: one heap allocation when made.
#pragma once

#include <memory>
#include <type_traits>
#include <utility>

namespace bw {

template <typename Signature>
class UniqueFunction;

template <typename R, typename... Args>
class UniqueFunction<R(Args...)> {
 public:
  UniqueFunction() = default;
  UniqueFunction(std::nullptr_t) {}
  template <typename F>
  requires(!std::is_same_v<std::remove_cvref_t<F>, UniqueFunction> &&
           std::is_invocable_r_v<R, F&, Args...>) UniqueFunction(F f)
      : call_(std::make_unique<Held<F>>(std::move(f))) {}

  explicit operator bool() const { return call_ != nullptr; }
  R operator()(Args... args) { return call_->call(std::forward<Args>(args)...); }

 private:
  struct Callable {
    virtual ~Callable() = default;
    virtual R call(Args... args) = 0;
  };
  template <typename F>
  struct Held final : Callable {
    explicit Held(F held) : f(std::move(held)) {}
    R call(Args... args) override { return f(std::forward<Args>(args)...); }
    F f;
  };
  std::unique_ptr<Callable> call_;
};

using Task = UniqueFunction<void()>;

}  // namespace bw
