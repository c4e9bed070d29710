#include "core/base/settings.h"

namespace bw {
namespace {

std::string_view kind_text(Setting::Kind kind) {
  switch (kind) {
    case Setting::Kind::text:
      return "text";
    case Setting::Kind::path:
      return "path";
    case Setting::Kind::flag:
      return "flag";
    case Setting::Kind::integer:
      return "integer";
    case Setting::Kind::number:
      return "number";
    case Setting::Kind::size:
      return "size";
    case Setting::Kind::duration:
      return "duration";
    case Setting::Kind::rate:
      return "rate";
    case Setting::Kind::list:
      return "list";
    case Setting::Kind::map:
      return "table of names";
    case Setting::Kind::any:
      return "see meaning";
    case Setting::Kind::table:
    case Setting::Kind::tables:
    case Setting::Kind::one_or_many:
    case Setting::Kind::step:
      return "table";
  }
  return {};
}

// A bar would end the cell of a Markdown table.
std::string cell(std::string_view text) {
  std::string out;
  for (char c : text) {
    if (c == '|') out += '\\';
    out += c;
  }
  return out;
}

}  // namespace

std::string SettingGroup::document(const std::string& prefix) const {
  std::string keys;
  std::string tables;
  for (const auto& setting : settings_) {
    if (setting->kind_ == Setting::Kind::step) continue;
    const std::string name = prefix.empty() ? setting->name_ : prefix + '.' + setting->name_;
    if (setting->children_) {
      const bool many = setting->kind_ != Setting::Kind::table;
      tables += "### `" + std::string(many ? "[[" : "[") + name + (many ? "]]" : "]") + "`\n\n" +
                setting->help_;
      if (setting->kind_ == Setting::Kind::one_or_many) tables += " (one `[" + name + "]` will do)";
      if (setting->default_ == "none") tables += "; exists only when written";
      SettingGroup group;
      setting->children_(group);
      tables += "\n\n" + group.document(name);
      continue;
    }
    std::string allowed;
    for (const std::string& word : setting->words_) {
      allowed += (allowed.empty() ? "" : " | ") + (word.empty() ? "\"\"" : word);
    }
    if (!setting->least_.empty() || !setting->most_.empty()) {
      const bool open = setting->most_.empty() || setting->most_ == std::to_string(INT64_MAX);
      allowed = open ? "at least " + setting->least_ : setting->least_ + " to " + setting->most_;
      if (setting->or_off_) allowed += ", 0 (off)";
    }
    const std::string value =
        setting->needed_ ? "*needed*"
                         : (setting->default_.empty() ? "" : '`' + setting->default_ + '`');
    keys += "| `" + setting->name_ + "` | " + std::string(kind_text(setting->kind_)) + " | " +
            cell(value) + " | " + cell(allowed) + " | " + cell(setting->help_) + " |\n";
  }
  if (!keys.empty())
    keys = "| key | kind | default | allowed | meaning |\n|---|---|---|---|---|\n" + keys + '\n';
  return keys + tables;
}

std::string settings_markdown(const std::string& title,
                              const std::function<void(SettingGroup&)>& declare) {
  SettingGroup group;
  declare(group);
  return "## " + title + "\n\n" + group.document("");
}

}  // namespace bw
