// An operator asks a node why.
#include "cli/lab/step.h"

namespace bw::cli {

Account explain_says_why(Lab& lab) {
  const std::string port = std::to_string(lab.plan().part("fra1-a").https.port());
  const std::string base = "https://" + std::string(kShopHost) + ":" + port;
  (void)lab.get(lab.shop("fra1-a", "/v1/products/15"));
  struct Question {
    std::string path;
    std::string_view verdict;
    std::string_view reason;
  };
  std::string all;
  for (const Question& question : {Question{"/v1/products/15", "hit", ""},
                                   Question{"/v1/products/16161616", "miss", "absent"}}) {
    const Got got = lab.explain("fra1-a", base + question.path);
    const Result<text::Json> body = text::Json::parse(got.body);
    if (got.status != 200 || !body.ok()) return broke(question.path + ": " + got.text());
    const std::string verdict(body->get("verdict").as_string().value_or("none"));
    const std::string reason(body->get("reason").as_string().value_or(""));
    if (verdict != question.verdict || (!question.reason.empty() && reason != question.reason)) {
      return broke(question.path + " is a " + verdict + " (" + reason + ") instead of a " +
                   std::string(question.verdict) + ": " + got.body);
    }
    if (body->get("stored").is_null() == (question.verdict == "hit")) {
      return broke(question.path + ": `stored` is wrong: " + got.body);
    }
    all += (all.empty() ? "" : "; ") + question.path + " " + verdict +
           (reason.empty() ? "" : " (" + reason + ")");
  }
  return held(all);
}

}  // namespace bw::cli
