// Collects what is wrong with a message, field by field.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "common/rpc_error.h"

namespace likeness::server {

// Fields are paths from the request: "job.fine_tune.training.steps". The reason of the first
// violation becomes the error's.
class FieldChecker {
 public:
  void Add(const std::string& field, std::string description, absl::string_view reason,
           ErrorMetadata metadata = {});

  // OUT_OF_RANGE; NOT_A_NUMBER for NaN. Bounds are inclusive.
  void Integer(const std::string& field, int64_t value, int64_t low, int64_t high);
  void Real(const std::string& field, double value, double low, double high);
  // Above `low`, and at most `high`.
  void RealAbove(const std::string& field, double value, double low, double high);
  // At least `low`, and below `high`.
  void RealBelow(const std::string& field, double value, double low, double high);

  // `reason` for more than `limit`, as in "70 prompts; at most 64 are allowed".
  void AtMost(const std::string& field, int64_t count, absl::string_view of_what, int64_t limit,
              absl::string_view reason);

  // PROMPT_TOO_LONG for more than `max_bytes`, CONTROL_CHARACTERS for U+0000 to U+001F and U+007F
  // to U+009F.
  void Text(const std::string& field, absl::string_view value, int max_bytes);

  // UNKNOWN_SAMPLER.
  void Sampler(const std::string& field, absl::string_view value);
  // As Real, 0 to 1. OUT_OF_RANGE where the sampler, in any spelling, has no eta; one that is not
  // known is left to Sampler().
  void Eta(const std::string& field, double value, absl::string_view sampler);

  // INVALID_ARGUMENT with everything that was added, or OK.
  absl::Status status() const;

 private:
  std::vector<FieldViolation> violations_;
  std::string reason_;
};

}  // namespace likeness::server
