// Adapters in prompts, as in AUTOMATIC1111's stable-diffusion-webui: "a dog <lora:rex:0.8>".
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "likeness/v1/generate.pb.h"

namespace likeness {

struct PromptAdapter {
  std::string id;  // of a model of the caller's tenant
  double strength = 1;
};

struct PromptWithAdapters {
  std::string text;  // without them, nor the space that one leaves
  std::vector<PromptAdapter> adapters;
};

// "<lora:NAME>" and "<lora:NAME:STRENGTH>", wherever they stand. INVALID_ARGUMENT without a reason,
// saying which is wrong, for a name that no model has, a strength outside -10 to 10, a model that
// is named twice, and a "<lora:" that does not end.
absl::StatusOr<PromptWithAdapters> ParsePromptAdapters(absl::string_view prompt);

// The models that prompts of a job name, each once, in the order in which they are named first;
// none where the spec does not allow them, or where one is wrong.
std::vector<std::string> PromptAdapterIds(const v1::GenerateSpec& spec);

}  // namespace likeness
