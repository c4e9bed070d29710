// Publishes the purges that writes owe, in order, until the purge service has them durable.
//
//   idle -> reading -> publishing -> forgetting -> idle      (a failure: waiting -> reading)
//
// Several entries leave as one request whose key is made from their numbers, so that a repeated
// request is known as one. Threads: its loop's. Lifetime: outlives the executor's tasks (destroy
// the executor first). Bounds: kBatch entries a request; waits from 100 ms to 5 s.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "core/base/executor.h"
#include "core/net/loop.h"
#include "origin/metrics.h"
#include "origin/product_store.h"
#include "purge/client/publisher.h"

namespace bw::origin {

class Outbox {
 public:
  static constexpr size_t kBatch = 50;

  Outbox(net::Loop& loop, Executor& executor, ProductStore& store,
         std::shared_ptr<purge::ServiceLink> link, std::string site, OriginMetrics& metrics);

  // Something may be there.
  void poke();
  // Of the last answer that made purges durable; empty: none yet.
  const std::string& last_receipt() const { return last_receipt_; }

 private:
  enum class State : uint8_t { idle, reading, publishing, forgetting, waiting };
  void read();
  void publish(const std::vector<OutboxEntry>& entries);
  void on_answer(Result<purge::PurgeAnswer> answer);
  void forget();
  void wait();

  net::Loop& loop_;
  Executor& executor_;
  ProductStore& store_;
  const std::string site_;
  OriginMetrics& metrics_;
  purge::Publisher publisher_;
  net::Timer timer_;
  State state_ = State::idle;
  bool poked_ = false;
  uint64_t first_ = 0;  // of the entries under way
  uint64_t last_ = 0;
  Duration next_wait_;
  bool told_ = false;  // of a failure that goes on
  std::string last_receipt_;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // for what comes back late
};

}  // namespace bw::origin
