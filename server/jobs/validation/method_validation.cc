#include <algorithm>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/number_text.h"
#include "server/jobs/validation/spec_validation.h"

namespace likeness::server {
namespace {

constexpr int kMaxRank = 256;
constexpr int kMaxTextEncoderSteps = 100'000;
constexpr int kMaxVectors = 64;
constexpr int kMaxInitialTextBytes = 100;
constexpr int kMaxTargets = 32;
constexpr int kMaxTargetBytes = 200;
constexpr int kLeastLayers = 3;  // numbers of a structure
constexpr int kMaxLayers = 8;

// `method`: one that may train the text encoders.
template <typename Method>
void CheckTextEncoder(const Method& method, const std::string& path, FieldChecker& checker) {
  if (method.has_text_encoder_learning_rate()) {
    checker.RealAbove(path + ".text_encoder_learning_rate", method.text_encoder_learning_rate(), 0,
                      1);
  }
  if (!method.has_text_encoder_steps()) return;
  checker.Integer(path + ".text_encoder_steps", method.text_encoder_steps(), 1,
                  kMaxTextEncoderSteps);
  if (method.has_train_text_encoder() && !method.train_text_encoder()) {
    checker.Add(path + ".text_encoder_steps",
                "is set, but train_text_encoder is false; leave one of them out", "OUT_OF_RANGE");
  }
}

void CheckTargets(const v1::Lora& lora, const std::string& path, FieldChecker& checker) {
  checker.AtMost(path + ".targets", lora.targets_size(), "names", kMaxTargets, "OUT_OF_RANGE");
  if (lora.targets_size() > kMaxTargets) return;
  for (int i = 0; i < lora.targets_size(); ++i) {
    const std::string& target = lora.targets(i);
    const bool named = !target.empty() && std::all_of(target.begin(), target.end(), [](char c) {
      return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '.';
    });
    if (named && target.size() <= kMaxTargetBytes) continue;
    checker.Add(absl::StrCat(path, ".targets[", i, "]"),
                absl::StrCat("is no name of a layer: 1 to ", kMaxTargetBytes,
                             " letters, digits, '_' and '.' are allowed"),
                "INVALID_NAME");
  }
}

void CheckMinRank(const v1::Lora& lora, const std::string& path, FieldChecker& checker) {
  if (!lora.has_min_rank()) return;
  if (lora.variant() != v1::LORA_VARIANT_UNSPECIFIED && lora.variant() != v1::LORA_VARIANT_LORA) {
    checker.Add(path + ".min_rank", "is set; it is of LORA_VARIANT_LORA alone", "OUT_OF_RANGE");
    return;
  }
  const bool has_limit = lora.has_rank() && lora.rank() >= 1 && lora.rank() <= kMaxRank;
  checker.Integer(path + ".min_rank", lora.min_rank(), 1, has_limit ? lora.rank() : kMaxRank);
}

void CheckLora(const v1::Lora& lora, const std::string& path, FieldChecker& checker) {
  if (lora.has_rank()) checker.Integer(path + ".rank", lora.rank(), 1, kMaxRank);
  if (lora.has_alpha()) checker.Real(path + ".alpha", lora.alpha(), 1e-6, 1000);
  if (lora.has_dropout()) checker.RealBelow(path + ".dropout", lora.dropout(), 0, 1);
  CheckTextEncoder(lora, path, checker);
  if (!v1::LoraVariant_IsValid(lora.variant())) {
    checker.Add(path + ".variant", absl::StrCat("is ", lora.variant(), ", which is not known"),
                "OUT_OF_RANGE");
  }
  CheckMinRank(lora, path, checker);
  if (lora.has_up_learning_rate_ratio()) {
    checker.Real(path + ".up_learning_rate_ratio", lora.up_learning_rate_ratio(), 1, 1000);
  }
  if (lora.has_lokr_factor() && lora.variant() != v1::LORA_VARIANT_LOKR) {
    checker.Add(path + ".lokr_factor",
                "is set; it is of LORA_VARIANT_LOKR, which is to be named with it", "OUT_OF_RANGE");
  } else if (lora.has_lokr_factor()) {
    checker.Integer(path + ".lokr_factor", lora.lokr_factor(), 1, kMaxRank);
  }
  CheckTargets(lora, path, checker);
}

void CheckTextualInversion(const v1::TextualInversion& inversion, const std::string& path,
                           FieldChecker& checker) {
  if (inversion.has_vectors()) {
    checker.Integer(path + ".vectors", inversion.vectors(), 1, kMaxVectors);
  }
  checker.Text(path + ".initial_text", inversion.initial_text(), kMaxInitialTextBytes);
  if (inversion.has_initial_text() && inversion.initial_text().empty()) {
    checker.Add(path + ".initial_text", "is empty; leave it out for the class noun",
                "OUT_OF_RANGE");
  }
}

void CheckPivotalTuning(const v1::PivotalTuning& pivotal, const std::string& path,
                        FieldChecker& checker) {
  CheckTextualInversion(pivotal.textual_inversion(), path + ".textual_inversion", checker);
  CheckLora(pivotal.lora(), path + ".lora", checker);
  if (pivotal.lora().train_text_encoder()) {
    checker.Add(path + ".lora.train_text_encoder",
                "is set; in pivotal tuning the text encoders get no update, false is allowed",
                "OUT_OF_RANGE");
  }
  if (pivotal.lora().has_text_encoder_learning_rate()) {
    checker.Add(path + ".lora.text_encoder_learning_rate",
                "is set; in pivotal tuning the text encoders get no update, leave it out",
                "OUT_OF_RANGE");
  }
  if (pivotal.lora().has_text_encoder_steps()) {
    checker.Add(path + ".lora.text_encoder_steps",
                "is set; in pivotal tuning the text encoders get no update, leave it out",
                "OUT_OF_RANGE");
  }
  if (pivotal.has_vectors_learning_rate()) {
    checker.RealAbove(path + ".vectors_learning_rate", pivotal.vectors_learning_rate(), 0, 1);
  }
}

void CheckHypernetwork(const v1::Hypernetwork& hypernetwork, const std::string& path,
                       FieldChecker& checker) {
  const auto& widths = hypernetwork.layer_structure();
  const std::string field = path + ".layer_structure";
  if (!widths.empty() && (widths.size() < kLeastLayers || widths.size() > kMaxLayers)) {
    checker.Add(field,
                absl::StrCat("has ", widths.size(), " numbers; ", kLeastLayers, " to ", kMaxLayers,
                             " are allowed"),
                "OUT_OF_RANGE");
  } else {
    for (int i = 0; i < widths.size(); ++i) {
      const std::string number = absl::StrCat(field, "[", i, "]");
      checker.RealAbove(number, widths[i], 0, 4);
      if ((i == 0 || i + 1 == widths.size()) && widths[i] != 1) {
        checker.Add(
            number,
            absl::StrCat("is ", NumberText(widths[i]), "; the first and the last must be 1"),
            "OUT_OF_RANGE");
      }
    }
  }
  if (!v1::HypernetworkActivation_IsValid(hypernetwork.activation())) {
    checker.Add(path + ".activation",
                absl::StrCat("is ", hypernetwork.activation(), ", which is not known"),
                "OUT_OF_RANGE");
  }
  if (!v1::WeightInitialization_IsValid(hypernetwork.weight_initialization())) {
    checker.Add(path + ".weight_initialization",
                absl::StrCat("is ", hypernetwork.weight_initialization(), ", which is not known"),
                "OUT_OF_RANGE");
  }
  if (hypernetwork.has_dropout()) {
    checker.RealBelow(path + ".dropout", hypernetwork.dropout(), 0, 1);
  }
}

// The learning rate of a job with Prodigy; nothing where that cannot be told.
std::optional<double> ProdigyRate(const v1::Training& said, const v1::Training* recommended) {
  if (said.has_learning_rate()) return said.learning_rate();
  if (recommended == nullptr) return std::nullopt;
  // A recommended rate is that of the optimizer recommended beside it.
  return recommended->optimizer() == v1::OPTIMIZER_PRODIGY ? recommended->learning_rate() : 1;
}

}  // namespace

void CheckProdigy(const v1::FineTuneSpec& spec, const v1::Training* recommended,
                  const std::string& path, FieldChecker& checker) {
  if (spec.training().optimizer() != v1::OPTIMIZER_PRODIGY) return;
  const auto rate = ProdigyRate(spec.training(), recommended);
  const auto same = [&](const std::string& field, bool said, double other) {
    if (!said || !rate || other == *rate) return;
    checker.Add(path + field,
                absl::StrCat("is ", NumberText(other), "; with the optimizer PRODIGY only ",
                             NumberText(*rate), ", the learning rate, is allowed"),
                "OUT_OF_RANGE");
  };
  const auto one = [&](const std::string& field, const v1::Lora& lora) {
    if (!lora.has_up_learning_rate_ratio() || lora.up_learning_rate_ratio() == 1) return;
    checker.Add(path + field,
                absl::StrCat("is ", NumberText(lora.up_learning_rate_ratio()),
                             "; with the optimizer PRODIGY only 1 is allowed"),
                "OUT_OF_RANGE");
  };
  const auto& dreambooth = spec.dreambooth();
  const auto& pivotal = spec.pivotal_tuning();
  same(".dreambooth.text_encoder_learning_rate",
       dreambooth.train_text_encoder() && dreambooth.has_text_encoder_learning_rate(),
       dreambooth.text_encoder_learning_rate());
  same(".lora.text_encoder_learning_rate",
       spec.lora().train_text_encoder() && spec.lora().has_text_encoder_learning_rate(),
       spec.lora().text_encoder_learning_rate());
  same(".pivotal_tuning.vectors_learning_rate", pivotal.has_vectors_learning_rate(),
       pivotal.vectors_learning_rate());
  one(".lora.up_learning_rate_ratio", spec.lora());
  one(".pivotal_tuning.lora.up_learning_rate_ratio", pivotal.lora());
}

void CheckMethod(const v1::FineTuneSpec& spec, const std::string& path, FieldChecker& checker) {
  CheckTextEncoder(spec.dreambooth(), path + ".dreambooth", checker);
  CheckLora(spec.lora(), path + ".lora", checker);
  CheckTextualInversion(spec.textual_inversion(), path + ".textual_inversion", checker);
  CheckPivotalTuning(spec.pivotal_tuning(), path + ".pivotal_tuning", checker);
  CheckHypernetwork(spec.hypernetwork(), path + ".hypernetwork", checker);
}

}  // namespace likeness::server
