#include "core/http/client.h"

#include <functional>
#include <unordered_map>

#include "core/http/client_group.h"

namespace bw::http {
namespace {

struct TargetHash {
  size_t operator()(const Target& target) const {
    const net::Ip& ip = target.address.ip();
    size_t hash = std::hash<std::string_view>()(
        {reinterpret_cast<const char*>(ip.bytes.data()), ip.bytes.size()});
    const auto mix = [&hash](size_t more) { hash = hash * 0x9e3779b97f4a7c15ULL + more; };
    mix(target.address.port());
    mix(std::hash<std::string>()(target.address.path()));
    mix(std::hash<std::string>()(target.server_name));
    mix(std::hash<const void*>()(target.tls.get()));
    mix(static_cast<size_t>(target.protocol));
    return hash;
  }
};

class Handle final : public ClientStream {
 public:
  explicit Handle(std::shared_ptr<ClientRequest> request) : request_(std::move(request)) {}
  ~Handle() override { request_->cancel(); }

  void send_body(Slice piece) override { request_->send_body(std::move(piece)); }
  void finish(const FieldList* trailers) override { request_->finish(trailers); }
  bool wants_more() const override { return request_->wants_more(); }
  void pause() override { request_->pause(); }
  void resume() override { request_->resume(); }
  bool reused_connection() const override { return request_->reused(); }

 private:
  const std::shared_ptr<ClientRequest> request_;
};

}  // namespace

struct ClientPool::State {
  net::Loop& loop;
  const ClientLimits limits;
  std::unordered_map<Target, std::unique_ptr<ClientGroup>, TargetHash> groups;

  ClientGroup& group_of(const Target& target) {
    if (const auto found = groups.find(target); found != groups.end()) return *found->second;
    // Called by the group, within the pool's life; the group goes in the next turn.
    Task on_empty = [this, target] {
      auto node = groups.extract(target);
      loop.retire(std::move(node.mapped()));
    };
    return *groups
                .emplace(target,
                         std::make_unique<ClientGroup>(loop, target, limits, std::move(on_empty)))
                .first->second;
  }

  size_t sum(size_t (ClientGroup::*count)() const) const {
    size_t total = 0;
    for (const auto& [target, group] : groups) total += (*group.*count)();
    return total;
  }
};

ClientPool::ClientPool(net::Loop& loop, ClientLimits limits)
    : state_(new State{.loop = loop, .limits = limits, .groups = {}}) {}

ClientPool::~ClientPool() = default;

std::unique_ptr<ClientStream> ClientPool::fetch(const Target& target, const RequestHead& head,
                                                bool has_body, const ClientDeadlines& deadlines,
                                                ClientHandler& handler) {
  auto request = std::make_shared<ClientRequest>(state_->loop, head, has_body, deadlines, handler);
  state_->group_of(target).submit(request);
  return std::make_unique<Handle>(std::move(request));
}

size_t ClientPool::idle_connections() const { return state_->sum(&ClientGroup::idle_connections); }
size_t ClientPool::open_connections() const { return state_->sum(&ClientGroup::open_connections); }

void ClientPool::close_idle() {
  std::vector<ClientGroup*> all;
  for (const auto& [target, group] : state_->groups) all.push_back(group.get());
  for (ClientGroup* group : all) group->close_idle();
}

}  // namespace bw::http
