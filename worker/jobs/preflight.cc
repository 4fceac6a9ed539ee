#include "worker/jobs/preflight.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/class_noun.h"
#include "common/fine_tune_methods.h"
#include "common/job_spec.h"
#include "common/judging.h"
#include "common/number_text.h"
#include "common/placeholders.h"
#include "common/prior.h"
#include "common/prompt_weights.h"
#include "common/rpc_error.h"
#include "worker/base/error.h"
#include "worker/checkpoints/model_files.h"
#include "worker/exports/personalized_model.h"
#include "worker/families/family.h"
#include "worker/families/prompt_tokens.h"
#include "worker/generation/pipeline_sampler.h"
#include "worker/generation/starting_picture.h"
#include "worker/generation/text_to_image.h"
#include "worker/methods/hypernetwork.h"
#include "worker/models/clip_text.h"
#include "worker/nn/hookable_layers.h"
#include "worker/support/guard.h"

namespace likeness {
namespace {

constexpr int64_t kMostPreviews = 1000;  // of one job
constexpr size_t kMostCutPrompts = 10;   // that are warned of one by one

struct NamedText {
  std::string field;  // within the spec
  std::string text;
};

[[noreturn]] void Refuse(const std::string& field, const std::string& why) {
  throw StatusError(InvalidField(field, why, "OUT_OF_RANGE"));
}

// What the engine says against a field.
void RefuseAs(const std::string& field, const std::function<void()>& check) {
  try {
    check();
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kInvalidArgument) throw;
    Refuse(field, error.what());
  }
}

// The server has seen the prompts with their placeholders, and not what these stand for.
void CheckWeights(const std::vector<NamedText>& texts) {
  for (const auto& [field, text] : texts) {
    const std::string error = ParsePromptWeights(text).error;
    if (!error.empty()) Refuse("job.generate." + field, error);
  }
}

// `path` holds the fields of the spec, which says how pictures are drawn: "job.fine_tune.samples."
template <typename Spec>
void CheckSampling(const std::string& path, const std::string& steps_field, const Spec& spec,
                   int steps, const Family& model) {
  std::optional<Sampler> made;
  try {
    made.emplace(SamplerOf(model, spec.sampler()));
  } catch (const Error& error) {
    Refuse(path + "sampler", error.what());
  }
  RefuseAs(path + "eta", [&] { SamplerOf(model, spec.sampler(), spec.eta()); });
  try {
    (void)made->GridOf(steps);
  } catch (const Error& error) {
    Refuse(path + steps_field, error.what());
  }
  if (!std::isfinite(spec.guidance())) {
    Refuse(path + "guidance",
           absl::StrCat("is ", NumberText(spec.guidance()), "; a finite number is needed"));
  }
}

// `field`: how often there is one.
void CheckPreviewCount(const char* field, int64_t every, int64_t previews) {
  if (previews <= kMostPreviews) return;
  Refuse(field, absl::StrCat("is ", every, ", which makes ", previews, " previews; at most ",
                             kMostPreviews, " are allowed"));
}

void CheckPreviews(const v1::FineTuneSpec& spec) {
  const int64_t every = spec.previews().every_steps();
  if (every <= 0) return;
  CheckPreviewCount("job.fine_tune.previews.every_steps", every,
                    spec.training().steps() / every * spec.previews().prompts_size());
}

// As events, which are kept as long as the job.
void CheckLivePreviews(const v1::GenerateSpec& spec) {
  const int64_t every = spec.preview_every_steps();
  if (every <= 0) return;
  const int64_t batch = TextToImageRequest{}.batch_size;
  const auto batches_of = [&](int64_t images) { return (images + batch - 1) / batch; };
  // At most: not all prompts have adapters of their own, or need another number of rows.
  const bool apart = spec.prompt_adapters() || spec.long_prompts();
  const int64_t batches = apart ? spec.prompts_size() * batches_of(spec.images_per_prompt())
                                : batches_of(spec.prompts_size() * spec.images_per_prompt());
  CheckPreviewCount("job.generate.preview_every_steps", every,
                    batches * ((spec.steps() - 1) / every));
}

// `field`: of the update.
void CheckTargets(const std::string& field, const v1::Lora& lora, const Family& model) {
  const std::vector<std::string> targets(lora.targets().begin(), lora.targets().end());
  for (const Part& part : model.Parts()) {
    if (part.role != Role::kDenoiser) continue;
    const auto layers = LayersOf(*part.module);
    for (int i = 0; i < lora.targets_size(); ++i) {
      const bool found = std::any_of(layers.begin(), layers.end(), [&](const auto& layer) {
        return IsTarget(layer.name, {targets[i]});
      });
      if (found) continue;
      Refuse(absl::StrCat(field, ".targets[", i, "]"),
             absl::StrCat("is \"", targets[i], "\", which no layer of the model's ", part.name,
                          " is called"));
    }
  }
}

void CheckHypernetwork(const v1::Hypernetwork& hypernetwork, const Family& model) {
  const auto widths = ContextWidths(model, hypernetwork.self_attention());
  if (widths.empty()) return;
  const auto least = static_cast<double>(*widths.begin());
  const double least_times = std::ceil(1e6 / least) / 1e6;  // of six digits, for the message
  for (int i = 0; i < hypernetwork.layer_structure_size(); ++i) {
    const double times = hypernetwork.layer_structure(i);
    if (least * times >= 1) continue;
    Refuse(absl::StrCat("job.fine_tune.hypernetwork.layer_structure[", i, "]"),
           absl::StrCat("is ", NumberText(times),
                        ", which makes a layer of width 0 for the model's contexts of "
                        "width ",
                        least, "; ", NumberText(least_times), " or more is allowed"));
  }
}

void CheckClipSkip(int clip_skip, const Family& model) {
  int64_t layers = std::numeric_limits<int64_t>::max();  // of the text encoder with the fewest
  bool xl = false;
  for (const Part& part : model.Parts()) {
    if (part.name == "text_encoder_2") xl = true;
    const auto* encoder = part.module->as<ClipTextModelImpl>();
    if (encoder != nullptr) layers = std::min(layers, encoder->options().num_hidden_layers);
  }
  const int64_t most = xl ? layers - 1 : layers;  // XL leaves the last one out anyway
  if (clip_skip <= most) return;
  Refuse("job.generate.clip_skip",
         absl::StrCat("is ", clip_skip, "; of this model's text encoders, 0 to ", most,
                      " layers can be left out"));
}

// `words`: learned ones, of as many tokens as they have rows. `weights`: as in TextOptions.
void WarnOfCutPrompts(const std::vector<NamedText>& texts, const ClipTokenizer& tokenizer,
                      const std::vector<NewWord>& words, JobEnvironment& environment,
                      bool weights = false) {
  const size_t room = tokenizer.model_max_length() - 2;  // but for begin and end
  const TextOptions whole{.weights = weights, .long_prompts = true};
  size_t cut = 0;
  for (const auto& [field, text] : texts) {
    const size_t tokens = ReadPrompt(tokenizer, text, words, whole).ids.size();
    if (tokens <= room || ++cut > kMostCutPrompts) continue;
    environment.Warn(absl::StrCat(field, " has ", tokens, " tokens, of which the model reads ",
                                  room, ": the last ", tokens - room, " change nothing"));
  }
  if (cut > kMostCutPrompts) {
    environment.Warn(absl::StrCat(cut - kMostCutPrompts, " more prompts are longer than the ", room,
                                  " tokens that the model reads"));
  }
}

// `texts`: filled in.
void WarnOfNumbers(const std::vector<NamedText>& texts, JobEnvironment& environment) {
  for (const auto& [field, text] : texts) {
    const auto place = PlaceOfNoSubject(text, 0);  // those of subjects are filled in
    if (!place) continue;
    environment.Warn(absl::StrCat(field, " holds ", *place,
                                  ", which no subject has for its number: it is read as it is "
                                  "written"));
    return;  // one says it
  }
}

// `texts`: filled in.
void WarnOfPlaceholders(const std::vector<NamedText>& texts, JobEnvironment& environment) {
  for (const auto& [field, text] : texts) {
    for (const auto& [placeholder, missing] :
         {std::pair("{subject}", "token"), std::pair("{class}", "class noun")}) {
      if (text.find(placeholder) == std::string::npos) continue;
      environment.Warn(absl::StrCat(field, " holds ", placeholder, ", and the model has no ",
                                    missing, ": it is read as it is written"));
      return;  // one says it
    }
  }
}

// What a GenerateSpec or EvaluateSpec draws from. Warns of places that are not filled in.
template <typename Spec>
std::vector<NamedText> TextsOf(const Spec& spec, const PromptWords& words,
                               JobEnvironment& environment) {
  std::vector<NamedText> texts;
  for (int i = 0; i < spec.prompts_size(); ++i) {
    texts.push_back({absl::StrCat("prompts[", i, "]"), FillPrompt(spec.prompts(i), words)});
  }
  texts.push_back({"negative_prompt", FillPrompt(spec.negative_prompt(), words)});
  WarnOfPlaceholders(texts, environment);
  WarnOfNumbers(texts, environment);
  return texts;
}

}  // namespace

