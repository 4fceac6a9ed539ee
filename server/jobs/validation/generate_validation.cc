#include <set>

#include "absl/strings/str_cat.h"
#include "common/number_text.h"
#include "common/prompt_adapters.h"
#include "common/prompt_weights.h"
#include "common/resource_names.h"
#include "common/steps_at_strength.h"
#include "server/jobs/validation/spec_validation.h"

namespace likeness::server {
namespace {

constexpr int kMaxPrompts = 64;
constexpr int kMaxImagesPerPrompt = 64;
constexpr int kMaxPromptAdapters = 32;  // of all prompts: a lease has their files

void CheckSide(const std::string& field, int side, FieldChecker& checker) {
  checker.Integer(field, side, 32, 2048);
  if (side >= 32 && side <= 2048 && side % 8 != 0) {
    checker.Add(field, absl::StrCat("is ", side, "; a multiple of 8 is needed"), "OUT_OF_RANGE");
  }
}

void CheckMicroConditioning(const v1::MicroConditioning& told, const std::string& path,
                            FieldChecker& checker) {
  constexpr int kMost = 16384;
  const auto check = [&](const char* name, bool said, int value, int least) {
    if (said) checker.Integer(absl::StrCat(path, ".", name), value, least, kMost);
  };
  check("original_width", told.has_original_width(), told.original_width(), 1);
  check("original_height", told.has_original_height(), told.original_height(), 1);
  check("crop_left", told.has_crop_left(), told.crop_left(), 0);
  check("crop_top", told.has_crop_top(), told.crop_top(), 0);
  check("target_width", told.has_target_width(), told.target_width(), 1);
  check("target_height", told.has_target_height(), told.target_height(), 1);
}

void CheckImageToImage(const v1::ImageToImage& start, const std::string& path, const Limits& limits,
                       FieldChecker& checker) {
  CheckPhoto(start.image(), path + ".image", limits, checker);
  RefuseMask(start.image(), path + ".image", checker);
  if (start.has_strength()) checker.RealAbove(path + ".strength", start.strength(), 0, 1);
  if (!start.has_mask()) return;
  CheckPhoto(start.mask(), path + ".mask", limits, checker);
  RefuseMask(start.mask(), path + ".mask", checker);
  if (start.mask().has_crop_box()) {
    checker.Add(path + ".mask.crop_box", "is not allowed; the image's crop box cuts the mask too",
                "OUT_OF_RANGE");
  }
}

// The strength is the share of the steps that is drawn: one at least.
void CheckStepsLeft(const v1::GenerateSpec& spec, const std::string& field, FieldChecker& checker) {
  const double strength = spec.image_to_image().strength();
  if (!spec.has_steps() || spec.steps() < 1 || !(strength > 0)) return;
  if (strength > 1 || StepsAtStrength(spec.steps(), strength) > 0) return;
  checker.Add(
      field,
      absl::StrCat("is ", NumberText(strength), ", which leaves none of ", spec.steps(), " steps; ",
                   NumberText(LeastStrength(spec.steps())), " or more is allowed"),
      "OUT_OF_RANGE");
}

// Whether prompts name adapters as they may; what these are is seen later.
void CheckPromptAdapters(const v1::GenerateSpec& spec, const std::string& path,
                         FieldChecker& checker) {
  for (int i = 0; i < spec.prompts_size(); ++i) {
    const std::string field = absl::StrCat(path, ".prompts[", i, "]");
    const auto prompt = ParsePromptAdapters(spec.prompts(i));
    if (!prompt.ok()) {
      checker.Add(field, std::string(prompt.status().message()), "INVALID_ADAPTER");
      continue;
    }
    checker.AtMost(field, spec.model().adapters_size() + std::ssize(prompt->adapters),
                   "adapters, with those of all prompts", kMaxAdapters, "OUT_OF_RANGE");
  }
  checker.AtMost(path + ".prompts", std::ssize(PromptAdapterIds(spec)), "adapters in prompts",
                 kMaxPromptAdapters, "OUT_OF_RANGE");
}

// `field`: of the text.
void CheckPromptWeights(const std::string& field, absl::string_view text, FieldChecker& checker) {
  std::string error = ParsePromptWeights(std::string_view(text.data(), text.size())).error;
  if (!error.empty()) checker.Add(field, std::move(error), "OUT_OF_RANGE");
}

void CheckPromptWeights(const v1::GenerateSpec& spec, const std::string& path,
                        FieldChecker& checker) {
  for (int i = 0; i < spec.prompts_size(); ++i) {
    const auto prompt = ParsePromptAdapters(spec.prompts(i));
    const bool adapters = spec.prompt_adapters() && prompt.ok();
    CheckPromptWeights(absl::StrCat(path, ".prompts[", i, "]"),
                       adapters ? prompt->text : spec.prompts(i), checker);
  }
  CheckPromptWeights(path + ".negative_prompt", spec.negative_prompt(), checker);
}

}  // namespace

void CheckAdapters(const v1::ModelSelection& model, const std::string& path,
                   FieldChecker& checker) {
  checker.AtMost(path, model.adapters_size(), "adapters", kMaxAdapters, "OUT_OF_RANGE");
  if (model.adapters_size() > kMaxAdapters) return;
  std::set<absl::string_view> seen = {model.name()};
  for (int i = 0; i < model.adapters_size(); ++i) {
    const v1::Adapter& adapter = model.adapters(i);
    const std::string field = absl::StrCat(path, "[", i, "]");
    const auto name = ParseModelName(adapter.model());
    if (!name.ok()) {
      checker.Add(field + ".model", NotOfForm(adapter.model(), "tenants/{tenant}/models/{model}"),
                  "INVALID_NAME");
    } else if (name->is_base()) {
      checker.Add(
          field + ".model",
          absl::StrCat("is ", adapter.model(), ", a base model; name it as the model to draw with"),
          "INVALID_NAME");
    } else if (!seen.insert(adapter.model()).second) {
      checker.Add(field + ".model", "is named before; say one strength for it", "INVALID_ADAPTER");
    }
    if (adapter.has_strength()) checker.Real(field + ".strength", adapter.strength(), -10, 10);
  }
}

void CheckGenerate(const v1::GenerateSpec& spec, const std::string& path, const Limits& limits,
                   FieldChecker& checker) {
  if (spec.prompts().empty()) {
    checker.Add(path + ".prompts", "there are none; 1 to 64 are needed", "NO_PROMPTS");
  }
  checker.AtMost(path + ".prompts", spec.prompts_size(), "prompts", kMaxPrompts,
                 "TOO_MANY_PROMPTS");
  if (spec.prompts_size() > kMaxPrompts) return;
  for (int i = 0; i < spec.prompts_size(); ++i) {
    CheckPrompt(absl::StrCat(path, ".prompts[", i, "]"), spec.prompts(i), limits, checker);
  }
  checker.Text(path + ".negative_prompt", spec.negative_prompt(), limits.max_prompt_bytes);
  if (spec.has_images_per_prompt()) {
    checker.Integer(path + ".images_per_prompt", spec.images_per_prompt(), 1, kMaxImagesPerPrompt);
    const int64_t images = int64_t{spec.prompts_size()} * spec.images_per_prompt();
    if (spec.images_per_prompt() <= kMaxImagesPerPrompt) {
      checker.AtMost(path + ".images_per_prompt", images, "images in total", limits.max_images,
                     "TOO_MANY_IMAGES");
    }
  }
  CheckAdapters(spec.model(), path + ".model.adapters", checker);
  if (spec.prompt_adapters()) CheckPromptAdapters(spec, path, checker);
  if (spec.prompt_weights()) CheckPromptWeights(spec, path, checker);
  if (spec.has_sampler()) checker.Sampler(path + ".sampler", spec.sampler());
  if (spec.has_steps()) checker.Integer(path + ".steps", spec.steps(), 1, 1000);
  if (spec.has_guidance()) checker.Real(path + ".guidance", spec.guidance(), 0, 100);
  if (spec.has_eta()) checker.Eta(path + ".eta", spec.eta(), spec.sampler());
  if (spec.has_width()) CheckSide(path + ".width", spec.width(), checker);
  if (spec.has_height()) CheckSide(path + ".height", spec.height(), checker);
  CheckMicroConditioning(spec.micro_conditioning(), path + ".micro_conditioning", checker);
  if (spec.has_clip_skip()) checker.Integer(path + ".clip_skip", spec.clip_skip(), 0, 8);
  if (spec.has_guidance_rescale()) {
    checker.Real(path + ".guidance_rescale", spec.guidance_rescale(), 0, 1);
  }
  if (spec.has_preview_every_steps()) {
    checker.Integer(path + ".preview_every_steps", spec.preview_every_steps(), 0, 1000);
  }
  if (spec.precision() < 0 || spec.precision() > v1::PRECISION_BF16) {
    const std::string name = v1::Precision_Name(spec.precision());
    checker.Add(path + ".precision",
                absl::StrCat("is ", name.empty() ? absl::StrCat(spec.precision()) : name,
                             "; PRECISION_FP32 and PRECISION_BF16 are allowed"),
                "OUT_OF_RANGE");
  }
  if (spec.safety_check() && spec.preview_every_steps() > 0) {
    checker.Add(
        path + ".preview_every_steps",
        absl::StrCat("is ", spec.preview_every_steps(),
                     "; with safety_check it must be 0: previews are sent before the check"),
        "OUT_OF_RANGE");
  }
  if (spec.has_image_to_image()) {
    CheckImageToImage(spec.image_to_image(), path + ".image_to_image", limits, checker);
    CheckStepsLeft(spec, path + ".image_to_image.strength", checker);
  }
}

}  // namespace likeness::server
