#include "worker/training/checkpoint.h"

#include <cmath>
#include <limits>
#include <optional>

#include "worker/base/error.h"

namespace likeness {
namespace {

constexpr const char* kAdamWSteps = "adamw.steps";
constexpr const char* kLossScale = "loss_scale";
constexpr const char* kScores = "scores";
constexpr const char* kScoredSteps = "scored_steps";
constexpr const char* kMeasured = "measured";
constexpr const char* kMeasuredSteps = "measured_steps";

// All that is trained, by the names that the file has for it; the run's own tensors.
NamedTensors TensorsOf(const TrainedState& trained) {
  NamedTensors tensors;
  const auto add = [&](const char* kind, const std::vector<torch::Tensor>& values) {
    for (size_t i = 0; i < values.size(); ++i) {
      tensors.emplace_back(kind + ("/" + trained.names[i]), values[i].detach());
    }
  };
  add("weight", trained.masters);
  if (trained.average != nullptr) add("average", trained.average->averages());
  const NamedTensors state = trained.optimizer.State(trained.names);
  tensors.insert(tensors.end(), state.begin(), state.end());
  if (trained.loss_scale != nullptr) {
    tensors.emplace_back(kLossScale, trained.loss_scale->state());
  }
  return tensors;
}

// What the file holds for a tensor.
torch::Tensor Read(const SafetensorsFile& file, const std::string& name,
                   const torch::Tensor& like) {
  if (file.Contains(name)) {
    const torch::Tensor stored = file.Get(name);
    if (stored.sizes() == like.sizes() && stored.scalar_type() == like.scalar_type()) return stored;
    if (name == kLossScale && stored.dim() == 1 && stored.numel() == 2) {
      return torch::cat({stored.to(like.scalar_type()), torch::zeros({1}, like.options())});
    }
  } else if (name == kAdamWSteps) {
    return torch::full_like(like, std::stoll(file.metadata().at("step")));
  }
  throw Error(ErrorKind::kFailedPrecondition,
              "the checkpoint holds no " + name + " of the shape that is trained");
}

void AddBest(const BestStep& best, const std::vector<std::string>& names, NamedTensors& tensors) {
  if (best.scores().empty()) return;
  std::vector<double> scores;
  std::vector<int64_t> steps;
  for (const auto& scored : best.scores()) {
    scores.push_back(scored.score);
    steps.push_back(scored.step);
  }
  tensors.emplace_back(kScores, torch::tensor(scores, torch::kFloat64));
  tensors.emplace_back(kScoredSteps, torch::tensor(steps, torch::kInt64));
  for (size_t i = 0; i < names.size(); ++i) {
    tensors.emplace_back("best/" + names[i], best.masters()[i]);
  }
}

BestStep ReadBest(const SafetensorsFile& file, const TrainedState& trained) {
  BestStep best;
  if (!file.Contains(kScores) || !file.Contains(kScoredSteps)) return best;
  const auto scores = file.Get(kScores).to(torch::kFloat64).contiguous();
  const auto steps = file.Get(kScoredSteps).to(torch::kInt64).contiguous();
  if (scores.dim() != 1 || !scores.sizes().equals(steps.sizes())) {
    throw Error(ErrorKind::kDataLoss, "the checkpoint's scores and their steps do not match");
  }
  std::vector<ScoredStep> scored;
  for (int64_t i = 0; i < scores.numel(); ++i) {
    scored.push_back({steps.const_data_ptr<int64_t>()[i], scores.const_data_ptr<double>()[i]});
  }
  std::vector<torch::Tensor> kept;
  for (size_t i = 0; i < trained.names.size(); ++i) {
    kept.push_back(Read(file, "best/" + trained.names[i], trained.masters[i]).clone());
  }
  best.Restore(std::move(scored), std::move(kept));
  return best;
}

void AddMeasuredSteps(const std::vector<MeasuredStep>& steps, NamedTensors& tensors) {
  if (steps.empty()) return;
  constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
  std::vector<double> values;
  std::vector<int64_t> numbers;
  for (const auto& [step, measured] : steps) {
    values.push_back(measured.validation_loss.value_or(kNone));
    values.push_back(measured.subject_score.value_or(kNone));
    values.push_back(measured.prompt_score.value_or(kNone));
    numbers.push_back(step);
  }
  tensors.emplace_back(kMeasured, torch::tensor(values, torch::kFloat64).view({-1, 3}));
  tensors.emplace_back(kMeasuredSteps, torch::tensor(numbers, torch::kInt64));
}

std::vector<MeasuredStep> ReadMeasuredSteps(const SafetensorsFile& file) {
  std::vector<MeasuredStep> steps;
  if (!file.Contains(kMeasured) || !file.Contains(kMeasuredSteps)) return steps;
  const auto values = file.Get(kMeasured).to(torch::kFloat64).contiguous();
  const auto numbers = file.Get(kMeasuredSteps).to(torch::kInt64).contiguous();
  if (numbers.dim() != 1 || !values.sizes().equals({numbers.numel(), 3})) {
    throw Error(ErrorKind::kDataLoss, "the checkpoint's measurements and their steps do not match");
  }
  const double* value = values.const_data_ptr<double>();
  const auto next = [&]() -> std::optional<double> {
    const double read = *value++;
    return std::isnan(read) ? std::nullopt : std::optional(read);
  };
  for (int64_t i = 0; i < numbers.numel(); ++i) {
    Measured measured;
    measured.validation_loss = next();
    measured.subject_score = next();
    measured.prompt_score = next();
    steps.push_back({numbers.const_data_ptr<int64_t>()[i], measured});
  }
  return steps;
}

void CheckMetadata(const std::map<std::string, std::string>& metadata, const std::string& job) {
  const auto saved_job = metadata.find("job");
  if (saved_job == metadata.end() || saved_job->second != job || !metadata.contains("step")) {
    throw Error(ErrorKind::kFailedPrecondition,
                "the checkpoint belongs to a job with another model, settings or photos");
  }
}

}  // namespace

CheckpointContents ContentsOf(const std::string& job, const TrainingState& state,
                              const TrainedState& trained) {
  CheckpointContents contents{.tensors = TensorsOf(trained),
                              .metadata = {{"job", job}, {"step", std::to_string(state.step)}}};
  contents.tensors.emplace_back("losses", torch::tensor(state.losses, torch::kFloat32));
  AddBest(state.best, trained.names, contents.tensors);
  AddMeasuredSteps(state.measured, contents.tensors);
  return contents;
}

TrainingState LoadTrainingState(const std::filesystem::path& file, const std::string& job,
                                const TrainedState& trained) {
  torch::NoGradGuard no_grad;
  const SafetensorsFile checkpoint = SafetensorsFile::Open(file);
  CheckMetadata(checkpoint.metadata(), job);
  TrainingState state{.step = std::stoll(checkpoint.metadata().at("step"))};
  const torch::Tensor losses = checkpoint.Get("losses").contiguous();
  state.losses.assign(losses.const_data_ptr<float>(),
                      losses.const_data_ptr<float>() + losses.numel());

  state.best = ReadBest(checkpoint, trained);
  state.measured = ReadMeasuredSteps(checkpoint);
  NamedTensors tensors = TensorsOf(trained);
  // All is found before the first is written to.
  std::vector<torch::Tensor> stored;
  for (const auto& [name, tensor] : tensors) stored.push_back(Read(checkpoint, name, tensor));
  for (size_t i = 0; i < tensors.size(); ++i) tensors[i].second.copy_(stored[i]);
  if (trained.average != nullptr) trained.average->set_updates(state.step);
  return state;
}

}  // namespace likeness
