#include "purge/client/publisher.h"

#include <map>
#include <utility>

#include "core/http/client.h"
#include "core/text/json.h"
#include "purge/client/call.h"

namespace bw::purge {
namespace {

constexpr size_t kMaxAnswer = 4 << 20;

text::Json list_of(const std::vector<std::string>& texts) {
  text::Json list = text::Json::array();
  for (const std::string& text : texts) list.push(text);
  return list;
}

}  // namespace

std::string encode_purge_request(const PurgeRequest& request) {
  text::Json body = text::Json::object();
  if (!request.urls.empty()) body.set("urls", list_of(request.urls));
  if (!request.tags.empty()) body.set("tags", list_of(request.tags));
  if (!request.prefixes.empty()) body.set("prefixes", list_of(request.prefixes));
  if (!request.hosts.empty()) body.set("hosts", list_of(request.hosts));
  if (request.everything) body.set("everything", true);
  if (!request.mode.empty()) body.set("mode", request.mode);
  if (!request.wait.empty()) body.set("wait", request.wait);
  if (request.wait_timeout_ms > 0) body.set("wait_timeout_ms", request.wait_timeout_ms);
  if (!request.reason.empty()) body.set("reason", request.reason);
  return body.dump();
}

bool PurgeAnswer::retry_later() const {
  return status == 429 || status >= 500 || (status == 409 && body.find("in-progress") != body.npos);
}

class Publisher::State {
 public:
  State(net::Loop& loop, std::shared_ptr<ServiceLink> link, Executor* executor)
      : loop_(loop), link_(std::move(link)), executor_(executor), pool_(loop, {}) {}

  void ask(http::RequestHead head, std::string body, Duration timeout, Done done) {
    const uint64_t id = ++last_;
    auto call = std::make_unique<Call>(
        loop_, pool_, kMaxAnswer,
        [this, id, done = std::move(done)](Result<Call::Answer> answer) mutable {
          const auto found = calls_.find(id);
          loop_.retire(std::move(found->second));
          calls_.erase(found);
          // The last step: `done` may destroy the publisher.
          if (!answer.ok()) return done(answer.error());
          done(PurgeAnswer{answer->status, std::move(answer->body)});
        });
    Call& made = *calls_.emplace(id, std::move(call)).first->second;
    made.start(link_, executor_, std::move(head), std::move(body), timeout);
  }

  const ServiceLink& link() const { return *link_; }

 private:
  net::Loop& loop_;
  const std::shared_ptr<ServiceLink> link_;
  Executor* const executor_;
  http::ClientPool pool_;
  uint64_t last_ = 0;
  std::map<uint64_t, std::unique_ptr<Call>> calls_;
};

Publisher::Publisher(net::Loop& loop, std::shared_ptr<ServiceLink> link, Executor* executor)
    : state_(std::make_unique<State>(loop, std::move(link), executor)) {}

Publisher::~Publisher() = default;

void Publisher::publish(const std::string& site, std::string body, std::string_view idempotency_key,
                        Duration timeout, Done done) {
  http::RequestHead head = state_->link().head("POST", "/v1/sites/" + site + "/purge");
  head.fields.add(http::FieldId::content_type, "application/json");
  if (!idempotency_key.empty()) head.fields.add("idempotency-key", idempotency_key);
  state_->ask(std::move(head), std::move(body), timeout, std::move(done));
}

void Publisher::get(std::string target, Duration timeout, Done done) {
  state_->ask(state_->link().head("GET", std::move(target)), {}, timeout, std::move(done));
}

}  // namespace bw::purge
