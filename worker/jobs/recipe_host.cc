#include "worker/jobs/recipe_host.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "worker/jobs/keep_outputs.h"
#include "worker/jobs/outputs.h"
#include "worker/jobs/pictures.h"
#include "worker/support/files.h"
#include "worker/support/guard.h"
#include "worker/support/proto_json.h"

namespace likeness {

namespace fs = std::filesystem;

RecipeHost::RecipeHost(JobEnvironment& environment, Phases& phases,
                       std::optional<fs::path> checkpoint, CheckpointPolicy checkpoints,
                       PictureSettings settings, std::function<bool(const Image&)> withholds)
    : environment_(environment),
      phases_(phases),
      checkpoint_(std::move(checkpoint)),
      settings_(std::move(settings)),
      withholds_(std::move(withholds)),
      checkpoints_(environment, std::move(checkpoints)) {
  if (checkpoint_) ReadNotes();
}

// A checkpoint's notes are a Job with the previews before it as outputs, and what was measured of
// its phases as metrics. What is missing of them is not worth the job.
void RecipeHost::ReadNotes() {
  const absl::Status status = Attempt(environment_, [&] {
    v1::Job before;
    const std::string notes = HostNotes(*checkpoint_);
    if (notes.empty()) return;  // as earlier versions wrote them
    ThrowIfError(FromJson(notes, before));
    phases_.GoOnFrom({before.metrics().begin(), before.metrics().end()});
    for (const auto& preview : before.outputs()) {
      const fs::path file = environment_.scratch() / preview.path();
      fs::create_directories(file.parent_path());
      environment_.FetchBlob(preview.blob(), file, [](int64_t) {});
      previews_.push_back(preview);
    }
  });
  if (!status.ok()) {
    environment_.Warn(
        absl::StrCat("Previews of an earlier attempt are left out: ", status.message()));
  }
}

void RecipeHost::Report(const Progress& progress) {
  if (progress.phase == Phase::kTraining) checkpoints_.Begin();
  checkpoints_.Look();
  phases_.Report(progress);
}

void RecipeHost::ShowPreview(const std::function<std::optional<Preview>()>& draw) {
  const absl::Status status = Guard([&] {
    if (const auto preview = draw()) Show(*preview);
  });
  if (!status.ok()) {
    environment_.Warn(absl::StrCat("A preview could not be drawn: ", status.message()));
  }
}

void RecipeHost::Measure(const std::function<void()>& measure) {
  const absl::Status status = Guard(measure);
  if (!status.ok()) {
    environment_.Warn(
        absl::StrCat("A measurement of the training is left out: ", status.message()));
  }
}

void RecipeHost::Show(const Preview& preview) {
  preview_number_ = preview.step == preview_step_ ? preview_number_ + 1 : 0;
  preview_step_ = preview.step;
  if (withholds_ && withholds_(preview.image)) {
    return environment_.Warn(
        absl::StrCat("a preview is withheld, the safety checker objects to it: \"", preview.prompt,
                     "\", step ", preview.step));
  }
  v1::Output output;
  output.set_kind(v1::OUTPUT_KIND_PREVIEW);
  output.set_path(absl::StrFormat("previews/%06d-%d.png", preview.step, preview_number_));
  output.set_prompt(preview.prompt);
  output.set_seed(settings_.order.seed);
  const fs::path file = environment_.scratch() / output.path();
  settings_.training_step = preview.step;
  const std::string png = EncodeWithSettings(
      {.prompt = preview.prompt, .seed = settings_.order.seed, .image = preview.image}, settings_);
  WriteFile(file, png);
  output = DescribeFile(file, output);

  v1::SampleEvent sample;
  sample.set_step(preview.step);
  sample.set_prompt(preview.prompt);
  sample.set_preview(Thumbnail(preview.image, png));
  *sample.mutable_output() = output;
  // One that an earlier attempt drew just before it ended is drawn again.
  std::erase_if(previews_, [&](const auto& known) { return known.path() == output.path(); });
  previews_.push_back(output);
  environment_.Show(sample, file);
}

StopReason RecipeHost::Stop() { return environment_.Stop(); }

bool RecipeHost::SaveCheckpoint(int64_t step, CheckpointReason reason,
                                const CheckpointContents& contents) {
  v1::Job so_far;
  so_far.mutable_outputs()->Add(previews_.begin(), previews_.end());
  for (const auto& [name, value] : phases_.Measurements()) {
    (*so_far.mutable_metrics())[name] = value;
  }
  (*so_far.mutable_metrics())["checkpoint_seconds"] += checkpoints_.seconds();
  return checkpoints_.Save(step, reason, contents, ToJson(so_far));
}

std::optional<fs::path> RecipeHost::LatestCheckpoint() { return checkpoint_; }

}  // namespace likeness
