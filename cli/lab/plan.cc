#include "cli/lab/plan.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <optional>

#include "core/base/clock.h"
#include "core/base/digest.h"
#include "core/net/cert_maker.h"
#include "geo/locate/database_writer.h"

namespace bw::cli {
namespace {

constexpr std::string_view kOriginIp = "127.0.0.1";
constexpr std::string_view kPurgedIp = "127.0.0.2";
constexpr std::string_view kShieldIp = "127.0.0.3";
constexpr std::string_view kGeodnsIp = "127.0.0.53";
struct EdgeSite {
  std::string_view pop;
  std::string_view ip;
};
constexpr std::array<EdgeSite, 3> kEdges = {
    {{"fra1", "127.0.0.11"}, {"iad1", "127.0.0.12"}, {"sin1", "127.0.0.13"}}};

// Documentation networks stand for three parts of the world.
constexpr std::string_view kCountries =
    "198.51.100.0/24,DE,64500\n203.0.113.0/24,US,64501\n192.0.2.0/24,SG,64502\n"
    "2001:db8:1::/48,DE,64500\n2001:db8:2::/48,US,64501\n2001:db8:3::/48,SG,64502\n";

// Whether nobody listens there, UDP or TCP.
bool is_free(const net::Address& address) {
  for (const int type : {SOCK_STREAM, SOCK_DGRAM}) {
    const int fd = ::socket(AF_INET, type | SOCK_CLOEXEC, 0);
    const int on = 1;
    ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_storage raw;
    const socklen_t size = address.to_sockaddr(raw);
    const bool bound = ::bind(fd, reinterpret_cast<const sockaddr*>(&raw), size) == 0;
    ::close(fd);
    if (!bound) return false;
  }
  return true;
}

// A port that is free on all of these addresses; 0: none was found.
uint16_t free_port(const std::vector<net::Ip>& ips) {
  SystemRandom random;
  // Below the range the kernel gives to connections.
  for (int tries = 0; tries < 200; ++tries) {
    const auto port = static_cast<uint16_t>(20000 + random.below(12000));
    bool free = true;
    for (const net::Ip& ip : ips) free = free && is_free(net::Address(ip, port));
    if (free) return port;
  }
  return 0;
}

std::string random_text(size_t words) {
  SystemRandom random;
  std::string bytes;
  for (size_t i = 0; i < words; ++i) {
    const uint64_t word = random.next();
    bytes.append(reinterpret_cast<const char*>(&word), sizeof word);
  }
  return hex(bytes);
}

std::string in_quotes(const net::Address& address) { return '"' + address.text() + '"'; }
std::string in_quotes(std::string_view text) { return '"' + std::string(text) + '"'; }

constexpr std::string_view kCertificate =
    "[[certificate]]\ncert = \"lab.pem\"\nkey = \"lab.key\"\n";

std::string admin_table(const net::Address& address) {
  return "[admin]\nlisten = " + in_quotes(address) + "\ntoken_file = \"admin.token\"\n";
}

}  // namespace

std::unique_ptr<Plan> Plan::make(const net::Address& script, bool keep, std::string* why) {
  std::unique_ptr<Plan> plan(new Plan);
  plan->keep_ = keep;
  std::error_code code;
  std::string folder =
      (std::filesystem::temp_directory_path(code) / "breakwater-lab-XXXXXX").string();
  if (code || ::mkdtemp(folder.data()) == nullptr) {
    *why = "cannot make a temporary folder";
    return nullptr;
  }
  plan->folder_ = folder;
  const bool good = plan->make_certificates(why) && plan->make_secrets(why) &&
                    plan->make_database(why) && plan->lay_out(script, why);
  return good ? std::move(plan) : nullptr;
}

Plan::~Plan() {
  std::error_code code;
  if (!keep_ && !folder_.empty()) std::filesystem::remove_all(folder_, code);
}

const Part& Plan::part(std::string_view name) const {
  for (const Part& part : parts_) {
    if (part.name == name) return part;
  }
  BW_CHECK(false);
  return parts_.front();
}

bool Plan::write(std::string_view name, std::string_view text, std::string* why, bool secret) {
  const std::string file = path(name);
  const int fd =
      ::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, secret ? 0600 : 0644);
  const bool good =
      fd >= 0 && ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  if (fd >= 0) ::close(fd);
  if (!good) *why = file + ": cannot be written";
  return good;
}

