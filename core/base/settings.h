// Settings, declared once: a struct names its keys in declare(), and from that come parsing, every
// error at once, and docs/settings.md.
//
//   struct AdminSettings {
//     std::string listen;
//     Duration timeout = std::chrono::seconds(5);
//     void declare(SettingGroup& g) {
//       g.text("listen", &listen, "where the admin API listens").need();
//       g.duration("timeout", &timeout, "for a whole answer").between("1ms", "1h");
//     }
//   };
//
// The default is the value a member has when it is declared. Keys are read in the order declared,
// whatever the order in the file; then() runs between them. Threads: none; used at start and at
// reloads. Errors: Diagnostics, one line each: `file:line: key: found X; allowed Y`.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "core/base/clock.h"
#include "core/base/quantity.h"
#include "core/base/tree.h"

namespace bw {

class Diagnostics {
 public:
  void error(const std::string& file, uint32_t line, std::string_view key, std::string_view found,
             std::string_view allowed);
  void error(std::string line) { errors_.push_back(std::move(line)); }
  void warning(std::string line) { warnings_.push_back(std::move(line)); }
  bool ok() const { return errors_.empty(); }
  const std::vector<std::string>& errors() const { return errors_; }
  const std::vector<std::string>& warnings() const { return warnings_; }

 private:
  std::vector<std::string> errors_;
  std::vector<std::string> warnings_;
};

class SettingGroup;
struct SettingContext;  // settings.cc

// Answers "" when the text is allowed, else what would be (`IP:PORT, [IPv6]:PORT or unix:PATH`).
using TextRule = std::function<std::string(const std::string&)>;

// One declared key, to refine.
class Setting {
 public:
  Setting& need();  // must be written
  Setting& between(std::string_view least,
                   std::string_view most);          // inclusive, as written in files
  Setting& choice(std::vector<std::string> words);  // of text, and of items of a list
  Setting& rule(TextRule rule);                     // of text, items or names of a map
  Setting& or_off();                                // 0 is allowed beside the bounds

  enum class Kind : uint8_t {
    text,
    path,
    flag,
    integer,
    number,
    size,
    duration,
    rate,
    list,
    map,
    table,
    tables,
    one_or_many,
    step,
    any
  };

 private:
  friend class SettingGroup;
  friend struct SettingContext;
  std::string name_;
  std::string help_;
  std::string default_;
  Kind kind_ = Kind::text;
  bool needed_ = false;
  bool or_off_ = false;
  std::string least_, most_;
  std::vector<std::string> words_;
  TextRule rule_;
  std::function<void(const Tree&, SettingContext&, const Setting&, const std::string& key)> read_;
  std::function<void(SettingGroup&)> children_;  // for documents
  std::function<void()> step_;
};

class SettingGroup {
 public:
  SettingGroup();
  ~SettingGroup();
  SettingGroup(const SettingGroup&) = delete;
  SettingGroup& operator=(const SettingGroup&) = delete;

  Setting& text(std::string name, std::string* to, std::string help);
  // A file or folder; relative ones start at the file's folder. Empty stays empty.
  Setting& path(std::string name, std::string* to, std::string help);
  Setting& flag(std::string name, bool* to, std::string help);
  // From 0 to what T holds, unless between() says else.
  template <typename T>
  Setting& integer(std::string name, T* to, std::string help) {
    static_assert(std::is_integral_v<T>);
    constexpr int64_t kMost = std::in_range<int64_t>(std::numeric_limits<T>::max())
                                  ? static_cast<int64_t>(std::numeric_limits<T>::max())
                                  : std::numeric_limits<int64_t>::max();
    return add_integer(std::move(name), static_cast<int64_t>(*to), std::move(help),
                       [to](int64_t value) { *to = static_cast<T>(value); })
        .between("0", std::to_string(kMost));
  }
  Setting& number(std::string name, double* to, std::string help);
  Setting& size(std::string name, uint64_t* to, std::string help);
  Setting& duration(std::string name, Duration* to, std::string help);
  Setting& rate(std::string name, Rate* to, std::string help);
  // A duration that may also be a bare integer of seconds (DNS).
  Setting& ttl(std::string name, Duration* to, std::string help);
  // An enum by its words: words[i] is value i.
  template <typename E>
  Setting& word(std::string name, E* to, std::vector<std::string> words, std::string help) {
    static_assert(std::is_enum_v<E>);
    return add_word(std::move(name), static_cast<size_t>(*to), std::move(words), std::move(help),
                    [to](size_t i) { *to = static_cast<E>(i); });
  }
  Setting& list(std::string name, std::vector<std::string>* to, std::string help);
  // A list, or one text alone.
  Setting& list_or_text(std::string name, std::vector<std::string>* to, std::string help);
  Setting& paths(std::string name, std::vector<std::string>* to, std::string help);
  Setting& integers(std::string name, std::vector<int64_t>* to, std::string help);
  Setting& numbers(std::string name, std::vector<double>* to, std::string help);
  // name = { k = "v" }
  Setting& map(std::string name, std::map<std::string, std::string>* to, std::string help);
  // name = { k = "10s" }
  Setting& durations(std::string name, std::map<std::string, Duration>* to, std::string help);
  // name = { k = ["a", "b"] }
  Setting& lists(std::string name, std::map<std::string, std::vector<std::string>>* to,
                 std::string help);
  // Anything: `read` answers "" or what is allowed.
  Setting& any(std::string name, std::function<std::string(const Tree&)> read, std::string help);

