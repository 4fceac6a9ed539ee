// Where model directories lie below a directory that may hold anything else as well.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace likeness {

struct FoundModel {
  std::string display_name;         // "sd 1.5 (fp16)", "org/name", "org/name@1a2b3c4d"
  std::filesystem::path directory;  // or the single file
};

// What is not offered, and why. `path` is below the directory that was scanned.
struct RejectedModel {
  std::string path;
  absl::Status reason;
};

struct ModelScan {
  std::vector<FoundModel> found;  // by path
  std::vector<RejectedModel> rejected;
};

// Up to three levels below `models`, and `models` itself. A directory with model_index.json or a
// unet/ is a model; it is called by its own name. So is each revision in a repository of a Hugging
// Face cache ("models--org--name"): the one that refs/main names by the repository's name, another
// with the first eight digits of its commit besides. A safetensors file that lies in no model is a
// checkpoint in one file, called by its name without the ending. Symbolic links are followed. A
// folder that cannot be read, and other weights that lie beside the folders, are rejected by their
// names and hide nothing else. Hidden names and networks that judge pictures (measures.json,
// evaluators) are no models.
// NOT_FOUND if there is no such directory, PERMISSION_DENIED if it cannot be read.
absl::StatusOr<ModelScan> ScanForModels(const std::filesystem::path& models);

}  // namespace likeness
