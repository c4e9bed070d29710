// CHECK: a bug is fatal, in production too; never for what a peer can cause.
//
// Errors: prints file, line and condition to stderr and aborts the process.
#pragma once

namespace bw {

// Prints `file:line: CHECK failed: condition` and aborts.
[[noreturn]] void check_failed(const char* file, int line, const char* condition) noexcept;

}  // namespace bw

#define BW_CHECK(condition)                     \
  (__builtin_expect(!!(condition), 1) ? (void)0 \
                                      : ::bw::check_failed(__FILE__, __LINE__, #condition))
