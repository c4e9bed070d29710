// Conditional requests, HEAD, ranges and variants are answered from the cache.
#include "cli/lab/step.h"

namespace bw::cli {

Account conditions_ranges_variants(Lab& lab) {
  const Ask plain = lab.shop("fra1-a", "/static/hello.txt");
  const auto wrong = [](std::string_view what, const Got& got) {
    return broke(std::string(what) + ": " + got.text());
  };
  const Got first = lab.get(plain);
  const std::string etag = first.field("etag");
  if (first.status != 200 || etag.empty()) return wrong("a static file with ETag", first);

  Ask conditional = plain;
  conditional.fields = {{"if-none-match", etag}};
  const Got same = lab.get(conditional);
  if (same.status != 304 || same.size != 0 || same.field("etag") != etag ||
      !cache_says(same, "fra1-a", "hit")) {
    return wrong("If-None-Match (must be 304, a hit)", same);
  }
  Ask head = plain;
  head.method = "HEAD";
  const Got headed = lab.get(head);
  if (headed.status != 200 || headed.size != 0 || !cache_says(headed, "fra1-a", "hit")) {
    return wrong("HEAD (must be 200 without a body, a hit)", headed);
  }
  Ask range = plain;
  range.fields = {{"range", "bytes=0-4"}};
  const Got part = lab.get(range);
  const std::string wanted = "bytes 0-4/" + std::to_string(first.size);
  if (part.status != 206 || part.body != "hello" || part.field("content-range") != wanted) {
    return wrong("a range (must be 206, " + wanted + ")", part);
  }
  const uint64_t before = lab.script().count("/vary");
  for (const std::string language : {"de", "en", "de", "en"}) {
    Ask ask = lab.scripted("fra1-a", "/vary");
    ask.fields = {{"accept-language", language}};
    const Got got = lab.get(ask);
    if (got.status != 200 || got.body != "language " + language) {
      return wrong("variant " + language + " (got \"" + got.body + "\")", got);
    }
  }
  const uint64_t fetched = lab.script().count("/vary") - before;
  if (fetched != 2) {
    return broke("two variants took " + std::to_string(fetched) + " fetches");
  }
  return held("304, HEAD and 206 as hits; two variants with two fetches");
}

}  // namespace bw::cli
