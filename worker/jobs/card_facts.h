// What jobs read of a personalized model's card (kCardFile), and the card of one that was only
// rehearsed.
#pragma once

#include <filesystem>
#include <string>

#include "likeness/v1/fine_tune.pb.h"
#include "worker/exports/personalized_model.h"
#include "worker/jobs/prompts.h"

namespace likeness {

inline constexpr char kModelDir[] = "model";  // of its files, among the outputs as on disk

struct CardFacts {
  PromptWords words;
  std::string method;  // a row of worker/methods/method.h; "dreambooth" where the card says none
  std::string lora_variant;      // "dora", ...; empty for plain LoRA and where there is no update
  std::string base_digest;       // of the base model that it was made from
  int rehearsed_image_size = 0;  // pixels; 0 for a model that was trained
};

// Throws Error (kFailedPrecondition) for what is no card.
CardFacts ReadCardFacts(const std::filesystem::path& file);

// The JSON of the card.
std::string RehearsedCard(const v1::FineTuneSpec& spec, int image_size);

}  // namespace likeness
