// Personalized models on a worker's disk: files are kept by content, a model's directory is made of
// hard links to them, so that what many models share (autoencoder, tokenizer) is downloaded and
// stored once.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "likeness/v1/job.pb.h"

namespace likeness {

struct StoredModel {
  std::filesystem::path directory;
  std::string digest;  // SHA-256, in hex, over the sorted (path, blob) pairs of its files
};

class ModelStore {
 public:
  // Brings the blob's bytes, checked against its digest, to a path that does not exist yet; throws
  // if it cannot.
  using Fetch = std::function<void(const std::string& blob, const std::filesystem::path& to)>;

  explicit ModelStore(std::filesystem::path root) : root_(std::move(root)) {}

  // The model with these files, each at its path (which may begin with "model/"); only blobs that
  // are not here yet are fetched. Throws Error(kInvalidArgument) for a path that leads out of the
  // directory.
  StoredModel Assemble(const std::vector<v1::Output>& files, const Fetch& fetch) const;

  // The same for a model that was made here, in `directory`.
  StoredModel Adopt(const std::filesystem::path& directory,
                    const std::vector<v1::Output>& files) const;

 private:
  std::filesystem::path root_;
};

}  // namespace likeness
