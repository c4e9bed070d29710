// Exchange: one request of a client, from its head to the last byte of its answer.
//
//   receive ──refused──────────────────────────────────> answered
//      │ look up ──hit, stale──> deliver (object) ───────> answered
//      │    │ miss        ┌────── deliver (fill) <──┐
//      │    └──> wait for a purge ──> fill ─────────┴────> look up again, or pass
//      └──────────────────────────────────> pass ────────> answered
//
// Way of a hit: Entrance -> Exchange -> Store::find -> Delivery -> ServerStream. Threads: its
// loop's. Lifetime: the stream's connection owns it. finish() runs once for every request, however
// it ended, and is the only writer of the access record.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "core/base/recycled.h"
#include "core/http/server_stream.h"
#include "edge/cache/cache_status.h"
#include "edge/cache/store.h"
#include "edge/proxy/admission.h"
#include "edge/proxy/delivery.h"
#include "edge/proxy/fill.h"
#include "edge/proxy/pass.h"
#include "edge/proxy/worker.h"

namespace bw::edge {

class Exchange final : public http::StreamHandler,
                       public FillWatcher,
                       public DeliveryEvents,
                       public PassEvents,
                       public Recycled<Exchange> {
 public:
  Exchange(Worker& worker, http::ServerStream& stream, const Entrance::Facts& entrance);
  ~Exchange() override;

  void start();

 private:
  // The client's side.
  void on_body(std::string_view piece) override;
  void on_body_end(const http::FieldList& trailers) override;
  void on_writable() override;
  void on_abort(Error error) override;
  void on_sent() override;

  // Look up.
  bool may_look_up() const;
  void look_up();
  void on_found(Found found);
  Lookup lookup() const;
  void wait_for_purge();
  void refresh_in_background();

  // Fill.
  void fetch();
  FillPlan make_plan(FetchKind kind, bool through);
  void on_fill() override;
  void on_fill_head();
  bool follow(const FillHead& head);
  void fetch_anew();
  void fill_failed(const Fill::Failure& failure);
  bool deliver_stale(Reason reason);
  bool lags() const;
  void deliver_fill(std::shared_ptr<const FillHead> head);

  // Deliver.
  void deliver_object(Ref<Object> object, CacheStatus status, bool stale, Position proof);
  void deliver_validated();
  bool send_prepared(const Part& part, const AnswerFacts& facts);
  void send_stored_body(const Part& part, Slice first);
  void send_object(const Part& part, const http::ResponseHead& head, Slice first);
  void read_first_piece(Part part, http::ResponseHead head);
  void on_delivered(std::optional<Error> error) override;
  void on_overrun() override;
  void on_rest(Found found);

  // Pass.
  void pass(Reason reason);
  bool on_pass_head(const http::ResponseHead& head) override;
  void on_passed(std::optional<Error> error) override;
  void on_pass_failed(Error error) override;
  void invalidate(const http::ResponseHead& head);

  // Answers of this node.
  void answer(const Refusal& refusal);
  void fail(int status, std::string_view name, std::string_view detail, Reason reason);
  void add_last_fields(http::ResponseHead& head);
  AnswerFacts answer_facts(std::string_view cache_status) const;
  void say_position(http::ResponseHead& head, Position position, bool stale) const;

  std::string_view request_id();
  TierRequest tier_request(http::RequestHead head, FetchKind kind, Position need);
  void finish();
  // Runs `task` on this loop if the exchange is still there; for callbacks of other threads.
  template <typename Call>
  auto guarded(Call call);

  Worker& worker_;
  http::ServerStream& stream_;
  const Entrance::Facts& entrance_;
  const http::RequestHead* request_;        // the stream's, or own_
  std::unique_ptr<http::RequestHead> own_;  // with another scheme, or fewer cookies
  Admission admission_;
  AccessRecord record_;
  std::string request_id_;
  std::string upstream_;

  CacheKey key_;
  Found found_;
  std::optional<Hash128> slot_;   // to coalesce on, once a fill told which names vary
  Reason reason_ = Reason::none;  // why the cache didn't answer
  Position need_ = 0;             // grows when a fill was overtaken
  Position joined_ = 0;
  Position pass_start_ = 0;  // of the fetch of a pass
  uint64_t rest_of_ = 0;     // generation of what is read on from the disk; 0: none
  int rounds_ = 0;
  bool leads_ = false;
  bool through_ = false;  // a purge that a tier asks for hasn't come here
  bool forget_stored_ = false;
  bool answered_ = false;  // a head was sent
  bool over_ = false;      // the stream may not be called any more
  bool finished_ = false;

  std::shared_ptr<Exchange*> self_;
  std::unique_ptr<net::Timer> timer_;
  MonoTime wait_until_;
  std::unique_ptr<FillReader> reader_;
  std::unique_ptr<Delivery> delivery_;
  std::unique_ptr<Pass> pass_;
  MonoTime begun_, looked_up_, filled_;
};

template <typename Call>
auto Exchange::guarded(Call call) {
  if (self_ == nullptr) self_ = std::make_shared<Exchange*>(this);
  return [loop = &worker_.loop(), self = self_, call = std::move(call)](auto result) mutable {
    loop->post(
        [self = std::move(self), call = std::move(call), result = std::move(result)]() mutable {
          if (*self != nullptr) call(**self, std::move(result));
        });
  };
}

}  // namespace bw::edge
