#include "tests/bench/load/cpu.h"

#include <dirent.h>

#include <cinttypes>
#include <cstdio>
#include <string>

namespace bw::bench {

uint64_t cpu_ns(const std::vector<int>& processes) {
  uint64_t sum = 0;
  for (const int process : processes) {
    const std::string folder = "/proc/" + std::to_string(process) + "/task/";
    DIR* tasks = opendir(folder.c_str());
    if (tasks == nullptr) continue;
    while (const dirent* task = readdir(tasks)) {
      if (task->d_name[0] == '.') continue;
      FILE* file = std::fopen((folder + task->d_name + "/schedstat").c_str(), "r");
      if (file == nullptr) continue;
      uint64_t ran = 0;
      if (std::fscanf(file, "%" SCNu64, &ran) == 1) sum += ran;
      std::fclose(file);
    }
    closedir(tasks);
  }
  return sum;
}

}  // namespace bw::bench
