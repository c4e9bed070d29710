// Metrics, declared once: counters, gauges and histograms with labels, and their Prometheus text.
//
//   struct LoopMetrics {
//     explicit LoopMetrics(metrics::Registry& r)
//         : turns(r.counter("breakwater_turns_total", "turns of all loops", {"loop"})) {}
//     metrics::Family<metrics::Counter>& turns;
//   };
//   metrics::Counter& mine = m.turns.with({"w1"});  // once
//   mine.add();                                     // on the hot path
//
// Threads: all of it, from any thread. add() and observe() are one relaxed atomic addition on a
// line few other threads use; with() takes a lock, so keep what it answers. Lifetime: families and
// series live as long as their registry. Bounds: 4096 series a family; beyond, one series whose
// labels are all "overflow". Names and help are written once, here; docs/metrics.md is printed.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.h"

namespace bw::metrics {

inline constexpr size_t kStripes = 8;
// A number below kStripes that few other threads share.
size_t thread_stripe();

class Counter {
 public:
  void add(uint64_t n = 1) {
    stripes_[thread_stripe()].value.fetch_add(n, std::memory_order_relaxed);
  }
  uint64_t value() const;

 private:
  struct alignas(64) Stripe {
    std::atomic<uint64_t> value{0};
  };
  std::array<Stripe, kStripes> stripes_;
};

class Gauge {
 public:
  void set(double value) { value_.store(value, std::memory_order_relaxed); }
  void add(double delta) { value_.fetch_add(delta, std::memory_order_relaxed); }
  double value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<double> value_{0};
};

// Durations in buckets from 100 µs to 60 s, shown in seconds.
class Histogram {
 public:
  static constexpr std::array<int64_t, 18> kBounds_us = {
      100,       250,       500,       1'000,      2'500,      5'000,
      10'000,    25'000,    50'000,    100'000,    250'000,    500'000,
      1'000'000, 2'500'000, 5'000'000, 10'000'000, 30'000'000, 60'000'000};
  void observe(Duration duration);
  uint64_t count() const;
  Duration sum() const;
  // Observations in bucket i; kBounds_us.size(): beyond the last bound.
  uint64_t bucket(size_t i) const;

 private:
  struct alignas(64) Stripe {
    std::array<std::atomic<uint64_t>, kBounds_us.size() + 1> buckets{};
    std::atomic<int64_t> sum_ns{0};
  };
  std::array<Stripe, kStripes> stripes_;
};

enum class Kind : uint8_t { counter, gauge, histogram };

struct Description {
  std::string name;
  std::string help;
  Kind kind = Kind::counter;
  std::vector<std::string> labels;
};

template <typename T>
class Family {
 public:
  Family(Description description) : description_(std::move(description)) {}
  // The series of these label values, in the order the labels were declared.
  T& with(std::initializer_list<std::string_view> values) {
    return find(std::span<const std::string_view>(values.begin(), values.size()));
  }
  T& find(std::span<const std::string_view> values);
  const Description& description() const { return description_; }
  // Visits all series, in the order of their labels.
  void each(const std::function<void(const std::vector<std::string>&, const T&)>& visit) const;

 private:
  struct Series {
    std::vector<std::string> values;
    T metric;
  };
  Description description_;
  mutable std::mutex mutex_;
  std::vector<std::unique_ptr<Series>> series_;  // sorted by values
};
extern template class Family<Counter>;
extern template class Family<Gauge>;
extern template class Family<Histogram>;

// One value of a series that is asked for when metrics are read.
struct Sample {
  std::vector<std::string> labels;
  double value = 0;
};

class Registry {
 public:
  Registry();
  ~Registry();
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;

  // Each name once (CHECK).
  Family<Counter>& counter(std::string name, std::string help,
                           std::vector<std::string> labels = {});
  Family<Gauge>& gauge(std::string name, std::string help, std::vector<std::string> labels = {});
  Family<Histogram>& histogram(std::string name, std::string help,
                               std::vector<std::string> labels = {});
  // Values that live elsewhere: asked on the thread that reads the metrics. `kind` is counter or
  // gauge.
  void ask(Kind kind, std::string name, std::string help, std::vector<std::string> labels,
           std::function<std::vector<Sample>()> values);
  // Forgets the questions, before what they ask goes away. Their declarations stay.
  void stop_asking();

  // Text exposition format 0.0.4.
  std::string text() const;
  std::vector<Description> descriptions() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// A section of docs/metrics.md: name, kind, labels, help.
std::string markdown(const std::string& title, const Registry& registry);

}  // namespace bw::metrics
