#include "worker/evaluation/warm_evaluators.h"

#include <algorithm>
#include <system_error>

namespace likeness {

namespace fs = std::filesystem;

std::vector<WarmEvaluators::File> WarmEvaluators::FilesOf(
    const std::vector<EvaluatorFiles>& evaluators) {
  std::vector<File> files;
  for (const auto& evaluator : evaluators) {
    std::error_code error;
    for (fs::directory_iterator entry(evaluator.directory, error), end; !error && entry != end;
         entry.increment(error)) {
      std::error_code unseen;
      if (!entry->is_regular_file(unseen)) continue;
      files.push_back(
          {entry->path(), entry->file_size(unseen), fs::last_write_time(entry->path(), unseen)});
    }
  }
  std::sort(files.begin(), files.end(),
            [](const File& a, const File& b) { return a.path < b.path; });
  return files;
}

std::shared_ptr<Evaluators> WarmEvaluators::Get(const std::vector<EvaluatorFiles>& files,
                                                const std::function<void()>& poll) {
  auto now = FilesOf(files);
  if (auto last = last_.lock(); last != nullptr && now == files_) return last;
  kept_.reset();  // not two of them at a time
  last_.reset();
  const auto loaded = std::make_shared<Evaluators>(LoadEvaluators(files, device_, poll));
  last_ = loaded;
  files_ = std::move(now);
  if (device_.is_cpu()) kept_ = loaded;
  return loaded;
}

void WarmEvaluators::Check(const std::vector<EvaluatorFiles>& files) {
  if (device_.is_cpu()) {
    (void)Get(files);
  } else {
    (void)LoadEvaluators(files, torch::kCPU);
  }
}

}  // namespace likeness