void CheckFineTune(const v1::FineTuneSpec& spec, const Family& model, JobEnvironment& environment) {
  const auto& prior = spec.prior();
  const auto& samples = spec.samples();
  if (DrawsClassImages(prior)) {
    CheckSampling("job.fine_tune.prior.", "sampling_steps", prior, prior.sampling_steps(), model);
  }
  // Previews are drawn as the samples are, and so are pictures by which checkpoints are compared.
  if (samples.prompts_size() > 0 || spec.previews().every_steps() > 0 || PicksBestStep(spec)) {
    CheckSampling("job.fine_tune.samples.", "steps", samples, samples.steps(), model);
  }
  CheckPreviews(spec);
  if (spec.training().micro_conditioning()) {
    RefuseAs("job.fine_tune.training.micro_conditioning", [&] { model.RequireNumbers(); });
  }
  if (spec.has_lora()) CheckTargets("job.fine_tune.lora", spec.lora(), model);
  if (spec.has_pivotal_tuning()) {
    CheckTargets("job.fine_tune.pivotal_tuning.lora", spec.pivotal_tuning().lora(), model);
  }

  if (spec.has_hypernetwork()) CheckHypernetwork(spec.hypernetwork(), model);
  std::vector<NamedText> texts = {
      {"samples.negative_prompt", FillPrompt(samples.negative_prompt(), WordsOf(spec))}};
  const auto add = [&](const std::string& field, int i, const std::string& text, int subject = 0) {
    texts.push_back({absl::StrCat(field, "[", i, "]"), FillPrompt(text, WordsOf(spec, subject))});
  };
  for (const std::string& warning : ClassNounWarnings(spec)) environment.Warn(warning);
  for (int i = 0; i < spec.subjects_size(); ++i) {
    const auto& subject = spec.subjects(i);
    const std::string name = absl::StrCat("subjects[", i, "]");
    const std::string of = spec.subjects_size() == 1 ? "" : name + ".";
    texts.push_back({i == 0 ? "the subject's prompt" : "the prompt of " + name,
                     FillPrompt("a {subject}", WordsOf(spec, i))});
    if (prior.weight() > 0) {
      texts.push_back({"prior.class_prompt", FillPrompt(prior.class_prompt(), WordsOf(spec, i))});
    }
    for (int k = 0; k < subject.photos_size(); ++k) {
      add(absl::StrCat("caption of ", of, "photos"), k, subject.photos(k).caption(), i);
    }
    for (int k = 0; k < subject.validation_photos_size(); ++k) {
      add(absl::StrCat("caption of ", of, "validation_photos"), k,
          subject.validation_photos(k).caption(), i);
    }
  }
  for (int i = 0; i < prior.class_photos_size(); ++i) {
    add("caption of prior.class_photos", i, prior.class_photos(i).caption());
  }
  for (int i = 0; i < samples.prompts_size(); ++i) add("samples.prompts", i, samples.prompts(i));
  for (int i = 0; i < spec.previews().prompts_size(); ++i) {
    add("previews.prompts", i, spec.previews().prompts(i));
  }
  std::vector<NewWord> learned;
  if (LearnsWord(spec)) {
    const int64_t vectors = WordSettingsOf(spec).vectors();
    for (const v1::Subject& subject : spec.subjects()) {
      learned.push_back({subject.token(), {torch::empty({vectors, 0})}});
    }
  }
  WarnOfNumbers(texts, environment);
  WarnOfCutPrompts(texts, model.tokenizer(), learned, environment);
}

