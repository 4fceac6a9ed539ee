#include "worker/training/checkpoint.h"

#include "worker/base/error.h"
#include "worker/base/io/safetensors.h"

namespace likeness {
namespace {

constexpr const char* kWeight = "weight/";
constexpr const char* kFirstMoment = "adamw.m/";
constexpr const char* kSecondMoment = "adamw.v/";
constexpr const char* kSteps = "adamw.steps";

std::vector<torch::Tensor> Read(const SafetensorsFile& file, const std::string& prefix,
                                const std::vector<std::string>& names,
                                const std::vector<torch::Tensor>& like) {
  std::vector<torch::Tensor> tensors;
  for (size_t i = 0; i < names.size(); ++i) {
    const std::string name = prefix + names[i];
    if (!file.Contains(name) || file.Get(name).sizes() != like[i].sizes()) {
      throw Error(ErrorKind::kFailedPrecondition,
                  "the checkpoint holds no " + name + " of the shape that is trained");
    }
    tensors.push_back(file.Get(name));
  }
  return tensors;
}

void CheckMetadata(const std::map<std::string, std::string>& metadata, const std::string& job) {
  const auto saved_job = metadata.find("job");
  if (saved_job == metadata.end() || saved_job->second != job || !metadata.contains("step")) {
    throw Error(ErrorKind::kFailedPrecondition,
                "the checkpoint belongs to a job with another model, settings or photos");
  }
}

}  // namespace

void SaveTrainingState(const std::filesystem::path& file, const std::string& job,
                       const TrainingState& state, const std::vector<std::string>& names,
                       const std::vector<torch::Tensor>& masters, const AdamW& optimizer) {
  NamedTensors tensors;
  for (size_t i = 0; i < names.size(); ++i) {
    tensors.emplace_back(kWeight + names[i], masters[i]);
    tensors.emplace_back(kFirstMoment + names[i], optimizer.first_moments()[i]);
    tensors.emplace_back(kSecondMoment + names[i], optimizer.second_moments()[i]);
  }
  tensors.emplace_back(kSteps, optimizer.steps());
  tensors.emplace_back("losses", torch::tensor(state.losses, torch::kFloat32));
  WriteSafetensors(file, tensors, {{"job", job}, {"step", std::to_string(state.step)}});
}

TrainingState LoadTrainingState(const std::filesystem::path& file, const std::string& job,
                                const std::vector<std::string>& names,
                                const std::vector<torch::Tensor>& masters, AdamW& optimizer) {
  torch::NoGradGuard no_grad;
  const SafetensorsFile checkpoint = SafetensorsFile::Open(file);
  CheckMetadata(checkpoint.metadata(), job);
  TrainingState state{.step = std::stoll(checkpoint.metadata().at("step"))};
  const torch::Tensor losses = checkpoint.Get("losses").contiguous();
  state.losses.assign(losses.const_data_ptr<float>(),
                      losses.const_data_ptr<float>() + losses.numel());

  const auto weights = Read(checkpoint, kWeight, names, masters);
  const torch::Tensor steps =
      checkpoint.Contains(kSteps) ? checkpoint.Get(kSteps) : torch::tensor(state.step);
  optimizer.Restore(steps, Read(checkpoint, kFirstMoment, names, masters),
                    Read(checkpoint, kSecondMoment, names, masters));
  for (size_t i = 0; i < masters.size(); ++i) masters[i].detach().copy_(weights[i]);
  return state;
}

}  // namespace likeness
