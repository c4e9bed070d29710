// Service: the purge API over one log, its registry and its streams.
//
// Way of a purge: on_request -> parse_purge -> LogWriter (durable) -> LogView -> FanOut -> receipt.
// Threads: its loop's. Bounds: kMaxWaiters requests wait, beyond them nobody does. Errors:
// problem+json; nothing of a refused request is applied and no sequence is used. See:
// docs/architecture.md "Ways".
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "core/base/executor.h"
#include "core/base/metrics.h"
#include "core/http/endpoint.h"
#include "core/net/loop.h"
#include "purge/fan_out.h"
#include "purge/item_rate.h"
#include "purge/log_view.h"
#include "purge/log_writer.h"
#include "purge/purge_request.h"
#include "purge/receipt_times.h"
#include "purge/registry.h"
#include "purge/settings.h"
#include "purge/token.h"

namespace bw::purge {

struct ServiceMetrics {
  explicit ServiceMetrics(metrics::Registry& registry);
  metrics::Family<metrics::Counter>& purges;   // by what was answered
  metrics::Family<metrics::Counter>& records;  // made durable, by kind
};

class Service {
 public:
  static constexpr size_t kMaxWaiters = 2'000;

  struct Parts {
    net::Loop& loop;
    Random& random;
    Executor& executor;  // for the registry's file
    LogWriter& writer;
    LogView& log;
    Registry& registry;
    ServiceMetrics& metrics;
    std::string registry_file;
  };
  Service(Parts parts, const PurgedSettings& settings, std::vector<Token> tokens);
  ~Service();

  void on_request(http::EndpointRequest request, http::Reply reply);
  // Ends what waits and what follows, so that the connections can end.
  void drain();
  // The last purge couldn't be made durable.
  bool log_failed() const { return log_failed_; }
  void set_tokens(std::vector<Token> tokens) { tokens_ = std::move(tokens); }
  size_t streams() const { return fan_out_.streams(); }
  size_t waiting_bytes() const { return fan_out_.waiting(); }

 private:
  struct Site {
    std::vector<std::string> hosts;
    ItemRate rate;
  };
  struct Waiter {
    http::Reply reply;
    std::string site;
    std::string id;
    Wait wait = Wait::none;
    MonoTime until;
  };
  // A beat under a name whose other process may be alive: waits for a sign of it.
  struct Contest {
    http::Reply reply;
    std::string name;
    Beat beat;
    MonoTime until;
  };
  using Request = http::EndpointRequest;

  // The token that may do this, or the refusal was sent; `status` receives its status.
  const Token* authorise(const Request& request, http::Reply& reply, uint8_t scopes,
                         std::string_view site, int* status = nullptr);
  void answered(const std::string& site, int status);
  void purge(const std::string& site, const Request& request, http::Reply reply);
  void append(const std::string& site, const std::string& id, const Token& token, Purge purge,
              http::Reply reply);
  void durable(const std::string& site, const std::string& id, const Purge& purge,
               Result<std::vector<Record>> records, http::Reply reply);
  // The answer to a request that came before, under the same key.
  void repeat(const std::string& site, const std::string& id, const Purge& purge,
              http::Reply reply);
  void wait_for(const std::string& site, const std::string& id, Wait wait, int64_t timeout_ms,
                http::Reply reply);
  void look_at_waiters();
  void look_soon();
  Receipt receipt_of(const std::string& id) const;
  std::string receipt_json(const std::string& id, const Receipt& receipt) const;
  void receipt(const std::string& site, const std::string& id, http::Reply reply);
  void audit(const std::string& site, const Request& request, http::Reply reply);
  void beat(const std::string& name, const Request& request, http::Reply reply);
  void take_beat(const std::string& name, Beat beat, http::Reply reply);
  void look_at_contests();
  void nodes(http::Reply reply);
  void follow(const Request& request, http::Reply reply);
  void follow_from_new_epoch(uint32_t above, std::string node, std::string instance,
                             http::Reply reply);
  void keep_registry();
  void tick();

  Parts parts_;
  std::map<std::string, Site> sites_;
  std::vector<Token> tokens_;
  FanOut fan_out_;
  ReceiptTimes times_;             // of purges of this process's life
  std::set<std::string> pending_;  // ids on their way to the disk
  std::list<Waiter> waiters_;
  std::list<Contest> contests_;
  std::vector<http::Reply> joining_;  // answered once the registry's file holds their nodes
  net::Timer waits_;
  net::Timer contest_looks_;
  net::Timer ticks_;
  bool looking_soon_ = false;
  bool log_failed_ = false;
  bool keeping_ = false;
  bool keep_again_ = false;
  std::shared_ptr<Service*> self_;
};

}  // namespace bw::purge
