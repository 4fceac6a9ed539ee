// What serving and running offline have in common: flags, models, device, caches.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/flags.h"
#include "worker/jobs/run_job.h"

namespace likeness {

struct WorkerFlags {
  std::string models = DefaultModels();
  std::string device = "auto";
  int threads = 0;
  bool allow_tf32 = true;
  std::string generation_precision = "fp32";
  std::string cache_dir = DefaultCacheDir();
  int64_t cache_bytes = int64_t{64} << 30;
  std::string log_format = "text";
  std::string log_level = "info";

  void AddTo(FlagSet& flags);
  // ./models; where there is none, what is installed beside the program:
  // PREFIX/share/likeness/models.
  static std::string DefaultModels();
  // $XDG_CACHE_HOME/likeness, ~/.cache/likeness, or /var/cache/likeness.
  static std::string DefaultCacheDir();
};

// As the flags say.
absl::Status StartLogging(const WorkerFlags& flags);

// Starts logging, takes threads and device, scans the models; names each that is not offered in the
// log. FAILED_PRECONDITION if none is left.
absl::StatusOr<std::unique_ptr<Workshop>> SetUp(const WorkerFlags& flags);

}  // namespace likeness
