// The last model stays in memory, so that a run of jobs on one model loads it once. Not thread
// safe.
#pragma once

#include <c10/core/Device.h>

#include <filesystem>
#include <memory>
#include <string>

namespace likeness {

struct Pipeline;

class ResidentModel {
 public:
  explicit ResidentModel(c10::Device device);
  ResidentModel(ResidentModel&&);
  ~ResidentModel();

  // The model called `name` whose files are `digest`, loaded from `directory` unless it is the one
  // in memory; what was in memory before is let go first. The reference holds until the next call.
  // Throws Error as LoadPipeline does.
  Pipeline& Get(const std::string& name, const std::string& digest,
                const std::filesystem::path& directory);

  // Lets the model go: an error may have left it other than it was loaded.
  void Drop();

  bool Holds(const std::string& name, const std::string& digest) const;
  // Empty when there is none.
  const std::string& name() const { return name_; }
  c10::Device device() const { return device_; }

 private:
  c10::Device device_;
  std::string name_;
  std::string digest_;
  std::unique_ptr<Pipeline> pipeline_;
};

}  // namespace likeness
