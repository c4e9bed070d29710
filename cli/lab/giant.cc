// Large bodies through small memories, both ways.
#include <atomic>
#include <thread>

#include "cli/lab/pattern.h"
#include "cli/lab/step.h"

namespace bw::cli {
namespace {

constexpr uint64_t kGiant = uint64_t{1} << 30;
constexpr uint64_t kUpload = 50 << 20;
// Memory tier, named tables at their defaults, and 128 MiB for all else.
constexpr uint64_t kMostResident = 512 << 20;
constexpr uint64_t kMostHeld = 32 << 20;

std::string mebibytes(uint64_t bytes) { return std::to_string(bytes >> 20) + " MiB"; }

}  // namespace

Account giant_through_a_small_memory(Lab& lab) {
  Ask ask = lab.scripted("fra1-a", "/giant?size=" + std::to_string(kGiant), Ask::Over::http1);
  ask.within = std::chrono::seconds(300);
  std::atomic<bool> exact{true};
  ask.on_piece = [&](uint64_t offset, std::string_view piece) {
    if (!is_pattern(offset, piece)) exact = false;
  };
  const Got got = lab.get(ask);
  if (got.status != 200 || got.error || got.size != kGiant) {
    return broke(got.text() + " with " + std::to_string(got.size) + " bytes");
  }
  if (!exact) return broke("bytes differ from what the origin sent");
  std::string memory;
  for (const char* node : {"fra1-a", "shield-a"}) {
    const uint64_t resident = resident_bytes(lab.pid(node));
    if (resident > kMostResident) {
      return broke(std::string(node) + " holds " + mebibytes(resident));
    }
    memory += ", " + std::string(node) + " " + mebibytes(resident);
  }
  const double seconds = static_cast<double>(got.total.count()) / 1e9;
  return held(std::to_string(int(1024 / seconds)) + " MiB/s through two tiers; resident" +
              memory.substr(1));
}

Account upload_with_back_pressure(Lab& lab) {
  Ask ask = lab.scripted("fra1-a", "/upload");
  ask.method = "POST";
  ask.upload = kUpload;
  ask.fields = {{"content-type", "application/octet-stream"}};
  const uint64_t fra1 = resident_bytes(lab.pid("fra1-a"));
  const uint64_t shield = resident_bytes(lab.pid("shield-a"));
  uint64_t grown = 0;
  uint64_t early = 0;
  // The origin reads nothing until the pipeline has stood still for a second.
  std::thread watcher([&] {
    (void)lab.until([&] { return lab.script().count("/upload") > 0; }, std::chrono::seconds(5));
    std::this_thread::sleep_for(std::chrono::seconds(1));
    grown = std::max(resident_bytes(lab.pid("fra1-a")), fra1) - fra1 +
            std::max(resident_bytes(lab.pid("shield-a")), shield) - shield;
    early = lab.script().uploaded();
    lab.script().release("/upload");
  });
  const Got got = lab.get(ask);
  watcher.join();
  if (got.status != 200 || got.body != std::to_string(kUpload) + " exact") {
    return broke(got.text() + ": " + got.body);
  }
  if (grown > kMostHeld) return broke("edge and shield held " + mebibytes(grown) + " of it");
  return held("all bytes exact; while the origin read " + mebibytes(early) +
              " edge and shield grew by " + mebibytes(grown));
}

}  // namespace bw::cli
