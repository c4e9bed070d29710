#include "edge/cache/purge_table.h"

#include <algorithm>
#include <mutex>

namespace bw::edge {

void merge(Marks& to, const Marks& from) {
  to.hard = std::max(to.hard, from.hard);
  to.soft = std::max(to.soft, from.soft);
  to.local = std::max(to.local, from.local);
}

bool FineTable::raise(const Key& key, const Marks& marks, Marks& now) {
  Shard& in = shard(key);
  const std::unique_lock lock(in.mutex);
  const auto [it, made] = in.entries.try_emplace(key);
  merge(it->second, marks);
  now = it->second;
  return made;
}

Marks FineTable::find(const Key& key) const {
  const Shard& in = shard(key);
  const std::shared_lock lock(in.mutex);
  const auto it = in.entries.find(key);
  return it == in.entries.end() ? Marks() : it->second;
}

std::vector<FineTable::Listed> FineTable::list(uint32_t site) const {
  std::vector<Listed> all;
  for (const Shard& in : shards_) {
    const std::shared_lock lock(in.mutex);
    for (const auto& [key, marks] : in.entries) {
      if (key.site == site) all.push_back({key, marks});
    }
  }
  return all;
}

std::vector<FineTable::Listed> FineTable::list_all() const {
  std::vector<Listed> all;
  for (const Shard& in : shards_) {
    const std::shared_lock lock(in.mutex);
    for (const auto& [key, marks] : in.entries) all.push_back({key, marks});
  }
  return all;
}

size_t FineTable::erase(const Key& key, const Marks& marks) {
  Shard& in = shard(key);
  const std::unique_lock lock(in.mutex);
  const auto it = in.entries.find(key);
  if (it == in.entries.end() || !(it->second == marks)) return 0;
  in.entries.erase(it);
  return kEntryBytes;
}

bool PrefixTable::raise(std::string_view host, std::string_view path, bool bytes,
                        const Marks& marks, Marks& now) {
  const std::unique_lock lock(mutex_);
  auto of_host = hosts_.find(host);
  if (of_host == hosts_.end()) of_host = hosts_.try_emplace(std::string(host)).first;
  Paths& paths = of_host->second;
  auto it = paths.find(path);
  if (it == paths.end()) it = paths.try_emplace(std::string(path)).first;
  Marks& to = bytes ? it->second.bytes : it->second.segments;
  const bool made = to == Marks();
  merge(to, marks);
  now = to;
  return made;
}

// Every prefix of `path` sorts before it. Where the greatest entry below isn't a prefix, the next
// one can only be a prefix of what both have in common: at most one step for each byte of `path`,
// in practice one for each segment.
void PrefixTable::find_in(const Paths& paths, std::string_view path, Marks& marks) {
  std::string_view bound = path;
  for (auto it = paths.upper_bound(bound); it != paths.begin();) {
    --it;
    const std::string_view prefix = it->first;
    const auto differ =
        std::mismatch(prefix.begin(), prefix.end(), bound.begin(), bound.end()).first;
    const auto common = static_cast<size_t>(differ - prefix.begin());
    if (common == prefix.size()) {
      merge(marks, it->second.bytes);
      if (prefix.size() == path.size() || path[prefix.size()] == '/' ||
          (!prefix.empty() && prefix.back() == '/')) {
        merge(marks, it->second.segments);
      }
      continue;
    }
    bound = bound.substr(0, common);
    it = paths.upper_bound(bound);
  }
}

Marks PrefixTable::find(std::string_view host, std::string_view path) const {
  const std::shared_lock lock(mutex_);
  Marks marks;
  if (host.empty()) {
    for (const auto& [name, paths] : hosts_) find_in(paths, path, marks);
    return marks;
  }
  for (const std::string_view name : {std::string_view(), host}) {
    const auto it = hosts_.find(name);
    if (it != hosts_.end()) find_in(it->second, path, marks);
  }
  return marks;
}

std::vector<PrefixTable::Listed> PrefixTable::list() const {
  const std::shared_lock lock(mutex_);
  std::vector<Listed> all;
  for (const auto& [host, paths] : hosts_) {
    for (const auto& [path, entry] : paths) {
      if (!(entry.segments == Marks())) all.push_back({host, path, false, entry.segments});
      if (!(entry.bytes == Marks())) all.push_back({host, path, true, entry.bytes});
    }
  }
  return all;
}

size_t PrefixTable::erase(const Listed& listed) {
  const std::unique_lock lock(mutex_);
  const auto of_host = hosts_.find(listed.host);
  if (of_host == hosts_.end()) return 0;
  const auto it = of_host->second.find(listed.path);
  if (it == of_host->second.end()) return 0;
  Marks& marks = listed.bytes ? it->second.bytes : it->second.segments;
  if (!(marks == listed.marks)) return 0;
  marks = Marks();
  if (it->second.segments == Marks() && it->second.bytes == Marks()) {
    of_host->second.erase(it);
    if (of_host->second.empty()) hosts_.erase(of_host);
  }
  return cost(listed.host, listed.path);
}

}  // namespace bw::edge
