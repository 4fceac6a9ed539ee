#include "worker/jobs/fetched_models.h"

#include "common/files_digest.h"
#include "worker/base/error.h"
#include "worker/base/io/atomic_file.h"

namespace likeness {

namespace fs = std::filesystem;

std::vector<FetchedModel> FetchModels(const v1::Lease& lease, JobEnvironment& environment,
                                      Phases& phases, Workshop& workshop) {
  Progress progress{.phase = Phase::kPreparing, .unit = "bytes"};
  for (const auto& model : lease.models()) {
    for (const auto& file : model.files()) progress.total += file.size_bytes();
  }
  std::vector<FetchedModel> fetched;
  for (const auto& model : lease.models()) {
    const std::vector<v1::Output> files(model.files().begin(), model.files().end());
    const auto stored =
        workshop.store.Assemble(files, [&](const std::string& blob, const fs::path& to) {
          ThrowIfStopped(environment.Stop());
          const int64_t before = progress.done;
          environment.FetchBlob(blob, to, [&](int64_t bytes) {
            progress.done = before + bytes;
            phases.Report(progress);
          });
          SyncFile(to);  // later jobs find it under its digest, and do not read it for that again
        });
    const CardFacts card = ReadCardFacts(stored.directory / kCardFile);
    if (card.rehearsed_image_size > 0) {
      throw Error(ErrorKind::kFailedPrecondition,
                  model.name() + " was made by a rehearsing worker: it cannot be drawn with");
    }
    fetched.push_back(
        {model.name(), stored, card, RecordedAs(model.name(), FilesDigest(model.files()))});
  }
  return fetched;
}

}  // namespace likeness
