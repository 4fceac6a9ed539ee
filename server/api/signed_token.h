// Tokens that clients hand back to us: readable by nobody who does not try, and refused when they
// were changed.
#pragma once

#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace likeness::server {

class TokenSigner {
 public:
  explicit TokenSigner(std::string key) : key_(std::move(key)) {}

  // URL-safe text. `purpose` ("page", "watch") keeps one kind of token from passing for another.
  std::string Sign(absl::string_view purpose, absl::string_view payload) const;

  // The payload, or nothing when this key did not sign it for this purpose.
  std::optional<std::string> Open(absl::string_view purpose, absl::string_view token) const;

 private:
  std::string Mac(absl::string_view purpose, absl::string_view payload) const;
  const std::string key_;
};

}  // namespace likeness::server
