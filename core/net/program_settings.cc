#include "core/net/program_settings.h"

#include <unistd.h>

#include <algorithm>

#include "core/base/token_file.h"
#include "core/net/address.h"

namespace bw::net {

std::string address_rule(const std::string& text) {
  const Result<Address> address = Address::parse(text);
  return address.ok() && address->family() != Address::Family::none
             ? ""
             : "IP:PORT, [IPv6]:PORT, unix:PATH or fd:NAME";
}

std::string node_name_rule(const std::string& text) {
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  const bool fine =
      !text.empty() && text.size() <= 64 && letter(text.front()) &&
      std::all_of(text.begin(), text.end(), [&](char c) {
        return letter(c) || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
      });
  return fine ? "" : "a letter, then up to 63 of letters, digits, '.', '_', '-'";
}

std::string default_node_name() {
  char name[256] = {};
  if (::gethostname(name, sizeof name - 1) != 0) return "node";
  const std::string text(name);
  const std::string found = text.substr(0, text.find('.'));
  return node_name_rule(found).empty() ? found : "node";
}

void ProcessSettings::declare(SettingGroup& g) {
  g.text("name", &name, "the node's name; default: from the host name").rule(node_name_rule);
  g.duration("drain_timeout", &drain_timeout, "how long a stop waits for requests")
      .between("0s", "1d");
  g.text("user", &user, "dropped to after binding, when started as root");
  g.text("group", &group, "the group to drop to; default: the user's");
}

void ListenSettings::declare(SettingGroup& g) {
  g.text("address", &address, "IP:PORT, [IPv6]:PORT, unix:PATH or fd:NAME; port 0: any")
      .need()
      .rule(address_rule);
  g.flag("tls", &tls, "TLS with h2 and http/1.1; else HTTP/1.1 and HTTP/2 by prior knowledge");
}

void CertificateSettings::declare(SettingGroup& g) {
  g.path("cert", &cert, "PEM chain").need();
  g.path("key", &key, "PEM key").need();
  g.path("ocsp", &ocsp, "DER response to staple");
  g.flag("default", &is_default, "for clients whose name no certificate covers");
}

void TlsSettings::declare(SettingGroup& g) {
  g.text("min_version", &min_version, "lowest version").choice({"1.2", "1.3"});
  g.path("ticket_keys", &ticket_keys,
         "file shared within a POP; lines: the first encrypts, all decrypt");
}

void AdminSettings::declare(SettingGroup& g) {
  g.text("listen", &listen, "where the admin API listens").need().rule(address_rule);
  g.path("token_file", &token_file,
         "needed for all but /healthz and /readyz; without: loopback may read");
}

void LogSettings::declare(SettingGroup& g) {
  g.word("level", &level, {"debug", "info", "warning", "error"}, "of the process log on stderr");
}

void ApiProcessSettings::declare(SettingGroup& g) {
  g.table("node", &node, "this process");
  g.then([this] {
    if (node.name.empty()) node.name = default_node_name();
  });
  g.tables("listen", &listen, "a listener of the API");
  g.tables("certificate", &certificates,
           "chosen by SNI: exact, one-label wildcard, default, first; read again when the files "
           "change and on SIGHUP");
  g.table("tls", &tls, "TLS of all listeners");
  g.table("admin", &admin, "the admin API, never on a public listener");
  g.table("log", &log, "the process log");
  g.check([this](const SettingGroup::Fault& fault) {
    check_certificates(find_tls(listen), certificates, "a [[certificate]]", fault);
  });
}

void check_certificates(const std::string& with_tls,
                        const std::vector<CertificateSettings>& certificates, std::string_view cure,
                        const SettingGroup::Fault& fault) {
  if (!with_tls.empty() && certificates.empty()) {
    fault("listen.tls", with_tls + " without a certificate", cure);
  }
  if (std::count_if(certificates.begin(), certificates.end(),
                    [](const CertificateSettings& one) { return one.is_default; }) > 1) {
    fault("certificate.default", "more than one", "one default");
  }
}

TlsServerOptions tls_options(const std::vector<CertificateSettings>& certificates,
                             const TlsSettings& tls) {
  TlsServerOptions options;
  for (const CertificateSettings& one : certificates) {
    options.certificates.push_back({one.cert, one.key, one.ocsp, one.is_default});
  }
  options.min_version = tls.min_version;
  options.ticket_keys_file = tls.ticket_keys;
  return options;
}

std::optional<std::string> read_admin_token(const std::optional<AdminSettings>& admin,
                                            std::string* why) {
  if (!admin || admin->token_file.empty()) return std::string();
  std::optional<std::string> token = read_token_file(admin->token_file, why);
  if (!token) *why = "admin.token_file: " + *why;
  return token;
}

void check_secret_files(const std::vector<CertificateSettings>& certificates,
                        const TlsSettings& tls, const std::optional<AdminSettings>& admin,
                        Diagnostics& diagnostics) {
  for (const CertificateSettings& one : certificates) {
    check_secret_file(one.key, "certificate.key", diagnostics);
  }
  check_secret_file(tls.ticket_keys, "tls.ticket_keys", diagnostics);
  if (admin) check_secret_file(admin->token_file, "admin.token_file", diagnostics);
}

Tree listen_flags(const std::vector<std::string>& texts) {
  Tree list = Tree::array({});
  for (std::string_view text : texts) {
    constexpr std::string_view kTls = "https://";
    constexpr std::string_view kPlain = "http://";
    Tree one;
    if (text.starts_with(kTls)) {
      text.remove_prefix(kTls.size());
      one.at("tls") = Tree::boolean_of(true);
    } else if (text.starts_with(kPlain)) {
      text.remove_prefix(kPlain.size());
    }
    one.at("address") = Tree::string(std::string(text));
    list.items.push_back(std::move(one));
  }
  return list;
}

std::optional<Tree> site_flag(const std::string& text, Diagnostics& diagnostics) {
  const size_t equals = text.find('=');
  if (equals == 0 || equals == std::string::npos || equals + 1 == text.size()) {
    diagnostics.error("command line", 0, "--site", '"' + text + '"', "NAME=HOST[,HOST]");
    return std::nullopt;
  }
  std::vector<std::string> hosts;
  for (size_t from = equals + 1; from < text.size();) {
    const size_t comma = std::min(text.find(',', from), text.size());
    hosts.push_back(text.substr(from, comma - from));
    from = comma + 1;
  }
  Tree site;
  site.at("name") = Tree::string(text.substr(0, equals));
  site.at("hosts") = Tree::strings(hosts);
  return site;
}

}  // namespace bw::net