void CheckFileNames(const std::filesystem::path& base_model, const v1::FineTuneSpec& spec) {
  if (MakesAdapter(spec)) return;  // nothing of the base is part of an adapter
  std::vector<std::string> changed = {"unet"};
  if (spec.dreambooth().train_text_encoder()) {
    changed.insert(changed.end(), {"text_encoder", "text_encoder_2"});
  }
  CheckFileNames(base_model, changed);
}

void CheckFileNames(const std::filesystem::path& model, const std::vector<std::string>& changed) {
  for (const auto& [path, file] : FilesOfModel(model)) {
    if (!IsShared(path, changed)) continue;
    const bool plain = std::all_of(path.begin(), path.end(), [](unsigned char c) {
      return absl::ascii_isalnum(c) || c == '.' || c == '_' || c == '-' || c == '/';
    });
    if (plain) continue;
    ThrowIfError(absl::FailedPreconditionError(
        absl::StrCat("the model's file \"", absl::Utf8SafeCEscape(path),
                     "\" cannot be part of what is made of it: its name may only hold "
                     "[A-Za-z0-9._-]; rename or remove it")));
  }
}

void CheckEvaluate(const v1::EvaluateSpec& spec, const PromptWords& words, const Family& model,
                   JobEnvironment& environment) {
  CheckSampling("job.evaluate.", "steps", spec, spec.steps(), model);
  const auto texts = TextsOf(spec, words, environment);
  WarnOfCutPrompts(texts, model.tokenizer(), model.words(), environment);
}

void CheckGenerate(const v1::GenerateSpec& spec, const PromptWords& words, const Family& model,
                   JobEnvironment& environment) {
  CheckSampling("job.generate.", "steps", spec, spec.steps(), model);
  CheckClipSkip(spec.clip_skip(), model);
  if (spec.has_micro_conditioning()) {
    RefuseAs("job.generate.micro_conditioning", [&] { model.RequireNumbers(); });
  }
  CheckLivePreviews(spec);
  if (spec.has_image_to_image()) {
    RefuseAs("job.generate.image_to_image.strength",
             [&] { StepsLeftOut(spec.steps(), spec.image_to_image().strength()); });
  }
  const auto texts = TextsOf(spec, words, environment);
  if (spec.prompt_weights()) CheckWeights(texts);
  if (spec.long_prompts()) return;
  WarnOfCutPrompts(texts, model.tokenizer(), model.words(), environment, spec.prompt_weights());
}

}  // namespace likeness
