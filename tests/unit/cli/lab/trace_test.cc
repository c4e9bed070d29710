#include "cli/lab/trace.h"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

using namespace bw::cli;

TEST_CASE("trace: lines are time, key and size, and nothing else") {
  struct Row {
    const char* line;
    const char* key;
    uint64_t size;
  };
  for (const Row& row :
       {Row{"0 a 1", "a", 1}, Row{"17 zz9 4096", "zz9", 4096}, Row{"0\ta  7\r", "a", 7}}) {
    const auto request = parse_trace_line(row.line);
    REQUIRE(request.has_value());
    CHECK(request->key == row.key);
    CHECK(request->size == row.size);
  }
  for (const char* line : {"", "0", "0 a", "0 a x", "0 a -1", "0 a 1 2", "0 a/b 1", "0 a 1x",
                           "0 ../.. 5", "0 a 99999999999999999999999"}) {
    INFO(line);
    CHECK_FALSE(parse_trace_line(line).has_value());
  }
}

TEST_CASE("trace: a file is read to its end, and a wrong line is told by number") {
  std::string file = (std::filesystem::temp_directory_path() / "bw-trace-XXXXXX").string();
  const int fd = ::mkstemp(file.data());
  REQUIRE(fd >= 0);
  ::close(fd);
  std::string text;
  for (int i = 0; i < 20000; ++i) text += std::to_string(i) + " k" + std::to_string(i) + " 10\n";
  std::ofstream(file) << text << "1 last 11";
  std::string why;
  auto trace = Trace::open(file, &why);
  REQUIRE(trace != nullptr);
  size_t count = 0;
  uint64_t last = 0;
  while (const auto request = trace->next(&why)) {
    ++count;
    last = request->size;
  }
  CHECK(why.empty());
  CHECK(count == 20001);
  CHECK(last == 11);
  std::ofstream(file) << "0 a 1\n\nnonsense\n";
  trace = Trace::open(file, &why);
  CHECK(trace->next(&why).has_value());
  CHECK_FALSE(trace->next(&why).has_value());
  CHECK(why == file + ":3: not `time_s key size`");
  std::filesystem::remove(file);
  CHECK(Trace::open(file, &why) == nullptr);
}
