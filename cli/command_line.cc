#include "cli/command_line.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <memory>
#include <sstream>

#include "core/base/quantity.h"
#include "core/base/settings.h"

namespace bw::cli {
namespace {

constexpr const char* kAbout =
    "Breakwater: an edge cache, its origin shield, a purge service and GeoDNS, in one binary.\n"
    "Each program runs in the foreground, prints `listening on ADDR (KIND)` when it is ready, and\n"
    "stops cleanly on SIGTERM. `breakwater COMMAND --help` tells a command's options.";
constexpr const char* kFooter =
    "\nA first look:\n"
    "  breakwater lab                                a whole CDN on this machine\n"
    "  breakwater origin --listen 127.0.0.1:9000     something to cache, and in front of it:\n"
    "  breakwater edge --listen 127.0.0.1:8080 --origin http://127.0.0.1:9000\n"
    "\nExit codes: 0 done, 1 failure, 2 bad usage or configuration, 3 a purge's wait was not met.\n"
    "Environment: BREAKWATER_CONTROL, BREAKWATER_ADMIN and BREAKWATER_TOKEN_FILE stand in for\n"
    "--control, --admin and --token-file of the operator's commands.";

// The subcommands write here; the one that was given becomes the Command.
struct Given {
  edge::EdgeFlags edge;
  purge::PurgedOptions purged;
  LabOptions lab;
  std::string max_object = "64MiB";
  geo::GeodnsOptions geodns;
  origin::OriginOptions origin;
  CheckOptions check;
  PurgeOptions purge;
  std::string purge_timeout = "2s";
  ExplainOptions explain;
  StatusOptions status;
  TokenOptions token;
  GeodbOptions geodb;
  std::optional<Command> command;
};

// A repeatable option that takes one value each time.
CLI::Option* many(CLI::App* app, const std::string& name, std::vector<std::string>& to,
                  const std::string& help, const std::string& kind) {
  return app->add_option(name, to, help + " (repeatable)")
      ->allow_extra_args(false)
      ->type_name(kind);
}
CLI::Option* one(CLI::App* app, const std::string& name, std::string& to, const std::string& help,
                 const std::string& kind) {
  return app->add_option(name, to, help)->type_name(kind);
}

CLI::App* program(CLI::App& app, const char* name, const char* about) {
  return app.add_subcommand(name, about)->group("Programs");
}
CLI::App* operators(CLI::App& app, const char* name, const char* about) {
  return app.add_subcommand(name, about)->group("Operator's commands");
}

void declare_edge(CLI::App& app, Given& given) {
  CLI::App* sub =
      program(app, "edge", "a caching node: an edge at a POP, or the shield behind them");
  edge::EdgeFlags& to = given.edge;
  one(sub, "--config", to.config, "its settings; docs/settings.md has every key", "FILE");
  many(sub, "--listen", to.listen, "where clients come in; https://ADDR for TLS", "ADDR");
  many(sub, "--origin", to.origin, "where content comes from", "URL");
  one(sub, "--tls-cert", to.tls_cert, "certificate chain of https listeners, PEM", "FILE");
  one(sub, "--tls-key", to.tls_key, "its key, PEM", "FILE");
  one(sub, "--admin", to.admin, "the admin API: health, metrics, status, explain", "ADDR");
  one(sub, "--admin-token-file", to.admin_token_file, "the token it asks for", "FILE");
  one(sub, "--memory", to.memory, "size of the memory tier, as 512MiB; default 2GiB", "SIZE");
  one(sub, "--disk", to.disk, "folder of the disk tier; default: none", "DIR");
  one(sub, "--disk-size", to.disk_size, "its size, as 100GiB", "SIZE");
  sub->add_option("--workers", to.workers, "threads that serve; default: one per core")
      ->type_name("N");
  one(sub, "--control", to.control, "the purge service; without it nothing is purged", "URL");
  one(sub, "--token-file", to.token_file, "the node's token there", "FILE");
  many(sub, "--shield", to.shield, "a shield to fetch through", "URL");
  one(sub, "--tier-token-file", to.tier_token_file, "the token between edges and shields", "FILE");
  one(sub, "--ca", to.ca, "whom to trust for https origins, shields and the purge service", "FILE");
  one(sub, "--role", to.role, "edge (the default) or shield", "ROLE");
  many(sub, "--site", to.site, "a site and its hosts; default: one for every host",
       "NAME=HOST[,HOST]");
  one(sub, "--node", to.node, "the node's name; default: from the host name", "NAME");
  one(sub, "--pop", to.pop, "the point of presence it belongs to", "NAME");
  sub->footer(
      "\nNeeds no file: breakwater edge --listen 127.0.0.1:8080 --origin http://127.0.0.1:9000\n"
      "Flags go over the file. SIGHUP reloads it, SIGTERM drains and stops.");
  sub->callback([&given] { given.command = given.edge; });
}

void declare_purged(CLI::App& app, Given& given) {
  CLI::App* sub = program(app, "purged", "the purge service: durable log, fan-out, receipts");
  purge::PurgedOptions& to = given.purged;
  one(sub, "--config", to.config, "its settings; docs/settings.md has every key", "FILE");
  many(sub, "--listen", to.listen, "the API; https://ADDR for TLS", "ADDR");
  one(sub, "--admin", to.admin, "health and metrics", "ADDR");
  one(sub, "--data", to.data, "folder of the log", "DIR");
  one(sub, "--token-file", to.token_file, "one token that may do everything", "FILE");
  many(sub, "--site", to.sites, "a site and its hosts", "NAME=HOST[,HOST]");
  sub->callback([&given] { given.command = given.purged; });
}

void declare_lab(CLI::App& app, Given& given) {
  CLI::App* sub = operators(app, "lab", "a whole CDN on this machine, with a short story");
  CLI::Option* check =
      sub->add_flag("--check", given.lab.check, "assert every step of the story, then end");
  sub->add_flag("--keep", given.lab.keep, "leave the folder with its files and logs");
  one(sub, "--replay", given.lab.replay, "send a recorded trace through edge and shield, then end",
      "FILE")
      ->excludes(check);
  one(sub, "--max-object", given.max_object, "of a replay: larger objects are skipped", "SIZE")
      ->check(CLI::Validator(
          [](const std::string& text) {
            return parse_size(text) ? std::string() : "not a size, as 64MiB";
          },
          ""));
  sub->footer("\nStays until Ctrl-C; with --check exit 0 when every step held, else 1.");
  sub->callback([&given] {
    given.lab.max_object = *parse_size(given.max_object);
    given.command = given.lab;
  });
}

void declare_geodns(CLI::App& app, Given& given) {
  CLI::App* sub = program(app, "geodns", "authoritative DNS that sends clients to a near POP");
  geo::GeodnsOptions& to = given.geodns;
  one(sub, "--config", to.config_file, "its settings; docs/settings.md has every key", "FILE")
      ->required();
  many(sub, "--listen", to.listen, "UDP and TCP, over the file's [[listen]]", "ADDR");
  one(sub, "--admin", to.admin, "the admin API, over the file's [admin]", "ADDR");
  sub->callback([&given] { given.command = given.geodns; });
}

void declare_origin(CLI::App& app, Given& given) {
  CLI::App* sub = program(app, "origin", "a small real API to put behind an edge");
  origin::OriginOptions& to = given.origin;
  one(sub, "--config", to.config, "its settings; flags go over it", "FILE");
  many(sub, "--listen", to.listen, "where it answers, as 127.0.0.1:9000; https://ADDR for TLS",
       "ADDR");
  one(sub, "--admin", to.admin, "the admin API", "ADDR");
  one(sub, "--store", to.store, "folder of its database", "DIR");
  one(sub, "--static", to.static_files, "folder served below /static/", "DIR");
  one(sub, "--data", to.data, "products to load", "FILE.jsonl");
  sub->add_option("--products", to.products, "how many are made up when the store is empty")
      ->type_name("N");
  one(sub, "--site", to.site, "the name its purges are published under", "NAME");
  one(sub, "--control", to.control, "the purge service; without it nothing is published", "URL");
  one(sub, "--token-file", to.token_file, "its token there", "FILE");
  one(sub, "--ca", to.ca, "whom to trust there; default: the system's store", "FILE");
  one(sub, "--delay", to.delay, "before each answer, as 250ms", "DURATION");
  sub->callback([&given] { given.command = given.origin; });
}

void declare_access(CLI::App* sub, const char* flag, const char* variable, ServiceAccess& to,
                    const char* help) {
  one(sub, flag, to.url, help, "URL")->envname(variable);
  one(sub, "--token-file", to.token_file, "file whose first line is the token", "FILE")
      ->envname("BREAKWATER_TOKEN_FILE");
  one(sub, "--ca", to.ca, "whom to trust for https; default: the system's store", "FILE");
}

void declare_check(CLI::App& app, Given& given) {
  CLI::App* sub = operators(app, "check", "tells everything that is wrong with a settings file");
  one(sub, "--for", given.check.program, "the program; default: known by the file's tables",
      "PROGRAM")
      ->check(CLI::IsMember({"edge", "purged", "geodns", "origin"}));
  one(sub, "FILE", given.check.file, "the file", "")->required();
  sub->footer("\nErrors name file, line, key, what was found and what is allowed; exit 2 then.");
  sub->callback([&given] { given.command = given.check; });
}

void declare_purge(CLI::App& app, Given& given) {
  CLI::App* sub = operators(app, "purge", "removes content from every node");
  PurgeOptions& to = given.purge;
  declare_access(sub, "--control", "BREAKWATER_CONTROL", to.service, "the purge service");
  sub->get_option("--control")->required();
  one(sub, "--site", to.site, "the site's name at the purge service", "NAME")->required();
  many(sub, "--url", to.urls, "one URL, all its variants; ?* at its end: any query", "URL");
  many(sub, "--tag", to.tags, "what carries this tag", "TAG");
  many(sub, "--prefix", to.prefixes, "what lies below host/path", "PREFIX");
  many(sub, "--host", to.hosts, "all of a host", "HOST");
  sub->add_flag("--everything", to.everything, "all of the site; soft unless --hard");
  CLI::Option* soft = sub->add_flag("--soft", to.soft, "mark as stale instead of removing");
  sub->add_flag("--hard", to.hard, "remove; the default but for --everything")->excludes(soft);
  one(sub, "--wait", to.wait, "until it is applied by: none, shield, all; default none", "WHOM")
      ->check(CLI::IsMember({"none", "shield", "all"}));
  one(sub, "--timeout", given.purge_timeout, "how long to wait at most, default 2s", "DURATION")
      ->check(CLI::Validator(
          [](const std::string& text) {
            const std::optional<Duration> parsed = parse_duration(text);
            const bool good =
                parsed && *parsed > Duration::zero() && *parsed <= std::chrono::seconds(60);
            return good ? std::string() : "not a duration of 1ms to 60s, as 500ms or 2s";
          },
          ""));
  one(sub, "--reason", to.reason, "why, for the audit", "TEXT");
  sub->add_flag("--json", to.json, "print the receipt as JSON");
  sub->footer(
      "\nThe answer comes once the purge is durable. Exit 3: durable, but the wait was not met.\n"
      "  breakwater purge --control http://127.0.0.1:9443 --token-file ops.token --site shop \\\n"
      "    --tag product-42 --wait all");
  sub->callback([&given] {
    given.purge.timeout = *parse_duration(given.purge_timeout);
    given.command = given.purge;
  });
}

void declare_explain(CLI::App& app, Given& given) {
  CLI::App* sub = operators(app, "explain", "tells why a URL is a hit or a miss on a node");
  ExplainOptions& to = given.explain;
  declare_access(sub, "--admin", "BREAKWATER_ADMIN", to.admin, "the node's admin API");
  sub->get_option("--admin")->required();
  one(sub, "--method", to.method, "default GET", "METHOD");
  many(sub, "--header", to.headers, "of the request, as 'Accept-Encoding: br'", "'NAME: VALUE'");
  one(sub, "--client", to.client, "the client's address, for limits and access rules", "IP");
  sub->add_flag("--json", to.json, "print the answer as JSON");
  one(sub, "URL", to.url, "absolute", "")->required();
  sub->footer("\n  breakwater explain --admin http://127.0.0.1:9180 https://www.shop.example/a");
  sub->callback([&given] { given.command = given.explain; });
}

void declare_status(CLI::App& app, Given& given) {
  CLI::App* sub = operators(app, "status", "shows a node, or with --control all nodes");
  StatusOptions& to = given.status;
  declare_access(sub, "--admin", "BREAKWATER_ADMIN", to.admin, "a node's admin API");
  one(sub, "--control", to.control, "the purge service", "URL");
  sub->add_flag("--json", to.json, "print the answer as JSON");
  sub->callback([&given] {
    StatusOptions& asked = given.status;
    if (asked.admin.url.empty() && asked.control.empty()) {
      throw CLI::RequiredError("--admin or --control");
    }
    if (!asked.admin.url.empty() && !asked.control.empty()) {
      // What is only in the environment gives way to what was asked for here.
      const char* habit = std::getenv("BREAKWATER_ADMIN");
      if (habit == nullptr || asked.admin.url != habit) {
        throw CLI::ExcludesError("--control", "--admin");
      }
      asked.admin.url.clear();
    }
    given.command = given.status;
  });
}

void declare_token(CLI::App& app, Given& given) {
  CLI::App* sub = operators(app, "token", "makes tokens for the purge service");
  sub->require_subcommand(1);
  CLI::App* make = sub->add_subcommand("new", "a new secret, and the [[token]] that admits it");
  TokenOptions& to = given.token;
  one(make, "--name", to.name, "whose it is, for the audit; default ops", "NAME");
  many(make, "--site", to.sites, "a site it is good for; default *, all", "NAME");
  many(make, "--scope", to.scopes,
       "purge:url, purge:tag, purge:prefix, purge:all, read or node; default all but node",
       "SCOPE");
  one(make, "--out", to.out, "a new file for the secret; default: it is printed", "FILE");
  make->callback([&given] { given.command = given.token; });
}

void declare_geodb(CLI::App& app, Given& given) {
  CLI::App* sub = operators(app, "geodb", "makes small geography databases");
  sub->require_subcommand(1);
  CLI::App* build = sub->add_subcommand("build", "from lines CIDR,country[,asn]");
  one(build, "--from", given.geodb.from, "the lines", "FILE.csv")->required();
  one(build, "--out", given.geodb.out, "the database", "FILE.mmdb")->required();
  build->callback([&given] { given.command = given.geodb; });
}

}  // namespace

CommandLine parse_command_line(const std::vector<std::string>& words) {
  CLI::App app(kAbout, "breakwater");
  app.set_version_flag("--version", "breakwater " BW_VERSION);
  app.require_subcommand(1);
  app.get_formatter()->column_width(28);
  Given given;
  declare_edge(app, given);
  declare_purged(app, given);
  declare_geodns(app, given);
  declare_origin(app, given);
  declare_lab(app, given);
  declare_check(app, given);
  declare_purge(app, given);
  declare_explain(app, given);
  declare_status(app, given);
  declare_token(app, given);
  declare_geodb(app, given);
  app.footer(kFooter);  // last: commands inherit what is there when they are made

  CommandLine line;
  if (!words.empty() && !words[0].starts_with('-')) {
    std::vector<std::string> names;
    for (const CLI::App* sub : app.get_subcommands([](CLI::App*) { return true; })) {
      names.push_back(sub->get_name());
    }
    if (std::find(names.begin(), names.end(), words[0]) == names.end()) {
      const std::string near = nearest(words[0], names);
      line.outcome.code = 2;
      line.outcome.err = "breakwater: no command '" + words[0] + "'" +
                         (near.empty() ? "" : "; did you mean '" + near + "'?") +
                         "\nRun with --help for more information.\n";
      return line;
    }
  }
  std::vector<std::string> reversed(words.rbegin(), words.rend());
  try {
    app.parse(reversed);
    line.command = std::move(given.command);
  } catch (const CLI::ParseError& error) {
    std::ostringstream out;
    std::ostringstream err;
    line.outcome.code = app.exit(error, out, err) == 0 ? 0 : 2;
    line.outcome.out = out.str();
    line.outcome.err = err.str();
  }
  return line;
}

}  // namespace bw::cli
