#include "worker/catalog/resident_model.h"

#include "worker/checkpoints/pipeline.h"

namespace likeness {

ResidentModel::ResidentModel(c10::Device device) : device_(device) {}
ResidentModel::ResidentModel(ResidentModel&&) = default;
ResidentModel::~ResidentModel() = default;

Pipeline& ResidentModel::Get(const std::string& name, const std::string& digest,
                             const std::filesystem::path& directory) {
  if (!Holds(name, digest)) {
    Drop();
    pipeline_ = std::make_unique<Pipeline>(
        LoadPipeline(directory, {.device = device_, .dtype = torch::kFloat32}));
    name_ = name;
    digest_ = digest;
  }
  return *pipeline_;
}

void ResidentModel::Drop() {
  pipeline_.reset();
  name_.clear();
  digest_.clear();
}

bool ResidentModel::Holds(const std::string& name, const std::string& digest) const {
  return pipeline_ && name_ == name && digest_ == digest;
}

}  // namespace likeness
