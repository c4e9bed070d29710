// The fine entries of PurgedSince: marks by key, and marks by path prefix. Private to edge/cache.
//
// Threads: any; locked inside, readers share. Bounds: the caller's, who is told what each entry
// costs. A reader sees an entry whole or not at all.
#pragma once

#include <array>
#include <cstddef>
#include <functional>
#include <map>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/base/digest.h"
#include "edge/cache/purged_since.h"

namespace bw::edge {

// The newer of each.
void merge(Marks& to, const Marks& from);

// (site, kind, key) -> marks, sharded.
class FineTable {
 public:
  struct Key {
    uint32_t site = 0;
    PurgeKind kind = PurgeKind::url;
    Hash128 key;
    friend bool operator==(const Key&, const Key&) = default;
  };
  struct Listed {
    Key key;
    Marks marks;
  };
  static constexpr size_t kEntryBytes = 112;  // node, bucket and heap

  // Marks only rise. `now`: what they are then. True: the entry is new.
  bool raise(const Key& key, const Marks& marks, Marks& now);
  Marks find(const Key& key) const;
  std::vector<Listed> list(uint32_t site) const;
  std::vector<Listed> list_all() const;
  // Unless its marks have changed. Answers the bytes that were freed.
  size_t erase(const Key& key, const Marks& marks);

 private:
  static constexpr size_t kShards = 64;
  struct Hasher {
    size_t operator()(const Key& key) const {
      const uint64_t salt = (uint64_t{key.site} << 8 | static_cast<uint64_t>(key.kind));
      return static_cast<size_t>(key.key.lo ^ (salt * 0x9e3779b97f4a7c15ull));
    }
  };
  struct Shard {
    mutable std::shared_mutex mutex;
    std::unordered_map<Key, Marks, Hasher> entries;
  };
  Shard& shard(const Key& key) const { return shards_[Hasher()(key) >> 58]; }
  static_assert(sizeof(size_t) == 8);
  mutable std::array<Shard, kShards> shards_;
};

// Paths of one site, by host ("": every host).
class PrefixTable {
 public:
  struct Listed {
    std::string host;
    std::string path;
    bool bytes = false;
    Marks marks;
  };

  // What an entry takes.
  static size_t cost(std::string_view host, std::string_view path) {
    return 256 + host.size() + path.size();
  }
  // bytes: a prefix of bytes; else of whole path segments.
  bool raise(std::string_view host, std::string_view path, bool bytes, const Marks& marks,
             Marks& now);
  // Of every prefix of `path`; an empty host: of all hosts.
  Marks find(std::string_view host, std::string_view path) const;
  std::vector<Listed> list() const;
  size_t erase(const Listed& listed);

 private:
  struct Entry {
    Marks segments;
    Marks bytes;
  };
  using Paths = std::map<std::string, Entry, std::less<>>;
  static void find_in(const Paths& paths, std::string_view path, Marks& marks);

  mutable std::shared_mutex mutex_;
  std::map<std::string, Paths, std::less<>> hosts_;
};

}  // namespace bw::edge
