// SHA-256, streaming and at once.
#pragma once

#include <memory>
#include <string>

#include "absl/strings/string_view.h"

namespace likeness {

class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;

  void Update(absl::string_view bytes);

  // 64 lower-case hex digits of all bytes so far. Call it once, last.
  std::string HexDigest();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

std::string Sha256Hex(absl::string_view bytes);

// 64 lower-case hex digits?
bool IsSha256Hex(absl::string_view text);

}  // namespace likeness
