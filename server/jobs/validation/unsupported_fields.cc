// Fields of the contract that no worker of this version knows what to do with yet.
#include "absl/strings/str_cat.h"
#include "server/jobs/validation/spec_validation.h"

namespace likeness::server {

void CheckUnsupported(const v1::GenerateSpec& spec, const std::string& path,
                      FieldChecker& checker) {
  const auto refuse = [&](bool used, absl::string_view field) {
    if (used) checker.Add(absl::StrCat(path, ".", field), "is not supported", "OUT_OF_RANGE");
  };
  refuse(spec.has_clip_skip(), "clip_skip");
  refuse(spec.has_guidance_rescale(), "guidance_rescale");
  refuse(spec.prompt_weights(), "prompt_weights");
  refuse(spec.long_prompts(), "long_prompts");
  refuse(spec.has_image_to_image(), "image_to_image");
}

}  // namespace likeness::server
