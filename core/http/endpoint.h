// Endpoints: services that read a whole small request and answer a whole response, or a stream of
// lines. For admin, purge and origin APIs; never on the path of a hit.
//
// Threads: the connection's loop; a Reply may be kept and answered later on that loop. Bounds:
// bodies up to `max_body` (413).
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/task.h"
#include "core/http/server_stream.h"

namespace bw::http {

struct EndpointRequest {
  RequestHead head;
  PeerInfo peer;  // tls_info is null here
  std::string body;
  // The value of ?name=, percent-decoded; nullopt when absent.
  std::optional<std::string> query(std::string_view name) const;
  // GET or HEAD.
  bool reads() const;
  // The token of `Authorization: Bearer TOKEN` (RFC 6750); nullopt without.
  std::optional<std::string> bearer() const;
};

struct EndpointResponse {
  int status = 200;
  FieldList fields;
  std::string body;

  static EndpointResponse json(int status, std::string body);
  // RFC 9457: type https://breakwater.invalid/problems/NAME.
  static EndpointResponse problem(int status, std::string_view name, std::string_view detail);
  // 405 with the methods there are (RFC 9110 section 15.5.6).
  static EndpointResponse wrong_method(std::string_view allowed);
  // 401 that asks for a bearer token (RFC 9110 section 15.5.2).
  static EndpointResponse unauthorized(std::string_view detail);
};

// The right to answer one request, once. Dropping it unanswered answers 500. Safe after the client
// has gone (the answer is dropped). Loop's thread only; post() to the loop to come back to it.
class Reply {
 public:
  class State;
  explicit Reply(std::shared_ptr<State> state);
  Reply(Reply&&) noexcept;
  Reply& operator=(Reply&&) noexcept;
  ~Reply();

  void send(EndpointResponse response);

  // Instead of send(): a body in pieces, as of a following log. write() answers false when the
  // client is gone; buffered() tells what the client hasn't taken yet.
  void start_stream(int status, const FieldList& fields);
  bool write(std::string_view bytes);
  size_t buffered() const;
  void finish();
  bool client_gone() const;
  // Called once when the client goes before the stream was finished.
  void on_gone(Task task);
  net::Loop& loop() const;

 private:
  std::shared_ptr<State> state_;
};

class EndpointService final : public Service {
 public:
  using Handler = UniqueFunction<void(EndpointRequest request, Reply reply)>;
  EndpointService(Handler handler, size_t max_body);
  std::unique_ptr<StreamHandler> on_request(ServerStream& stream) override;

 private:
  Handler handler_;
  size_t max_body_;
};

// Percent-decodes; nullopt for a bad escape.
std::optional<std::string> percent_decode(std::string_view text);

}  // namespace bw::http
