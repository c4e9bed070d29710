#include "core/base/metrics.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <variant>

#include "core/base/check.h"

namespace bw::metrics {
namespace {

constexpr size_t kMaxSeries = 4096;

std::string number(double value) {
  char buffer[40];
  if (value == std::floor(value) && std::fabs(value) < 1e15) {
    std::snprintf(buffer, sizeof(buffer), "%.0f", value);
  } else {
    std::snprintf(buffer, sizeof(buffer), "%.9g", value);
  }
  return buffer;
}

void append_escaped(std::string& out, std::string_view text, bool quote) {
  for (char c : text) {
    if (c == '\\') {
      out += "\\\\";
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '"' && quote) {
      out += "\\\"";
    } else {
      out += c;
    }
  }
}

void append_series(std::string& out, std::string_view name, const std::vector<std::string>& labels,
                   const std::vector<std::string>& values, std::string_view le,
                   std::string_view value) {
  out += name;
  bool any = false;
  const auto label = [&](std::string_view key, std::string_view text) {
    out += any ? ',' : '{';
    any = true;
    out += key;
    out += "=\"";
    append_escaped(out, text, true);
    out += '"';
  };
  for (size_t i = 0; i < labels.size() && i < values.size(); ++i) label(labels[i], values[i]);
  if (!le.empty()) label("le", le);
  if (any) out += '}';
  out += ' ';
  out += value;
  out += '\n';
}

std::string_view word(Kind kind) {
  switch (kind) {
    case Kind::counter:
      return "counter";
    case Kind::gauge:
      return "gauge";
    case Kind::histogram:
      return "histogram";
  }
  return {};
}

struct Asked {
  Description description;
  std::function<std::vector<Sample>()> values;
};

}  // namespace

size_t thread_stripe() {
  static std::atomic<size_t> next{0};
  thread_local const size_t mine = next.fetch_add(1, std::memory_order_relaxed) % kStripes;
  return mine;
}

uint64_t Counter::value() const {
  uint64_t sum = 0;
  for (const Stripe& stripe : stripes_) sum += stripe.value.load(std::memory_order_relaxed);
  return sum;
}

void Histogram::observe(Duration duration) {
  const int64_t us = duration.count() / 1000;
  const auto bound = std::lower_bound(kBounds_us.begin(), kBounds_us.end(), us);
  Stripe& stripe = stripes_[thread_stripe()];
  stripe.buckets[static_cast<size_t>(bound - kBounds_us.begin())].fetch_add(
      1, std::memory_order_relaxed);
  stripe.sum_ns.fetch_add(duration.count(), std::memory_order_relaxed);
}

uint64_t Histogram::bucket(size_t i) const {
  uint64_t sum = 0;
  for (const Stripe& stripe : stripes_) sum += stripe.buckets[i].load(std::memory_order_relaxed);
  return sum;
}

uint64_t Histogram::count() const {
  uint64_t sum = 0;
  for (size_t i = 0; i <= kBounds_us.size(); ++i) sum += bucket(i);
  return sum;
}

Duration Histogram::sum() const {
  int64_t ns = 0;
  for (const Stripe& stripe : stripes_) ns += stripe.sum_ns.load(std::memory_order_relaxed);
  return Duration(ns);
}

template <typename T>
T& Family<T>::find(std::span<const std::string_view> values) {
  BW_CHECK(values.size() == description_.labels.size());
  std::lock_guard lock(mutex_);
  const auto less = [](const std::unique_ptr<Series>& series,
                       std::span<const std::string_view> wanted) {
    return std::lexicographical_compare(series->values.begin(), series->values.end(),
                                        wanted.begin(), wanted.end());
  };
  const auto same = [&](auto at, std::span<const std::string_view> wanted) {
    return at != series_.end() &&
           std::equal((*at)->values.begin(), (*at)->values.end(), wanted.begin(), wanted.end());
  };
  auto at = std::lower_bound(series_.begin(), series_.end(), values, less);
  if (same(at, values)) return (*at)->metric;
  const std::vector<std::string_view> overflow(values.size(), "overflow");
  if (series_.size() >= kMaxSeries) {
    values = overflow;
    at = std::lower_bound(series_.begin(), series_.end(), values, less);
    if (same(at, values)) return (*at)->metric;
  }
  auto series = std::make_unique<Series>();
  series->values.assign(values.begin(), values.end());
  return (*series_.insert(at, std::move(series)))->metric;
}

template <typename T>
void Family<T>::each(
    const std::function<void(const std::vector<std::string>&, const T&)>& visit) const {
  std::lock_guard lock(mutex_);
  for (const std::unique_ptr<Series>& series : series_) visit(series->values, series->metric);
}

template class Family<Counter>;
template class Family<Gauge>;
template class Family<Histogram>;

struct Registry::State {
  using Any = std::variant<std::unique_ptr<Family<Counter>>, std::unique_ptr<Family<Gauge>>,
                           std::unique_ptr<Family<Histogram>>, std::unique_ptr<Asked>>;
  mutable std::mutex mutex;
  std::vector<Any> families;

