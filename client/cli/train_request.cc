#include "client/cli/train_request.h"

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "client/cli/enum_flag.h"
#include "client/cli/preset.h"
#include "common/status_macros.h"

namespace likeness::client {
namespace {

// Scenes that no photo of a subject is likely to show already.
constexpr const char* kDefaultPrompts[] = {"a {subject} in the snow", "a {subject} on the beach",
                                           "a {subject} in the jungle",
                                           "a {subject} with a city in the background"};

absl::Status CheckFlags(const TrainFlags& flags) {
  if (flags.class_noun.empty()) {
    return absl::InvalidArgumentError(
        "--class is missing: what the photos show, e.g. --class dog.");
  }
  if (flags.photos.empty()) {
    return absl::InvalidArgumentError("--photos is missing: the folder they lie in.");
  }
  if (!flags.prior &&
      (flags.prior_weight || flags.class_images || !flags.training.prior_kind.empty())) {
    return absl::InvalidArgumentError(
        "--no-prior leaves class pictures out, so --prior-weight, --prior-kind and --class-images "
        "mean nothing.");
  }
  if (flags.webhook_progress && flags.webhook.empty()) {
    return absl::InvalidArgumentError("--webhook is missing: where to report progress to.");
  }
  if (!flags.samples && (!flags.prompts.empty() || flags.images_per_prompt)) {
    return absl::InvalidArgumentError(
        "--no-samples draws no pictures, so --prompt and --images-per-prompt mean nothing.");
  }
  return absl::OkStatus();
}

v1::Training ToTraining(const TrainFlags& flags) {
  v1::Training training;
  if (flags.steps) training.set_steps(*flags.steps);
  if (flags.learning_rate) training.set_learning_rate(*flags.learning_rate);
  if (flags.batch_size) training.set_batch_size(*flags.batch_size);
  if (flags.seed) training.set_seed(*flags.seed);
  return training;
}

v1::Samples ToSamples(const TrainFlags& flags) {
  v1::Samples samples;
  if (!flags.samples) return samples;
  for (const auto& prompt : flags.prompts) samples.add_prompts(prompt);
  for (size_t i = 0; flags.prompts.empty() && i <= flags.also.size(); ++i) {
    const std::string subject =
        flags.also.empty() ? "{subject}" : absl::StrCat("{subject", i + 1, "}");
    for (const char* prompt : kDefaultPrompts) {
      samples.add_prompts(absl::StrReplaceAll(prompt, {{"{subject}", subject}}));
    }
  }
  if (flags.seed) samples.set_seed(*flags.seed);
  if (flags.images_per_prompt) samples.set_images_per_prompt(*flags.images_per_prompt);
  return samples;
}

}  // namespace

void TrainFlags::AddTo(FlagSet& flags) {
  flags.AddHeading("Subject");
  flags.Add("class", &class_noun, "The kind of thing, e.g. dog. Required.").Takes("NOUN");
  flags
      .Add("photos", &photos,
           "Folder with 1 to 100 photos (JPEG, PNG, WebP), or one file. Required.")
      .Takes("DIR");
  flags.Add("rare-token", &token,
            "Rare word that stands for the subject in prompts [the base model's].");
  flags
      .Add("also", &also,
           "A further subject to learn beside it: its rare word, its kind and its photos, such as "
           "\"abc teapot=rosie/\". May be repeated, up to 7 times.")
      .Takes("TOKEN NOUN=DIR");
  flags
      .Add("validation", &validation,
           "Folder of validation photos: the loss on them is measured, they are not trained on.")
      .Takes("DIR");
  flags
      .Add("crop", &crop,
           "Where photos are cut to squares: in the center, or around the largest face [center].")
      .Takes(EnumWordsWithBars<v1::SubjectCrop>());
  flags.AddHeading("Job");
  flags.Add("base", &base, "Base model; needed if several are offered (likeness models).")
      .Takes("BASE_MODEL");
  flags
      .Add("initial-model", &initial_model,
           "An adapter to continue training from, made by the same method with the same settings.")
      .Takes("MODEL");
  flags.Add("name", &name, "Name of job and model [made from the photos' folder].");
  flags.Add("out", &out, "Folder for the pictures [the job's name].").Takes("DIR");
  flags.Add("wait", &wait, "Wait until the job ends.");
  flags.Add("detach", &detach, "Submit, print the job's name, and return.");
  flags.Add("label", &labels,
            "KEY=VALUE to find the job by, may be repeated (likeness list --filter).");
  flags.Add("webhook", &webhook, "URL that the server calls at every change of the job's state.");
  flags.Add("webhook-progress", &webhook_progress, "Call it with progress too.");
  flags.Add("print-request", &print_request,
            "Print the request as JSON, photos inside, and send nothing: for likeness create or "
            "grpcurl.");
  flags.Add("check", &check,
            "Check photos and settings, here and on the server, and create no job.");
  queue.AddTo(flags);
  flags.AddHeading("Training (what is not given is the base model's recommendation)");
  flags
      .Add("preset", &preset,
           "Published settings for this kind of subject; flags and the base model's own "
           "recommendations take precedence.")
      .Takes(absl::StrJoin(PresetNames(), "|"));
  flags.Add("steps", &steps, "Optimizer steps, 1 to 100000.");
  flags.Add("learning-rate", &learning_rate, "Above 0, at most 1.");
  flags.Add("batch-size", &batch_size, "Photos in a batch, 1 to 64.");
  flags.Add("seed", &seed, "0 to 4294967295; the same seed gives the same result [random].");
  flags
      .Add("precision", &precision,
           "Number formats to train in: of the forward and backward pass; with bf16_weights of the "
           "weights too, for DreamBooth.")
      .Takes(EnumWordsWithBars<v1::Precision>());
  flags
      .Add("stop-rule", &stop_rule,
           "Which weights make the model: the last step's, or those of the checkpoint that is "
           "judged best or has the lowest loss on the validation photos; plateau ends the training "
           "when three checkpoints in a row have not lowered it.")
      .Takes(EnumWordsWithBars<v1::StopRule>());
  training.AddTo(flags);
  method.AddTo(flags);
  flags.AddHeading("Prior preservation");
  flags.Add("prior", &prior, "Train on images of the class beside the photos; --no-prior: do not.");
  flags.Add("prior-weight", &prior_weight, "Weight of the prior-preservation loss, 0 to 10.");
  training.AddPriorTo(flags);
  flags.Add("class-images", &class_images, "Number of class images, 1 to 2000.");
  flags.AddHeading("Pictures");
  flags.Add("prompt", &prompts,
            "Prompt of sample images drawn at the end; may be repeated. {subject} and {class} are "
            "replaced, and {subject1}, {subject2}, ... where there are several [four scenes of "
            "each subject].");
  flags.Add("images-per-prompt", &images_per_prompt, "Sample images of each prompt, 1 to 16.");
  flags.Add("samples", &samples, "Draw sample images at the end; --no-samples: do not.");
  flags.Add("preview-every", &preview_every, "Steps between previews while training; 0: none.");
}

absl::StatusOr<FurtherSubject> ParseFurtherSubject(const std::string& text) {
  const std::pair<std::string, std::string> halves = absl::StrSplit(text, absl::MaxSplits('=', 1));
  const std::pair<std::string, std::string> words =
      absl::StrSplit(halves.first, absl::MaxSplits(' ', 1));
  FurtherSubject subject{words.first, std::string(absl::StripAsciiWhitespace(words.second)),
                         halves.second};
  if (subject.token.empty() || subject.class_noun.empty() || subject.photos.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--also is '", text, "'; 'TOKEN NOUN=DIR' is needed, e.g. 'abc teapot=rosie/'."));
  }
  return subject;
}

absl::StatusOr<v1::FineTuneSpec> ToFineTuneSpec(const TrainFlags& flags) {
  RETURN_IF_ERROR(CheckFlags(flags));
  v1::FineTuneSpec spec;
  v1::Subject& subject = *spec.add_subjects();
  subject.set_class_noun(flags.class_noun);
  if (flags.token) subject.set_token(*flags.token);
  for (const std::string& text : flags.also) {
    ASSIGN_OR_RETURN(const FurtherSubject further, ParseFurtherSubject(text));
    v1::Subject& other = *spec.add_subjects();
    other.set_token(further.token);
    other.set_class_noun(further.class_noun);
  }
  if (!flags.crop.empty()) {
    ASSIGN_OR_RETURN(const auto crop, ParseEnumFlag<v1::SubjectCrop>("crop", flags.crop));
    for (v1::Subject& each : *spec.mutable_subjects()) each.set_crop(crop);
  }
  RETURN_IF_ERROR(flags.method.SetIn(spec));
  *spec.mutable_training() = ToTraining(flags);
  ASSIGN_OR_RETURN(const auto precision,
                   ParseEnumFlag<v1::Precision>("precision", flags.precision));
  spec.mutable_training()->set_precision(precision);
  RETURN_IF_ERROR(flags.training.Apply(spec));
  ASSIGN_OR_RETURN(const auto stop_rule, ParseEnumFlag<v1::StopRule>("stop-rule", flags.stop_rule));
  if (!flags.stop_rule.empty()) spec.mutable_training()->set_stop_rule(stop_rule);
  if (!flags.prior) spec.mutable_prior()->set_weight(0);
  if (flags.prior_weight) spec.mutable_prior()->set_weight(*flags.prior_weight);
  if (flags.class_images) spec.mutable_prior()->set_class_images(*flags.class_images);
  if (flags.preview_every) spec.mutable_previews()->set_every_steps(*flags.preview_every);
  *spec.mutable_samples() = ToSamples(flags);
  return spec;
}

}  // namespace likeness::client