bool Plan::make_certificates(std::string* why) {
  const Result<net::MadeCertificate> ca = net::make_ca("Breakwater lab", 2);
  std::vector<std::string> names = {std::string(kShopHost), std::string(kScriptHost),
                                    std::string(kPurgedIp), std::string(kShieldIp)};
  for (const EdgeSite& edge : kEdges) names.emplace_back(edge.ip);
  if (ca.ok()) {
    const Result<net::MadeCertificate> leaf = net::make_certificate(*ca, names, 2);
    if (leaf.ok() && net::write_certificate(*leaf, path("lab.pem"), path("lab.key")).ok()) {
      return write("ca.pem", ca->cert_pem, why);
    }
  }
  *why = "cannot make certificates";
  return false;
}

bool Plan::make_secrets(std::string* why) {
  admin_token_ = random_text(3);
  operator_token_ = random_text(3);
  return write("admin.token", admin_token_ + "\n", why, true) &&
         write("operator.token", operator_token_ + "\n", why, true) &&
         write("node.token", random_text(3) + "\n", why, true) &&
         write("tier.token", random_text(3) + "\n", why, true) &&
         write("cookies.key", random_text(2) + "\n", why, true);
}

bool Plan::make_database(std::string* why) {
  std::error_code code;
  std::filesystem::create_directory(path("static"), code);
  return write("static/hello.txt", "hello from the lab\n", why) &&
         write("static/page.html", "<!doctype html><title>lab</title>\n", why) &&
         write("countries.csv", kCountries, why) &&
         geo::build_geodb(path("countries.csv"), path("countries.mmdb"), why).ok();
}

bool Plan::lay_out(const net::Address& script, std::string* why) {
  const auto ip = [](std::string_view text) { return *net::Ip::parse(text); };
  std::vector<net::Ip> all;
  for (std::string_view text : {kOriginIp, kPurgedIp, kShieldIp, kGeodnsIp})
    all.push_back(ip(text));
  for (const EdgeSite& edge : kEdges) all.push_back(ip(edge.ip));
  const uint16_t http = free_port(all);
  const uint16_t https = free_port(all);
  const uint16_t admin = free_port(all);
  if (http == 0 || https == 0 || admin == 0 || http == https || https == admin || http == admin) {
    *why = "no free ports on 127.0.0.0/8";
    return false;
  }
  const auto add = [&](std::string_view name, std::string_view program, std::string_view at,
                       size_t listeners) {
    parts_.push_back(Part{.name = std::string(name),
                          .program = std::string(program),
                          .file = path(std::string(name) + ".toml"),
                          .http = net::Address(ip(at), http),
                          .https = net::Address(ip(at), https),
                          .admin = net::Address(ip(at), admin),
                          .listeners = listeners});
  };
  add("purged", "purged", kPurgedIp, 2);
  add("origin", "origin", kOriginIp, 2);
  add("shield-a", "edge", kShieldIp, 2);
  for (const EdgeSite& edge : kEdges) add(std::string(edge.pop) + "-a", "edge", edge.ip, 3);
  add("geodns", "geodns", kGeodnsIp, 2);
  for (const Part& part : parts_) {
    std::string text;
    if (part.program == "origin") text = origin_text();
    if (part.program == "purged") text = purged_text();
    if (part.program == "edge") text = node_text(part, part.name == "shield-a", script);
    if (part.program == "geodns") text = geodns_text();
    if (!write(part.name + ".toml", text, why)) return false;
  }
  return true;
}

std::string Plan::origin_text() const {
  const Part& origin = part("origin");
  return "[origin]\nlisten = " + in_quotes(origin.http) + "\nadmin = " + in_quotes(origin.admin) +
         "\nstore = \"origin\"\nstatic = \"static\"\nproducts = 10000\nsite = \"shop\"\n"
         "control = \"https://" +
         part("purged").https.text() + "\"\ntoken_file = \"operator.token\"\nca = \"ca.pem\"\n";
}

std::string Plan::purged_text() const {
  const Part& purged = part("purged");
  return "[[listen]]\naddress = " + in_quotes(purged.https) + "\ntls = true\n" +
         std::string(kCertificate) + admin_table(purged.admin) +
         "[store]\npath = \"purged\"\n"
         "[[site]]\nname = \"shop\"\nhosts = [" +
         in_quotes(kShopHost) + "]\n[[site]]\nname = \"script\"\nhosts = [" +
         in_quotes(kScriptHost) +
         "]\n"
         "[[token]]\nname = \"node\"\ntoken_file = \"node.token\"\nsites = [\"*\"]\n"
         "scopes = [\"node\", \"read\"]\n"
         "[[token]]\nname = \"operator\"\ntoken_file = \"operator.token\"\nsites = [\"*\"]\n"
         "scopes = [\"purge:url\", \"purge:tag\", \"purge:prefix\", \"purge:all\", \"read\"]\n";
}

