#include "cli/lab/lab.h"

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <cstdio>
#include <filesystem>
#include <mutex>
#include <thread>

#include "cli/lab/replay.h"
#include "cli/lab/step.h"
#include "core/net/signals.h"

namespace bw::cli {
namespace {

// Ends the lab on a signal, wherever it is. While it stays up main is told and cleans up; in the
// middle of a step there is nothing to wait for: children die with this process.
class Interruption {
 public:
  explicit Interruption(bool keep) : keep_(keep) {
    sigset_t wanted;
    ::sigemptyset(&wanted);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP}) ::sigaddset(&wanted, signal);
    std::thread([this, wanted] {
      int signal = 0;
      while (::sigwait(&wanted, &signal) != 0) {
      }
      came(signal);
    }).detach();
  }
  void set_folder(std::string folder) {
    const std::lock_guard lock(mutex_);
    folder_ = std::move(folder);
  }
  // Blocks until a signal came; looks in between.
  template <typename Look>
  void stay(const Look& look) {
    std::unique_lock lock(mutex_);
    staying_ = true;
    while (!over_) {
      told_.wait_for(lock, std::chrono::seconds(1));
      if (!over_) look();
    }
  }

 private:
  void came(int signal) {
    {
      const std::lock_guard lock(mutex_);
      over_ = true;
      if (staying_) {
        told_.notify_all();
        return;
      }
      std::error_code code;
      if (!keep_ && !folder_.empty()) std::filesystem::remove_all(folder_, code);
    }
    std::fputs("lab: stopped\n", stderr);
    ::_exit(128 + signal);
  }

  const bool keep_;
  std::mutex mutex_;
  std::condition_variable told_;
  std::string folder_;
  bool staying_ = false;
  bool over_ = false;
};

void say(const std::string& line) {
  std::printf("%s\n", line.c_str());
  std::fflush(stdout);
}

void say_where(const Plan& plan) {
  for (const Part& part : plan.parts()) {
    std::string line = "  " + part.name + std::string(10 - part.name.size(), ' ');
    if (part.program == "geodns") {
      line += "dns " + part.http.text();
    } else if (part.program == "purged" || part.name == "shield-a") {
      line += "https://" + part.https.text();
    } else {
      line += "http://" + part.http.text();
      if (part.program == "edge") line += "  https://" + part.https.text();
    }
    say(line + "  admin http://" + part.admin.text());
  }
  say("  files and logs in " + plan.folder());
}

void say_how(const Plan& plan) {
  const Part& edge = plan.part("fra1-a");
  const Part& dns = plan.part("geodns");
  const std::string port = std::to_string(edge.https.port());
  const std::string host(kShopHost);
  say("Try, in another terminal:");
  say("  curl -i --cacert " + plan.ca_file() + " --connect-to ::" + edge.https.text() +
      " https://" + host + ":" + port + "/v1/products/42");
  say("  dig @" + dns.http.ip().text() + " -p " + std::to_string(dns.http.port()) +
      " +subnet=203.0.113.0/24 " + host);
  say("  dig @" + dns.http.ip().text() + " -p " + std::to_string(dns.http.port()) +
      " +short TXT _why." + host);
  say("Ctrl-C ends it.");
}

// The number of steps that held before the first that didn't.
size_t play(Lab& lab, std::span<const Step> steps, std::string* broken) {
  size_t count = 0;
  for (const Step& step : steps) {
    const MonoTime from = lab.clock().mono();
    std::string gone = lab.missing();
    Account account = gone.empty() ? step.run(lab) : broke(gone + " isn't running");
    gone = lab.missing();
    if (account.held && !gone.empty()) account = broke(gone + " ended by itself");
    const std::string number = std::to_string(count + 1);
    const std::string line =
        std::string(number.size() < 2 ? " " : "") + number + " " + std::string(step.name);
    if (!account.held) {
      *broken = "step " + number + " did not hold: " + std::string(step.name) + ": " + account.text;
      return count;
    }
    ++count;
    say(line + " (" + milliseconds_text(lab.clock().mono() - from) + ")\n     " + account.text);
  }
  return count;
}

int fail(const std::string& why) {
  std::fprintf(stderr, "lab: %s\n", why.c_str());
  return 1;
}

}  // namespace

int run_lab(const LabOptions& options) {
  net::block_signals({SIGINT, SIGTERM, SIGHUP});
  // Detached thread: it must outlive everything here.
  auto* interruption = new Interruption(options.keep);
  SystemClock clock;
  std::string why;
  std::unique_ptr<Trace> trace;
  if (!options.replay.empty()) {
    trace = Trace::open(options.replay, &why);
    if (trace == nullptr) return fail(why);
  }
  const std::unique_ptr<Lab> lab = Lab::make(clock, options.keep, &why);
  if (lab == nullptr) return fail(why);
  interruption->set_folder(lab->plan().folder());
  say("Breakwater's lab: three POPs, a shield, the purge service, GeoDNS and an origin.");
  if (!lab->start(&why)) return fail(why);
  say_where(lab->plan());
  if (trace != nullptr) {
    const ReplayOptions what{.name = options.replay, .max_object = options.max_object};
    return replay(*lab, *trace, what, &why) ? 0 : fail(why);
  }
  const std::span<const Step> steps = options.check ? all_steps() : story_steps();
  std::string broken;
  const size_t good = play(*lab, steps, &broken);
  if (!broken.empty()) return fail(broken);
  if (options.check) {
    say("lab: " + std::to_string(good) + " of " + std::to_string(steps.size()) + " steps held");
    return 0;
  }
  say_how(lab->plan());
  std::string told;
  interruption->stay([&] {
    const std::string gone = lab->missing();
    if (!gone.empty() && gone != told) say("lab: " + (told = gone) + " isn't running any more");
  });
  say("lab: stopping");
  return 0;
}

}  // namespace bw::cli
