#include "worker/catalog/warm_base.h"

#include <algorithm>
#include <exception>
#include <set>

#include "absl/strings/str_cat.h"
#include "common/rpc_error.h"
#include "worker/checkpoints/file_kind.h"
#include "worker/checkpoints/model_digest.h"
#include "worker/families/diffusers_directory.h"
#include "worker/support/guard.h"

namespace likeness {
namespace {

// Files that only one of the two has, or that differ.
std::set<std::string> Differences(const std::map<std::string, std::string>& a,
                                  const std::map<std::string, std::string>& b) {
  std::set<std::string> names;
  for (const auto& [name, digest] : a) {
    const auto found = b.find(name);
    if (found == b.end() || found->second != digest) names.insert(name);
  }
  for (const auto& [name, digest] : b) {
    if (!a.contains(name)) names.insert(name);
  }
  return names;
}

}  // namespace

WarmBase::WarmBase(c10::Device device, c10::ScalarType drawing)
    : device_(device), drawing_(drawing) {}
WarmBase::WarmBase(WarmBase&&) = default;
WarmBase::~WarmBase() = default;

Family& WarmBase::Get(const std::string& name, const std::string& digest,
                      const std::filesystem::path& directory, const std::function<void()>& poll) {
  const Id wanted{name, digest};
  if (model_ && wanted == (on_top_ == Id{} ? base_ : on_top_)) return *model_;
  TakeOff();
  if (model_ && wanted == base_) return *model_;

  const LoadOptions options{
      .device = device_, .dtype = torch::kFloat32, .drawing_dtype = drawing_, .poll = poll};
  const FileDigests files = ModelFileDigests(directory, poll);
  bool more = true;
  const auto parts = model_ ? DifferingParts(files, more) : std::vector<Part>();
  if (more) return LoadWhole(wanted, directory, files, options);
  bool out_of_memory = false;
  try {
    for (const Part& part : parts) {
      for (const auto& parameter : part.module->parameters()) {
        covered_.emplace_back(parameter, parameter.variable_data());
      }
      LoadWeights(directory, part, options);
    }
  } catch (...) {
    TakeOff();
    if (!IsOutOfMemory(std::current_exception())) throw;
    out_of_memory = true;
  }
  if (out_of_memory) return LoadWhole(wanted, directory, files, options);
  on_top_ = wanted;
  model_->set_digest(ModelDigest(files));
  return *model_;
}

Family& WarmBase::GetBase(const std::string& name, const std::string& digest,
                          const std::filesystem::path& directory,
                          const std::function<void()>& poll) {
  // Also where it is in memory: what a job writes takes the other parts from the files.
  const std::string found = ModelDigest(directory, poll);
  if (found != digest) {
    ThrowIfError(
        RpcError(absl::StatusCode::kFailedPrecondition, "BASE_MODEL_CHANGED",
                 absl::StrCat(name, " has digest ", found, " by now; the worker offers it with ",
                              digest, ". Restart the worker to have it offered as it is")));
  }
  return Get(name, digest, directory, poll);
}

Family& WarmBase::LoadWhole(Id id, const std::filesystem::path& directory, const FileDigests& files,
                            const LoadOptions& options) {
  Drop();
  model_ = LoadModel(directory, options);
  base_ = std::move(id);
  base_files_ = files;
  return *model_;
}

void WarmBase::Drop() {
  covered_.clear();
  model_.reset();
  base_ = on_top_ = {};
  base_files_.clear();
}

std::vector<std::string> WarmBase::names() const {
  std::vector<std::string> names;
  if (model_ && !(on_top_ == Id{})) names.push_back(on_top_.name);
  if (model_) names.push_back(base_.name);
  return names;
}

std::vector<Part> WarmBase::DifferingParts(const FileDigests& files, bool& more) const {
  std::set<std::string> folders;
  more = false;
  for (const auto& file : Differences(base_files_, files)) {
    if (KindOfFile(file) != FileKind::kWeights) more = true;
    folders.insert(file.substr(0, file.find('/')));
  }
  std::vector<Part> parts;
  for (const Part& part : model_->Parts()) {
    if (folders.erase(part.name) > 0) parts.push_back(part);
  }
  more = more || !folders.empty();
  return parts;
}

void WarmBase::TakeOff() noexcept {
  for (auto& [parameter, value] : covered_) parameter.set_data(value);
  covered_.clear();
  on_top_ = {};
  if (model_) model_->set_digest(ModelDigest(base_files_));
}

}  // namespace likeness
