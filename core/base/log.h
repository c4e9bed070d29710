// Errors and life of a process, one line each on stderr, leveled.
//
// Threads: any. Lines: `TIME LEVEL program: message`. Who stops an error logs it, once.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace bw::log {

enum class Level : uint8_t { debug, info, warning, error };

// Once, from main, before other threads start.
void start(std::string_view program, Level level);
void set_level(Level level);
bool enabled(Level level);
void write(Level level, std::string_view message);

inline void debug(std::string_view message) { write(Level::debug, message); }
inline void info(std::string_view message) { write(Level::info, message); }
inline void warning(std::string_view message) { write(Level::warning, message); }
inline void error(std::string_view message) { write(Level::error, message); }

}  // namespace bw::log
