#include "core/net/tls.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "core/base/digest.h"
#include "core/base/file.h"
#include "core/net/address.h"
#include "core/net/tls_context.h"

namespace bw::net {

void SslFree::operator()(ssl_ctx_st* context) const { SSL_CTX_free(context); }
void SslFree::operator()(ssl_st* ssl) const { SSL_free(ssl); }

namespace {

constexpr size_t kMaxFile = 1 << 20;
constexpr long kSessionSeconds = 3600;
constexpr long kVerifiedSessionSeconds = 300;  // a client certificate is looked at again after
// Forward secrecy and AEAD only; what HTTP/2 forbids (RFC 9113 A) is not among them.
constexpr char kServerCiphers[] = "ECDHE+AESGCM:ECDHE+CHACHA20";

Error say(std::string* why, Error::Kind kind, std::string line, int32_t code = 0) {
  if (why != nullptr) *why = std::move(line);
  return Error{.kind = kind, .code = code, .text = "bad TLS configuration"};
}

std::string first_reason() {
  const char* text = ERR_reason_error_string(ERR_peek_error());
  std::string reason = text == nullptr ? "unknown reason" : text;
  ERR_clear_error();
  return reason;
}

// OpenSSL's own readers do not say why a file cannot be opened.
Result<std::string> read_named(const std::string& path, std::string_view what, std::string* why) {
  Result<std::string> text = read_file(path, kMaxFile);
  if (text.ok()) return text;
  const Error& error = text.error();
  const std::string reason = error.kind == Error::Kind::too_large
                                 ? std::string("it is over 1 MiB")
                                 : std::string(std::strerror(error.code));
  return say(why, error.kind, "cannot read " + std::string(what) + " " + path + ": " + reason,
             error.code);
}

Result<std::string> encode_alpn(const std::vector<std::string>& names, std::string* why) {
  std::string wire;
  for (const std::string& name : names) {
    if (name.empty() || name.size() > 255) {
      return say(why, Error::Kind::malformed, "an ALPN name has 1 to 255 bytes");
    }
    wire += static_cast<char>(name.size());
    wire += name;
  }
  return wire;
}

// Never asks at the terminal.
int no_password(char*, int, int, void*) { return 0; }

SslContextPtr make_context(const SSL_METHOD* method, int min_version) {
  SslContextPtr context(SSL_CTX_new(method));
  SSL_CTX* c = context.get();
  SSL_CTX_set_min_proto_version(c, min_version);
  SSL_CTX_set_options(c, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  SSL_CTX_set_mode(c, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                          SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_read_ahead(c, 1);
  SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_default_passwd_cb(c, no_password);
  return context;
}

Status load_pair(SSL_CTX* context, const std::string& cert, const std::string& key,
                 std::string* why) {
  ERR_clear_error();
  if (Result<std::string> text = read_named(cert, "certificate", why); !text.ok()) {
    return text.error();
  }
  if (Result<std::string> text = read_named(key, "key", why); !text.ok()) return text.error();
  if (SSL_CTX_use_certificate_chain_file(context, cert.c_str()) != 1) {
    return say(why, Error::Kind::malformed,
               "certificate " + cert + " is not usable: " + first_reason());
  }
  // Mismatch first: OpenSSL checks the pair while it loads the key.
  if (SSL_CTX_use_PrivateKey_file(context, key.c_str(), SSL_FILETYPE_PEM) != 1) {
    const int reason = ERR_GET_REASON(ERR_peek_last_error());
    if (reason == X509_R_KEY_VALUES_MISMATCH || reason == X509_R_KEY_TYPE_MISMATCH) {
      ERR_clear_error();
      return say(why, Error::Kind::refused,
                 "key " + key + " does not belong to certificate " + cert);
    }
    return say(why, Error::Kind::malformed, "key " + key + " is not usable: " + first_reason());
  }
  return {};
}

Status load_trust(SSL_CTX* context, const std::string& ca, std::string* why) {
  if (Result<std::string> text = read_named(ca, "CA", why); !text.ok()) return text.error();
  ERR_clear_error();
  if (SSL_CTX_load_verify_file(context, ca.c_str()) == 1) return {};
  return say(why, Error::Kind::malformed, "CA " + ca + " is not usable: " + first_reason());
}

Result<std::string> load_ocsp(const std::string& path, std::string* why) {
  Result<std::string> der = read_named(path, "OCSP response", why);
  if (!der.ok()) return der;
  const auto* at = reinterpret_cast<const unsigned char*>(der->data());
  OCSP_RESPONSE* response = d2i_OCSP_RESPONSE(nullptr, &at, static_cast<long>(der->size()));
  if (response == nullptr) {
    ERR_clear_error();
    return say(why, Error::Kind::malformed, "OCSP response " + path + " is not DER");
  }
  OCSP_RESPONSE_free(response);
  return der;
}

std::string text_of(const ASN1_STRING* string) {
  std::string text(reinterpret_cast<const char*>(ASN1_STRING_get0_data(string)),
                   static_cast<size_t>(ASN1_STRING_length(string)));
  return text.find('\0') == std::string::npos ? text : std::string();
}

std::string common_name(X509* certificate) {
  X509_NAME* subject = X509_get_subject_name(certificate);
  const int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
  return at < 0 ? std::string()
                : text_of(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
}

// DNS names first; without any, the common name (as OpenSSL's own check has it).
std::vector<std::string> names_of(X509* certificate) {
  std::vector<std::string> dns;
  std::vector<std::string> ips;
  auto* names = static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr));
  for (int i = 0; i < sk_GENERAL_NAME_num(names); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names, i);
    if (name->type == GEN_DNS) {
      std::string text = text_of(name->d.dNSName);
      if (!text.empty()) dns.push_back(std::move(text));
    } else if (name->type == GEN_IPADD) {
      const int size = ASN1_STRING_length(name->d.iPAddress);
      if (size != 4 && size != 16) continue;
      Ip ip{.bytes = {}, .v6 = size == 16};
      std::copy_n(ASN1_STRING_get0_data(name->d.iPAddress), size, ip.bytes.begin());
      ips.push_back(ip.text());
    }
  }
  GENERAL_NAMES_free(names);
  if (dns.empty()) {
    if (std::string name = common_name(certificate); !name.empty()) dns.push_back(std::move(name));
  }
  dns.insert(dns.end(), ips.begin(), ips.end());
  return dns;
}

int choose_certificate(SSL* ssl, int*, void* raw) {
  const auto& context = *static_cast<const TlsContext*>(raw);
  const char* sni = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
  const size_t index = context.names.find(sni == nullptr ? std::string_view() : sni);
  SSL_CTX* chosen = context.served[index].context.get();
  if (SSL_get_SSL_CTX(ssl) != chosen && SSL_set_SSL_CTX(ssl, chosen) == nullptr) {
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  }
  return SSL_TLSEXT_ERR_OK;
}

int choose_alpn(SSL*, const unsigned char** out, unsigned char* out_size, const unsigned char* in,
                unsigned int in_size, void* raw) {
  const auto& context = *static_cast<const TlsContext*>(raw);
  unsigned char* selected = nullptr;
  const int found = SSL_select_next_proto(
      &selected, out_size, reinterpret_cast<const unsigned char*>(context.alpn.data()),
      static_cast<unsigned int>(context.alpn.size()), in, in_size);
  // RFC 7301 3.2: no common protocol is fatal; a guess would be answered in the wrong one.
  if (found != OPENSSL_NPN_NEGOTIATED) return SSL_TLSEXT_ERR_ALERT_FATAL;
  *out = selected;
  return SSL_TLSEXT_ERR_OK;
}

int staple(SSL* ssl, void* raw) {
  const std::string& ocsp = static_cast<const TlsContext::Served*>(raw)->ocsp;
  void* copy = OPENSSL_memdup(ocsp.data(), ocsp.size());
  if (copy == nullptr) return SSL_TLSEXT_ERR_NOACK;
  SSL_set_tlsext_status_ocsp_resp(ssl, static_cast<unsigned char*>(copy),
                                  static_cast<int>(ocsp.size()));
  return SSL_TLSEXT_ERR_OK;
}

bool set_ticket_key(const TicketKey& key, unsigned char* iv, EVP_CIPHER_CTX* cipher,
                    EVP_MAC_CTX* mac, int encrypt) {
  char digest[] = "SHA256";
  const OSSL_PARAM params[] = {
      OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, const_cast<uint8_t*>(key.mac.data()),
                                        key.mac.size()),
      OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0), OSSL_PARAM_END};
  return EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), nullptr, key.cipher.data(), iv, encrypt) ==
             1 &&
         EVP_MAC_CTX_set_params(mac, params) == 1;
}

