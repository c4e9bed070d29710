// The operator's commands: what each is told by the command line, and what it answers.
//
// Each blocks until it is done; called from main before any other thread exists. Errors: an
// Outcome with a line for people in `err`. Exit codes: 0 done, 1 failure, 2 bad usage or
// configuration, 3 a purge whose wait was not met.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/clock.h"

namespace bw::cli {

struct Outcome {
  int code = 0;
  std::string out;
  std::string err;
};

// Where a node's admin API or the purge service is, and how one is known there.
struct ServiceAccess {
  std::string url;         // http://HOST:PORT, https://HOST:PORT, HOST:PORT or unix:PATH
  std::string token_file;  // first line; empty: no token
  std::string ca;          // of https; empty: the system's store
};

struct CheckOptions {
  std::string program;  // edge, purged, geodns, origin; empty: known by the file's tables
  std::string file;
};
Outcome run_check(const CheckOptions& options);

struct PurgeOptions {
  ServiceAccess service;
  std::string site;
  std::vector<std::string> urls, tags, prefixes, hosts;
  bool everything = false;
  bool soft = false;
  bool hard = false;
  std::string wait = "none";  // none | shield | all
  Duration timeout = std::chrono::seconds(2);
  std::string reason;
  bool json = false;
};
Outcome run_purge(const PurgeOptions& options);

struct ExplainOptions {
  ServiceAccess admin;
  std::string url;
  std::string method = "GET";
  std::vector<std::string> headers;  // "Name: value"
  std::string client;                // an address
  bool json = false;
};
Outcome run_explain(const ExplainOptions& options);

struct StatusOptions {
  ServiceAccess admin;  // url empty: `control` is asked for all nodes
  std::string control;
  bool json = false;
};
Outcome run_status(const StatusOptions& options);

struct TokenOptions {
  std::string name = "ops";
  std::vector<std::string> sites = {"*"};
  std::vector<std::string> scopes = {"purge:url", "purge:tag", "purge:prefix", "purge:all", "read"};
  std::string out;  // file for the secret, made with mode 0600; empty: it is printed
};
Outcome run_token_new(const TokenOptions& options, Random& random);

struct GeodbOptions {
  std::string from;
  std::string out;
};
Outcome run_geodb_build(const GeodbOptions& options);

}  // namespace bw::cli
