#include "client/cli/method_flags.h"

#include <algorithm>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "client/cli/enum_flag.h"
#include "common/fine_tune_methods.h"
#include "common/status_macros.h"

namespace likeness::client {
namespace {

// The message of a method within it: that itself, or the part of it that is one. Null if neither.
template <typename Part>
Part* PartOf(google::protobuf::Message& method) {
  if (method.GetDescriptor() == Part::descriptor()) return static_cast<Part*>(&method);
  for (int i = 0; i < method.GetDescriptor()->field_count(); ++i) {
    const auto* field = method.GetDescriptor()->field(i);
    if (field->message_type() != Part::descriptor()) continue;
    return static_cast<Part*>(method.GetReflection()->MutableMessage(&method, field));
  }
  return nullptr;
}

absl::Status SetLora(const MethodFlags& flags, google::protobuf::Message& method) {
  if (!flags.rank && !flags.alpha && !flags.variant && !flags.up_rate_ratio) {
    return absl::OkStatus();
  }
  v1::Lora* lora = PartOf<v1::Lora>(method);
  if (lora == nullptr) {
    return absl::InvalidArgumentError(
        "--rank, --alpha, --variant and --up-rate-ratio are of LoRA: use --method lora or "
        "pivotal_tuning.");
  }
  if (flags.rank) lora->set_rank(*flags.rank);
  if (flags.alpha) lora->set_alpha(*flags.alpha);
  if (flags.up_rate_ratio) lora->set_up_learning_rate_ratio(*flags.up_rate_ratio);
  if (!flags.variant) return absl::OkStatus();
  ASSIGN_OR_RETURN(const auto variant, ParseEnumFlag<v1::LoraVariant>("variant", *flags.variant));
  lora->set_variant(variant);
  return absl::OkStatus();
}

absl::Status SetHypernetwork(const MethodFlags& flags, google::protobuf::Message& method) {
  if (!flags.layer_structure && !flags.activation) return absl::OkStatus();
  auto* hypernetwork = PartOf<v1::Hypernetwork>(method);
  if (hypernetwork == nullptr) {
    return absl::InvalidArgumentError(
        "--layer-structure and --activation are of hypernetworks: use --method hypernetwork.");
  }
  if (flags.layer_structure) {
    for (absl::string_view text : absl::StrSplit(*flags.layer_structure, ',')) {
      double width = 0;
      if (!absl::SimpleAtod(text, &width)) {
        return absl::InvalidArgumentError(
            absl::StrCat("--layer-structure is '", *flags.layer_structure,
                         "'; numbers with commas between are needed: 1,2,1."));
      }
      hypernetwork->add_layer_structure(width);
    }
  }
  if (!flags.activation) return absl::OkStatus();
  ASSIGN_OR_RETURN(const auto activation,
                   ParseEnumFlag<v1::HypernetworkActivation>("activation", *flags.activation));
  hypernetwork->set_activation(activation);
  return absl::OkStatus();
}

absl::Status SetVectors(const MethodFlags& flags, google::protobuf::Message& method) {
  if (!flags.vectors) return absl::OkStatus();
  auto* word = PartOf<v1::TextualInversion>(method);
  if (word == nullptr) {
    return absl::InvalidArgumentError(
        "--vectors is of Textual Inversion: use --method textual_inversion or pivotal_tuning.");
  }
  word->set_vectors(*flags.vectors);
  return absl::OkStatus();
}

// `method`: one that may train the text encoders.
template <typename Method>
void SetTextEncoderOf(const MethodFlags& flags, Method& method) {
  if (flags.train_text_encoder) method.set_train_text_encoder(*flags.train_text_encoder);
  if (flags.text_encoder_steps) method.set_text_encoder_steps(*flags.text_encoder_steps);
}

absl::Status SetTextEncoder(const MethodFlags& flags, v1::FineTuneSpec& spec) {
  if (!flags.train_text_encoder && !flags.text_encoder_steps) return absl::OkStatus();
  if (spec.has_dreambooth()) {
    SetTextEncoderOf(flags, *spec.mutable_dreambooth());
  } else if (spec.has_lora()) {
    SetTextEncoderOf(flags, *spec.mutable_lora());
  } else {
    return absl::InvalidArgumentError(
        absl::StrCat(flags.train_text_encoder ? "--train-text-encoder" : "--text-encoder-steps",
                     " means nothing with --method ", flags.method, "."));
  }
  return absl::OkStatus();
}

}  // namespace

void MethodFlags::AddTo(FlagSet& flags) {
  flags.AddHeading("Method (what is not given is the base model's recommendation)");
  flags
      .Add(
          "method", &method,
          "dreambooth makes a whole model; the others make an adapter over its base: lora of a few "
          "megabytes, textual_inversion of a few kilobytes, pivotal_tuning (both in one), "
          "hypernetwork, custom_diffusion, svdiff.")
      .Takes(absl::StrJoin(FineTuneMethods(), "|"));
  flags.Add("train-text-encoder", &train_text_encoder,
            "Better likeness, more memory; --no-train-text-encoder: the UNet alone.");
  flags.Add("text-encoder-steps", &text_encoder_steps,
            "Steps after which the text encoder is no longer changed, 1 to 100000.");
  flags.Add("rank", &rank, "Rank of a LoRA's updates, 1 to 256.");
  flags.Add("alpha", &alpha, "A LoRA's updates are scaled by alpha / rank [the rank].");
  flags.Add("variant", &variant, "How a LoRA's updates are factored.")
      .Takes(EnumWordsWithBars<v1::LoraVariant>());
  flags.Add("up-rate-ratio", &up_rate_ratio,
            "LoRA+: learning rate of the up factors as a multiple of the others', 1 to 1000.");
  flags.Add("vectors", &vectors, "Vectors of a Textual Inversion word, 1 to 64.");
  flags
      .Add("layer-structure", &layer_structure,
           "Layer widths as multiples of the context width, 3 to 8 numbers.")
      .Takes("NUMBERS");
  flags.Add("activation", &activation, "Activation function between a hypernetwork's layers.")
      .Takes(EnumWordsWithBars<v1::HypernetworkActivation>());
}

absl::Status MethodFlags::SetIn(v1::FineTuneSpec& spec) const {
  const auto methods = FineTuneMethods();
  if (std::find(methods.begin(), methods.end(), method) == methods.end()) {
    return absl::InvalidArgumentError(absl::StrCat("--method is '", method, "'; ",
                                                   absl::StrJoin(methods, ", "), " are allowed."));
  }
  const auto* field = v1::FineTuneSpec::descriptor()->FindFieldByName(method);
  google::protobuf::Message& message = *spec.GetReflection()->MutableMessage(&spec, field);
  RETURN_IF_ERROR(SetLora(*this, message));
  RETURN_IF_ERROR(SetVectors(*this, message));
  RETURN_IF_ERROR(SetHypernetwork(*this, message));
  return SetTextEncoder(*this, spec);
}

}  // namespace likeness::client
