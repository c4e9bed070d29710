#include "core/base/settings.h"

#include <algorithm>

namespace bw {

// What reading needs to know of the document.
struct SettingContext {
  const std::string& file;
  std::string folder;
  Diagnostics& diagnostics;

  void error(const Tree& at, std::string_view key, std::string_view allowed) {
    diagnostics.error(file, at.line, key, describe(at), allowed);
  }
  // Relative paths start at the file; those of flags at the working directory.
  std::string resolve(const Tree& at) const {
    if (at.line == 0 || folder.empty() || at.text.empty() || at.text.front() == '/') return at.text;
    return folder + '/' + at.text;
  }
  void read(const Tree& tree, SettingGroup& group, const std::string& prefix);
  void read_value(const Tree& value, const Setting& setting, const std::string& key) {
    setting.read_(value, *this, setting, key);
  }
};

void Diagnostics::error(const std::string& file, uint32_t line, std::string_view key,
                        std::string_view found, std::string_view allowed) {
  std::string text = line == 0 ? std::string(file.empty() ? "command line" : file)
                               : file + ':' + std::to_string(line);
  text += ": ";
  text += key;
  text += ": found ";
  text += found;
  text += "; allowed: ";
  text += allowed;
  errors_.push_back(std::move(text));
}

Setting& Setting::need() {
  needed_ = true;
  return *this;
}
Setting& Setting::between(std::string_view least, std::string_view most) {
  least_ = least;
  most_ = most;
  return *this;
}
Setting& Setting::choice(std::vector<std::string> words) {
  words_ = std::move(words);
  return *this;
}
Setting& Setting::rule(TextRule rule) {
  rule_ = std::move(rule);
  return *this;
}
Setting& Setting::or_off() {
  or_off_ = true;
  return *this;
}

namespace {

std::string join(const std::vector<std::string>& words, std::string_view between) {
  std::string out;
  for (const std::string& word : words) {
    if (!out.empty()) out += between;
    out += word.empty() ? "\"\"" : word;
  }
  return out;
}

// The kinds of quantity: how each is read from a tree and from a bound's text.
template <typename T>
struct Quantity;

template <>
struct Quantity<int64_t> {
  static constexpr std::string_view kWhat = "a whole number";
  static std::optional<int64_t> of(const Tree& tree) {
    return tree.kind == Tree::Kind::integer ? std::optional<int64_t>(tree.integer) : std::nullopt;
  }
  static std::optional<int64_t> bound(const std::string& text) { return std::stoll(text); }
};
template <>
struct Quantity<double> {
  static constexpr std::string_view kWhat = "a number";
  static std::optional<double> of(const Tree& tree) {
    if (tree.kind == Tree::Kind::integer) return static_cast<double>(tree.integer);
    return tree.kind == Tree::Kind::number ? std::optional<double>(tree.number) : std::nullopt;
  }
  static std::optional<double> bound(const std::string& text) { return std::stod(text); }
};
// Written as a string, or a bare 0.
template <typename T, std::optional<T> (*kParse)(std::string_view)>
std::optional<T> parsed(const Tree& tree) {
  if (tree.kind == Tree::Kind::integer && tree.integer == 0) return kParse("0");
  return tree.kind == Tree::Kind::string ? kParse(tree.text) : std::nullopt;
}
template <>
struct Quantity<uint64_t> {
  static constexpr std::string_view kWhat = "a size as \"512MiB\"";
  static std::optional<uint64_t> of(const Tree& tree) { return parsed<uint64_t, parse_size>(tree); }
  static std::optional<uint64_t> bound(const std::string& text) { return parse_size(text); }
};
template <>
struct Quantity<Duration> {
  static constexpr std::string_view kWhat = "a duration as \"250ms\"";
  static std::optional<Duration> of(const Tree& tree) {
    return parsed<Duration, parse_duration>(tree);
  }
  static std::optional<Duration> bound(const std::string& text) { return parse_duration(text); }
};

std::string range_text(const std::string& least, const std::string& most, bool or_off) {
  if (least.empty() && most.empty()) return {};
  const bool open = most.empty() || most == std::to_string(INT64_MAX);
  std::string text = open ? "at least " + least : least + " to " + most;
  if (or_off) text += ", or 0 (off)";
  return text;
}

// Reads one quantity within bounds; nullopt after having written the error.
template <typename T>
std::optional<T> read_quantity(const Tree& tree, const std::string& key, SettingContext& context,
                               const std::string& least, const std::string& most, bool or_off,
                               std::optional<T> (*of)(const Tree&) = &Quantity<T>::of) {
  const std::optional<T> value = of(tree);
  bool good = value.has_value();
  if (good && !(or_off && *value == T{})) {
    if (!least.empty() && !(*value >= *Quantity<T>::bound(least))) good = false;
    if (!most.empty() && !(*value <= *Quantity<T>::bound(most))) good = false;
  }
  if (good) return value;
  const std::string range = range_text(least, most, or_off);
  context.error(tree, key, std::string(Quantity<T>::kWhat) + (range.empty() ? "" : ", " + range));
  return std::nullopt;
}

// One text under choice() and rule(); nullopt after having written the error.
std::optional<std::string> read_text(const Tree& tree, const std::string& key,
                                     SettingContext& context, const std::vector<std::string>& words,
                                     const TextRule& rule) {
  std::string allowed;
  if (tree.kind != Tree::Kind::string || tree.text.find('\0') != std::string::npos) {
    allowed = words.empty() ? "text in quotes" : join(words, " | ");
  } else if (!words.empty() && std::find(words.begin(), words.end(), tree.text) == words.end()) {
    allowed = join(words, " | ");
    const std::string near = nearest(tree.text, words);
    if (!near.empty()) allowed += " (nearest: " + near + ")";
  } else if (rule) {
    allowed = rule(tree.text);
  }
  if (allowed.empty()) return tree.text;
  context.error(tree, key, allowed);
  return std::nullopt;
}

// Tells a table from all else, with the error.
bool is_table(const Tree& tree, const std::string& key, SettingContext& context,
              std::string_view allowed = "a table") {
  if (tree.kind == Tree::Kind::table) return true;
  context.error(tree, key, allowed);
  return false;
}

std::string show(const std::vector<std::string>& list) {
  return list.empty() ? "[]" : "[\"" + join(list, "\", \"") + "\"]";
}

}  // namespace

SettingGroup::SettingGroup() = default;
SettingGroup::~SettingGroup() = default;

Setting& SettingGroup::add(std::string name, Setting::Kind kind, std::string default_text,
                           std::string help) {
  settings_.push_back(std::make_unique<Setting>());
  Setting& setting = *settings_.back();
  setting.name_ = std::move(name);
  setting.kind_ = kind;
  setting.default_ = std::move(default_text);
  setting.help_ = std::move(help);
  return setting;
}

Setting& SettingGroup::text(std::string name, std::string* to, std::string help) {
  Setting& made = add(std::move(name), Setting::Kind::text, '"' + *to + '"', std::move(help));
  made.read_ = [to](const Tree& tree, SettingContext& c, const Setting& s, const std::string& key) {
    if (auto value = read_text(tree, key, c, s.words_, s.rule_)) *to = std::move(*value);
  };
  return made;
}

Setting& SettingGroup::path(std::string name, std::string* to, std::string help) {
  Setting& made = add(std::move(name), Setting::Kind::path, '"' + *to + '"', std::move(help));
  made.read_ = [to](const Tree& tree, SettingContext& c, const Setting& s, const std::string& key) {
    if (read_text(tree, key, c, s.words_, s.rule_)) *to = c.resolve(tree);
  };
  return made;
}

Setting& SettingGroup::flag(std::string name, bool* to, std::string help) {
  Setting& made =
      add(std::move(name), Setting::Kind::flag, *to ? "true" : "false", std::move(help));
  made.read_ = [to](const Tree& tree, SettingContext& c, const Setting&, const std::string& key) {
    if (tree.kind == Tree::Kind::boolean) {
      *to = tree.boolean;
    } else {
      c.error(tree, key, "true | false");
    }
  };
  return made;
}

Setting& SettingGroup::add_integer(std::string name, int64_t value, std::string help,
                                   std::function<void(int64_t)> set) {
  Setting& made =
      add(std::move(name), Setting::Kind::integer, std::to_string(value), std::move(help));
  made.read_ = [set = std::move(set)](const Tree& tree, SettingContext& c, const Setting& s,
                                      const std::string& key) {
    if (auto v = read_quantity<int64_t>(tree, key, c, s.least_, s.most_, s.or_off_)) set(*v);
  };
  return made;
}

Setting& SettingGroup::number(std::string name, double* to, std::string help) {
  Tree shown;
  shown.kind = Tree::Kind::number;
  shown.number = *to;
  Setting& made = add(std::move(name), Setting::Kind::number, describe(shown), std::move(help));
  made.read_ = [to](const Tree& tree, SettingContext& c, const Setting& s, const std::string& key) {
    if (auto v = read_quantity<double>(tree, key, c, s.least_, s.most_, s.or_off_)) *to = *v;
  };
  return made;
}

Setting& SettingGroup::size(std::string name, uint64_t* to, std::string help) {
  Setting& made =
      add(std::move(name), Setting::Kind::size, '"' + format_size(*to) + '"', std::move(help));
  made.read_ = [to](const Tree& tree, SettingContext& c, const Setting& s, const std::string& key) {
    if (auto v = read_quantity<uint64_t>(tree, key, c, s.least_, s.most_, s.or_off_)) *to = *v;
  };
  return made;
}

Setting& SettingGroup::duration(std::string name, Duration* to, std::string help) {
  Setting& made = add(std::move(name), Setting::Kind::duration, '"' + format_duration(*to) + '"',
                      std::move(help));
  made.read_ = [to](const Tree& tree, SettingContext& c, const Setting& s, const std::string& key) {
    if (auto v = read_quantity<Duration>(tree, key, c, s.least_, s.most_, s.or_off_)) *to = *v;
  };
  return made;
}

Setting& SettingGroup::ttl(std::string name, Duration* to, std::string help) {
  Setting& made = duration(std::move(name), to, std::move(help));
  made.read_ = [to](const Tree& tree, SettingContext& c, const Setting& s, const std::string& key) {
    const auto of = +[](const Tree& t) -> std::optional<Duration> {
      constexpr int64_t kMost = INT64_MAX / 1'000'000'000;
      if (t.kind == Tree::Kind::integer && t.integer >= 0 && t.integer <= kMost) {
        return std::chrono::seconds(t.integer);
      }
      return Quantity<Duration>::of(t);
    };
    if (auto v = read_quantity<Duration>(tree, key, c, s.least_, s.most_, s.or_off_, of)) *to = *v;
  };
  return made;
}

Setting& SettingGroup::rate(std::string name, Rate* to, std::string help) {
  Setting& made =
      add(std::move(name), Setting::Kind::rate, '"' + format_rate(*to) + '"', std::move(help));
  made.read_ = [to](const Tree& tree, SettingContext& c, const Setting&, const std::string& key) {
    if (auto v = parsed<Rate, parse_rate>(tree)) {
      *to = *v;
    } else {
      c.error(tree, key, "a rate as \"100/s\", \"100/m\" or \"100/h\"");
    }
  };
  return made;
}

Setting& SettingGroup::add_word(std::string name, size_t value, std::vector<std::string> words,
                                std::string help, std::function<void(size_t)> set) {
  Setting& made =
      add(std::move(name), Setting::Kind::text, '"' + words.at(value) + '"', std::move(help));
  made.words_ = std::move(words);
  made.read_ = [set = std::move(set)](const Tree& tree, SettingContext& c, const Setting& s,
                                      const std::string& key) {
    if (!read_text(tree, key, c, s.words_, s.rule_)) return;
    set(static_cast<size_t>(std::find(s.words_.begin(), s.words_.end(), tree.text) -
                            s.words_.begin()));
  };
  return made;
}

Setting& SettingGroup::list(std::string name, std::vector<std::string>* to, std::string help) {
  Setting& made = add(std::move(name), Setting::Kind::list, show(*to), std::move(help));
  made.read_ = [to](const Tree& tree, SettingContext& c, const Setting& s, const std::string& key) {
    if (tree.kind != Tree::Kind::array) {
      c.error(tree, key, "a list as [\"a\", \"b\"]");
      return;
    }
    std::vector<std::string> values;
    for (const Tree& item : tree.items) {
      if (auto value = read_text(item, key, c, s.words_, s.rule_)) values.push_back(*value);
    }
    *to = std::move(values);
  };
  return made;
}

Setting& SettingGroup::list_or_text(std::string name, std::vector<std::string>* to,
                                    std::string help) {
  Setting& made = list(std::move(name), to, std::move(help));
  made.read_ = [to, all = made.read_](const Tree& tree, SettingContext& c, const Setting& s,
                                      const std::string& key) {
    if (tree.kind != Tree::Kind::string) return all(tree, c, s, key);
    if (auto value = read_text(tree, key, c, s.words_, s.rule_)) *to = {std::move(*value)};
  };
  return made;
}

Setting& SettingGroup::paths(std::string name, std::vector<std::string>* to, std::string help) {
  Setting& made = add(std::move(name), Setting::Kind::list, show(*to), std::move(help));
  made.read_ = [to](const Tree& tree, SettingContext& c, const Setting& s, const std::string& key) {
    if (tree.kind != Tree::Kind::array) {
      c.error(tree, key, "a list of files");
      return;
    }
    to->clear();
    for (const Tree& item : tree.items) {
      if (read_text(item, key, c, s.words_, s.rule_)) to->push_back(c.resolve(item));
    }
  };
  return made;
}

Setting& SettingGroup::integers(std::string name, std::vector<int64_t>* to, std::string help) {
  Setting& made = add(std::move(name), Setting::Kind::list, "", std::move(help));
  made.read_ = [to](const Tree& tree, SettingContext& c, const Setting& s, const std::string& key) {
    if (tree.kind != Tree::Kind::array) {
      c.error(tree, key, "a list of whole numbers");
      return;
    }
    to->clear();
    for (const Tree& item : tree.items) {
      const auto v = read_quantity<int64_t>(item, key, c, s.least_, s.most_, s.or_off_);
      if (v) to->push_back(*v);
    }
  };
  return made;
}

Setting& SettingGroup::numbers(std::string name, std::vector<double>* to, std::string help) {
  Setting& made = add(std::move(name), Setting::Kind::list, "", std::move(help));
  made.read_ = [to](const Tree& tree, SettingContext& c, const Setting& s, const std::string& key) {
    if (tree.kind != Tree::Kind::array) {
      c.error(tree, key, "a list of numbers");
      return;
    }
    to->clear();
    for (const Tree& item : tree.items) {
      const auto v = read_quantity<double>(item, key, c, s.least_, s.most_, s.or_off_);
      if (v) to->push_back(*v);
    }
  };
  return made;
}

Setting& SettingGroup::map(std::string name, std::map<std::string, std::string>* to,
                           std::string help) {
  Setting& made = add(std::move(name), Setting::Kind::map, "{}", std::move(help));
  made.read_ = [to](const Tree& tree, SettingContext& c, const Setting& s, const std::string& key) {
    if (!is_table(tree, key, c, "a table as { name = \"text\" }")) return;
    to->clear();
    for (const TreeMember& member : tree.members) {
      const std::string at = key + '.' + member.key;
      const std::string allowed = s.rule_ ? s.rule_(member.key) : std::string();
      if (!allowed.empty()) c.diagnostics.error(c.file, member.line, at, member.key, allowed);
      if (auto value = read_text(member.value, at, c, s.words_, {})) (*to)[member.key] = *value;
    }
  };
  return made;
}

Setting& SettingGroup::durations(std::string name, std::map<std::string, Duration>* to,
                                 std::string help) {
  Setting& made = add(std::move(name), Setting::Kind::map, "{}", std::move(help));
  made.read_ = [to](const Tree& tree, SettingContext& c, const Setting& s, const std::string& key) {
    if (!is_table(tree, key, c, "a table as { name = \"10s\" }")) return;
    to->clear();
    for (const TreeMember& member : tree.members) {
      const std::string at = key + '.' + member.key;
      const std::string allowed = s.rule_ ? s.rule_(member.key) : std::string();
      if (!allowed.empty()) c.diagnostics.error(c.file, member.line, at, member.key, allowed);
      const auto v = read_quantity<Duration>(member.value, at, c, s.least_, s.most_, s.or_off_);
      if (v) (*to)[member.key] = *v;
    }
  };
  return made;
}

Setting& SettingGroup::lists(std::string name, std::map<std::string, std::vector<std::string>>* to,
                             std::string help) {
  Setting& made = add(std::move(name), Setting::Kind::map, "{}", std::move(help));
  made.read_ = [to](const Tree& tree, SettingContext& c, const Setting& s, const std::string& key) {
    if (!is_table(tree, key, c, "a table as { name = [\"a\", \"b\"] }")) return;
    to->clear();
    for (const TreeMember& member : tree.members) {
      const std::string at = key + '.' + member.key;
      const std::string allowed = s.rule_ ? s.rule_(member.key) : std::string();
      if (!allowed.empty()) c.diagnostics.error(c.file, member.line, at, member.key, allowed);
      if (member.value.kind != Tree::Kind::array) {
        c.error(member.value, at, "a list as [\"a\", \"b\"]");
        continue;
      }
      for (const Tree& item : member.value.items) {
        if (auto value = read_text(item, at, c, s.words_, {})) (*to)[member.key].push_back(*value);
      }
    }
  };
  return made;
}

Setting& SettingGroup::any(std::string name, std::function<std::string(const Tree&)> read,
                           std::string help) {
  Setting& made = add(std::move(name), Setting::Kind::any, "", std::move(help));
  made.read_ = [read = std::move(read)](const Tree& tree, SettingContext& c, const Setting&,
                                        const std::string& key) {
    const std::string allowed = read(tree);
    if (!allowed.empty()) c.error(tree, key, allowed);
  };
  return made;
}

Setting& SettingGroup::add_table(std::string name, std::string help, Declare declare,
                                 Declare document) {
  Setting& made =
      add(std::move(name), Setting::Kind::table, document ? "none" : "", std::move(help));
  made.children_ = document ? std::move(document) : declare;
  made.read_ = [declare = std::move(declare)](const Tree& tree, SettingContext& c, const Setting&,
                                              const std::string& key) {
    if (!is_table(tree, key, c)) return;
    SettingGroup group;
    declare(group);
    c.read(tree, group, key);
  };
  return made;
}

Setting& SettingGroup::add_tables(std::string name, std::string help, bool one,
                                  std::function<void(size_t)> reserve, Declare declare,
                                  Declare document) {
  Setting& made = add(std::move(name), one ? Setting::Kind::one_or_many : Setting::Kind::tables, "",
                      std::move(help));
  made.children_ = std::move(document);
  made.read_ = [declare = std::move(declare), reserve = std::move(reserve)](
                   const Tree& tree, SettingContext& c, const Setting& s, const std::string& key) {
    const auto read_one = [&](const Tree& item) {
      if (!is_table(item, key, c)) return;
      SettingGroup group;
      declare(group);
      c.read(item, group, key);
    };
    if (tree.kind == Tree::Kind::table && s.kind_ == Setting::Kind::one_or_many) {
      read_one(tree);
    } else if (tree.kind == Tree::Kind::array) {
      reserve(tree.items.size());
      for (const Tree& item : tree.items) read_one(item);
    } else {
      c.error(tree, key, "[[" + key + "]] tables");
    }
  };
  return made;
}

Setting& SettingGroup::allow_one(Setting& setting) {
  setting.kind_ = Setting::Kind::one_or_many;
  return setting;
}

void SettingGroup::then(std::function<void()> step) {
  add("", Setting::Kind::step, "", "").step_ = std::move(step);
}
void SettingGroup::check(std::function<void(const Fault&)> check) {
  checks_.push_back(std::move(check));
}
void SettingGroup::place(std::string* file, uint32_t* line) {
  place_file_ = file;
  place_line_ = line;
}

void SettingContext::read(const Tree& tree, SettingGroup& group, const std::string& prefix) {
  const auto full = [&prefix](const std::string& name) {
    return prefix.empty() ? name : prefix + '.' + name;
  };
  if (group.place_file_ != nullptr) *group.place_file_ = file;
  if (group.place_line_ != nullptr) *group.place_line_ = tree.line;
  std::vector<std::string> names;
  for (const auto& setting : group.settings_) {
    if (setting->kind_ != Setting::Kind::step) names.push_back(setting->name_);
  }
  for (const TreeMember& member : tree.members) {
    if (std::find(names.begin(), names.end(), member.key) != names.end()) continue;
    const std::string near = nearest(member.key, names);
    diagnostics.error(file, member.line, full(member.key), "an unknown key",
                      near.empty() ? join(names, ", ") : "nearest known key is " + near);
  }
  for (const auto& setting : group.settings_) {
    if (setting->kind_ == Setting::Kind::step) {
      setting->step_();
    } else if (const Tree* value = tree.find(setting->name_)) {
      read_value(*value, *setting, full(setting->name_));
    } else if (setting->needed_) {
      diagnostics.error(file, tree.line, full(setting->name_), "nothing", "this key is needed");
    } else if (setting->kind_ == Setting::Kind::table && setting->default_.empty()) {
      // Its checks, needed keys and steps count although it wasn't written.
      Tree empty;
      empty.line = tree.line;
      read_value(empty, *setting, full(setting->name_));
    }
  }
  const SettingGroup::Fault fault = [&](std::string_view key, std::string_view found,
                                        std::string_view allowed) {
    const Tree* value = tree.find(key.substr(0, key.find('.')));
    diagnostics.error(file, value != nullptr && value->line > 0 ? value->line : tree.line,
                      full(std::string(key)), found, allowed);
  };
  for (const auto& check : group.checks_) check(fault);
}

bool read_group(const Tree& tree, const std::string& file,
                const std::function<void(SettingGroup&)>& declare, Diagnostics& diagnostics) {
  const size_t before = diagnostics.errors().size();
  const size_t slash = file.rfind('/');
  SettingContext context{file, slash == std::string::npos ? "" : file.substr(0, slash),
                         diagnostics};
  SettingGroup group;
  declare(group);
  context.read(tree, group, "");
  return diagnostics.errors().size() == before;
}

void override_tree(Tree& tree, const Tree& overrides) {
  for (const TreeMember& member : overrides.members) {
    Tree& target = tree.at(member.key);
    if (target.kind == Tree::Kind::table && member.value.kind == Tree::Kind::table) {
      override_tree(target, member.value);
    } else {
      target = member.value;
    }
  }
}

std::string nearest(std::string_view word, const std::vector<std::string>& allowed) {
  std::string best;
  size_t best_distance = std::max<size_t>(2, word.size() / 3) + 1;
  for (const std::string& candidate : allowed) {
    if (word.size() > 64 || candidate.empty()) continue;
    std::vector<size_t> row(candidate.size() + 1);
    for (size_t j = 0; j < row.size(); ++j) row[j] = j;
    for (size_t i = 1; i <= word.size(); ++i) {
      size_t diagonal = row[0];
      row[0] = i;
      for (size_t j = 1; j < row.size(); ++j) {
        const size_t change = diagonal + (word[i - 1] == candidate[j - 1] ? 0 : 1);
        diagonal = row[j];
        row[j] = std::min({change, row[j] + 1, row[j - 1] + 1});
      }
    }
    if (row.back() < best_distance && row.back() < candidate.size()) {
      best_distance = row.back();
      best = candidate;
    }
  }
  return best;
}

}  // namespace bw
