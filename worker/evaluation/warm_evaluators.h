// Evaluators stay in memory from one job of a worker to the next, with what they saw in photos.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "worker/evaluation/evaluators.h"

namespace likeness {

// Not thread safe.
class WarmEvaluators {
 public:
  // `device`: what pictures are judged on.
  explicit WarmEvaluators(c10::Device device) : device_(device) {}

  // The networks of `files`: those that were asked for last if they are the same and their files
  // have not changed since (by size and time), else loaded. On the CPU the last ones are kept; on
  // an accelerator, whose memory training needs, only as long as somebody else holds them. Throws
  // as LoadEvaluators.
  std::shared_ptr<Evaluators> Get(const std::vector<EvaluatorFiles>& files,
                                  const std::function<void()>& poll = {});

  // That Get would not throw. On an accelerator, whose memory training needs, nothing is put there.
  void Check(const std::vector<EvaluatorFiles>& files);

 private:
  struct File {
    std::filesystem::path path;
    uintmax_t bytes;
    std::filesystem::file_time_type changed;
    bool operator==(const File&) const = default;
  };
  static std::vector<File> FilesOf(const std::vector<EvaluatorFiles>& evaluators);

  c10::Device device_;
  std::vector<File> files_;
  std::weak_ptr<Evaluators> last_;
  std::shared_ptr<Evaluators> kept_;
};

}  // namespace likeness
