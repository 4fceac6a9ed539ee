#include "worker/base/io/sha256.h"

#include <openssl/evp.h>

#include "worker/base/error.h"
#include "worker/base/io/mapped_file.h"

namespace likeness {

std::string Sha256OfBytes(std::string_view bytes) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  if (EVP_Digest(bytes.data(), bytes.size(), digest, &size, EVP_sha256(), nullptr) != 1) {
    throw Error(ErrorKind::kInternal, "SHA-256 is not available");
  }
  std::string text;
  for (unsigned int i = 0; i < size; ++i) {
    text.push_back("0123456789abcdef"[digest[i] >> 4]);
    text.push_back("0123456789abcdef"[digest[i] & 15]);
  }
  return text;
}

std::string Sha256OfFile(const std::filesystem::path& path) {
  return Sha256OfBytes(MappedFile(path).bytes());
}

}  // namespace likeness