  // [name]
  template <typename T>
  Setting& table(std::string name, T* to, std::string help) {
    return add_table(std::move(name), std::move(help), [to](SettingGroup& g) { to->declare(g); });
  }
  // [name] that exists only when it is written.
  template <typename T>
  Setting& table(std::string name, std::optional<T>* to, std::string help) {
    return add_table(
        std::move(name), std::move(help),
        [to](SettingGroup& g) {
          to->emplace();
          (*to)->declare(g);
        },
        [](SettingGroup& g) { g.keep<T>()->declare(g); });
  }
  // [[name]]; `make` gives each its defaults when it is read.
  template <typename T>
  Setting& tables(
      std::string name, std::vector<T>* to, std::string help,
      std::function<T()> make = [] { return T(); }) {
    return add_tables(
        std::move(name), std::move(help), false, [to](size_t n) { to->reserve(n); },
        [to, make](SettingGroup& g) {
          to->push_back(make());
          to->back().declare(g);
        },
        [make](SettingGroup& g) {
          T* one = g.keep<T>();
          *one = make();
          one->declare(g);
        });
  }
  // [[name]], or one [name].
  template <typename T>
  Setting& one_or_many(std::string name, std::vector<T>* to, std::string help) {
    Setting& made = tables(std::move(name), to, std::move(help));
    return allow_one(made);
  }
  // Runs when all keys declared before have been read.
  void then(std::function<void()> step);
  // Runs last, for rules about several keys; `fault` writes an error at the table's line.
  using Fault =
      std::function<void(std::string_view key, std::string_view found, std::string_view allowed)>;
  void check(std::function<void(const Fault& fault)> check);
  // The file and line this table stood at, for later errors.
  void place(std::string* file, uint32_t* line);

  // Its part of docs/settings.md, tables below it included.
  std::string document(const std::string& prefix) const;

  // Owned by the group: an object that lives as long as this description.
  template <typename T>
  T* keep() {
    auto object = std::make_shared<T>();
    T* raw = object.get();
    kept_.push_back(std::move(object));
    return raw;
  }

 private:
  friend struct SettingContext;
  using Declare = std::function<void(SettingGroup&)>;
  Setting& add(std::string name, Setting::Kind kind, std::string default_text, std::string help);
  Setting& add_integer(std::string name, int64_t value, std::string help,
                       std::function<void(int64_t)> set);
  Setting& add_word(std::string name, size_t value, std::vector<std::string> words,
                    std::string help, std::function<void(size_t)> set);
  Setting& add_table(std::string name, std::string help, Declare declare, Declare document = {});
  Setting& add_tables(std::string name, std::string help, bool one,
                      std::function<void(size_t)> reserve, Declare declare, Declare document);
  static Setting& allow_one(Setting& setting);

  std::vector<std::unique_ptr<Setting>> settings_;
  std::vector<std::function<void(const Fault&)>> checks_;
  std::vector<std::shared_ptr<void>> kept_;
  std::string* place_file_ = nullptr;
  uint32_t* place_line_ = nullptr;
};

// Reads `tree` into a declared group; true when nothing was wrong. `file` names the document in
// messages and anchors relative paths.
bool read_group(const Tree& tree, const std::string& file,
                const std::function<void(SettingGroup&)>& declare, Diagnostics& diagnostics);
template <typename T>
bool read_settings(const Tree& tree, const std::string& file, T& settings,
                   Diagnostics& diagnostics) {
  return read_group(
      tree, file, [&settings](SettingGroup& g) { settings.declare(g); }, diagnostics);
}

// Puts what `overrides` holds over `tree`: tables are merged, all else is replaced.
void override_tree(Tree& tree, const Tree& overrides);

// A section of docs/settings.md: every table and key with unit, default, bounds and help.
std::string settings_markdown(const std::string& title,
                              const std::function<void(SettingGroup&)>& declare);

// The allowed word nearest to `word` by edit distance; empty when none is near.
std::string nearest(std::string_view word, const std::vector<std::string>& allowed);

}  // namespace bw
