#include "core/base/metrics.h"

#include <catch2/catch.hpp>
#include <thread>

using namespace bw;
using namespace bw::metrics;

TEST_CASE("metrics: the text is Prometheus' and adds up over threads") {
  Registry registry;
  auto& requests = registry.counter("bw_requests_total", "what came", {"site", "verdict"});
  auto& lag = registry.gauge("bw_lag_seconds", "how late");
  Counter& hits = requests.with({"shop", "hit"});
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&hits] {
      for (int n = 0; n < 1000; ++n) hits.add();
    });
  }
  for (std::thread& thread : threads) thread.join();
  requests.with({"a\"b\\", "miss"}).add(2);
  lag.with({}).set(0.25);
  registry.ask(Kind::gauge, "bw_bytes", "memory", {"part"}, [] {
    return std::vector<Sample>{{{"bodies"}, 12}};
  });
  CHECK(registry.text() ==
        "# HELP bw_requests_total what came\n# TYPE bw_requests_total counter\n"
        "bw_requests_total{site=\"a\\\"b\\\\\",verdict=\"miss\"} 2\n"
        "bw_requests_total{site=\"shop\",verdict=\"hit\"} 4000\n"
        "# HELP bw_lag_seconds how late\n# TYPE bw_lag_seconds gauge\nbw_lag_seconds 0.25\n"
        "# HELP bw_bytes memory\n# TYPE bw_bytes gauge\nbw_bytes{part=\"bodies\"} 12\n");
  registry.stop_asking();
  CHECK(registry.text().find("bw_bytes{") == std::string::npos);
}

TEST_CASE("metrics: a histogram's buckets are cumulative and end in its count") {
  Registry registry;
  auto& seconds = registry.histogram("bw_seconds", "how long");
  Histogram& h = seconds.with({});
  h.observe(std::chrono::microseconds(100));
  h.observe(std::chrono::milliseconds(3));
  h.observe(std::chrono::minutes(5));
  const std::string text = registry.text();
  CHECK(text.find("bw_seconds_bucket{le=\"0.0001\"} 1\n") != std::string::npos);
  CHECK(text.find("bw_seconds_bucket{le=\"0.005\"} 2\n") != std::string::npos);
  CHECK(text.find("bw_seconds_bucket{le=\"+Inf\"} 3\n") != std::string::npos);
  CHECK(text.find("bw_seconds_count 3\n") != std::string::npos);
}

TEST_CASE("metrics: series are bounded; the rest is one overflow") {
  Registry registry;
  auto& family = registry.counter("bw_many_total", "many", {"n"});
  for (int i = 0; i < 5000; ++i) family.with({std::to_string(i)}).add();
  size_t series = 0;
  uint64_t overflow = 0;
  family.each([&](const std::vector<std::string>& values, const Counter& counter) {
    ++series;
    if (values[0] == "overflow") overflow = counter.value();
  });
  CHECK(series == 4097);
  CHECK(overflow == 5000 - 4096);
}