std::string Plan::node_text(const Part& node, bool shield, const net::Address& script) const {
  std::string text = "[node]\nname = " + in_quotes(node.name) + "\npop = " +
                     in_quotes(shield ? "hub1" : std::string_view(node.name).substr(0, 4)) +
                     "\nworkers = 2\ndrain_timeout = \"2s\"\n";
  if (shield) {
    text += "role = \"shield\"\n[[listen]]\naddress = " + in_quotes(node.https) +
            "\ntls = true\ntier = true\n";
  } else {
    text += "role = \"edge\"\n[[listen]]\naddress = " + in_quotes(node.http) +
            "\n[[listen]]\naddress = " + in_quotes(node.https) + "\ntls = true\n";
  }
  text += std::string(kCertificate) + admin_table(node.admin);
  text += "[memory]\nsize = \"64MiB\"\n[disk]\npath = " + in_quotes("disk-" + node.name) +
          "\nsize = \"4GiB\"\n";
  text += "[control]\nurl = \"https://" + part("purged").https.text() +
          "\"\ntoken_file = \"node.token\"\nca = \"ca.pem\"\nadvertise = [" +
          in_quotes(node.https) + "]\n";
  text += "[tier]\ntoken_file = \"tier.token\"\nca = \"ca.pem\"\n";
  if (!shield) {
    text += "[shield]\nnodes = [\"https://" + part("shield-a").https.text() + "\"]\n";
  }
  text += "[log]\naccess = " + in_quotes(path(node.name + ".access.log")) + "\n";
  text += "[[site]]\nname = \"shop\"\nhosts = [" + in_quotes(kShopHost) +
          "]\norigins = [\"http://" + part("origin").http.text() + "\"]\n";
  text += "[[site]]\nname = \"script\"\nhosts = [" + in_quotes(kScriptHost) +
          "]\norigins = [\"http://" + script.text() + "\"]\n";
  if (!shield) {
    text +=
        "[[site.limit]]\nname = \"per-client\"\nkey = \"client\"\npaths = [\"/limited/*\"]\n"
        "rate = \"1/s\"\nburst = 5\n";
  }
  return text;
}

std::string Plan::geodns_text() const {
  const Part& geodns = part("geodns");
  std::string text =
      "[node]\nname = \"geodns\"\nworkers = 2\n[[listen]]\naddress = " + in_quotes(geodns.http) +
      "\n" + admin_table(geodns.admin) +
      "[geo]\ncountry = \"countries.mmdb\"\n[state]\npath = \"geodns\"\n"
      "[cookies]\nsecret = \"cookies.key\"\n[probe]\nca = \"ca.pem\"\n"
      "[control]\nurl = \"https://" +
      part("purged").https.text() + "\"\ntoken_file = \"node.token\"\nca = \"ca.pem\"\n";
  for (const EdgeSite& edge : kEdges) {
    const Part& node = part(std::string(edge.pop) + "-a");
    text += "[[pop]]\nname = " + in_quotes(edge.pop) + "\naddresses = [" + in_quotes(edge.ip) +
            "]\nprobe = \"https://" + std::string(kScriptHost) + ":" +
            std::to_string(node.https.port()) + "/probe\"\n";
  }
  return text +
         "[[map]]\nname = \"world\"\ndefault = [\"fra1\", \"iad1\", \"sin1\"]\n"
         "countries = { US = [\"iad1\", \"fra1\"] }\ncontinents = { AS = [\"sin1\", \"fra1\"] }\n"
         "[[zone]]\nname = \"lab.test\"\nns = [\"ns1.lab.test\"]\n"
         "[[zone.edge]]\nname = \"www\"\nmap = \"world\"\nttl = \"20s\"\n"
         "[[zone.edge]]\nname = \"script\"\nmap = \"world\"\nttl = \"20s\"\n"
         "[[zone.record]]\nname = \"ns1\"\ntype = \"A\"\ndata = [" +
         in_quotes(kGeodnsIp) + "]\n";
}

}  // namespace bw::cli
