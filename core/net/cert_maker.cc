#include "core/net/cert_maker.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include <memory>

#include "core/base/file.h"
#include "core/net/address.h"

namespace bw::net {
namespace {

constexpr long kHour = 3600;
constexpr long kDay = 24 * kHour;
constexpr size_t kMaxCommonName = 64;  // RFC 5280 A.1, ub-common-name

template <auto free>
struct Free {
  template <typename T>
  void operator()(T* object) const {
    free(object);
  }
};
using Key = std::unique_ptr<EVP_PKEY, Free<EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Free<X509_free>>;
using Memory = std::unique_ptr<BIO, Free<BIO_free_all>>;

Error failed(std::string_view text) {
  const unsigned long code = ERR_get_error();
  ERR_clear_error();
  return Error{.kind = Error::Kind::internal, .code = ERR_GET_REASON(code), .text = text};
}

bool add_extension(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
  if (extension == nullptr) return false;
  const int added = X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
  return added == 1;
}

// Version, serial, validity, subject and key; the issuer is still to come.
bool fill(X509* certificate, EVP_PKEY* key, std::string_view name, int days) {
  unsigned char serial[16];
  if (RAND_bytes(serial, sizeof serial) != 1) return false;
  serial[0] &= 0x7f;  // positive
  BIGNUM* number = BN_bin2bn(serial, sizeof serial, nullptr);
  const bool numbered = BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) != nullptr;
  BN_free(number);
  const long until = days * kDay;
  const long from = days < 0 ? until - kDay : -kHour;
  const std::string subject(name.substr(0, kMaxCommonName));
  return numbered && X509_set_version(certificate, X509_VERSION_3) == 1 &&
         X509_gmtime_adj(X509_getm_notBefore(certificate), from) != nullptr &&
         X509_gmtime_adj(X509_getm_notAfter(certificate), until) != nullptr &&
         X509_set_pubkey(certificate, key) == 1 &&
         X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_UTF8,
                                    reinterpret_cast<const unsigned char*>(subject.c_str()), -1, -1,
                                    0) == 1;
}

std::string text_of(BIO* memory) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(memory, &data);
  return std::string(data, static_cast<size_t>(size));
}

Result<MadeCertificate> encode(X509* certificate, EVP_PKEY* key) {
  const Memory cert_text(BIO_new(BIO_s_mem()));
  const Memory key_text(BIO_new(BIO_s_mem()));
  if (PEM_write_bio_X509(cert_text.get(), certificate) != 1 ||
      PEM_write_bio_PKCS8PrivateKey(key_text.get(), key, nullptr, nullptr, 0, nullptr, nullptr) !=
          1) {
    return failed("cannot encode a certificate");
  }
  return MadeCertificate{.cert_pem = text_of(cert_text.get()), .key_pem = text_of(key_text.get())};
}

bool plain_name(std::string_view name) {
  if (name.starts_with("*.")) name.remove_prefix(2);
  if (name.empty() || name.size() > 253) return false;
  for (const char c : name) {
    const bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '-' || c == '.' || c == '_';
    if (!good) return false;
  }
  return true;
}

}  // namespace

Result<MadeCertificate> make_ca(std::string_view name, int days) {
  const Key key(EVP_EC_gen("P-256"));
  const Certificate made(X509_new());
  X509* c = made.get();
  if (key == nullptr || c == nullptr || name.empty() || !fill(c, key.get(), name, days) ||
      X509_set_issuer_name(c, X509_get_subject_name(c)) != 1 ||
      !add_extension(c, c, NID_basic_constraints, "critical,CA:TRUE") ||
      !add_extension(c, c, NID_key_usage, "critical,keyCertSign,cRLSign") ||
      !add_extension(c, c, NID_subject_key_identifier, "hash") ||
      X509_sign(c, key.get(), EVP_sha256()) == 0) {
    return failed("cannot make a CA");
  }
  return encode(c, key.get());
}

Result<MadeCertificate> make_certificate(const MadeCertificate& ca,
                                         const std::vector<std::string>& names, int days) {
  std::string alternatives;
  for (const std::string& name : names) {
    const Result<Ip> ip = Ip::parse(name);
    if (!ip.ok() && !plain_name(name)) {
      return Error{.kind = Error::Kind::malformed,
                   .text = "a certificate's name is not a host name"};
    }
    if (!alternatives.empty()) alternatives += ',';
    alternatives += ip.ok() ? "IP:" + ip->text() : "DNS:" + name;
  }
  if (names.empty())
    return Error{.kind = Error::Kind::malformed, .text = "a certificate needs a name"};

  const Memory ca_cert_text(
      BIO_new_mem_buf(ca.cert_pem.data(), static_cast<int>(ca.cert_pem.size())));
  const Memory ca_key_text(BIO_new_mem_buf(ca.key_pem.data(), static_cast<int>(ca.key_pem.size())));
  const Certificate issuer(PEM_read_bio_X509(ca_cert_text.get(), nullptr, nullptr, nullptr));
  char no_password[] = "";
  const Key issuer_key(PEM_read_bio_PrivateKey(ca_key_text.get(), nullptr, nullptr, no_password));
  if (issuer == nullptr || issuer_key == nullptr) return failed("the CA cannot be read");

  const Key key(EVP_EC_gen("P-256"));
  const Certificate made(X509_new());
  X509* c = made.get();
  if (key == nullptr || c == nullptr || !fill(c, key.get(), names.front(), days) ||
      X509_set_issuer_name(c, X509_get_subject_name(issuer.get())) != 1 ||
      !add_extension(c, issuer.get(), NID_basic_constraints, "critical,CA:FALSE") ||
      !add_extension(c, issuer.get(), NID_key_usage, "critical,digitalSignature") ||
      !add_extension(c, issuer.get(), NID_ext_key_usage, "serverAuth,clientAuth") ||
      !add_extension(c, issuer.get(), NID_subject_key_identifier, "hash") ||
      !add_extension(c, issuer.get(), NID_authority_key_identifier, "keyid") ||
      !add_extension(c, issuer.get(), NID_subject_alt_name, alternatives) ||
      X509_sign(c, issuer_key.get(), EVP_sha256()) == 0) {
    return failed("cannot make a certificate");
  }
  return encode(c, key.get());
}

Status write_certificate(const MadeCertificate& made, const std::string& cert_file,
                         const std::string& key_file) {
  // The key first: whoever reloads on the certificate finds its key in place.
  if (Status s = replace_file(key_file, made.key_pem, 0600); !s.ok()) return s;
  return replace_file(cert_file, made.cert_pem);
}

}  // namespace bw::net
