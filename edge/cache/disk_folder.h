// The disk tier's directory: who may use it, which format it has, and what is set aside from it.
//
// DIR/format names the layout, DIR/index is the catalogue, DIR/segments the bodies. What carries
// our names but isn't ours, or is damaged, is moved into DIR/set-aside-TIME-N and never deleted;
// other names are left alone. Threads: one at a time; may block. Lifetime: the lock lasts as long
// as the object and dies with the process.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "core/base/clock.h"
#include "core/base/result.h"

namespace bw::edge {

class DiskFolder {
 public:
  // Makes and locks the directory; `why` receives a line for people on failure. Kinds: busy
  // (another process has it), io (cannot be made, locked or written). A full disk is no failure.
  static Result<std::unique_ptr<DiskFolder>> open(std::string path,
                                                  std::function<int()> write_fault, Clock& clock,
                                                  std::string* why);
  ~DiskFolder();
  DiskFolder(const DiskFolder&) = delete;
  DiskFolder& operator=(const DiskFolder&) = delete;

  std::string index() const { return path_ + "/index"; }
  std::string segments() const { return path_ + "/segments"; }

  // Sets aside what another format left, writes ours and makes the folders.
  Status prepare();
  // Moves DIR/name (a relative path) aside, if it is there.
  Status set_aside(std::string_view name, std::string_view reason);
  // Removes DIR/name with all in it, durably.
  Status remove(std::string_view name);
  // Writes, syncs, reads back and removes a file.
  Status probe();

 private:
  DiskFolder(std::string path, std::function<int()> write_fault, Clock& clock, int lock);
  Status allowed() const;

  const std::string path_;
  const std::function<int()> write_fault_;
  Clock& clock_;
  const int lock_;
};

}  // namespace bw::edge