// SSL_CTX_set_tlsext_ticket_key_evp_cb(3): 1 use it, 2 use it and send a new one, 0 don't know it.
int on_ticket(SSL* ssl, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher,
              EVP_MAC_CTX* mac, int encrypt) {
  const auto& context = *static_cast<const TlsContext*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)));
  if (encrypt == 1) {
    const TicketKey& key = context.tickets.first();
    std::copy(key.name.begin(), key.name.end(), name);
    if (RAND_bytes(iv, EVP_CIPHER_get_iv_length(EVP_aes_256_cbc())) != 1) return -1;
    return set_ticket_key(key, iv, cipher, mac, 1) ? 1 : -1;
  }
  const TicketKey* key = context.tickets.find(name);
  if (key == nullptr) return 0;
  if (!set_ticket_key(*key, iv, cipher, mac, 0)) return -1;
  // RFC 8446 C.4: clients use a TLS 1.3 ticket once, so each resumption needs a new one.
  return key == &context.tickets.first() && SSL_version(ssl) < TLS1_3_VERSION ? 1 : 2;
}

// Of a server: the chain is good and the name is one we let in.
int verify_client(X509_STORE_CTX* store, void* raw) {
  const auto& context = *static_cast<const TlsContext*>(raw);
  if (X509_verify_cert(store) != 1) return 0;
  if (context.client_names.empty()) return 1;
  X509* certificate = X509_STORE_CTX_get0_cert(store);
  for (const std::string& name : context.client_names) {
    if (X509_check_host(certificate, name.data(), name.size(), 0, nullptr) == 1) return 1;
  }
  X509_STORE_CTX_set_error(store, X509_V_ERR_HOSTNAME_MISMATCH);
  return 0;
}

