#include "worker/training/host.h"

#include "worker/base/error.h"
#include "worker/base/io/safetensors.h"

namespace likeness {

std::string HostNotes(const std::filesystem::path& checkpoint) {
  const auto metadata = SafetensorsFile::Open(checkpoint).metadata();
  const auto notes = metadata.find("host");
  return notes == metadata.end() ? "" : notes->second;
}

void ThrowIfStopped(StopReason reason) {
  switch (reason) {
    case StopReason::kNone:
      return;
    case StopReason::kCancel:
      throw Error(ErrorKind::kCancelled, "the job was cancelled");
    case StopReason::kDrain:
      throw Error(ErrorKind::kCancelled, "the worker is draining");
  }
}

}  // namespace likeness
