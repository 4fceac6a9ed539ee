#include "worker/methods/svdiff.h"

#include <algorithm>
#include <map>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "third_party/nlohmann/json.hpp"
#include "worker/base/error.h"
#include "worker/base/io/safetensors.h"
#include "worker/exports/model_directory.h"
#include "worker/methods/adapter_training.h"
#include "worker/methods/layer_update.h"

namespace likeness {
namespace {

constexpr const char* kShiftsFile = "spectral_shifts.safetensors";
constexpr const char* kShift = ".shift";

// Of a weight as a matrix: K singular values from the largest, float32.
struct Spectrum {
  torch::Tensor left_OK, values_K, right_KI;

  explicit Spectrum(const torch::Tensor& weight) {
    torch::NoGradGuard no_grad;
    const auto matrix_OI = weight.detach().to(torch::kFloat32).flatten(1);
    std::tie(left_OK, values_K, right_KI) = torch::linalg_svd(matrix_OI, /*full_matrices=*/false);
  }

  // What the weight changes by. Differentiable in the shifts.
  torch::Tensor Change(const torch::Tensor& shifts_K, at::IntArrayRef shape) const {
    const auto moved_K = torch::relu(values_K + shifts_K.to(torch::kFloat32)) - values_K;
    return torch::mm(left_OK * moved_K, right_KI).view(shape);
  }
};

struct NewShifts {
  std::vector<HookableLayer> layers;
  std::vector<Spectrum> spectra;  // of the layers' own weights
  std::vector<TrainedPart> parts;
};

NewShifts BeginShifts(const Family& model, double learning_rate) {
  NewShifts begun;
  for (const Part& part : DenoisersOf(model)) {
    TrainedPart trained{part.name, {}, learning_rate};
    for (const HookableLayer& layer : LayersOf(*part.module)) {
      const int64_t out = layer.weight.size(0), in = layer.weight.numel() / out;
      trained.parameters.emplace_back(
          layer.name + kShift,
          torch::zeros({std::min(out, in)}, layer.weight.options().dtype(torch::kFloat32)));
      begun.layers.push_back(layer);
      begun.spectra.emplace_back(layer.weight);
    }
    begun.parts.push_back(std::move(trained));
  }
  return begun;
}

class SvdiffTraining : public AdapterTraining {
 public:
  SvdiffTraining(const Family& model, const NewShifts& begun, torch::ScalarType compute)
      : AdapterTraining(begun.parts, ModulesOf(DenoisersOf(model)), compute) {
    size_t number = 0;
    for (const TrainedPart& part : begun.parts) {
      for (const auto& [name, shifts_K] : part.parameters) {
        const HookableLayer& layer = begun.layers[number];
        updates_.push_back(std::make_unique<WeightUpdate>(
            layer,
            [spectrum = begun.spectra[number], shifts_K = shifts_K,
             shape = layer.weight.sizes().vec()] { return spectrum.Change(shifts_K, shape); }));
        ++number;
      }
    }
  }

 private:
  std::vector<std::unique_ptr<WeightUpdate>> updates_;
};

std::vector<WeightChange> ChangesOfShifts(const Family& model,
                                          const std::filesystem::path& directory, double strength) {
  const SafetensorsFile file = SafetensorsFile::Open(directory / kShiftsFile);
  std::map<std::string, WeightChange> layers;
  for (const Part& part : DenoisersOf(model)) {
    for (const HookableLayer& layer : LayersOf(*part.module)) {
      layers[part.name + "/" + layer.name + kShift] = {part.name, layer, {}};
    }
  }
  torch::NoGradGuard no_grad;
  std::vector<WeightChange> changes;
  for (const std::string& name : file.Names()) {
    const auto found = layers.find(name);
    const auto shifts_K = file.Get(name);
    bool fits = found != layers.end() && shifts_K.dim() == 1 && shifts_K.is_floating_point();
    if (fits) {
      const auto& weight = found->second.layer.weight;
      const int64_t out = weight.size(0);
      fits = shifts_K.size(0) == std::min(out, weight.numel() / out);
    }
    if (!fits) {
      throw Error(ErrorKind::kFailedPrecondition,
                  "the adapter has " + name + ", which this model does not have in this shape");
    }
    if (strength == 0) continue;
    WeightChange change = found->second;
    const auto& weight = change.layer.weight;
    change.change =
        Spectrum(weight).Change(shifts_K.to(weight.device()), weight.sizes()) * strength;
    changes.push_back(std::move(change));
  }
  return changes;
}

}  // namespace

std::unique_ptr<Attached> AttachSvdiff(Family& model, const MethodSpec& spec) {
  return std::make_unique<SvdiffTraining>(model, BeginShifts(model, spec.learning_rate),
                                          spec.compute);
}

TrainedMemory MemoryOfSvdiff(const Family& model, const MethodSpec&) {
  TrainedMemory memory;
  for (const Part& part : DenoisersOf(model)) {
    for (const HookableLayer& layer : LayersOf(*part.module)) {
      const int64_t out = layer.weight.size(0), in = layer.weight.numel() / out;
      const int64_t values = std::min(out, in);
      memory.trained += values;
      memory.held += values * (out + in);  // singular vectors
      memory.weight_changes += values * out + layer.weight.numel();
    }
  }
  return memory;
}

void WriteSvdiff(Family&, Attached& attached, const WriteSpec& spec, const nlohmann::json& card) {
  NamedTensors shifts;
  for (size_t i = 0; i < attached.names().size(); ++i) {
    shifts.emplace_back(attached.names()[i], attached.masters()[i].detach());
  }
  shifts = InDtype(shifts, spec.dtype);
  for (auto& [name, shifts_K] : shifts) shifts_K = shifts_K.cpu();
  MakeModelDirectory(spec.out, card, [&](const std::filesystem::path& partial) {
    WriteSafetensors(partial / kShiftsFile, shifts, {{"format", "pt"}});
    const SafetensorsFile read = SafetensorsFile::Open(partial / kShiftsFile);
    for (const auto& [name, shifts_K] : shifts) {
      if (torch::equal(read.Get(name), shifts_K)) continue;
      throw Error(ErrorKind::kInternal, "the shifts are not read back as they were written");
    }
  });
}

std::unique_ptr<AppliedAdapter> ApplySvdiff(Family& model, const std::filesystem::path& directory,
                                            double strength) {
  return ApplyChanges(ChangesOfShifts(model, directory, strength));
}

void MergeSvdiff(Family& model, const std::filesystem::path& directory, double strength,
                 MergedAdapters& merged) {
  MergeChanges(ChangesOfShifts(model, directory, strength), merged);
}

NamedTensors ReadTrainedSvdiff(Family&, Attached&, const std::filesystem::path& directory) {
  const SafetensorsFile file = SafetensorsFile::Open(directory / kShiftsFile);
  NamedTensors values;
  for (const std::string& name : file.Names()) values.emplace_back(name, file.Get(name));
  return values;
}

}  // namespace likeness
