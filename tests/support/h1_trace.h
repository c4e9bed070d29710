// What an HTTP/1 parser made of some bytes, as one text: to compare whole input with cut input.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/http/h1_parser.h"

namespace bw::http::testing {

inline std::string fields_text(const FieldList& fields) {
  std::string text;
  for (Field field : fields) text.append(field.name).append("=").append(field.value).append(";");
  return text;
}

// A parser of requests and the head that it fills, in the shape of one of responses.
class RequestReader {
 public:
  RequestReader(H1Limits limits, std::string_view scheme) : parser_(limits, scheme) {
    parser_.fill(head_);
  }
  H1Step next(std::string_view bytes) { return parser_.next(bytes); }
  const RequestHead& head() const { return head_; }
  const H1Fault& fault() const { return parser_.fault(); }
  const FieldList& trailers() const { return parser_.trailers(); }
  bool keep_alive() const { return parser_.keep_alive(); }

 private:
  H1RequestParser parser_;
  RequestHead head_;
};

inline std::string head_text(RequestReader& parser) {
  const RequestHead& head = parser.head();
  return head.method + " " + head.scheme + " " + head.authority + " " + head.target + " " +
         std::string(to_text(head.version)) + " {" + fields_text(head.fields) + "} " +
         (head.content_length ? std::to_string(*head.content_length) : "?") +
         (head.has_body ? " body" : "") + (parser.keep_alive() ? " keep" : " close");
}

inline std::string head_text(H1ResponseParser& parser) {
  const ResponseHead& head = parser.head();
  return std::to_string(head.status) + " " + std::string(to_text(head.version)) + " {" +
         fields_text(head.fields) + "} " +
         (head.content_length ? std::to_string(*head.content_length) : "?") +
         (parser.keep_alive() ? " keep" : " close");
}

inline void body_done(std::string& trace, std::string& body) {
  if (!body.empty()) trace += "body " + body + "\n";
  body.clear();
}

// Feeds the pieces as a connection would: what isn't consumed comes again in front.
template <typename Parser>
std::string trace_of(Parser& parser, const std::vector<std::string_view>& pieces) {
  std::string trace;
  std::string body;
  std::string waiting;
  for (std::string_view piece : pieces) {
    waiting.append(piece);
    std::string_view rest = waiting;
    for (;;) {
      const H1Step step = parser.next(rest);
      rest.remove_prefix(step.consumed);
      if (step.event == H1Event::need_more) break;
      if (step.event == H1Event::body) {
        body.append(step.body);
        continue;
      }
      body_done(trace, body);
      if (step.event == H1Event::failed) {
        return trace + "failed " + std::to_string(parser.fault().status) + " " +
               std::string(parser.fault().text) + "\n";
      }
      if (step.event == H1Event::head) trace += "head " + head_text(parser) + "\n";
      if (step.event == H1Event::informational) trace += "info " + head_text(parser) + "\n";
      if (step.event == H1Event::end) {
        trace += "end {" + fields_text(parser.trailers()) + "}\n";
        if (rest.empty()) break;
      }
    }
    waiting.erase(0, waiting.size() - rest.size());
  }
  body_done(trace, body);
  if constexpr (requires { parser.on_close(); }) {
    const H1Step step = parser.on_close();
    trace += step.event == H1Event::end ? "closed\n"
                                        : "failed " + std::string(parser.fault().text) + "\n";
  }
  return trace;
}

}  // namespace bw::http::testing
