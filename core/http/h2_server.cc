// HTTP/2 isn't served by this build: a client that speaks it is turned away at once, with nothing
// of it read.
#include <utility>

#include "core/http/server_connection.h"

namespace bw::http {
namespace {

class RefusedConnection final : public ServerConnection {
 public:
  explicit RefusedConnection(ServerConnectionParts parts)
      : connection_(std::move(parts.connection)), closed_(std::move(parts.closed)) {
    connection_->close_after_flush();
  }
  void drain() override {}
  void close() override { connection_->close(), on_error({}); }
  bool idle() const override { return true; }
  size_t on_data(std::string_view bytes) override { return bytes.size(); }
  void on_end() override {}
  void on_error(Error) override {
    Task closed = std::exchange(closed_, nullptr);
    if (closed) closed();
  }

 private:
  std::unique_ptr<net::Connection> connection_;
  Task closed_;
};

}  // namespace

std::unique_ptr<ServerConnection> make_h2_server_connection(ServerConnectionParts parts) {
  return std::make_unique<RefusedConnection>(std::move(parts));
}

}  // namespace bw::http
