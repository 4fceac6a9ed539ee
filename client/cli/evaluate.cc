// likeness evaluate: how good a personalized model is.
#include <optional>
#include <string>
#include <vector>

#include "client/cli/command.h"
#include "client/cli/enum_flag.h"
#include "client/cli/follow.h"
#include "client/cli/interrupt.h"
#include "client/cli/names.h"
#include "client/cli/photo_arguments.h"
#include "client/cli/suggest.h"
#include "client/lib/jobs.h"
#include "client/lib/output_folder.h"
#include "client/lib/photos.h"
#include "common/status_macros.h"

namespace likeness::client {
namespace {

constexpr char kUsage[] =
    R"(Measure how good a personalized model is: draw images, compare them with photos.

  likeness evaluate rex-7f3c --photos rex/
  likeness evaluate rex-7f3c --photos rex/ "a {subject} at sea" "a {subject}"
  likeness evaluate rex-7f3c --photos rex/ --images 8 --measure dino
  likeness evaluate rex-7f3c --photos rex/ --gallery other-dogs/

Measures subject fidelity, prompt fidelity, preservation of the class, diversity
and copying of photos; with --gallery, also whether the subject is told from
others that look like it. Without PROMPT the images are of "a {subject}". An
image whose PROMPT does not name the subject is not compared with the photos.
The images and the figures of each (report/evaluation.json) go to ./JOB/. Ctrl-C
detaches: the job goes on.

Usage: likeness evaluate MODEL [PROMPT...] --photos=DIR [FLAGS])";

constexpr size_t kMostPrompts = 64;

struct EvaluateFlags {
  std::string photos;
  std::string gallery;
  std::optional<int32_t> images;
  std::vector<std::string> measures;
  std::vector<std::string> evaluators;
  std::optional<uint32_t> seed;
  std::optional<int32_t> steps;
  std::optional<double> guidance;
  std::string out;
  bool detach = false;

  void AddTo(FlagSet& flags) {
    flags.Add("photos", &photos, "Folder of photos of the subject, or one photo. Required.")
        .Takes("DIR");
    flags
        .Add("gallery", &gallery,
             "Folder of photos of others of the class that look like the subject, for rank [none].")
        .Takes("DIR");
    flags.Add("images", &images, "Images of each prompt, 1 to 64 [4].").Takes("N");
    flags
        .Add("measure", &measures,
             "What to measure; may be repeated. rank needs --gallery, masc photos with masks [all "
             "that the worker can].")
        .Takes(EnumWordsWithBars<v1::Measure>());
    flags
        .Add("evaluator", &evaluators,
             "A network of the worker to measure with; may be repeated [the base model's, which "
             "likeness models get BASE lists].")
        .Takes("NAME");
    flags.Add("seed", &seed, "Seed of the first image, 0 to 4294967295 [random].").Takes("N");
    flags.Add("steps", &steps, "Sampling steps, 1 to 1000 [the model's].").Takes("N");
    flags.Add("guidance", &guidance, "Classifier-free guidance scale, 0 to 100 [the model's].")
        .Takes("X");
    flags.Add("out", &out, "Folder for the results [the job's name].").Takes("DIR");
    flags.Add("detach", &detach, "Submit, print the job's name, and return.");
  }
};

absl::StatusOr<v1::EvaluateSpec> ToSpec(const EvaluateFlags& flags, const Args& prompts) {
  v1::EvaluateSpec spec;
  if (flags.photos.empty()) {
    return absl::InvalidArgumentError("--photos is missing: a folder of photos of the subject.");
  }
  spec.mutable_prompts()->Add(prompts.begin(), prompts.end());
  if (flags.images) spec.set_images_per_prompt(*flags.images);
  for (const auto& name : flags.measures) {
    ASSIGN_OR_RETURN(const auto measure, ParseEnumFlag<v1::Measure>("measure", name));
    spec.add_measures(measure);
  }
  spec.mutable_evaluators()->Add(flags.evaluators.begin(), flags.evaluators.end());
  if (flags.seed) spec.set_seed(*flags.seed);
  if (flags.steps) spec.set_steps(*flags.steps);
  if (flags.guidance) spec.set_guidance(*flags.guidance);
  return spec;
}

absl::StatusOr<ExitCode> Run(Context& context, const EvaluateFlags& flags) {
  const std::string& model = context.positional.front();
  ASSIGN_OR_RETURN(v1::EvaluateSpec spec,
                   ToSpec(flags, {context.positional.begin() + 1, context.positional.end()}));
  ASSIGN_OR_RETURN(const PhotoSet photos, ReadPhotos(flags.photos));
  context.names.photos = ShownNames(*context.screen, photos);
  RETURN_IF_ERROR(CheckUsable(photos, "job.evaluate.photos"));
  PhotoSet gallery;
  if (!flags.gallery.empty()) {
    ASSIGN_OR_RETURN(gallery, ReadPhotos(flags.gallery));
    for (PhotoFile& photo : gallery.photos) DropWhatLiesBeside(photo);
    context.names.gallery = ShownNames(*context.screen, gallery);
    RETURN_IF_ERROR(CheckUsable(gallery, "job.evaluate.gallery"));
  }

  std::optional<OutputFolder> folder;
  if (!flags.detach) {
    ASSIGN_OR_RETURN(folder, OutputFolder::Prepare(flags.out));
  }
  Interrupt interrupt;
  ASSIGN_OR_RETURN(const Connection connection, context.Connect());
  ASSIGN_OR_RETURN(*spec.mutable_model()->mutable_name(), ModelNameFromArgument(connection, model));
  size_t inline_left = kMaxInlineBytes;
  RETURN_IF_ERROR(
      AddPhotos(connection, photos.photos, spec.mutable_photos(), interrupt.token(), inline_left));
  RETURN_IF_ERROR(AddPhotos(connection, gallery.photos, spec.mutable_gallery(), interrupt.token(),
                            inline_left));
  for (auto& photo : *spec.mutable_photos()) photo.clear_caption();
  v1::CreateJobRequest request;
  *request.mutable_job()->mutable_evaluate() = std::move(spec);
  const auto submitted = SubmitJob(context, connection, request, interrupt);
  RETURN_IF_ERROR(WithNearestModel(connection, model, submitted.status()));
  const std::optional<v1::Job>& job = *submitted;
  if (!job) return kDetached;
  if (flags.detach) return LeaveJob(context, *job);
  return FollowOwnJob(context, connection, *job, flags.out, interrupt);
}

}  // namespace

int Evaluate(const Args& arguments) {
  EvaluateFlags values;
  FlagSet flags(kUsage);
  values.AddTo(flags);
  return RunCommand(flags, arguments,
                    {.at_least = 1, .at_most = 1 + kMostPrompts, .kinds = {"MODEL", "PROMPT"}},
                    [&](Context& context) { return Run(context, values); });
}

}  // namespace likeness::client
