// The service's side towards nodes: beats and the registry, and the streams of the log.
#include <algorithm>
#include <utility>

#include "core/base/file.h"
#include "core/base/log.h"
#include "purge/service.h"

namespace bw::purge {
namespace {

using http::EndpointResponse;

// A live process beats within this; shorter than a beat's own timeout at the node.
constexpr Duration kContest = std::chrono::milliseconds(1500);
constexpr Duration kContestLook = std::chrono::milliseconds(20);
constexpr size_t kMaxContests = 1000;
// What nodes offer may raise the epoch so far; 4,095 starts of the service are left whatever they
// say.
constexpr uint32_t kMaxOffered = Position::kMaxEpoch - 4096;

EndpointResponse problem(int status, std::string_view name, std::string_view detail) {
  return EndpointResponse::problem(status, name, detail);
}

EndpointResponse name_taken() {
  return problem(409, "name-taken", "Another live instance has this name.");
}

bool is_node_name(std::string_view name) {
  return !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  });
}

}  // namespace

void Service::beat(const std::string& name, const Request& request, http::Reply reply) {
  if (!is_node_name(name)) {
    return reply.send(problem(400, "malformed", "The node's name isn't one."));
  }
  std::string why;
  std::optional<Beat> beat = parse_beat(request.body, &why);
  if (!beat) return reply.send(problem(400, "malformed", why));
  const MonoTime now = parts_.loop.now();
  const bool leaves = beat->state == "left";
  if (leaves || !parts_.registry.contested(name, beat->instance, now)) {
    // The process that has the name gives a sign of life: who waited for it is refused.
    contests_.remove_if([&](Contest& one) {
      if (one.name != name || one.beat.instance == beat->instance) return false;
      one.reply.send(name_taken());
      return true;
    });
    return take_beat(name, std::move(*beat), std::move(reply));
  }
  // A process that ended without a word leaves a dead stream, which a write finds out; one whose
  // stream is gone has no claim any more.
  if (contests_.size() >= kMaxContests) return reply.send(name_taken());
  fan_out_.nonce_came(name);
  contests_.push_back({std::move(reply), name, std::move(*beat), now + kContest});
  contest_looks_.arm(kContestLook);
}

void Service::look_at_contests() {
  const MonoTime now = parts_.loop.now();
  std::list<Contest> decided;
  for (auto one = contests_.begin(); one != contests_.end();) {
    const auto here = one++;
    const Registry::Node* node = parts_.registry.find(here->name);
    const bool alive =
        node != nullptr && fan_out_.follows(here->name, node->beat.instance) && now < here->until;
    if (!alive || here->reply.client_gone()) decided.splice(decided.end(), contests_, here);
  }
  for (Contest& one : decided) {
    if (!one.reply.client_gone()) take_beat(one.name, std::move(one.beat), std::move(one.reply));
  }
  if (!contests_.empty()) contest_looks_.arm(kContestLook);
}

void Service::take_beat(const std::string& name, Beat beat, http::Reply reply) {
  const Registry::Node* before = parts_.registry.find(name);
  const Position applied_before =
      before != nullptr && before->beat.applied ? before->beat.applied->position : Position{};
  const std::optional<LogPoint> applied = beat.applied;
  const Registry::Outcome outcome = parts_.registry.beat(name, std::move(beat), parts_.loop.now());
  if (outcome == Registry::Outcome::full) {
    return reply.send(problem(503, "registry-full", "The registry holds no more nodes."));
  }
  if (applied && applied->position > applied_before && parts_.log.holds(*applied)) {
    if (const Registry::Node* node = parts_.registry.find(name)) {
      times_.applied(node->number, applied_before, applied->position, parts_.loop.now());
    }
  }
  if (outcome == Registry::Outcome::joined || outcome == Registry::Outcome::left) {
    fan_out_.end_strangers();
  }
  if (outcome == Registry::Outcome::fine) {
    reply.send(EndpointResponse::json(200, "{}"));
  } else {
    // A node that is told "registered" is waited for after a crash of the service too.
    joining_.push_back(std::move(reply));
    keep_registry();
  }
  fan_out_.nonce_came(name);
  look_soon();
}

