// All settings of the GeoDNS program.
//
// Plain values with their defaults; what a key means is written once, in settings.cc. What needs
// more than one table to judge is judged by compile_world(). Errors: all at once, in Diagnostics.
// See: docs/settings.md, which is printed from here.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/base/settings.h"
#include "core/net/program_settings.h"

namespace bw::geo {

struct GeodnsOptions;

// Where a table stood, for errors found later.
struct Place {
  std::string file;
  uint32_t line = 0;
};

struct ProcessSettings {
  std::string name;      // empty: from the host name
  uint32_t workers = 0;  // 0: one per core
  std::string user, group;
  void declare(SettingGroup& g);
};

struct DnsListenSettings {
  std::string address;
  void declare(SettingGroup& g);
};

struct DatabaseSettings {
  std::string country;
  std::string country_key = "country.iso_code";
  void declare(SettingGroup& g);
};

struct ControlSettings {
  std::string url, token_file, ca;
  bool insecure = false;
  void declare(SettingGroup& g);
};

struct StateSettings {
  std::string path;
  void declare(SettingGroup& g);
};

struct ProbeSettings {
  Duration interval = std::chrono::seconds(1);
  Duration timeout = std::chrono::milliseconds(700);
  std::string ca;
  void declare(SettingGroup& g);
};

struct RrlSettings {
  Rate responses{20, std::chrono::seconds(1)};
  void declare(SettingGroup& g);
};

struct CookieSettings {
  std::string secret;
  void declare(SettingGroup& g);
};

struct PopSettings {
  std::string name;
  std::vector<std::string> addresses;
  std::string probe;
  uint32_t min_nodes = 1;
  Place place;
  void declare(SettingGroup& g);
};

struct MapSettings {
  std::string name;
  std::vector<std::string> defaults;
  std::map<std::string, std::vector<std::string>> countries, continents, networks;
  Place place;
  void declare(SettingGroup& g);
};

struct EdgeNameSettings {
  std::string name;
  std::string map;
  Duration ttl = std::chrono::seconds(30);
  uint32_t answers = 2;
  Place place;
  void declare(SettingGroup& g);
};

struct RecordSettings {
  std::string name;
  std::string type;
  Duration ttl = std::chrono::seconds(300);
  std::vector<std::string> data;
  Place place;
  void declare(SettingGroup& g);
};

struct ZoneSettings {
  std::string name;
  std::vector<std::string> ns;
  std::string mname, rname;
  uint32_t serial = 0;  // 0: from the file's time
  Duration refresh = std::chrono::hours(1);
  Duration retry = std::chrono::minutes(15);
  Duration expire = std::chrono::hours(24 * 14);
  Duration minimum = std::chrono::seconds(300);
  std::vector<EdgeNameSettings> edges;
  std::vector<RecordSettings> records;
  Place place;
  void declare(SettingGroup& g);
};

struct GeodnsSettings {
  ProcessSettings node;
  std::vector<DnsListenSettings> listen;
  std::optional<net::AdminSettings> admin;
  std::optional<DatabaseSettings> geo;
  std::optional<ControlSettings> control;
  std::optional<StateSettings> state;
  ProbeSettings probe;
  RrlSettings rrl;
  CookieSettings cookies;
  std::vector<PopSettings> pops;
  std::vector<MapSettings> maps;
  std::vector<ZoneSettings> zones;
  net::LogSettings log;
  // When the file was last changed, seconds since 1970: the serial of zones without one.
  uint32_t file_time = 0;
  void declare(SettingGroup& g);

 private:
  void check(const SettingGroup::Fault& fault) const;
};

// The file with the options over it; true when nothing was wrong.
bool load_geodns_settings(const GeodnsOptions& options, GeodnsSettings& settings,
                          Diagnostics& diagnostics);

// http(s)://HOST[:PORT]/PATH, as probes are written.
struct ProbeUrl {
  bool tls = false;
  std::string host;
  uint16_t port = 0;
  std::string authority;
  std::string target;
};
std::optional<ProbeUrl> parse_probe_url(std::string_view text);

}  // namespace bw::geo
