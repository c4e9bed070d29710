#include "cli/report.h"

#include <algorithm>
#include <vector>

#include "core/base/quantity.h"

namespace bw::cli {
namespace {

using text::Json;

std::string text_of(const Json& value) {
  if (const auto text = value.as_string()) return std::string(*text);
  return value.is_null() ? "-" : value.dump();
}

std::string joined(const Json& list, std::string_view between) {
  std::string all;
  for (const Json& item : list.items()) {
    if (!all.empty()) all += between;
    all += text_of(item);
  }
  return all;
}

void line(std::string& out, std::string_view label, const std::string& value) {
  if (value.empty()) return;
  out.append("  ").append(label);
  out.append(label.size() < 10 ? 10 - label.size() : 1, ' ');
  out.append(value).append("\n");
}

// Columns as wide as their widest cell.
std::string table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string out;
  for (const auto& row : rows) {
    std::string text = " ";
    for (size_t i = 0; i < row.size(); ++i) {
      text.append(" ").append(row[i]);
      if (i + 1 < row.size()) text.append(widths[i] - row[i].size() + 1, ' ');
    }
    out.append(text).append("\n");
  }
  return out;
}

std::string size_of(const Json& value) {
  const auto bytes = value.as_int();
  if (!bytes || *bytes < 0) return "-";
  const auto n = static_cast<uint64_t>(*bytes);
  for (const auto& [unit, shift] : {std::pair{"GiB", 30}, {"MiB", 20}, {"KiB", 10}}) {
    const uint64_t whole = n >> shift;
    if (whole == 0) continue;
    const uint64_t tenth = ((n - (whole << shift)) * 10) >> shift;
    return std::to_string(whole) + "." + std::to_string(tenth) + " " + unit;
  }
  return std::to_string(n) + " B";
}

std::string age_of(const Json& seconds) {
  const auto s = seconds.as_int();
  if (!s) return "-";
  if (*s < 120) return std::to_string(*s) + " s";
  if (*s < 7200) return std::to_string(*s / 60) + " min";
  if (*s < 172'800) return std::to_string(*s / 3600) + " h";
  return std::to_string(*s / 86'400) + " d";
}

std::string usage(const Json& tier) {
  return size_of(tier.get("used")) + " of " + size_of(tier.get("size")) + ", " +
         text_of(tier.get("objects")) + " objects";
}

std::string milliseconds(const Json& value) {
  return value.is_null() ? "-" : text_of(value) + " ms";
}

}  // namespace

std::string purge_report(const Json& receipt) {
  std::string out = "purge " + text_of(receipt.get("id"));
  if (const Json* items = receipt.find("items")) {
    out += ": " + text_of(*items) + (items->as_int() == 1 ? " item" : " items");
  }
  if (const Json* mode = receipt.find("mode")) out += ", " + text_of(*mode);
  if (receipt.get("durable").as_bool().value_or(false)) out += ", durable";
  if (const Json* seq = receipt.find("seq"); seq != nullptr && seq->size() == 2) {
    out += " at " + text_of(seq->items()[0]);
    if (!(seq->items()[0] == seq->items()[1])) out += " to " + text_of(seq->items()[1]);
  }
  out += "\n";
  std::vector<std::vector<std::string>> rows;
  for (const Json& one : receipt.get("receipts").items()) {
    rows.push_back({text_of(one.get("node")), text_of(one.get("pop")), text_of(one.get("role")),
                    text_of(one.get("state")), milliseconds(one.get("applied_ms"))});
  }
  out += table(rows);
  const std::string laggards = joined(receipt.get("laggards"), ", ");
  if (!laggards.empty()) out += "  not yet: " + laggards + "\n";
  return out;
}

std::string explain_report(std::string_view url, const Json& answer) {
  std::string out = std::string(url) + "\n";
  std::string verdict = text_of(answer.get("verdict"));
  if (!answer.get("reason").is_null() && text_of(answer.get("reason")) != "") {
    verdict += " (" + text_of(answer.get("reason")) + ")";
  }
  line(out, "verdict", verdict);
  for (const char* name : {"site", "key", "variant"}) {
    std::string text = text_of(answer.get(name));
    std::replace(text.begin(), text.end(), '\n', ' ');  // the key's parts
    if (!answer.get(name).is_null()) line(out, name, text);
  }
  if (const Json& stored = answer.get("stored"); stored.is_object()) {
    std::string text = "in " + text_of(stored.get("tier")) + ", status " +
                       text_of(stored.get("status")) + ", age " + age_of(stored.get("age_s")) +
                       ", ttl " + age_of(stored.get("ttl_s"));
    if (!stored.get("lifetime_from").is_null()) {
      text += " (from " + text_of(stored.get("lifetime_from")) + ")";
    }
    text += ", " + size_of(stored.get("size"));
    line(out, "stored", text);
    if (!stored.get("etag").is_null()) line(out, "etag", text_of(stored.get("etag")));
    line(out, "tags", joined(stored.get("tags"), " "));
    if (!stored.get("position").is_null()) line(out, "position", text_of(stored.get("position")));
  } else {
    line(out, "stored", "nothing");
  }
  if (const Json& purge = answer.get("purge"); purge.is_object()) {
    line(out, "purge",
         text_of(purge.get("seq")) + " " + text_of(purge.get("mode")) + " " +
             text_of(purge.get("kind")) + " " + text_of(purge.get("text")));
  }
  if (const Json& would = answer.get("would"); would.is_object()) {
    if (!would.get("fetch_from").is_null()) line(out, "fetch", text_of(would.get("fetch_from")));
    const Json& validators = would.get("validators");
    if (validators.is_array()) {
      line(out, "with", joined(validators, ", "));
    } else if (validators.as_bool().value_or(false)) {
      line(out, "with", "the stored one's validators");
    }
  }
  return out;
}

std::string status_report(const Json& status) {
  std::string out = text_of(status.get("name"));
  if (!status.get("role").is_null()) out += ", " + text_of(status.get("role"));
  if (const auto pop = status.get("pop").as_string(); pop && !pop->empty()) {
    out += " of " + std::string(*pop);
  }
  out += ", version " + text_of(status.get("version")) + ", up " + age_of(status.get("uptime_s")) +
         "\n";
  line(out, "degraded", joined(status.get("degraded"), ", "));
  if (const Json& config = status.get("config"); config.is_object()) {
    std::string text = "generation " + text_of(config.get("generation"));
    if (const Json& error = config.get("error"); !error.is_null() && text_of(error) != "") {
      text += "; last reload failed: " + text_of(error);
    }
    line(out, "config", text);
  }
  if (const Json& control = status.get("control"); control.is_object()) {
    std::string text = text_of(control.get("state"));
    if (text != "off") {
      if (!control.get("applied").is_null()) text += ", applied " + text_of(control.get("applied"));
      if (!control.get("lag_ms").is_null()) text += ", lag " + milliseconds(control.get("lag_ms"));
    }
    line(out, "control", text);
  }
  if (status.get("memory").is_object()) line(out, "memory", usage(status.get("memory")));
  if (const Json& disk = status.get("disk"); disk.is_object()) {
    const std::string state = text_of(disk.get("state"));
    line(out, "disk", state == "off" ? state : state + ", " + usage(disk));
  }
  for (const Json& tier : status.get("tiers").items()) {
    line(out, "tier", text_of(tier.get("url")) + " " + text_of(tier.get("state")));
  }
  std::vector<std::vector<std::string>> rows;
  for (const Json& one : status.get("upstreams").items()) {
    rows.push_back({text_of(one.get("site")), text_of(one.get("group")),
                    text_of(one.get("address")), text_of(one.get("state")),
                    text_of(one.get("inflight")) + " in flight", milliseconds(one.get("ewma_ms"))});
  }
  if (!rows.empty()) out += "upstreams\n" + table(rows);
  return out;
}

std::string nodes_report(const Json& answer) {
  std::vector<std::vector<std::string>> rows{
      {"NODE", "POP", "ROLE", "STATE", "READY", "APPLIED", "LAG"}};
  for (const Json& node : answer.get("nodes").items()) {
    const Json* name = node.find("name") != nullptr ? node.find("name") : node.find("node");
    rows.push_back({name == nullptr ? "-" : text_of(*name), text_of(node.get("pop")),
                    text_of(node.get("role")), text_of(node.get("state")),
                    node.get("ready").as_bool().value_or(false) ? "yes" : "no",
                    text_of(node.get("applied")), milliseconds(node.get("lag_ms"))});
  }
  return rows.size() == 1 ? "no node is registered\n" : table(rows);
}

std::string problem_line(int status, std::string_view body) {
  std::string text = "answered " + std::to_string(status);
  const Result<Json> problem = Json::parse(body);
  if (problem && problem->is_object()) {
    for (const char* name : {"title", "detail"}) {
      if (const auto part = problem->get(name).as_string(); part && !part->empty()) {
        text.append(": ").append(*part);
      }
    }
  }
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

}  // namespace bw::cli
