// Settings that mean the same in all programs: who the process is, where it listens, with which
// certificates, its admin listener, how much it tells.
//
// Plain values with their defaults. Rules answer "" or what is allowed, see TextRule in
// core/base/settings.h. See: docs/settings.md, which is printed from here.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/log.h"
#include "core/base/settings.h"
#include "core/net/tls.h"

namespace bw::net {

std::string address_rule(const std::string& text);
std::string node_name_rule(const std::string& text);
// The name of a process whose settings give none: the host's, up to its first dot.
std::string default_node_name();

// [node] of a program with one loop.
struct ProcessSettings {
  std::string name;  // empty: from the host name
  Duration drain_timeout = std::chrono::seconds(30);
  std::string user, group;
  void declare(SettingGroup& g);
};

struct ListenSettings {
  std::string address;
  bool tls = false;
  void declare(SettingGroup& g);
};

struct CertificateSettings {
  std::string cert, key, ocsp;
  bool is_default = false;
  void declare(SettingGroup& g);
};

struct TlsSettings {
  std::string min_version = "1.2";
  std::string ticket_keys;
  void declare(SettingGroup& g);
};

struct AdminSettings {
  std::string listen;
  std::string token_file;
  void declare(SettingGroup& g);
};

struct LogSettings {
  log::Level level = log::Level::info;
  void declare(SettingGroup& g);
};

// All of them, for a program whose API has one loop.
struct ApiProcessSettings {
  ProcessSettings node;
  std::vector<ListenSettings> listen;
  std::vector<CertificateSettings> certificates;
  TlsSettings tls;
  std::optional<AdminSettings> admin;
  LogSettings log;
  void declare(SettingGroup& g);
};

// The address of a listener with TLS; empty: none has it.
template <typename Listen>
std::string find_tls(const std::vector<Listen>& listen) {
  for (const Listen& one : listen) {
    if (one.tls) return one.address;
  }
  return {};
}
// Faults of [[listen]] and [[certificate]] together. `with_tls`: as find_tls() says. `cure`: what
// is allowed in place of a listener without a certificate.
void check_certificates(const std::string& with_tls,
                        const std::vector<CertificateSettings>& certificates, std::string_view cure,
                        const SettingGroup::Fault& fault);
TlsServerOptions tls_options(const std::vector<CertificateSettings>& certificates,
                             const TlsSettings& tls);
// Blocks. The token of [admin], empty when none is named; nullopt: `why` says what is wrong.
std::optional<std::string> read_admin_token(const std::optional<AdminSettings>& admin,
                                            std::string* why);
// What `check` warns of.
void check_secret_files(const std::vector<CertificateSettings>& certificates,
                        const TlsSettings& tls, const std::optional<AdminSettings>& admin,
                        Diagnostics& diagnostics);

// --- flags, as the settings they stand for

// --listen: ADDR, http://ADDR or https://ADDR.
Tree listen_flags(const std::vector<std::string>& texts);
// --site NAME=HOST[,HOST]: name and hosts; nullopt and an error for another form.
std::optional<Tree> site_flag(const std::string& text, Diagnostics& diagnostics);

}  // namespace bw::net
