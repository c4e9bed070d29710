#include "origin/api.h"

#include <utility>

#include "core/base/quantity.h"
#include "origin/body_stream.h"
#include "origin/synthetic.h"

namespace bw::origin {

using http::EndpointRequest;
using http::EndpointResponse;
using http::Reply;

Api::Api(net::Loop& loop, Executor& executor, ProductStore& store, OriginMetrics& metrics,
         ApiOptions options)
    : loop_(loop),
      executor_(executor),
      store_(store),
      metrics_(metrics),
      options_(std::move(options)),
      small_([this](EndpointRequest request,
                    Reply reply) { on_small_request(std::move(request), std::move(reply)); },
             kMaxBody),
      timer_(loop, [this] { on_timer(); }) {}

std::unique_ptr<http::StreamHandler> Api::on_request(http::ServerStream& stream) {
  const http::RequestHead& head = stream.request();
  const std::string_view path = head.path();
  const bool reads = head.method == "GET" || head.method == "HEAD";
  if (path.starts_with("/synthetic/")) {
    metrics_.requests.with({"synthetic"}).add();
    if (head.method == "POST" || head.method == "PUT") {
      uint64_t rate = 0;
      const std::string_view query = head.query().value_or("");
      if (query.starts_with("rate=")) rate = parse_size(query.substr(5)).value_or(0);
      return make_upload_stream(stream, rate, options_.delay, metrics_);
    }
    if (!reads) {
      return make_refusal(stream, EndpointResponse::wrong_method("GET, HEAD, POST, PUT"),
                          options_.delay);
    }
    std::string why;
    std::optional<Synthetic> synthetic = parse_synthetic(head, &why);
    if (!synthetic)
      return make_refusal(stream, EndpointResponse::problem(400, "query", why), options_.delay);
    return make_synthetic_stream(stream, std::move(*synthetic), options_.delay);
  }
  if (path.starts_with("/static/") && !options_.static_files.empty()) {
    metrics_.requests.with({"static"}).add();
    if (!reads)
      return make_refusal(stream, EndpointResponse::wrong_method("GET, HEAD"), options_.delay);
    std::optional<std::string> file = parse_file_path(path.substr(8));
    if (!file)
      return make_refusal(stream, EndpointResponse::problem(404, "not-found", ""), options_.delay);
    return make_file_stream(stream, executor_, options_.static_files, std::move(*file),
                            options_.delay);
  }
  return small_.on_request(stream);
}

void Api::on_small_request(EndpointRequest request, Reply reply) {
  const std::string_view path = request.head.path();
  if (path == "/healthz") {
    EndpointResponse response = EndpointResponse::json(200, "{\"ok\":true}");
    response.fields.add(http::FieldId::cache_control, "no-store");
    reply.send(std::move(response));
    return;
  }
  const bool product = path == "/v1/products" || path.starts_with("/v1/products/");
  const bool event = path == "/v1/events";
  metrics_.requests.with({product ? "products" : event ? "events" : "other"}).add();
  if (!product && !event) {
    EndpointResponse response = EndpointResponse::problem(404, "not-found", "");
    response.fields.add(http::FieldId::cache_control, "no-store");
    reply.send(std::move(response));
    return;
  }
  if (options_.delay <= Duration::zero()) {
    answer_later(std::move(request), std::move(reply));
    return;
  }
  if (waiting_.size() >= options_.most_waiting) {
    reply.send(EndpointResponse::problem(503, "busy", "too many requests wait"));
    return;
  }
  waiting_.push_back({loop_.now() + options_.delay, std::move(request), std::move(reply)});
  if (!timer_.armed()) timer_.arm(options_.delay);
}

// All wait equally long, so they are due in the order they came.
void Api::on_timer() {
  while (!waiting_.empty() && waiting_.front().due <= loop_.now()) {
    Waiting next = std::move(waiting_.front());
    waiting_.pop_front();
    answer_later(std::move(next.request), std::move(next.reply));
  }
  if (!waiting_.empty()) timer_.arm(waiting_.front().due - loop_.now());
}

void Api::answer_later(EndpointRequest request, Reply reply) {
  // Held by both sides, because a refused task is gone; the executor hands its share back, so that
  // the reply never ends there.
  auto held = std::make_shared<Reply>(std::move(reply));
  const Status submitted =
      executor_.submit([this, held, request = std::move(request), now = loop_.wall()]() mutable {
        bool wrote = false;
        EndpointResponse response = answer_from_store(request, store_, now, wrote);
        loop_.post([this, held = std::move(held), response = std::move(response), wrote]() mutable {
          held->send(std::move(response));
          if (wrote && options_.written) options_.written();
        });
      });
  if (!submitted) held->send(EndpointResponse::problem(503, "busy", "too many requests wait"));
}

}  // namespace bw::origin
