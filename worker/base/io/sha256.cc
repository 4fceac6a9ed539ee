#include "worker/base/io/sha256.h"

#include <openssl/evp.h>

#include <memory>

#include "worker/base/error.h"
#include "worker/base/io/mapped_file.h"

namespace likeness {
namespace {

constexpr size_t kBetweenPolls = 64 << 20;  // bytes; some 50 ms

void Check(int result) {
  if (result != 1) throw Error(ErrorKind::kInternal, "SHA-256 is not available");
}

std::string Digest(std::string_view bytes, const std::function<void()>& poll) {
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(),
                                                                        EVP_MD_CTX_free);
  Check(EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr));
  for (size_t done = 0; done < bytes.size(); done += kBetweenPolls) {
    if (poll) poll();
    const auto part = bytes.substr(done, kBetweenPolls);
    Check(EVP_DigestUpdate(context.get(), part.data(), part.size()));
  }
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  Check(EVP_DigestFinal_ex(context.get(), digest, &size));
  std::string text;
  for (unsigned int i = 0; i < size; ++i) {
    text.push_back("0123456789abcdef"[digest[i] >> 4]);
    text.push_back("0123456789abcdef"[digest[i] & 15]);
  }
  return text;
}

}  // namespace

std::string Sha256OfBytes(std::string_view bytes) { return Digest(bytes, {}); }

std::string Sha256OfFile(const std::filesystem::path& path, const std::function<void()>& poll) {
  return Digest(MappedFile(path).bytes(), poll);
}

}  // namespace likeness
