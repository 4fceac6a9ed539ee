// The safetensors file format: an 8-byte little-endian header size, a JSON header, the tensors'
// bytes. Source: github.com/huggingface/safetensors, README, section "Format".
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "third_party/nlohmann/json_fwd.hpp"

namespace likeness {

class MappedFile;

// A validated file, mapped into memory. Copies share the mapping. Safe to read from several
// threads.
class SafetensorsFile {
 public:
  // Errors: kNotFound; kDataLoss for a file that is cut, has a header over 100 MB or one that is
  // not as the format says: a key twice, offsets out of range, overlapping or with holes, an
  // unknown dtype, a size that is not dtype times shape. Messages name the file without its
  // directory.
  static SafetensorsFile Open(const std::filesystem::path& path);

  std::vector<std::string> Names() const;  // sorted
  bool Contains(const std::string& name) const;
  std::vector<int64_t> Shape(const std::string& name) const;

  // A view of the file's pages, in the file's dtype, that keeps the mapping alive. Pages are
  // private: writing to the tensor never reaches the file. Error: kNotFound.
  torch::Tensor Get(const std::string& name) const;

  const std::map<std::string, std::string>& metadata() const { return metadata_; }

 private:
  struct Entry {
    torch::ScalarType dtype;
    std::vector<int64_t> shape;
    uint64_t begin, end;  // in the file
  };
  void ReadMetadata(const nlohmann::json& metadata);
  void AddEntries(const std::string& header, uint64_t data_begin);
  void CheckLayout(uint64_t data_begin) const;
  const Entry& Find(const std::string& name) const;

  std::string label_;  // the file's name, for messages
  std::shared_ptr<MappedFile> file_;
  std::map<std::string, Entry> entries_;
  std::map<std::string, std::string> metadata_;
};

using NamedTensors = std::vector<std::pair<std::string, torch::Tensor>>;

// Writes the tensors (any device, strides and order) whole or not at all: to a file beside `path`,
// which is then synced and renamed. Equal input gives equal bytes. Errors: kDiskFull when
// the disk is full, kInternal for what else the system reports.
void WriteSafetensors(const std::filesystem::path& path, const NamedTensors& tensors,
                      const std::map<std::string, std::string>& metadata = {});

}  // namespace likeness
