// What a checkpoint's file holds, apart from the run that it is made of (checkpoint.h): a host can
// write it later, and on another thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>

#include "worker/base/io/safetensors.h"

namespace likeness {

struct CheckpointContents {
  NamedTensors tensors;
  std::map<std::string, std::string> metadata = {};

  int64_t bytes() const;  // of the tensors
  // Shares no memory with these, whose tensors the next step changes; lies in the host's memory.
  CheckpointContents Copy() const;
};

// One safetensors file, whole or not at all, with what the host will want to know when it is gone
// on from (HostNotes). `poll`, where there is one, is called before each tensor; what it throws
// leaves no file.
void WriteCheckpoint(const std::filesystem::path& file, const std::string& host_notes,
                     const CheckpointContents& contents, const std::function<void()>& poll = {});

}  // namespace likeness
