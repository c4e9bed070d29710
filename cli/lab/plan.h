// Plan: where everything of the lab is: addresses, files, secrets, and the configuration of each
// process as text.
//
// Each process has a loopback address of its own; edges share their ports, as real POPs do. Blocks
// (files). Lifetime: the folder goes with the plan unless it is kept.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/net/address.h"

namespace bw::cli {

inline constexpr std::string_view kShopHost = "www.lab.test";
inline constexpr std::string_view kScriptHost = "script.lab.test";

// One process.
struct Part {
  std::string name;     // "fra1-a"
  std::string program;  // "edge"
  std::string file;     // its configuration
  net::Address http, https, admin;
  size_t listeners = 0;  // ready lines
};

class Plan {
 public:
  // `script`: where the lab's own origin listens.
  static std::unique_ptr<Plan> make(const net::Address& script, bool keep, std::string* why);
  ~Plan();
  Plan(const Plan&) = delete;
  Plan& operator=(const Plan&) = delete;

  const std::string& folder() const { return folder_; }
  std::string path(std::string_view name) const { return folder_ + "/" + std::string(name); }
  // In the order they start.
  const std::vector<Part>& parts() const { return parts_; }
  const Part& part(std::string_view name) const;
  std::string ca_file() const { return path("ca.pem"); }
  // What Authorization says towards admin listeners and, as operator, the purge service.
  const std::string& admin_token() const { return admin_token_; }
  const std::string& operator_token() const { return operator_token_; }

 private:
  Plan() = default;
  bool lay_out(const net::Address& script, std::string* why);
  bool make_certificates(std::string* why);
  bool make_secrets(std::string* why);
  bool make_database(std::string* why);
  bool write(std::string_view name, std::string_view text, std::string* why, bool secret = false);
  std::string origin_text() const;
  std::string purged_text() const;
  std::string node_text(const Part& part, bool shield, const net::Address& script) const;
  std::string geodns_text() const;

  std::string folder_;
  bool keep_ = false;
  std::vector<Part> parts_;
  std::string admin_token_, operator_token_;
};

}  // namespace bw::cli