Result<SslContextPtr> make_served(const TlsServerOptions& options, const TlsCertificate& pair,
                                  TlsContext& owner, int min_version,
                                  const std::string& session_context, std::string* why) {
  SslContextPtr made = make_context(TLS_server_method(), min_version);
  SSL_CTX* c = made.get();
  SSL_CTX_set_options(c, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
  SSL_CTX_set_cipher_list(c, kServerCiphers);
  SSL_CTX_set_app_data(c, &owner);
  if (Status s = load_pair(c, pair.cert_file, pair.key_file, why); !s.ok()) return s.error();
  if (!options.client_ca_file.empty()) {
    if (Status s = load_trust(c, options.client_ca_file, why); !s.ok()) return s.error();
    SSL_CTX_set_client_CA_list(c, SSL_load_client_CA_file(options.client_ca_file.c_str()));
    SSL_CTX_set_verify(
        c, SSL_VERIFY_PEER | (options.client_required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0),
        nullptr);
    SSL_CTX_set_cert_verify_callback(c, verify_client, &owner);
  }
  SSL_CTX_set_timeout(c,
                      options.client_ca_file.empty() ? kSessionSeconds : kVerifiedSessionSeconds);
  SSL_CTX_set_session_id_context(c, reinterpret_cast<const unsigned char*>(session_context.data()),
                                 static_cast<unsigned int>(session_context.size()));
  SSL_CTX_set_tlsext_ticket_key_evp_cb(c, on_ticket);
  SSL_CTX_set_tlsext_servername_callback(c, choose_certificate);
  SSL_CTX_set_tlsext_servername_arg(c, &owner);
  if (!owner.alpn.empty()) SSL_CTX_set_alpn_select_cb(c, choose_alpn, &owner);
  return made;
}

}  // namespace

std::string certificate_name(x509_st* certificate) {
  const std::vector<std::string> names = names_of(certificate);
  return names.empty() ? std::string() : names.front();
}

SslPtr TlsContext::make_ssl(const std::string& server_name) const {
  if (server) {
    SslPtr ssl(SSL_new(served[names.find({})].context.get()));
    if (ssl != nullptr) SSL_set_accept_state(ssl.get());
    return ssl;
  }
  if (verify && server_name.empty()) return nullptr;  // any name would do
  SslPtr ssl(SSL_new(served.front().context.get()));
  if (ssl == nullptr) return nullptr;
  SSL_set_connect_state(ssl.get());
  if (server_name.empty()) return ssl;
  if (const Result<Ip> ip = Ip::parse(server_name); ip.ok()) {
    // RFC 6066 3: literal addresses are not permitted in SNI.
    if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl.get()), ip->text().c_str()) != 1) {
      return nullptr;
    }
    return ssl;
  }
  std::string name = server_name;
  if (name.ends_with('.')) name.pop_back();
  SSL_set_hostflags(ssl.get(), X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  if (SSL_set_tlsext_host_name(ssl.get(), name.c_str()) != 1 ||
      SSL_set1_host(ssl.get(), name.c_str()) != 1) {
    return nullptr;
  }
  return ssl;
}

