#include "tests/bench/load/runner.h"

#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <cmath>
#include <cstdio>

#include "tests/bench/load/cpu.h"

namespace bw::bench {
namespace {

uint64_t read_clock(clockid_t clock) {
  timespec time{};
  clock_gettime(clock, &time);
  return static_cast<uint64_t>(time.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(time.tv_nsec);
}

uint64_t ns_of(double seconds) { return static_cast<uint64_t>(seconds * 1e9); }

constexpr uint64_t kSilence = 20'000'000'000;  // without an answer: the run failed

}  // namespace

Runner::Runner(const Options& given) : Tally(given), dice_(given.seed * 2 + 1) {
  poll_ = epoll_create1(EPOLL_CLOEXEC);
  if (given.tls) tls_ = make_client_tls(given.h2);
  for (uint32_t i = 0; i < given.connections; ++i) {
    connections_.push_back(std::make_unique<Connection>(*this, tls_));
  }
}

void Runner::open_window() {
  begin_ = now_;
  end_ = options.requests > 0 ? UINT64_MAX : begin_ + ns_of(options.seconds);
  answered_ = bytes = 0;
  latency_.clear();
  server_cpu_ = cpu_ns(options.watch);
  client_cpu_ = read_clock(CLOCK_PROCESS_CPUTIME_ID);
}

bool Runner::over() const {
  return options.requests > 0 ? answered_ >= options.requests : begin_ != 0 && now_ >= end_;
}

const char* Runner::run() {
  if (options.idle) return hold();
  for (auto& connection : connections_) {
    if (const char* fault = connection->connect(poll_, options.port)) return fault;
  }
  now_ = read_clock(CLOCK_MONOTONIC);
  warm_ = now_ + ns_of(options.requests > 0 ? 0 : options.warmup);
  next_due_ = now_;
  uint64_t heard = now_, before = 0;
  while (!over()) {
    if (begin_ == 0 && now_ >= warm_) open_window();
    if (const char* fault = turn()) return fault;
    if (answered_ != before) {
      before = answered_;
      heard = now_;
    }
    if (now_ - heard > kSilence) return "no answer for 20 s";
  }
  server_cpu_ = cpu_ns(options.watch) - server_cpu_;
  client_cpu_ = read_clock(CLOCK_PROCESS_CPUTIME_ID) - client_cpu_;
  end_ = read_clock(CLOCK_MONOTONIC);
  // Who still waits for a connection has waited at least so long.
  for (; due_at_ < due_.size(); ++due_at_) latency_.add(end_ - due_[due_at_].due_ns);
  return nullptr;
}

// Opens them a few at a time, asks once on each, and holds them until stdin ends.
const char* Runner::hold() {
  begin_ = now_ = read_clock(CLOCK_MONOTONIC);
  size_t begun = 0;
  while (answered_ < connections_.size()) {
    while (begun < connections_.size() && begun < answered_ + 64) {
      if (const char* fault = connections_[begun++]->connect(poll_, options.port)) return fault;
    }
    if (const char* fault = turn()) return fault;
  }
  std::printf("{\"holding\": %zu}\n", connections_.size());
  std::fflush(stdout);
  for (char byte = 0; read(0, &byte, 1) > 0;) {
  }
  end_ = read_clock(CLOCK_MONOTONIC);
  return nullptr;
}

int Runner::pause_ms() const {
  if (options.rate <= 0) return 1000;
  // The last part of a wait is spent looking: a sleep of a millisecond would be the latency.
  return next_due_ > now_ + 2'000'000 ? 1 : 0;
}

const char* Runner::turn() {
  std::array<epoll_event, 256> events;
  const int count = epoll_wait(poll_, events.data(), static_cast<int>(events.size()), pause_ms());
  now_ = read_clock(CLOCK_MONOTONIC);
  for (int i = 0; i < count; ++i) {
    auto& connection = *static_cast<Connection*>(events[static_cast<size_t>(i)].data.ptr);
    const uint64_t before = answered_;
    if (const char* fault = connection.ready(events[static_cast<size_t>(i)].events)) return fault;
    if (options.close && answered_ != before) {
      connection.close();
      if (const char* fault = connection.connect(poll_, options.port)) return fault;
      continue;
    }
    if (options.rate <= 0) {
      if (const char* fault = pump(connection)) return fault;
    } else if (const char* fault = connection.flush()) {
      return fault;
    }
  }
  if (options.rate > 0) {
    arrive();
    for (size_t tried = 0; due_at_ < due_.size() && tried < connections_.size(); ++tried) {
      if (const char* fault = pump(*connections_[next_connection_])) return fault;
      next_connection_ = (next_connection_ + 1) % connections_.size();
    }
    if (due_at_ == due_.size()) {
      due_.clear();
      due_at_ = 0;
    }
  }
  return nullptr;
}

// Requests come at random times, as from many independent clients: their number in a moment is
// Poisson's.
void Runner::arrive() {
  while (next_due_ <= now_) {
    due_.push_back({urls.next(), next_due_});
    dice_ ^= dice_ << 13;
    dice_ ^= dice_ >> 7;
    dice_ ^= dice_ << 17;
    const double share = (static_cast<double>(dice_ >> 11) + 1) * 0x1p-53;
    next_due_ += static_cast<uint64_t>(-std::log(share) / options.rate * 1e9);
  }
}

const char* Runner::pump(Connection& connection) {
  uint32_t room = connection.room();
  if (options.rate > 0) {
    // One each, so that connections share the load; more only when all are busy.
    for (room = std::min(room, 1U); room > 0 && due_at_ < due_.size(); --room) {
      connection.request(due_[due_at_++]);
    }
  } else {
    if (options.idle || options.close) room = connection.asked ? 0 : std::min(room, 1U);
    for (; room > 0 && (options.requests == 0 || asked_ < options.requests); --room, ++asked_) {
      connection.request({urls.next(), now_});
      connection.asked = true;
    }
  }
  return connection.flush();
}

void Runner::done(const Request& request) {
  ++answered_;
  latency_.add(now_ - request.due_ns);
}

std::string Runner::report(const char* fault) const {
  std::array<char, 1024> text;
  const double seconds = static_cast<double>(end_ - begin_) / 1e9;
  const double count = answered_ > 0 ? static_cast<double>(answered_) : 1;
  const auto us = [this](double share) {
    return static_cast<double>(latency_.percentile(share)) / 1e3;
  };
  if (fault != nullptr) {
    std::snprintf(text.data(), text.size(), "{\"error\": \"%s\", \"answers\": %llu}", fault,
                  static_cast<unsigned long long>(answers));
    return text.data();
  }
  std::snprintf(
      text.data(), text.size(),
      "{\"requests\": %llu, \"seconds\": %.4f, \"rate\": %.1f, \"mib\": %.4f, "
      "\"server_ms\": %.4f, \"client_ms\": %.4f, \"client_busy\": %.3f, \"compared\": %llu, "
      "\"latency_us\": {\"p50\": %.1f, \"p90\": %.1f, \"p99\": %.1f, \"p999\": %.1f, "
      "\"p9999\": %.1f, \"most\": %.1f}}",
      static_cast<unsigned long long>(answered_), seconds, count / seconds,
      static_cast<double>(bytes) / 1048576, static_cast<double>(server_cpu_) / 1e6,
      static_cast<double>(client_cpu_) / 1e6, static_cast<double>(client_cpu_) / 1e9 / seconds,
      static_cast<unsigned long long>(compared), us(0.5), us(0.9), us(0.99), us(0.999), us(0.9999),
      static_cast<double>(latency_.most()) / 1e3);
  return text.data();
}

}  // namespace bw::bench
