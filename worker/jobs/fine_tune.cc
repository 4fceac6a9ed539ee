#include "worker/jobs/fine_tune.h"

#include <functional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/job_spec.h"
#include "common/resource_names.h"
#include "common/rpc_error.h"
#include "worker/checkpoints/model_digest.h"
#include "worker/jobs/card_facts.h"
#include "worker/jobs/engine_options.h"
#include "worker/jobs/job_sheet.h"
#include "worker/jobs/keep_outputs.h"
#include "worker/jobs/outputs.h"
#include "worker/jobs/pictures.h"
#include "worker/jobs/preflight.h"
#include "worker/jobs/recipe_host.h"
#include "worker/jobs/resolve.h"
#include "worker/jobs/subject.h"
#include "worker/methods/fine_tune_model.h"
#include "worker/methods/method.h"
#include "worker/support/files.h"
#include "worker/support/guard.h"
#include "worker/support/resident_memory.h"

namespace likeness {
namespace {

namespace fs = std::filesystem;

// A resumed attempt uses what the first one resolved, and can do so only with the same base model.
v1::ResolvedSpec Resolve(const v1::Lease& lease, const ModelFacts& base) {
  if (!lease.has_checkpoint()) return ResolveFineTune(lease.job().fine_tune(), base);
  const auto& resolved = lease.checkpoint().resolved();
  if (resolved.base_model_digest() != base.digest) {
    ThrowIfError(
        RpcError(absl::StatusCode::kFailedPrecondition, "BASE_MODEL_CHANGED",
                 absl::StrCat(base.name, " has digest ", base.digest,
                              " here; the job was begun with ", resolved.base_model_digest())));
  }
  return resolved;
}

std::optional<fs::path> FetchCheckpoint(const v1::Lease& lease, JobEnvironment& environment,
                                        Phases& phases) {
  if (!lease.has_checkpoint()) return std::nullopt;
  const fs::path file = environment.scratch() / "resumed.safetensors";
  environment.FetchBlob(lease.checkpoint().blob(), file, [&](int64_t bytes) {
    phases.Report({.phase = Phase::kPreparing, .done = bytes, .unit = "bytes"});
  });
  return file;
}

// The files of a model's directory as outputs below "model/". Those that it shares with its base
// were read when that was loaded.
std::vector<v1::Output> DescribeModel(const fs::path& directory) {
  std::vector<v1::Output> outputs;
  for (const auto& file : FilesBelow(directory)) {
    v1::Output output;
    output.set_kind(v1::OUTPUT_KIND_MODEL_FILE);
    output.set_path((fs::path(kModelDir) / file.lexically_relative(directory)).string());
    outputs.push_back(DescribeFile(file, DigestOfFile(file), output));
  }
  return outputs;
}

// Draws with the finished model, which thereby becomes the one in memory: it is the one that is
// asked for next. An adapter is laid over `base`, which is in memory already. What cannot be drawn
// becomes a warning.
std::vector<Picture> DrawSamples(const v1::Lease& lease, const std::string& method, Family& base,
                                 const PictureOrder& order, const fs::path& model_dir,
                                 const std::vector<v1::Output>& files, JobEnvironment& environment,
                                 Phases& phases, Workshop& workshop) {
  std::vector<Picture> pictures;
  const absl::Status status = Attempt(environment, [&] {
    const auto stored = workshop.store.Adopt(model_dir, files);
    if (order.size() == 0) return;
    if (const auto apply = FindMethod(method).apply) {
      const auto applied = apply(base, stored.directory, /*strength=*/1);
      return DrawPictures(base, order, environment, phases, pictures);
    }
    Family& model = workshop.warm.Get(lease.job().output_model(), stored.digest, stored.directory,
                                      [&] { ThrowIfStopped(environment.Stop()); });
    DrawPictures(model, order, environment, phases, pictures);
  });
  if (status.ok()) return pictures;
  workshop.warm.Drop();
  if (pictures.size() < order.size()) {
    environment.Warn(absl::StrCat(order.size() - pictures.size(), " of ", order.size(),
                                  " pictures could not be drawn: ", status.message()));
  }
  return pictures;
}

// The pictures, and the sheet with the photos above them, as far as they can be written.
std::vector<v1::Output> WriteExtras(const std::vector<Picture>& pictures,
                                    const SubjectPhotos& photos, JobEnvironment& environment) {
  std::vector<v1::Output> extras;
  const auto attempt = [&](const char* what, const std::function<std::vector<v1::Output>()>& make) {
    const absl::Status status = Attempt(environment, [&] {
      for (auto& output : make()) extras.push_back(std::move(output));
    });
    if (!status.ok()) {
      environment.Warn(absl::StrCat(what, " could not be written: ", status.message()));
    }
  };
  attempt("the pictures", [&] { return WritePictures(pictures, environment); });
  attempt("the contact sheet", [&] { return WriteContactSheet(photos, pictures, environment); });
  return extras;
}

std::map<std::string, double> Figures(const FineTuneResult& trained, Phases& phases) {
  auto figures = phases.Measurements();
  if (!trained.losses.empty()) figures["loss"] = trained.losses.back();
  if (trained.validation_loss_before) {
    figures["validation_loss_before"] = *trained.validation_loss_before;
  }
  if (trained.validation_loss_after) {
    figures["validation_loss_after"] = *trained.validation_loss_after;
  }
  figures["worker_peak_memory_bytes"] = ReadResidentMemory().peak_bytes;
  return figures;
}

}  // namespace

JobResult FineTune(const v1::Lease& lease, JobEnvironment& environment, Workshop& workshop) {
  // Prepare: what is learned, from what, with what.
  const auto base = ValueOrThrow(workshop.catalog.Find(lease.job().fine_tune().base_model()));
  JobResult result{.resolved = Resolve(lease, base.facts), .outputs = {}, .metrics = {}};
  const v1::FineTuneSpec& spec = result.resolved.fine_tune();
  Phases phases(environment, PhasesOf(spec));
  CheckFileNames(base.directory, spec);
  environment.Resolved(result.resolved);
  const auto photos = FetchPhotos(SubjectOf(spec), base.facts.image_size, environment);
  Family& model = workshop.warm.GetBase(base.facts.name, base.facts.digest, base.directory,
                                        [&] { ThrowIfStopped(environment.Stop()); });
  // A word with rows of its own may be any.
  if (!spec.has_textual_inversion()) CheckToken(SubjectOf(spec), model.tokenizer(), environment);
  CheckFineTune(spec, model, environment);

  // Train
  const fs::path model_dir = environment.scratch() / kModelDir;
  RecipeHost host(environment, phases, FetchCheckpoint(lease, environment, phases),
                  spec.samples().seed());
  const auto trained = FineTuneModel(model, ToFineTuneOptions(spec, photos),
                                     {.base_model = base.directory,
                                      .class_image_cache = workshop.class_image_cache,
                                      .output_model = model_dir},
                                     host);

  // Draw
  const auto model_files = DescribeModel(model_dir);
  const auto pictures = DrawSamples(lease, MethodOf(spec), model, SampleOrder(spec), model_dir,
                                    model_files, environment, phases, workshop);
  auto extras = WriteExtras(pictures, photos, environment);
  extras.insert(extras.end(), host.previews().begin(), host.previews().end());

  // Keep
  result.outputs = KeepOutputs(model_files, extras, environment, phases);
  result.metrics = Figures(trained, phases);
  return result;
}

}  // namespace likeness
