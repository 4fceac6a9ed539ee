// Certificates for tests, made on the spot with OpenSSL.
#pragma once

#include <openssl/evp.h>
#include <openssl/x509.h>

#include <memory>
#include <string>

namespace likeness::testing {

using PrivateKey = std::shared_ptr<EVP_PKEY>;

// A new key on P-256, or an RSA key.
PrivateKey NewEcKey(const char* curve = "P-256");
PrivateKey NewRsaKey(unsigned bits = 2048);

std::string PublicPem(const PrivateKey& key);
std::string PrivatePem(const PrivateKey& key);

// As JSON web tokens are signed: RS256, or ES256 for a key on P-256.
std::string JoseSignature(const PrivateKey& key, const std::string& text);

// A certificate and its key, as PEM.
struct Identity {
  std::string cert;
  std::string key;
};

// An authority of its own.
class Authority {
 public:
  explicit Authority(const std::string& name);
  // Its certificate.
  const std::string& pem() const { return pem_; }
  // A certificate for this name; good for 127.0.0.1 and localhost.
  Identity Issue(const std::string& name) const;

 private:
  PrivateKey key_;
  std::shared_ptr<X509> cert_;
  std::string pem_;
};

}  // namespace likeness::testing
