// All settings of an edge or shield, from a file, from flags, or both.
//
// Plain values with their defaults; what a key means is written once, in settings.cc. Errors: all
// at once, in Diagnostics. See: docs/settings.md, which is printed from here.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/settings.h"
#include "core/net/program_settings.h"
#include "edge/node/site_settings.h"

namespace bw::edge {

enum class Role : uint8_t { edge, shield };

struct NodeSettings {
  std::string name;  // empty: from the host name
  std::string pop;
  Role role = Role::edge;
  uint32_t workers = 0;  // 0: one per core
  std::string key_seed;
  Duration drain_timeout = std::chrono::seconds(30);
  std::string user, group;
  bool unready_on_lag = false;
  void declare(SettingGroup& g);
};

struct ListenSettings : net::ListenSettings {
  bool tier = false;
  bool proxy_protocol = false;
  void declare(SettingGroup& g);
};

struct ClientSettings {
  std::vector<std::string> trusted_proxies;
  std::string client_address = "x-forwarded-for";
  Duration header_timeout = std::chrono::seconds(10);
  Duration body_timeout = std::chrono::seconds(30);
  Duration send_timeout = std::chrono::seconds(30);
  Duration idle_timeout = std::chrono::seconds(60);
  uint64_t max_header_size = 32 << 10;
  uint32_t max_headers = 128;
  uint64_t max_uri = 8 << 10;
  uint64_t max_body_size = 100 << 20;
  uint32_t max_connections = 0;
  uint32_t max_connections_per_client = 0;
  void declare(SettingGroup& g);
};

struct MemorySettings {
  enum class Objective : uint8_t { requests, bytes };
  uint64_t size = 2ull << 30;
  Objective objective = Objective::requests;
  void declare(SettingGroup& g);
};

struct DiskSettings {
  enum class Admission : uint8_t { all, second_hit };
  std::string path;
  uint64_t size = 0;
  uint64_t memory = 64 << 20;
  Admission admission = Admission::all;
  void declare(SettingGroup& g);
};

struct ControlSettings {
  std::string url;
  std::string token_file;
  std::string ca;
  bool insecure = false;
  Duration lag_limit = std::chrono::seconds(5);
  uint64_t table_size = 64 << 20;
  std::vector<std::string> advertise;
  void declare(SettingGroup& g);
};

struct TierSettings {
  std::string token_file;
  std::string cert, key, ca, client_ca;
  std::vector<std::string> client_names;
  void declare(SettingGroup& g);
};

struct ShieldSettings {
  enum class Fallback : uint8_t { origin, stale, fail };
  std::vector<std::string> nodes;  // URLs
  uint32_t connections = 1;
  Fallback fallback = Fallback::origin;
  void declare(SettingGroup& g);
};

struct GeoSettings {
  std::string country, country_key = "country.iso_code";
  std::string asn, asn_key = "autonomous_system_number";
  uint64_t table_size = 128 << 20;
  void declare(SettingGroup& g);
};

struct LimitsSettings {
  uint64_t table_size = 24 << 20;
  void declare(SettingGroup& g);
};

struct LogSettings {
  enum class Format : uint8_t { json, combined };
  enum class ClientAddress : uint8_t { full, truncated, none };
  std::string access = "stdout";  // stdout | off | path
  Format format = Format::json;
  log::Level level = log::Level::info;
  ClientAddress client_address = ClientAddress::full;
  std::string file;  // where it stands: a relative path starts there
  uint32_t line = 0;
  void declare(SettingGroup& g);
};

struct EdgeSettings {
  NodeSettings node;
  std::vector<ListenSettings> listen;
  std::vector<net::CertificateSettings> certificates;
  net::TlsSettings tls;
  ClientSettings clients;
  std::optional<net::AdminSettings> admin;
  MemorySettings memory;
  std::optional<DiskSettings> disk;
  std::optional<ControlSettings> control;
  std::optional<TierSettings> tier;
  std::optional<ShieldSettings> shield;
  std::optional<GeoSettings> geo;
  LimitsSettings limits;
  LogSettings log;
  std::vector<SiteSettings> sites;
  void declare(SettingGroup& g);

 private:
  void check(const SettingGroup::Fault& fault) const;
};

// The flags of `breakwater edge`, as given; empty: not given.
struct EdgeFlags {
  std::string config;
  std::vector<std::string> listen;  // ADDR, or https://ADDR
  std::vector<std::string> origin;
  std::string tls_cert, tls_key, admin, admin_token_file, memory, disk, disk_size;
  std::optional<int64_t> workers;
  std::string control, token_file;
  std::vector<std::string> shield;
  std::string tier_token_file, ca, role;
  std::vector<std::string> site;  // NAME=HOST[,HOST]
  std::string node, pop;
};

// Flags as the settings they stand for.
Tree flags_tree(const EdgeFlags& flags, Diagnostics& diagnostics);
// The file of `flags.config`, if any, with the flags over it; true when nothing was wrong.
bool load_edge_settings(const EdgeFlags& flags, EdgeSettings& settings, Diagnostics& diagnostics);

}  // namespace bw::edge
