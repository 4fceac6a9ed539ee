// likeness evaluate: how good a personalized model is.
#include <optional>
#include <string>
#include <vector>

#include "client/cli/adapter_arguments.h"
#include "client/cli/command.h"
#include "client/cli/follow.h"
#include "client/cli/interrupt.h"
#include "client/cli/names.h"
#include "client/cli/photo_arguments.h"
#include "client/cli/settings.h"
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
detaches: the job continues.

Usage: likeness evaluate MODEL [PROMPT...] --photos=DIR [FLAGS])";

constexpr size_t kMostPrompts = 64;

struct EvaluateFlags {
  std::string photos;
  std::string gallery;
  std::vector<std::string> adapters;  // NAME or NAME:STRENGTH
  SettingFlags settings{*v1::EvaluateSpec::descriptor(), EvaluateSettings()};
  std::string out;
  bool detach = false;

  void AddTo(FlagSet& flags) {
    flags.Add("photos", &photos, "Folder of photos of the subject, or one photo. Required.")
        .Takes("DIR");
    flags
        .Add("gallery", &gallery,
             "Folder of photos of others of the class that look like the subject, for rank [none].")
        .Takes("DIR");
    flags
        .Add("adapter", &adapters,
             "An adapter to draw with over MODEL, may be repeated; its update is multiplied by "
             "STRENGTH, -10 to 10 [1].")
        .Takes("MODEL[:STRENGTH]");
    settings.AddTo(flags);
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
  RETURN_IF_ERROR(flags.settings.SetIn(spec));
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
  ASSIGN_OR_RETURN(const Connection connection, context.Connect(interrupt.token()));
  ASSIGN_OR_RETURN(*spec.mutable_model()->mutable_name(), ModelNameFromArgument(connection, model));
  RETURN_IF_ERROR(AddAdapters(connection, flags.adapters, *spec.mutable_model()));
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
