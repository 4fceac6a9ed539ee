#include "worker/training/checkpoint_contents.h"

#include "worker/base/io/safetensors_writer.h"

namespace likeness {

int64_t CheckpointContents::bytes() const {
  int64_t bytes = 0;
  for (const auto& [name, tensor] : tensors) bytes += static_cast<int64_t>(tensor.nbytes());
  return bytes;
}

CheckpointContents CheckpointContents::Copy() const {
  torch::NoGradGuard no_grad;
  CheckpointContents copy{.tensors = {}, .metadata = metadata};
  for (const auto& [name, tensor] : tensors) {
    // As the file has it, so that writing is all that is left to do.
    auto own = torch::empty(tensor.sizes(), torch::dtype(tensor.scalar_type()));
    copy.tensors.emplace_back(name, own.copy_(tensor));
  }
  return copy;
}

void WriteCheckpoint(const std::filesystem::path& file, const std::string& host_notes,
                     const CheckpointContents& contents, const std::function<void()>& poll) {
  auto metadata = contents.metadata;
  metadata["host"] = host_notes;
  WriteSafetensors(file, contents.tensors, metadata, poll);
}

}  // namespace likeness
