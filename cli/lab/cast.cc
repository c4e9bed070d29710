#include "cli/lab/cast.h"

#include <cstdlib>
#include <sstream>
#include <thread>

namespace bw::cli {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration kReady = seconds(30);
constexpr Duration kStop = seconds(5);

}  // namespace

std::unique_ptr<Lab> Lab::make(Clock& clock, bool keep, std::string* why) {
  std::unique_ptr<Lab> lab(new Lab(clock));
  lab->script_ = ScriptOrigin::make(clock, why);
  if (lab->script_ == nullptr) return nullptr;
  lab->plan_ = Plan::make(lab->script_->address(), keep, why);
  if (lab->plan_ == nullptr) return nullptr;
  lab->client_ = Client::make(clock, lab->plan_->ca_file(), why);
  return lab->client_ != nullptr ? std::move(lab) : nullptr;
}

Lab::~Lab() {
  // The last started first: nobody complains about a neighbour that left.
  for (auto part = plan_ == nullptr ? 0 : plan_->parts().size(); part > 0; --part) {
    const auto at = children_.find(plan_->parts()[part - 1].name);
    if (at != children_.end()) at->second->stop(kStop);
  }
  children_.clear();
  client_.reset();
}

bool Lab::start(std::string* why) {
  for (const Part& part : plan_->parts()) {
    if (!start(part.name, why)) return false;
  }
  return true;
}

bool Lab::start(std::string_view name, std::string* why) {
  const Part& part = plan_->part(name);
  auto child = std::make_unique<Child>(
      part.name, std::vector<std::string>{part.program, "--config", part.file},
      plan_->path(part.name + ".log"));
  const bool ready = child->wait_ready(part.listeners, kReady, why);
  children_[part.name] = std::move(child);
  return ready;
}

int Lab::stop(std::string_view name) {
  const auto at = children_.find(name);
  if (at == children_.end()) return 0;
  const int code = at->second->stop(kStop);
  children_.erase(at);
  return code;
}

void Lab::kill(std::string_view name) {
  const auto at = children_.find(name);
  if (at == children_.end()) return;
  at->second->kill();
  children_.erase(at);
}

pid_t Lab::pid(std::string_view name) const {
  const auto at = children_.find(name);
  return at == children_.end() ? -1 : at->second->pid();
}

std::string Lab::missing() const {
  for (const auto& [name, child] : children_) {
    if (!child->alive()) return name;
  }
  return {};
}

Ask Lab::ask(std::string_view edge, std::string_view host, std::string target,
             Ask::Over over) const {
  const Part& part = plan_->part(edge);
  const bool tls = over != Ask::Over::http1;
  const net::Address& to = tls ? part.https : part.http;
  return Ask{.to = to,
             .over = over,
             .host = std::string(host) + ":" + std::to_string(to.port()),
             .target = std::move(target)};
}

Ask Lab::shop(std::string_view edge, std::string target, Ask::Over over) const {
  return ask(edge, kShopHost, std::move(target), over);
}
Ask Lab::scripted(std::string_view edge, std::string target, Ask::Over over) const {
  return ask(edge, kScriptHost, std::move(target), over);
}

Got Lab::admin(std::string_view part, std::string target) {
  const net::Address& to = plan_->part(part).admin;
  return client_->ask(Ask{.to = to,
                          .host = to.text(),
                          .target = std::move(target),
                          .fields = {{"authorization", "Bearer " + plan_->admin_token()}}});
}

Got Lab::explain(std::string_view edge, std::string_view url) {
  const net::Address& to = plan_->part(edge).admin;
  text::Json body = text::Json::object();
  body.set("url", url).set("method", "GET");
  return client_->ask(Ask{.to = to,
                          .method = "POST",
                          .host = to.text(),
                          .target = "/v1/explain",
                          .fields = {{"authorization", "Bearer " + plan_->admin_token()},
                                     {"content-type", "application/json"}},
                          .body = body.dump()});
}

double Lab::metric(std::string_view part, std::string_view name, std::string_view label) {
  const Got got = admin(part, "/metrics");
  if (got.status != 200) return -1;
  std::istringstream lines(got.body);
  std::string line;
  double sum = 0;
  while (std::getline(lines, line)) {
    const size_t end = line.find_first_of("{ ");
    const size_t value = line.rfind(' ');
    if (end == std::string::npos || line.substr(0, end) != name) continue;
    if (!label.empty() && line.find(label) == std::string::npos) continue;
    sum += std::strtod(line.c_str() + value, nullptr);
  }
  return sum;
}

Got Lab::purge(std::string_view site, const text::Json& request) {
  const net::Address& to = plan_->part("purged").https;
  return client_->ask(Ask{.to = to,
                          .over = Ask::Over::http1_tls,
                          .method = "POST",
                          .host = to.text(),
                          .target = "/v1/sites/" + std::string(site) + "/purge",
                          .fields = {{"authorization", "Bearer " + plan_->operator_token()},
                                     {"content-type", "application/json"}},
                          .body = request.dump()});
}

std::vector<std::string> Lab::dig(std::string_view name, std::string_view subnet,
                                  std::string_view transport) const {
  const net::Address& at = plan_->part("geodns").http;
  std::vector<std::string> command = {
      "dig",      "@" + at.ip().text(),  "-p", std::to_string(at.port()), "+short", "+time=2",
      "+tries=2", std::string(transport)};
  if (!subnet.empty()) command.push_back("+subnet=" + std::string(subnet));
  command.emplace_back(name);
  command.emplace_back("A");
  std::istringstream words(output_of(command));
  std::vector<std::string> found;
  std::string word;
  while (words >> word) {
    if (net::Ip::parse(word).ok()) found.push_back(word);
  }
  return found;
}

bool Lab::until(const std::function<bool()>& condition, Duration within) {
  const MonoTime end = clock_.mono() + within;
  while (!condition()) {
    if (clock_.mono() >= end) return false;
    std::this_thread::sleep_for(milliseconds(10));
  }
  return true;
}

}  // namespace bw::cli
