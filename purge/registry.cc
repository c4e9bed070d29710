#include "purge/registry.h"

#include <algorithm>
#include <utility>

namespace bw::purge {
namespace {

using text::Json;

constexpr size_t kMaxText = 256;
constexpr size_t kMaxList = 64;
// A process that died without a word may be thought alive for so long.
constexpr Duration kLeastAlive = std::chrono::seconds(3);

bool text_member(const Json& body, std::string_view key, std::string* to, std::string* why) {
  const Json* value = body.find(key);
  if (value == nullptr) return true;
  const auto text = value->as_string();
  if (!text || text->size() > kMaxText) {
    *why = std::string(key) + ": a short text is needed";
    return false;
  }
  *to = *text;
  return true;
}

Json beat_json(const Beat& beat) {
  Json node = Json::object();
  node.set("instance", beat.instance).set("pop", beat.pop).set("role", beat.role);
  Json addresses = Json::array();
  for (const std::string& address : beat.addresses) addresses.push(address);
  node.set("addresses", std::move(addresses));
  node.set("applied", beat.applied ? Json(beat.applied->position.text()) : Json());
  node.set("chain", beat.applied ? Json(to_hex(beat.applied->chain)) : Json());
  node.set("load", beat.load).set("lag_limit_ms", beat.lag_limit_ms);
  Json sites = Json::object();
  for (const auto& [name, on_lag] : beat.sites) sites.set(name, on_lag);
  node.set("sites", std::move(sites));
  node.set("version", beat.version);
  return node;
}

}  // namespace

std::optional<Beat> parse_beat(std::string_view body, std::string* why) {
  const Result<Json> parsed = Json::parse(body, {}, why);
  if (!parsed.ok()) return std::nullopt;
  if (!parsed->is_object()) {
    *why = "an object is needed";
    return std::nullopt;
  }
  const Json& given = *parsed;
  Beat beat;
  if (!text_member(given, "instance", &beat.instance, why) ||
      !text_member(given, "pop", &beat.pop, why) || !text_member(given, "role", &beat.role, why) ||
      !text_member(given, "version", &beat.version, why) ||
      !text_member(given, "state", &beat.state, why)) {
    return std::nullopt;
  }
  if (beat.instance.empty()) {
    *why = "instance: a text is needed";
    return std::nullopt;
  }
  if (beat.role != "edge" && beat.role != "shield") {
    *why = "role: edge or shield";
    return std::nullopt;
  }
  if (given.get("addresses").size() > kMaxList || given.get("sites").size() > 16'384) {
    *why = "too many addresses or sites";
    return std::nullopt;
  }
  for (const Json& address : given.get("addresses").items()) {
    const auto text = address.as_string();
    if (!text || text->size() > kMaxText) {
      *why = "addresses: short texts are needed";
      return std::nullopt;
    }
    beat.addresses.emplace_back(*text);
  }
  if (const auto applied = given.get("applied").as_string()) {
    const std::optional<Position> position = Position::parse(*applied);
    const std::optional<Chain> chain = parse_chain(given.get("chain").as_string().value_or(""));
    if (!position || !chain) {
      *why = "applied and chain: EPOCH.SEQ and 32 hex digits";
      return std::nullopt;
    }
    beat.applied = LogPoint{*position, *chain};
  }
  beat.load = given.get("load").as_number().value_or(0);
  beat.lag_limit_ms = given.get("lag_limit_ms").as_int().value_or(5000);
  if (beat.lag_limit_ms < 0 || beat.lag_limit_ms > 86'400'000) {
    *why = "lag_limit_ms: out of bounds";
    return std::nullopt;
  }
  for (const Json::Member& site : given.get("sites").members()) {
    const auto on_lag = site.value.as_string();
    if (!on_lag || site.key.size() > kMaxText) {
      *why = "sites: names with revalidate, serve or fail";
      return std::nullopt;
    }
    beat.sites[site.key] = *on_lag;
  }
  beat.nonce = static_cast<uint64_t>(std::max<int64_t>(0, given.get("nonce").as_int().value_or(0)));
  return beat;
}

Registry::Outcome Registry::beat(const std::string& name, Beat beat, MonoTime now) {
  const auto found = nodes_.find(name);
  if (found == nodes_.end()) {
    if (beat.state == "left") return Outcome::left;
    if (nodes_.size() >= kMaxNodes) return Outcome::full;
    nodes_[name] = Node{std::move(beat), now, now, true, ++last_number_};
    return Outcome::joined;
  }
  Node& node = found->second;
  const Beat& before = node.beat;
  const bool joined = before.instance != beat.instance;
  if (beat.state == "left") {
    if (joined) return Outcome::fine;  // another process has the name by now, and stays
    nodes_.erase(found);
    return Outcome::left;
  }
  const bool changed = before.pop != beat.pop || before.role != beat.role ||
                       before.addresses != beat.addresses || before.sites != beat.sites ||
                       before.lag_limit_ms != beat.lag_limit_ms;
  node.beat = std::move(beat);
  node.last_beat = now;
  node.beaten = true;
  return joined ? Outcome::joined : changed ? Outcome::changed : Outcome::fine;
}

bool Registry::contested(const std::string& name, const std::string& instance, MonoTime now) const {
  const Node* node = find(name);
  return node != nullptr && node->beaten && node->beat.instance != instance &&
         now - node->last_beat < std::max<Duration>(options_.heartbeat * 3, kLeastAlive);
}

void Registry::echoed(const std::string& name) {
  const auto found = nodes_.find(name);
  if (found != nodes_.end()) found->second.last_echo = found->second.last_beat;
}

void Registry::asked(const std::string& name, MonoTime now) {
  const auto found = nodes_.find(name);
  if (found == nodes_.end()) return;
  found->second.last_echo = std::max(found->second.last_echo, now);
}

bool Registry::forget(MonoTime now) {
  return std::erase_if(nodes_, [&](const auto& entry) {
           return now - entry.second.last_beat > options_.forget_after;
         }) > 0;
}

const Registry::Node* Registry::find(const std::string& name) const {
  const auto found = nodes_.find(name);
  return found == nodes_.end() ? nullptr : &found->second;
}

bool Registry::knows(const std::string& name, const std::string& instance) const {
  const Node* node = find(name);
  return node != nullptr && (instance.empty() || node->beat.instance == instance);
}

std::vector<NodeStanding> Registry::standings(const std::string& site, const LogView& log,
                                              const ReceiptTimes::ByNode& applied_at) const {
  std::vector<NodeStanding> standings;
  for (const auto& [name, node] : nodes_) {
    NodeStanding standing;
    standing.name = name;
    standing.pop = node.beat.pop;
    standing.shield = node.beat.role == "shield";
    if (node.beat.applied) {
      standing.applied = node.beat.applied->position;
      standing.on_history = log.holds(*node.beat.applied);
    }
    if (const auto found = applied_at.find(node.number); found != applied_at.end()) {
      standing.applied_at = found->second;
    }
    standing.last_echo = node.last_echo;
    standing.lag_limit = std::chrono::milliseconds(node.beat.lag_limit_ms);
    const auto on_lag = node.beat.sites.find(site);
    standing.fences = on_lag == node.beat.sites.end() || on_lag->second != "serve";
    standings.push_back(std::move(standing));
  }
  return standings;
}

std::string Registry::state_of(const Node& node, MonoTime now, const LogView& log) const {
  const Duration silent = now - node.last_beat;
  if (silent > options_.quarantine_after * 2) return "lost";
  if (silent > options_.quarantine_after) return "quarantined";
  if (node.beat.state == "draining") return "draining";
  if (!node.beat.applied) return "catching_up";
  if (!log.holds(*node.beat.applied)) return "degraded";
  if (!node.beaten || now - node.last_echo > std::chrono::milliseconds(node.beat.lag_limit_ms)) {
    return "degraded";
  }
  return node.beat.state.empty() ? "ready" : node.beat.state;
}

Json Registry::json(MonoTime now, const LogView& log) const {
  Json list = Json::array();
  for (const auto& [name, node] : nodes_) {
    Json one = Json::object();
    one.set("name", name);
    const Json beat = beat_json(node.beat);
    for (const Json::Member& member : beat.members()) {
      one.set(member.key, member.value);
    }
    const std::string state = state_of(node, now, log);
    one.set("lag_ms", (now - node.last_echo).count() / 1'000'000);
    one.set("ready", state == "ready" || state == "degraded");
    one.set("state", state);
    list.push(std::move(one));
  }
  Json body = Json::object();
  body.set("nodes", std::move(list));
  return body;
}

std::string Registry::encode() const {
  Json list = Json::array();
  for (const auto& [name, node] : nodes_) {
    Json one = beat_json(node.beat);
    one.set("name", name);
    list.push(std::move(one));
  }
  Json body = Json::object();
  body.set("nodes", std::move(list));
  return body.dump(1) + "\n";
}

Status Registry::decode(std::string_view text, MonoTime now) {
  std::string why;
  const Result<Json> parsed = Json::parse(text, {.max_bytes = 64u << 20}, &why);
  if (!parsed.ok()) return parsed.error();
  for (const Json& one : parsed->get("nodes").items()) {
    const auto name = one.get("name").as_string();
    std::optional<Beat> beat = parse_beat(one.dump(), &why);
    if (!name || !beat) return Error{.kind = Error::Kind::corrupt, .text = "the registry's file"};
    // Nobody knows when it last heard of the log: as late as it can have been.
    nodes_[std::string(*name)] = Node{std::move(*beat), now, now, false, ++last_number_};
  }
  return {};
}

}  // namespace bw::purge
