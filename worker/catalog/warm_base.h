// The last model stays in memory, and with it the base that it came from: a run of jobs on one base
// and its personalizations reads the base once.
#pragma once

#include <torch/torch.h>

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "worker/families/family.h"
#include "worker/families/load_options.h"

namespace likeness {

// Not thread safe.
class WarmBase {
 public:
  // `drawing`: what pictures are drawn in.
  explicit WarmBase(c10::Device device, c10::ScalarType drawing = torch::kFloat32);
  WarmBase(WarmBase&&);
  ~WarmBase();

  // The model called `name` whose files are `digest`, from `directory` unless it is in memory.
  // Where it is what the base in memory is but for the weights of some parts, those alone are read
  // and take the base's place until another model is asked for; else the base is let go first. The
  // reference holds until the next call. Throws Error as LoadModel does; the base is then in memory
  // as it was, or gone. Where memory does not suffice beside the base, that is let go and the whole
  // model read. `poll` is called on the way; what it throws ends the loading.
  Family& Get(const std::string& name, const std::string& digest,
              const std::filesystem::path& directory, const std::function<void()>& poll = {});

  // The same for a base model, of which `digest` is the ModelDigest. Throws StatusError
  // FAILED_PRECONDITION (BASE_MODEL_CHANGED) where the files in `directory` are others by now.
  Family& GetBase(const std::string& name, const std::string& digest,
                  const std::filesystem::path& directory, const std::function<void()>& poll = {});

  // Lets all go: an error may have left the model other than it was loaded.
  void Drop();

  // Of the models that Get gives at once: the last one, and its base. Empty when there is none.
  std::vector<std::string> names() const;
  c10::Device device() const { return device_; }
  c10::ScalarType drawing_dtype() const { return drawing_; }

 private:
  using FileDigests = std::map<std::string, std::string>;
  struct Id {
    std::string name, digest;
    bool operator==(const Id&) const = default;
  };

  Family& LoadWhole(Id id, const std::filesystem::path& directory, const FileDigests& files,
                    const LoadOptions& options);
  // The base's parts whose weights differ in the files of another model; nothing where the two
  // differ in more than that.
  std::vector<Part> DifferingParts(const FileDigests& files, bool& more) const;
  void TakeOff() noexcept;

  c10::Device device_;
  c10::ScalarType drawing_;
  std::unique_ptr<Family> model_;
  Id base_;
  FileDigests base_files_;
  Id on_top_;  // empty: nothing
  std::vector<std::pair<torch::Tensor, torch::Tensor>>
      covered_;  // parameters and the base's values
};

}  // namespace likeness
