#include "core/base/tree.h"

#include <utility>

namespace bw {

Tree Tree::string(std::string text) {
  Tree tree;
  tree.kind = Kind::string;
  tree.text = std::move(text);
  return tree;
}

Tree Tree::boolean_of(bool value) {
  Tree tree;
  tree.kind = Kind::boolean;
  tree.boolean = value;
  return tree;
}

Tree Tree::integer_of(int64_t value) {
  Tree tree;
  tree.kind = Kind::integer;
  tree.integer = value;
  return tree;
}

Tree Tree::array(std::vector<Tree> items) {
  Tree tree;
  tree.kind = Kind::array;
  tree.items = std::move(items);
  return tree;
}

Tree Tree::strings(const std::vector<std::string>& texts) {
  Tree tree = array({});
  for (const std::string& text : texts) tree.items.push_back(string(text));
  return tree;
}

Tree* Tree::find(std::string_view key) {
  for (TreeMember& member : members) {
    if (member.key == key) return &member.value;
  }
  return nullptr;
}

const Tree* Tree::find(std::string_view key) const { return const_cast<Tree*>(this)->find(key); }

Tree& Tree::at(std::string_view key) {
  if (Tree* found = find(key)) return *found;
  members.push_back({std::string(key), 0, 0, Tree()});
  return members.back().value;
}

std::string describe(const Tree& tree) {
  switch (tree.kind) {
    case Tree::Kind::table:
      return "a table";
    case Tree::Kind::array:
      return tree.items.empty() ? "an empty list" : "a list";
    case Tree::Kind::string:
      return '"' + (tree.text.size() > 64 ? tree.text.substr(0, 64) + "…" : tree.text) + '"';
    case Tree::Kind::integer:
      return std::to_string(tree.integer);
    case Tree::Kind::number: {
      std::string text = std::to_string(tree.number);
      text.erase(text.find_last_not_of('0') + 1);
      return text.ends_with('.') ? text + '0' : text;
    }
    case Tree::Kind::boolean:
      return tree.boolean ? "true" : "false";
    case Tree::Kind::other:
      return tree.text;
  }
  return {};
}

}  // namespace bw
