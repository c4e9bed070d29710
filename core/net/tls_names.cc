#include "core/net/tls_names.h"

#include <algorithm>

#include "core/net/address.h"

namespace bw::net {

std::string name_of_authority(std::string_view authority) {
  if (authority.starts_with('[')) {
    const size_t end = authority.find(']');
    authority = authority.substr(1, end == std::string_view::npos ? end : end - 1);
  } else if (const size_t colon = authority.rfind(':');
             colon != std::string_view::npos && authority.find(':') == colon) {
    authority = authority.substr(0, colon);  // more than one colon: IPv6 without brackets
  }
  if (authority.ends_with('.')) authority.remove_suffix(1);
  if (const Result<Ip> ip = Ip::parse(authority); ip.ok()) return ip->text();
  std::string name(authority);
  for (char& c : name) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return name;
}

void CertificateNames::add(const std::vector<std::string>& names, bool is_default) {
  for (const std::string& name : names) {
    std::vector<size_t>& holders = holders_[name_of_authority(name)];
    if (holders.empty() || holders.back() != count_) holders.push_back(count_);
  }
  if (is_default && !has_default_) {
    has_default_ = true;
    default_ = count_;
  }
  ++count_;
}

const std::vector<size_t>* CertificateNames::exact(const std::string& name) const {
  const auto found = holders_.find(name);
  return found == holders_.end() || name.starts_with('*') ? nullptr : &found->second;
}

const std::vector<size_t>* CertificateNames::wildcard(const std::string& name) const {
  // RFC 9525 6.3: the wildcard is the whole left-most label, and stands for one.
  const size_t dot = name.find('.');
  if (dot == 0 || dot == std::string::npos || Ip::parse(name).ok()) return nullptr;
  const auto found = holders_.find("*" + name.substr(dot));
  return found == holders_.end() ? nullptr : &found->second;
}

size_t CertificateNames::find(std::string_view sni) const {
  const std::string name = name_of_authority(sni);
  if (const auto* holders = exact(name)) return holders->front();
  if (const auto* holders = wildcard(name)) return holders->front();
  return default_;
}

bool CertificateNames::hold_both(std::string_view sni, std::string_view authority) const {
  if (sni.empty()) return true;
  const std::string a = name_of_authority(sni);
  const std::string b = name_of_authority(authority);
  if (a == b) return true;
  for (const auto* left : {exact(a), wildcard(a)}) {
    for (const auto* right : {exact(b), wildcard(b)}) {
      if (left == nullptr || right == nullptr) continue;
      for (const size_t holder : *left) {
        if (std::find(right->begin(), right->end(), holder) != right->end()) return true;
      }
    }
  }
  return false;
}

}  // namespace bw::net