Result<std::shared_ptr<TlsContext>> make_server_tls(const TlsServerOptions& options,
                                                    std::string* why) {
  if (options.certificates.empty()) {
    return say(why, Error::Kind::not_found, "TLS needs a certificate");
  }
  if (options.min_version != "1.2" && options.min_version != "1.3") {
    return say(why, Error::Kind::unsupported,
               "min_version is \"" + options.min_version + "\"; allowed are \"1.2\" and \"1.3\"");
  }
  const int min_version = options.min_version == "1.3" ? TLS1_3_VERSION : TLS1_2_VERSION;
  TicketKeys tickets = TicketKeys::of_process();
  if (!options.ticket_keys_file.empty()) {
    Result<std::string> text = read_named(options.ticket_keys_file, "ticket keys", why);
    if (!text.ok()) return text.error();
    std::string line;
    Result<TicketKeys> parsed = TicketKeys::parse(*text, &line);
    if (!parsed.ok()) {
      return say(why, Error::Kind::malformed,
                 "ticket keys " + options.ticket_keys_file + ", " + line);
    }
    tickets = std::move(*parsed);
  }
  auto made = std::make_shared<TlsContext>(std::move(tickets));
  made->server = true;
  made->client_names = options.client_names;
  Result<std::string> alpn = encode_alpn(options.alpn, why);
  if (!alpn.ok()) return alpn.error();
  made->alpn = *alpn;
  // A session made under other rules about clients is not resumed.
  std::string rules = options.client_required ? "required" : "asked";
  if (!options.client_ca_file.empty()) {
    Result<std::string> ca = read_named(options.client_ca_file, "CA", why);
    if (!ca.ok()) return ca.error();
    rules += *ca;
  }
  for (const std::string& name : options.client_names) rules += '\n' + name;
  const Sha256 digest = sha256(rules);
  const std::string session_context(digest.begin(), digest.end());
  made->served.reserve(options.certificates.size());  // the staple's argument points into it
  for (const TlsCertificate& pair : options.certificates) {
    Result<SslContextPtr> context =
        make_served(options, pair, *made, min_version, session_context, why);
    if (!context.ok()) return context.error();
    SSL_CTX* c = context->get();
    made->names.add(names_of(SSL_CTX_get0_certificate(c)), pair.is_default);
    made->served.push_back({.context = std::move(*context), .ocsp = {}});
    if (pair.ocsp_file.empty()) continue;
    Result<std::string> ocsp = load_ocsp(pair.ocsp_file, why);
    if (!ocsp.ok()) return ocsp.error();
    made->served.back().ocsp = std::move(*ocsp);
    SSL_CTX_set_tlsext_status_cb(c, staple);
    SSL_CTX_set_tlsext_status_arg(c, &made->served.back());
  }
  return made;
}

Result<std::shared_ptr<TlsContext>> make_client_tls(const TlsClientOptions& options,
                                                    std::string* why) {
  auto made = std::make_shared<TlsContext>(TicketKeys::of_process());
  made->verify = options.verify;
  Result<std::string> alpn = encode_alpn(options.alpn, why);
  if (!alpn.ok()) return alpn.error();
  made->alpn = *alpn;
  SslContextPtr context = make_context(TLS_client_method(), TLS1_2_VERSION);
  SSL_CTX* c = context.get();
  if (!made->alpn.empty()) {
    SSL_CTX_set_alpn_protos(c, reinterpret_cast<const unsigned char*>(made->alpn.data()),
                            static_cast<unsigned int>(made->alpn.size()));
  }
  SSL_CTX_set_verify(c, options.verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nullptr);
  if (options.verify) {
    if (options.ca_file.empty() || options.ca_file == "system") {
      if (SSL_CTX_set_default_verify_paths(c) != 1) {
        return say(why, Error::Kind::io, "cannot read the system's CAs: " + first_reason());
      }
    } else if (Status s = load_trust(c, options.ca_file, why); !s.ok()) {
      return s.error();
    }
  }
  if (options.cert_file.empty() != options.key_file.empty()) {
    return say(why, Error::Kind::not_found, "a client certificate needs both cert and key");
  }
  if (!options.cert_file.empty()) {
    if (Status s = load_pair(c, options.cert_file, options.key_file, why); !s.ok()) {
      return s.error();
    }
  }
  made->served.push_back({.context = std::move(context), .ocsp = {}});
  return made;
}

bool tls_covers(const TlsContext& context, std::string_view sni, std::string_view authority) {
  return context.names.hold_both(sni, authority);
}

}  // namespace bw::net
