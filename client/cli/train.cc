// likeness train: photos in, a personalized model and pictures out.
#include <algorithm>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "client/cli/command.h"
#include "client/cli/describe.h"
#include "client/cli/follow.h"
#include "client/cli/interrupt.h"
#include "client/cli/names.h"
#include "client/cli/offered_base.h"
#include "client/cli/photo_arguments.h"
#include "client/cli/preset.h"
#include "client/cli/report.h"
#include "client/cli/text.h"
#include "client/cli/train_request.h"
#include "client/lib/jobs.h"
#include "client/lib/output_folder.h"
#include "client/lib/photos.h"
#include "common/job_spec.h"
#include "common/status_macros.h"

namespace likeness::client {
namespace {

constexpr char kUsage[] = R"(Fine-tune a base model on photos of a subject.

  likeness train --class dog --photos rex/
  likeness train --class dog --photos rex/ --rare-token rhf --steps 400 --seed 7
  likeness train --class backpack --photos bag/ --prompt "a {subject} on snow"
  likeness train --class dog --photos rex/ --method lora --rank 16
  likeness train --class dog --photos rex/ --also "abc teapot=rosie/"
  likeness train --class dog --photos rex/ --class-photos dogs/
  likeness train --class cat --photos tom/ --detach
  likeness train --class cat --photos tom/ --check
  likeness train --class cat --photos tom/ --print-request > job.json

Three to six sharp photos from different sides, on different backgrounds, are
best. A text file beside a photo (rex/03.txt beside rex/03.jpg) is that photo's
caption, and replaces "a {subject}" for it.
Pictures and previews go to ./JOB/. Ctrl-C detaches: the job continues.

Usage: likeness train --class=NOUN --photos=DIR [FLAGS])";

constexpr size_t kMostClassPhotos = 2000;

// "4 of 4 usable · rex/03.jpg turned by its EXIF tag · rex/02.jpg is small (412 px)"
std::string PhotoSummary(const PhotoSet& set, int image_size) {
  const auto count = set.photos.size();
  std::vector<std::string> parts = {absl::StrCat(count, " of ", count, " usable")};
  for (const auto& photo : set.photos) {
    if (photo.exif_orientation != 1) {
      parts.push_back(absl::StrCat(photo.path, " turned by its EXIF tag"));
    }
    const auto side = std::min(photo.header.width, photo.header.height);
    if (side < image_size) parts.push_back(absl::StrCat(photo.path, " is small (", side, " px)"));
  }
  return absl::StrJoin(parts, " · ");
}

// "200 of 200 usable · 3 are small, from 412 px"
std::string ClassPhotoSummary(const PhotoSet& set, int image_size) {
  int small = 0;
  int smallest = image_size;
  for (const auto& photo : set.photos) {
    const int side = std::min(photo.header.width, photo.header.height);
    if (side < image_size) ++small;
    smallest = std::min(smallest, side);
  }
  const auto count = set.photos.size();
  return absl::StrCat(count, " of ", count, " usable",
                      small == 0 ? ""
                                 : absl::StrCat(" · ", small, small == 1 ? " is" : " are",
                                                " small, from ", smallest, " px"));
}

// What the server finds odd, for those who do not stay to watch.
void ShowWarnings(const Context& context, const v1::Job& job) {
  for (const auto& warning : job.warnings()) {
    context.screen->Line(Mark::kWarning, "note", WithFileNames(warning, context.names));
  }
}

// The request around the photos.
absl::StatusOr<v1::CreateJobRequest> ToRequest(const TrainFlags& flags,
                                               const v1::FineTuneSpec& spec) {
  v1::CreateJobRequest request;
  request.set_job_id(flags.name.empty() ? NewJobId(flags.photos, flags.class_noun) : flags.name);
  request.set_validate_only(flags.check);
  ASSIGN_OR_RETURN(const auto labels, ParseLabels("--label", flags.labels));
  RETURN_IF_ERROR(flags.queue.Apply(absl::Now(), *request.mutable_job()));
  request.mutable_job()->mutable_labels()->insert(labels.begin(), labels.end());
  if (!flags.webhook.empty()) {
    v1::Webhook& webhook = *request.mutable_job()->mutable_webhook();
    webhook.set_url(flags.webhook);
    webhook.add_events(v1::WEBHOOK_EVENT_STATE_CHANGE);
    if (flags.webhook_progress) webhook.add_events(v1::WEBHOOK_EVENT_PROGRESS);
  }
  *request.mutable_job()->mutable_fine_tune() = spec;
  return request;
}

struct Photos {
  PhotoSet learned;
  PhotoSet validation;
  PhotoSet of_class;
  std::vector<PhotoSet> others;  // of the further subjects
};

size_t CountOf(const Photos& photos) {
  size_t count = photos.learned.photos.size() + photos.of_class.photos.size();
  for (const PhotoSet& other : photos.others) count += other.photos.size();
  return count;
}

// A line for each subject, which is named where there are several.
void ShowPhotos(const Context& context, const Photos& photos, const v1::FineTuneSpec& spec,
                int image_size) {
  const auto show = [&](const PhotoSet& set, int subject) {
    const bool named = !photos.others.empty();
    context.screen->Line(
        Mark::kDone, "photos",
        absl::StrCat(named ? absl::StrCat(SubjectPhrase(spec.subjects(subject)), " · ") : "",
                     PhotoSummary(set, image_size)));
  };
  show(photos.learned, 0);
  for (size_t i = 0; i < photos.others.size(); ++i) {
    show(photos.others[i], static_cast<int>(i) + 1);
  }
  if (photos.of_class.photos.empty()) return;
  context.screen->Line(Mark::kDone, "class", ClassPhotoSummary(photos.of_class, image_size));
}

// What a worker would find odd about the photos that are learned from, as far as it can be seen
// from here, and of validation photos whether they repeat these.
void ShowPhotoWarnings(const Context& context, const Photos& photos, double unmasked_weight) {
  std::vector<NamedLook> looks;
  std::vector<std::string> undecoded;
  const auto add = [&](const PhotoSet& set, const std::string& list, bool learned) {
    for (size_t i = 0; i < set.photos.size(); ++i) {
      const PhotoFile& photo = set.photos[i];
      const bool background = learned && (photo.mask_path.empty() || unmasked_weight > 0);
      if (photo.look) {
        looks.push_back({absl::StrCat(list, "[", i, "]"), *photo.look, background});
      } else {
        undecoded.push_back(photo.path);
      }
    }
  };
  const auto note = [&](absl::string_view text) {
    context.screen->Line(Mark::kWarning, "note", WithFileNames(text, context.names));
  };
  add(photos.learned, "photos", /*learned=*/true);
  add(photos.validation, "validation_photos", /*learned=*/false);
  for (const auto& warning : WarningsOfLooks(looks)) note(warning);
  for (size_t i = 0; i < photos.others.size(); ++i) {
    looks.clear();
    add(photos.others[i], absl::StrCat("subjects[", i + 1, "].photos"), /*learned=*/true);
    for (const auto& warning : WarningsOfLooks(looks)) note(warning);
  }
  if (undecoded.empty()) return;
  note(absl::StrCat(Count(undecoded.size(), "photo"), " (", undecoded.front(),
                    undecoded.size() > 1 ? ", ..." : "",
                    "): only a worker looks whether photos are blurred or alike that are not JPEG "
                    "in gray or RGB"));
}

// Every photo is one that the server would take; those that are not are named.
absl::StatusOr<Photos> ReadAll(Context& context, const TrainFlags& flags) {
  Photos photos;
  ASSIGN_OR_RETURN(photos.learned, ReadPhotos(flags.photos));
  if (!flags.validation.empty()) {
    ASSIGN_OR_RETURN(photos.validation, ReadPhotos(flags.validation));
  }
  const std::string subject = "job.fine_tune.subjects[0].";
  context.names.photos = ShownNames(*context.screen, photos.learned);
  context.names.validation_photos = ShownNames(*context.screen, photos.validation);
  RETURN_IF_ERROR(CheckUsable(photos.learned, subject + "photos"));
  RETURN_IF_ERROR(CheckUsable(photos.validation, subject + "validation_photos"));
  if (!flags.class_photos.empty()) {
    ASSIGN_OR_RETURN(photos.of_class, ReadPhotos(flags.class_photos));
    const auto count = photos.of_class.photos.size();
    if (count > kMostClassPhotos) {
      return absl::InvalidArgumentError(absl::StrCat(flags.class_photos, " holds ", count,
                                                     " photos; at most ", kMostClassPhotos,
                                                     " are allowed for --class-photos."));
    }
    context.names.class_photos = ShownNames(*context.screen, photos.of_class);
    RETURN_IF_ERROR(CheckUsable(photos.of_class, "job.fine_tune.prior.class_photos"));
  }
  for (const std::string& text : flags.also) {
    ASSIGN_OR_RETURN(const FurtherSubject further, ParseFurtherSubject(text));
    ASSIGN_OR_RETURN(PhotoSet other, ReadPhotos(further.photos));
    context.names.other_photos.push_back(ShownNames(*context.screen, other));
    RETURN_IF_ERROR(CheckUsable(
        other, absl::StrCat("job.fine_tune.subjects[", photos.others.size() + 1, "].photos")));
    photos.others.push_back(std::move(other));
  }
  return photos;
}

// ApplyPreset, but for the number of class images where photos take their place.
absl::StatusOr<std::vector<std::string>> FillFromPreset(const TrainFlags& flags,
                                                        const v1::BaseModel* base,
                                                        v1::FineTuneSpec& spec) {
  if (flags.class_photos.empty() || spec.prior().has_class_images()) {
    return ApplyPreset(flags.preset, base, spec);
  }
  spec.mutable_prior()->set_class_images(1);  // what is set stays
  auto left = ApplyPreset(flags.preset, base, spec);
  spec.mutable_prior()->clear_class_images();
  return left;
}

// What is wrong with flags is told before photos are read and sent.
absl::StatusOr<v1::FineTuneSpec> CheckedSpec(const TrainFlags& flags) {
  RETURN_IF_ERROR(CheckNewId("--name", flags.name));
  ASSIGN_OR_RETURN(auto spec, ToFineTuneSpec(flags));
  RETURN_IF_ERROR(ToRequest(flags, spec).status());
  v1::FineTuneSpec with_preset = spec;
  RETURN_IF_ERROR(ApplyPreset(flags.preset, /*base=*/nullptr, with_preset).status());
  if (!flags.base.empty()) spec.set_base_model(BaseModelNameFromArgument(flags.base));
  return spec;
}

// Reads the photos, asks the server what it can do, and sends the job.
absl::StatusOr<v1::Job> Create(Context& context, const TrainFlags& flags,
                               const Connection& connection, const Interrupt& interrupt) {
  ASSIGN_OR_RETURN(auto spec, CheckedSpec(flags));
  ASSIGN_OR_RETURN(const Photos photos, ReadAll(context, flags));
  ASSIGN_OR_RETURN(auto capabilities, GetCapabilities(connection));
  const v1::BaseModel* base = FindOfferedBase(capabilities, spec.base_model());
  ASSIGN_OR_RETURN(const auto left, FillFromPreset(flags, base, spec));
  if (!left.empty()) {
    context.screen->Line(
        Mark::kWarning, "note",
        absl::StrCat("--preset ", flags.preset, " leaves what ", ShortName(base->name()),
                     " recommends: ", absl::StrJoin(left, ", ")));
  }
  const int image_size = base == nullptr ? 0 : base->image_size();
  ShowPhotos(context, photos, spec, image_size);
  if (flags.check) ShowPhotoWarnings(context, photos, spec.training().unmasked_weight());

  if (!flags.initial_model.empty()) {
    ASSIGN_OR_RETURN(*spec.mutable_initial_model(),
                     ModelNameFromArgument(connection, flags.initial_model));
  }
  context.screen->Progress({.label = "sending", .text = Count(CountOf(photos), "photo")});
  size_t inline_left = kMaxInlineBytes;
  const auto add = [&](const PhotoSet& set, auto* to) {
    return AddPhotos(connection, set.photos, to, interrupt.token(), inline_left);
  };
  auto* subject = &MutableSubjectOf(spec);
  RETURN_IF_ERROR(add(photos.learned, subject->mutable_photos()));
  RETURN_IF_ERROR(add(photos.validation, subject->mutable_validation_photos()));
  if (!photos.of_class.photos.empty()) {
    RETURN_IF_ERROR(add(photos.of_class, spec.mutable_prior()->mutable_class_photos()));
  }
  for (size_t i = 0; i < photos.others.size(); ++i) {
    v1::Subject& other = *spec.mutable_subjects(static_cast<int>(i) + 1);
    RETURN_IF_ERROR(add(photos.others[i], other.mutable_photos()));
  }
  ASSIGN_OR_RETURN(const auto request, ToRequest(flags, spec));
  auto job = CreateJob(connection, request, interrupt.token());
  context.screen->ClearProgress();
  return job;
}

absl::StatusOr<ExitCode> PrintRequest(Context& context, const TrainFlags& flags) {
  ASSIGN_OR_RETURN(auto spec, CheckedSpec(flags));
  RETURN_IF_ERROR(FillFromPreset(flags, /*base=*/nullptr, spec).status());  // asks no server
  ASSIGN_OR_RETURN(const Photos photos, ReadAll(context, flags));
  v1::Subject& subject = MutableSubjectOf(spec);
  AddInlinePhotos(photos.learned.photos, subject.mutable_photos());
  AddInlinePhotos(photos.validation.photos, subject.mutable_validation_photos());
  if (!photos.of_class.photos.empty()) {
    AddInlinePhotos(photos.of_class.photos, spec.mutable_prior()->mutable_class_photos());
  }
  for (size_t i = 0; i < photos.others.size(); ++i) {
    AddInlinePhotos(photos.others[i].photos,
                    spec.mutable_subjects(static_cast<int>(i) + 1)->mutable_photos());
  }
  ASSIGN_OR_RETURN(const auto request, ToRequest(flags, spec));
  PrintResult(Format(context.table() ? OutputFormat::kJson : context.output, request));
  return kDone;
}

absl::StatusOr<ExitCode> Run(Context& context, const TrainFlags& flags) {
  if (flags.print_request) return PrintRequest(context, flags);
  std::optional<OutputFolder> folder;
  if (!flags.check && !flags.detach && flags.wait) {
    ASSIGN_OR_RETURN(folder, OutputFolder::Prepare(flags.out.empty() ? flags.name : flags.out));
  }
  Interrupt interrupt;
  ASSIGN_OR_RETURN(const Connection connection, context.Connect(interrupt.token()));
  auto job = Create(context, flags, connection, interrupt);
  if (!job.ok() && interrupt.requested()) {
    ShowNotAccepted(context);
    return kDetached;
  }
  RETURN_IF_ERROR(job.status());
  if (flags.check) {
    context.screen->Line(
        Mark::kDone, "checked",
        absl::StrCat("the server would accept it, on ", ShortName(job->fine_tune().base_model())));
    for (const auto& estimate : job->estimates()) {
      const absl::Duration worked = absl::Seconds(estimate.worker_duration().seconds());
      context.screen->Line(Mark::kNone, "estimate",
                           absl::StrCat("about ", RoundTime(worked), " on ", estimate.device()));
    }
    ShowWarnings(context, *job);
    PrintObject(context, *job, job->name());
    return kDone;
  }
  ShowQueued(context, *job);
  if (flags.detach || !flags.wait) {
    ShowWarnings(context, *job);
    return LeaveJob(context, *job);
  }
  return FollowOwnJob(context, connection, *job, flags.out, interrupt);
}

}  // namespace

int Train(const Args& arguments) {
  TrainFlags values;
  FlagSet flags(kUsage);
  values.AddTo(flags);
  return RunCommand(flags, arguments, {}, [&](Context& context) { return Run(context, values); });
}

}  // namespace likeness::client
