#include "client/cli/train_request.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "client/cli/preset.h"
#include "common/fine_tune_methods.h"
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
  const std::string of_prior = flags.settings.GivenFor("prior");
  if (!flags.prior && !of_prior.empty()) {
    return absl::InvalidArgumentError(absl::StrCat("--no-prior: nothing preserves the class, so ",
                                                   of_prior, " cannot be given."));
  }
  if (!flags.prior && !flags.class_photos.empty()) {
    return absl::InvalidArgumentError(
        "--no-prior: nothing preserves the class, so --class-photos cannot be given.");
  }
  if (flags.webhook_progress && flags.webhook.empty()) {
    return absl::InvalidArgumentError("--webhook is missing: where to report progress to.");
  }
  const std::string of_samples = flags.settings.GivenFor("samples");
  if (!flags.samples && !of_samples.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--no-samples draws no pictures, so ", of_samples, " cannot be given."));
  }
  return absl::OkStatus();
}

// The empty message of the method, in the spec.
absl::Status SetMethod(const std::string& method, v1::FineTuneSpec& spec) {
  const auto methods = FineTuneMethods();
  if (std::find(methods.begin(), methods.end(), method) == methods.end()) {
    return absl::InvalidArgumentError(absl::StrCat("--method is '", method, "'; ",
                                                   absl::StrJoin(methods, ", "), " are allowed."));
  }
  spec.GetReflection()->MutableMessage(&spec,
                                       v1::FineTuneSpec::descriptor()->FindFieldByName(method));
  return absl::OkStatus();
}

// What is drawn, and from which seed, where it was not said.
void CompleteSamples(const v1::FineTuneSpec& spec, v1::Samples& samples) {
  if (!samples.has_seed() && spec.training().has_seed()) samples.set_seed(spec.training().seed());
  if (!samples.prompts().empty()) return;
  for (int i = 1; i <= spec.subjects_size(); ++i) {
    const std::string subject =
        spec.subjects_size() == 1 ? "{subject}" : absl::StrCat("{subject", i, "}");
    for (const char* prompt : kDefaultPrompts) {
      samples.add_prompts(absl::StrReplaceAll(prompt, {{"{subject}", subject}}));
    }
  }
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
  flags.AddHeading("Method");
  flags
      .Add(
          "method", &method,
          "dreambooth makes a whole model; the others make an adapter over its base: lora of a few "
          "megabytes, textual_inversion of a few kilobytes, pivotal_tuning (both in one), "
          "hypernetwork, custom_diffusion, svdiff.")
      .Takes(absl::StrJoin(FineTuneMethods(), "|"));
  flags
      .Add("preset", &preset,
           "Published settings for this kind of subject; flags and the base model's own "
           "recommendations take precedence.")
      .Takes(absl::StrJoin(PresetNames(), "|"));
  settings.AddTo(flags, kTrainingHeading);
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
  settings.AddTo(flags, kPicturesHeading);
  flags.Add("samples", &samples, "Draw sample images at the end; --no-samples: do not.");
  settings.AddTo(flags, kPriorHeading);
  flags.Add("prior", &prior, "Train on images of the class beside the photos; --no-prior: do not.");
  flags
      .Add("class-photos", &class_photos,
           "Folder of up to 2000 images of the class to use instead of drawn ones, such as "
           "likeness priors draws.")
      .Takes("DIR");
  settings.AddTo(flags);
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
  RETURN_IF_ERROR(SetMethod(flags.method, spec));
  RETURN_IF_ERROR(flags.settings.SetIn(spec));
  if (!flags.prior) spec.mutable_prior()->set_weight(0);
  v1::Samples& samples = *spec.mutable_samples();  // without prompts none are drawn
  if (flags.samples) CompleteSamples(spec, samples);
  return spec;
}

}  // namespace likeness::client
