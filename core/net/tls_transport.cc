#include "core/net/transport.h"

namespace bw::net {
namespace {
class NoTls final : public Transport {
  Io handshake() override {
    return Io::failure(Error{.kind = Error::Kind::unsupported, .text = "no TLS in this build"});
  }
  Io read(char*, size_t) override { return handshake(); }
  Io write(WriteQueue&) override { return handshake(); }
  Io finish() override { return handshake(); }
  size_t pending_out() const override { return 0; }
  bool pending_in() const override { return false; }
  const TlsInfo& info() const override { return info_; }
  TlsInfo info_;
};
}  // namespace

std::unique_ptr<Transport> make_tls_transport(int, Error::Side, const std::shared_ptr<TlsContext>&,
                                              bool, const std::string&) {
  return std::make_unique<NoTls>();
}
}  // namespace bw::net
