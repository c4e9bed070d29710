#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <mutex>
#include <set>

#include "core/net/tls_context.h"

namespace bw::net {
namespace {

// Errors carry static text. What OpenSSL can say, twice (client, server), is a finite set.
std::string_view keep(std::string text) {
  static std::mutex mutex;
  static auto& texts = *new std::set<std::string, std::less<>>;
  std::lock_guard lock(mutex);
  return *texts.insert(std::move(text)).first;
}

Error::Kind kind_of(int reason) {
  switch (reason) {
    case SSL_R_NO_SHARED_CIPHER:
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_NO_PROTOCOLS_AVAILABLE:
    case SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM:
    case SSL_R_NO_APPLICATION_PROTOCOL:
      return Error::Kind::unsupported;
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
      return Error::Kind::refused;
    default:
      return Error::Kind::malformed;
  }
}

}  // namespace

Error tls_error(ssl_st* ssl, std::string_view who, bool handshake, Error::Side side) {
  const unsigned long first = ERR_peek_error();
  const int reason = ERR_GET_REASON(first);
  const std::string peer(who);
  Error error{.kind = Error::Kind::malformed, .side = side, .code = reason};
  if (first == 0 || reason == SSL_R_UNEXPECTED_EOF_WHILE_READING) {
    error.kind = Error::Kind::closed;
    error.code = 0;
    // Nothing of a request was sent before the handshake was done.
    error.retry = handshake ? Error::Retry::yes : Error::Retry::if_reused;
    error.text = keep("the " + peer +
                      (handshake ? " closed the connection during the TLS handshake"
                                 : " ended the connection without TLS close_notify"));
  } else if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED) {
    const long result = SSL_get_verify_result(ssl);
    error.kind = Error::Kind::refused;
    error.code = static_cast<int32_t>(result);
    error.text = keep("TLS certificate of the " + peer +
                      " is refused: " + X509_verify_cert_error_string(result));
  } else if (ERR_GET_LIB(first) == ERR_LIB_SSL && reason > SSL_AD_REASON_OFFSET) {
    error.kind = Error::Kind::refused;
    error.code = reason - SSL_AD_REASON_OFFSET;
    error.text = keep("the " + peer + " sent TLS alert: " + SSL_alert_desc_string_long(error.code));
  } else {
    const char* text = ERR_reason_error_string(first);
    error.kind = ERR_GET_LIB(first) == ERR_LIB_SSL ? kind_of(reason) : Error::Kind::malformed;
    error.text = keep((handshake ? "TLS handshake with the " : "TLS with the ") + peer +
                      " failed: " + (text == nullptr ? "unknown reason" : text));
  }
  return error;
}

}  // namespace bw::net
