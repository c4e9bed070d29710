// Steps: what the lab shows and proves, each a function that tells what it saw.
//
// A step asserts from outside: status, fields, and the counters that must move. It may stop and
// kill processes, and leaves all of them running when it held. Threads: main.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "cli/lab/cast.h"

namespace bw::cli {

struct Account {
  bool held = false;
  std::string text;
};
inline Account held(std::string text) { return {true, std::move(text)}; }
inline Account broke(std::string text) { return {false, std::move(text)}; }

// ready.cc
Account all_are_ready(Lab& lab);
// hits.cc
Account misses_become_hits(Lab& lab);
// crowd.cc
Account one_fetch_for_a_crowd(Lab& lab);
Account uncacheable_releases_all(Lab& lab);
// conditions.cc
Account conditions_ranges_variants(Lab& lab);
// versions.cc
Account new_version_on_each_edge(Lab& lab);
Account stopped_node_forgets_the_old(Lab& lab);
// receipts.cc
Account purges_with_receipts(Lab& lab);
// limit.cc
Account limit_refuses_and_lets_through(Lab& lab);
// resolver.cc
Account three_clients_three_pops(Lab& lab);
Account killed_pop_is_left_out(Lab& lab);
// outage.cc
Account dead_origin_leaves_stale(Lab& lab);
Account killed_edge_serves_from_disk(Lab& lab);
// giant.cc
Account giant_through_a_small_memory(Lab& lab);
Account upload_with_back_pressure(Lab& lab);
// reasons.cc
Account explain_says_why(Lab& lab);

struct Step {
  std::string_view name;
  Account (*run)(Lab& lab);
};
// In the order they run; those that end processes come last.
std::span<const Step> all_steps();
// The short ones that are shown to people.
std::span<const Step> story_steps();

// `Cache-Status` has a member of this node, and that holds the parameter (`hit`, `fwd=`).
bool cache_says(const Got& got, std::string_view node, std::string_view parameter);
std::string milliseconds_text(Duration duration);

}  // namespace bw::cli
