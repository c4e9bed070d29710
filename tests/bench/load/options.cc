#include "tests/bench/load/options.h"

#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace bw::bench {
namespace {

constexpr char kUsage[] =
    "bench_load --port N [--tls] [--h2] [--connections N] [--depth N] [--path /LENGTH/NAME]\n"
    "           [--authority HOST] [--objects N --choice each|zipf [--zipf S]]\n"
    "           [--requests N | --seconds S] [--warmup S] [--rate N] [--close] [--idle]\n"
    "           [--sample N] [--seed N] [--core N] [--watch PID[,PID]]\n"
    "Loads a server on 127.0.0.1, checks every answer's status and length and a sample's bytes,\n"
    "and prints one line of JSON. --rate: latency counts from when a request was due.\n";

[[noreturn]] void refuse(std::string_view what) {
  std::fprintf(stderr, "bench_load: %.*s\n%s", static_cast<int>(what.size()), what.data(), kUsage);
  std::exit(2);
}

}  // namespace

Options parse_options(int count, char** arguments) {
  Options options;
  for (int i = 1; i < count; ++i) {
    const std::string_view name = arguments[i];
    if (name == "--tls") {
      options.tls = true;
    } else if (name == "--h2") {
      options.h2 = true;
    } else if (name == "--close") {
      options.close = true;
    } else if (name == "--idle") {
      options.idle = true;
    } else {
      if (i + 1 == count) refuse(name);
      const char* value = arguments[++i];
      const uint64_t number = std::strtoull(value, nullptr, 10);
      if (name == "--port") {
        options.port = static_cast<uint16_t>(number);
      } else if (name == "--connections") {
        options.connections = static_cast<uint32_t>(number);
      } else if (name == "--depth") {
        options.depth = static_cast<uint32_t>(number);
      } else if (name == "--path") {
        options.path = value;
      } else if (name == "--authority") {
        options.authority = value;
      } else if (name == "--objects") {
        options.objects = number;
      } else if (name == "--choice") {
        options.choice = std::string_view(value) == "zipf" ? Choice::zipf : Choice::each;
      } else if (name == "--zipf") {
        options.zipf = std::strtod(value, nullptr);
      } else if (name == "--requests") {
        options.requests = number;
      } else if (name == "--seconds") {
        options.seconds = std::strtod(value, nullptr);
      } else if (name == "--warmup") {
        options.warmup = std::strtod(value, nullptr);
      } else if (name == "--rate") {
        options.rate = std::strtod(value, nullptr);
      } else if (name == "--sample") {
        options.sample = static_cast<uint32_t>(number);
      } else if (name == "--seed") {
        options.seed = number;
      } else if (name == "--core") {
        options.core = static_cast<int>(number);
      } else if (name == "--watch") {
        for (char* end = nullptr; *value != '\0'; value = *end == ',' ? end + 1 : end) {
          options.watch.push_back(static_cast<int>(std::strtol(value, &end, 10)));
          if (end == value) refuse(name);
        }
      } else {
        refuse(name);
      }
    }
  }
  if (options.port == 0 || options.connections == 0 || options.depth == 0 || options.sample == 0 ||
      options.depth > 1024 || options.path.size() > 100 || options.authority.size() > 100) {
    refuse("--port is needed; counts from 1, depth to 1024, texts to 100 bytes");
  }
  if ((options.choice == Choice::one) != (options.objects <= 1)) {
    refuse("--objects and --choice go together");
  }
  return options;
}

}  // namespace bw::bench
