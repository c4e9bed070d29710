// Client: real requests to the lab's processes, one at a time or many at once, waited for.
//
// Threads: ask() from the main thread; it blocks. The callbacks of an Ask run on the client's own
// loop. TLS verifies the lab's CA. Bounds: Ask::within.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/clock.h"
#include "core/http/client.h"
#include "core/net/loop_thread.h"

namespace bw::cli {

struct Ask {
  enum class Over : uint8_t { http1, http1_tls, http2_tls };
  net::Address to;
  Over over = Over::http1;
  std::string method = "GET";
  std::string host;    // authority; also SNI and the verified name over TLS
  std::string target;  // path and query
  std::vector<std::pair<std::string, std::string>> fields = {};
  std::string body = {};
  uint64_t upload = 0;  // bytes of pattern instead of `body`
  uint64_t wanted = 0;  // the asker's note
  Duration within = std::chrono::seconds(30);
  // The first byte of the body is here; each piece, with its offset (the body isn't kept then).
  std::function<void()> on_first_byte = {};
  std::function<void(uint64_t offset, std::string_view piece)> on_piece = {};
};

struct Got {
  int status = 0;  // 0: no answer, see `error`
  http::Version version = http::Version::http11;
  http::FieldList fields;
  std::string body;
  uint64_t size = 0;  // of the body
  std::optional<Error> error;
  Duration first_byte{}, total{};

  std::string field(std::string_view name) const;
  // Status, Cache-Status and error, for a person.
  std::string text() const;
};

class Client {
 public:
  // `ca_file`: who is trusted.
  static std::unique_ptr<Client> make(Clock& clock, const std::string& ca_file, std::string* why);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  Got ask(const Ask& ask);
  // All at once, each on a connection of its own over HTTP/1.1.
  std::vector<Got> ask_all(const std::vector<Ask>& asks);
  // Keeps `together` requests under way until `next` has no more and all are back. Both run on the
  // client's loop.
  void flow(size_t together, const std::function<bool(Ask& ask)>& next,
            const std::function<void(const Ask& ask, const Got& got)>& done);

 private:
  struct Crowd;
  struct Flow;
  class Flight;
  Client(Clock& clock, std::shared_ptr<net::TlsContext> http1, std::shared_ptr<net::TlsContext> h2);

  std::shared_ptr<net::TlsContext> http1_tls_, http2_tls_;
  std::unique_ptr<http::ClientPool> pool_;
  std::unique_ptr<net::LoopThread> thread_;
};

}  // namespace bw::cli