  static const Description& description(const Any& any) {
    return std::visit(
        [](const auto& family) -> const Description& {
          if constexpr (requires { family->values; }) {
            return family->description;
          } else {
            return family->description();
          }
        },
        any);
  }

  template <typename F>
  F& add(std::unique_ptr<F> family) {
    std::lock_guard lock(mutex);
    F& added = *family;
    families.emplace_back(std::move(family));
    for (size_t i = 0; i + 1 < families.size(); ++i) {
      BW_CHECK(description(families[i]).name != description(families.back()).name);
    }
    return added;
  }
};

Registry::Registry() : state_(std::make_unique<State>()) {}
Registry::~Registry() = default;

Family<Counter>& Registry::counter(std::string name, std::string help,
                                   std::vector<std::string> labels) {
  return state_->add(std::make_unique<Family<Counter>>(
      Description{std::move(name), std::move(help), Kind::counter, std::move(labels)}));
}
Family<Gauge>& Registry::gauge(std::string name, std::string help,
                               std::vector<std::string> labels) {
  return state_->add(std::make_unique<Family<Gauge>>(
      Description{std::move(name), std::move(help), Kind::gauge, std::move(labels)}));
}
Family<Histogram>& Registry::histogram(std::string name, std::string help,
                                       std::vector<std::string> labels) {
  return state_->add(std::make_unique<Family<Histogram>>(
      Description{std::move(name), std::move(help), Kind::histogram, std::move(labels)}));
}
void Registry::ask(Kind kind, std::string name, std::string help, std::vector<std::string> labels,
                   std::function<std::vector<Sample>()> values) {
  BW_CHECK(kind != Kind::histogram);
  state_->add(std::make_unique<Asked>(
      Asked{{std::move(name), std::move(help), kind, std::move(labels)}, std::move(values)}));
}

void Registry::stop_asking() {
  std::lock_guard lock(state_->mutex);
  for (State::Any& any : state_->families) {
    if (auto* asked = std::get_if<std::unique_ptr<Asked>>(&any)) (*asked)->values = nullptr;
  }
}

namespace {

void append_values(std::string& out, const Family<Counter>& family) {
  const Description& d = family.description();
  family.each([&](const std::vector<std::string>& values, const Counter& counter) {
    append_series(out, d.name, d.labels, values, "", std::to_string(counter.value()));
  });
}

void append_values(std::string& out, const Family<Gauge>& family) {
  const Description& d = family.description();
  family.each([&](const std::vector<std::string>& values, const Gauge& gauge) {
    append_series(out, d.name, d.labels, values, "", number(gauge.value()));
  });
}

void append_values(std::string& out, const Family<Histogram>& family) {
  const Description& d = family.description();
  family.each([&](const std::vector<std::string>& values, const Histogram& histogram) {
    uint64_t sum = 0;
    for (size_t i = 0; i <= Histogram::kBounds_us.size(); ++i) {
      sum += histogram.bucket(i);
      const std::string le = i < Histogram::kBounds_us.size()
                                 ? number(static_cast<double>(Histogram::kBounds_us[i]) / 1e6)
                                 : "+Inf";
      append_series(out, d.name + "_bucket", d.labels, values, le, std::to_string(sum));
    }
    append_series(out, d.name + "_sum", d.labels, values, "",
                  number(static_cast<double>(histogram.sum().count()) / 1e9));
    append_series(out, d.name + "_count", d.labels, values, "", std::to_string(sum));
  });
}

void append_values(std::string& out, const Asked& asked) {
  if (!asked.values) return;
  for (const Sample& sample : asked.values()) {
    append_series(out, asked.description.name, asked.description.labels, sample.labels, "",
                  number(sample.value));
  }
}

}  // namespace

std::string Registry::text() const {
  std::string out;
  std::lock_guard lock(state_->mutex);
  for (const State::Any& any : state_->families) {
    const Description& d = State::description(any);
    out += "# HELP " + d.name + ' ';
    append_escaped(out, d.help, false);
    out += "\n# TYPE " + d.name + ' ';
    out += word(d.kind);
    out += '\n';
    std::visit([&out](const auto& family) { append_values(out, *family); }, any);
  }
  return out;
}

std::vector<Description> Registry::descriptions() const {
  std::vector<Description> all;
  std::lock_guard lock(state_->mutex);
  for (const State::Any& any : state_->families) all.push_back(State::description(any));
  return all;
}

std::string markdown(const std::string& title, const Registry& registry) {
  std::string out = "## " + title + "\n\n| metric | kind | labels | meaning |\n|---|---|---|---|\n";
  for (const Description& d : registry.descriptions()) {
    out += "| `" + d.name + "` | ";
    out += word(d.kind);
    out += " | ";
    for (size_t i = 0; i < d.labels.size(); ++i) out += (i > 0 ? ", " : "") + d.labels[i];
    out += " | " + d.help + " |\n";
  }
  return out + "\n";
}

}  // namespace bw::metrics