void Service::nodes(http::Reply reply) {
  reply.send(
      EndpointResponse::json(200, parts_.registry.json(parts_.loop.now(), parts_.log).dump()));
}

void Service::keep_registry() {
  if (keeping_) {
    keep_again_ = true;
    return;
  }
  keeping_ = true;
  keep_again_ = false;
  auto told = std::make_shared<std::vector<http::Reply>>(std::exchange(joining_, {}));
  const auto kept = [self = self_, told](const Status& status) {
    for (http::Reply& reply : *told) {
      reply.send(status.ok() ? EndpointResponse::json(200, "{}")
                             : problem(503, "registry", "The registry cannot be written now."));
    }
    told->clear();
    Service* service = *self;
    if (service == nullptr) return;
    service->keeping_ = false;
    if (!status.ok()) log::error("the registry: " + describe(status.error()));
    if (service->keep_again_) service->keep_registry();
  };
  const Status queued = parts_.executor.submit(
      [loop = &parts_.loop, kept, file = parts_.registry_file, text = parts_.registry.encode()] {
        const Status written = replace_file(file, text, 0640);
        loop->post([kept, written] { kept(written); });
      });
  if (!queued.ok()) kept(queued);
}

// --- the log

void Service::follow(const Request& request, http::Reply reply) {
  const std::string node = request.query("node").value_or("").substr(0, 64);
  const std::string instance = request.query("instance").value_or("").substr(0, 256);
  const bool follow = request.query("follow").value_or("") == "1";
  const std::optional<std::string> after = request.query("after");
  // Who follows under a name is waited for: a process whose beat isn't taken gets no log either.
  if (!node.empty() && !parts_.registry.knows(node, instance)) {
    return reply.send(problem(409, "unregistered", "A node's beat comes before its log."));
  }
  if (!after) {
    return fan_out_.follow(std::move(reply), node, instance, parts_.log.size(), follow);
  }
  const std::optional<Position> position = Position::parse(*after);
  const std::optional<std::string> chain_text = request.query("chain");
  std::optional<Chain> chain;
  if (chain_text) chain = parse_chain(*chain_text);
  if (!position || (chain_text && !chain)) {
    return reply.send(problem(400, "malformed", "after: EPOCH.SEQ; chain: 32 hex digits."));
  }
  const bool held =
      chain ? parts_.log.holds({*position, *chain}) : *position <= parts_.log.end().position;
  if (held) {
    return fan_out_.follow(std::move(reply), node, instance, parts_.log.after(*position), follow);
  }
  // A place on no history of ours. The first record of an epoch above it tells the node so.
  const size_t newest = parts_.log.newest_epoch();
  if (parts_.log.at(newest).position > *position) {
    return fan_out_.follow(std::move(reply), node, instance, newest, follow);
  }
  if (position->epoch() > kMaxOffered) {
    log::error("node " + node + " offers " + position->text() +
               ", an epoch that is kept for this service's own starts");
    return reply.send(problem(409, "epoch", "No epoch is left above it; begin without a table."));
  }
  log::warning("node " + node + " offers " + position->text() +
               ", which isn't on this log: a higher epoch is opened");
  follow_from_new_epoch(position->epoch(), node, instance, std::move(reply));
}

void Service::follow_from_new_epoch(uint32_t above, std::string node, std::string instance,
                                    http::Reply reply) {
  auto held = std::make_shared<http::Reply>(std::move(reply));
  const Status queued = parts_.writer.submit_epoch(
      above, parts_.loop.wall().ms(),
      [self = self_, node = std::move(node), instance = std::move(instance),
       held](Result<std::vector<Record>> opened) {
        Service* service = *self;
        if (service == nullptr) return;
        if (!opened.ok()) {
          return held->send(problem(503, "log", "The log cannot be written now."));
        }
        service->parts_.log.add(std::move(*opened));
        service->fan_out_.records_came();
        service->fan_out_.follow(std::move(*held), node, instance,
                                 service->parts_.log.newest_epoch(), true);
      });
  if (!queued.ok()) held->send(problem(503, "log-busy", "Too many purges wait for the disk."));
}

}  // namespace bw::purge
