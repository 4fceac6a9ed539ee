#include "worker/methods/model_card.h"

#include <torch/version.h>

#include <algorithm>

#include "third_party/nlohmann/json.hpp"

namespace likeness {
namespace {

// A curve of at most this many points; beyond, each is the mean of as many neighbours as needed.
constexpr size_t kCurvePoints = 1000;

nlohmann::json LossCurve(const std::vector<float>& losses) {
  const size_t width = (losses.size() + kCurvePoints - 1) / kCurvePoints;
  nlohmann::json curve = nlohmann::json::array();
  for (size_t begin = 0; begin < losses.size(); begin += width) {
    const size_t end = std::min(losses.size(), begin + width);
    double sum = 0;
    for (size_t i = begin; i < end; ++i) sum += losses[i];
    curve.push_back({{"step", end}, {"loss", sum / static_cast<double>(end - begin)}});
  }
  return curve;
}

}  // namespace

nlohmann::json ModelCard(const std::string& base_digest, const FineTuneOptions& options,
                         const FineTuneResult& result) {
  nlohmann::json card = {
      {"format", 1},
      {"method", options.method},
      {"token", options.token},
      {"class_noun", options.class_noun},
      {"prompt", options.InstancePrompt()},
      {"base", {{"digest", base_digest}}},
      {"settings", SettingsJson(options)},
      {"loss", LossCurve(result.losses)},
      {"versions", {{"likeness", LIKENESS_VERSION}, {"torch", TORCH_VERSION}}},
  };
  if (!options.other_subjects.empty()) {
    for (const LearnedSubject* subject : options.Subjects()) {
      card["subjects"].push_back({{"token", subject->token}, {"class_noun", subject->class_noun}});
    }
  }
  if (result.best_step) {
    card["best_step"] = *result.best_step;
    const bool losses = options.lowest_validation_loss;
    for (const ScoredStep& scored : result.scores) {
      card[losses ? "validation_losses" : "scores"].push_back(
          {{"step", scored.step},
           {losses ? "loss" : "score", losses ? -scored.score : scored.score}});
    }
  }
  if (result.validation_loss_before && result.validation_loss_after) {
    card["validation_loss"] = {{"before", *result.validation_loss_before},
                               {"after", *result.validation_loss_after}};
  }
  return card;
}

}  // namespace likeness
