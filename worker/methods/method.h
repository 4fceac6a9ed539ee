// The ways to teach a model a subject, as rows of a table: what is trained and how it enters the
// forward pass, how it is written, and how what was written is drawn with. A method owns no loop.
#pragma once

#include <torch/torch.h>

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "third_party/nlohmann/json_fwd.hpp"
#include "worker/base/io/safetensors.h"
#include "worker/families/family.h"
#include "worker/methods/method_spec.h"
#include "worker/methods/trained_memory.h"
#include "worker/training/attached.h"

namespace likeness {

struct WriteSpec {
  std::filesystem::path base_model;  // the diffusers directory that the model was loaded from
  std::filesystem::path out;         // made, whole or not at all; must not exist
  torch::ScalarType dtype = torch::kFloat32;
  std::function<void()> poll = {};  // called on the way of a whole model; may throw to stop
};

// While one lives, the model computes with an adapter over it; the model's own values are never
// written to. The model outlives this.
class AppliedAdapter {
 public:
  virtual ~AppliedAdapter() = default;
};

// Several, laid over the model as one.
class AppliedTogether : public AppliedAdapter {
 public:
  explicit AppliedTogether(std::vector<std::unique_ptr<AppliedAdapter>> adapters)
      : adapters_(std::move(adapters)) {}

 private:
  std::vector<std::unique_ptr<AppliedAdapter>> adapters_;
};

// What adapters change, added up.
struct MergedAdapters {
  // By part and layer, "unet/down_blocks.0.attentions.0.proj_in": what is added to the layer's
  // weight, of its shape, float32, on its device.
  std::map<std::string, torch::Tensor> changes;
  std::vector<NewWord> words;

  void Add(const std::string& layer, const torch::Tensor& change);
};

struct MethodRow {
  std::string_view name;  // as the contract calls it
  // The model outlives what is attached to it. What this throws (memory) leaves it as it was.
  std::unique_ptr<Attached> (*attach)(Family& model, const MethodSpec& spec);
  // What that takes of memory, reckoned from the model's sizes.
  TrainedMemory (*trained_memory)(const Family& model, const MethodSpec& spec);
  // Writes what was trained, and the card. Errors as WritePersonalizedModel's
  // (worker/exports/personalized_model.h).
  void (*write)(Family& model, Attached& attached, const WriteSpec& spec,
                const nlohmann::json& card);
  // Null where what is written is a model of its own. Else that is an adapter: lays the one in
  // `directory` over the model, its effect times `strength`. Errors: kFailedPrecondition where it
  // does not fit the model; those of SafetensorsFile::Open.
  std::unique_ptr<AppliedAdapter> (*apply)(Family& model, const std::filesystem::path& directory,
                                           double strength);
  // The same as changes of the model's weights and as words, added to `merged`; the model stays.
  // Null where the adapter is no such change: a network of its own, or a whole model.
  void (*merge)(Family& model, const std::filesystem::path& directory, double strength,
                MergedAdapters& merged);
  // The trained values in `directory` under the names of `attached`, which is of this method. Null
  // for a whole model. Errors: kFailedPrecondition where the adapter was made with other settings;
  // those of SafetensorsFile::Open.
  NamedTensors (*read)(Family& model, Attached& attached, const std::filesystem::path& directory);
};

// kInvalidArgument, with the names that are known, for any other.
const MethodRow& FindMethod(std::string_view name);
std::vector<std::string> MethodNames();

}  // namespace likeness
