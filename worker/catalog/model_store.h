// Personalized models on a worker's disk: files are kept by content, a model's directory is made of
// hard links to them, so that what many models share (autoencoder, tokenizer) is downloaded and
// stored once.
#pragma once

#include <cstdint>
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

  // Of more than `most_bytes` those models go that are longest unused. Several workers may share
  // one root.
  ModelStore(std::filesystem::path root, int64_t most_bytes);

  // The model with these files, each at its path (which may begin with "model/"); only blobs that
  // are not here yet are fetched. Throws Error(kInvalidArgument) for a path that leads out of the
  // directory.
  StoredModel Assemble(const std::vector<v1::Output>& files, const Fetch& fetch) const;

  // The same for a model that was made here, in `directory`.
  StoredModel Adopt(const std::filesystem::path& directory,
                    const std::vector<v1::Output>& files) const;

  // Removes the model with these files, if it is here, and the files that no other model here has.
  void Erase(const std::vector<v1::Output>& files) const;

 private:
  // Makes `place` a link to the blob's file, which is fetched by way of `part` if it is not here.
  void Link(const std::string& blob, const std::filesystem::path& place,
            const std::filesystem::path& part, const Fetch& fetch) const;

  std::filesystem::path root_;
  int64_t most_bytes_;
};

}  // namespace likeness
