#include "server/jobs/policies/work.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdlib>
#include <iterator>
#include <set>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "common/digest.h"
#include "common/job_spec.h"
#include "common/judging.h"
#include "common/prior.h"
#include "common/sampler_names.h"
#include "common/steps_at_strength.h"
#include "server/jobs/proto_time.h"

namespace likeness::server {
namespace {

constexpr double kKept = 0.97;  // of the weight of older jobs, with each new one
// Pulls rates that cannot be told apart from little data towards zero, the constant first: work of
// twice the size is first taken to last twice as long.
constexpr std::array<double, 3> kPull = {1e-2, 1e-4, 1e-3};
constexpr double kShortest = 1e-3;  // seconds; shorter ones are not told apart

double PassesPerStep(double guidance) { return guidance > 1 ? 2 : 1; }

Work Drawing(v1::JobPhase phase, const std::string& sampler, int64_t pixels, double images,
             double steps, double guidance) {
  return {{phase, sampler, pixels}, {1, images * steps * PassesPerStep(guidance), images}};
}

// That are drawn to be judged, with the model and with its base.
double ClassImages(const google::protobuf::RepeatedField<int>& measures) {
  const bool judged = measures.empty() || std::find(measures.begin(), measures.end(),
                                                    v1::MEASURE_PRES) != measures.end();
  return judged ? 2 * kClassImagesJudged : 0;
}

// One for each class of the subjects, unless it names none.
std::set<std::string> ClassPrompts(const v1::FineTuneSpec& spec) {
  std::set<std::string> prompts;
  for (const v1::Subject& subject : spec.subjects()) {
    prompts.insert(
        absl::StrReplaceAll(spec.prior().class_prompt(), {{"{class}", subject.class_noun()}}));
  }
  if (prompts.empty()) prompts.insert(spec.prior().class_prompt());
  return prompts;
}

const char* InPrecision(v1::Precision precision) {
  switch (precision) {
    case v1::PRECISION_BF16:
      return ", bf16";
    case v1::PRECISION_FP16:
      return ", fp16";
    case v1::PRECISION_BF16_WEIGHTS:
      return ", bf16 weights";
    default:
      return "";
  }
}

std::string TrainingVariant(const v1::FineTuneSpec& spec) {
  const v1::Training& training = spec.training();
  std::string variant =
      spec.has_textual_inversion()
          ? "word"
          : absl::StrCat(MakesAdapter(spec) ? MethodOf(spec) + " of " : "",
                         TrainsTextEncoder(spec) ? "unet and text encoder" : "unet",
                         InPrecision(training.precision()));
  if (training.gradient_checkpointing()) absl::StrAppend(&variant, ", computed twice");
  if (training.optimizer() > v1::OPTIMIZER_ADAMW) {
    absl::StrAppend(&variant, ", optimizer ", static_cast<int>(training.optimizer()));
  }
  if (spec.prior().weight() > 0 && IsBasePrediction(spec.prior())) {
    absl::StrAppend(&variant, ", with its base");
  }
  // It may end before its last step.
  if (training.stop_rule() == v1::STOP_RULE_PLATEAU) absl::StrAppend(&variant, ", to a plateau");
  return variant;
}

int64_t Previews(const v1::FineTuneSpec& spec) {
  const int64_t every = spec.previews().every_steps();
  return every > 0 ? spec.training().steps() / every * spec.previews().prompts_size() : 0;
}

// That the steps are judged by.
int64_t StepPictures(const v1::FineTuneSpec& spec) {
  if (!PicksBestStep(spec)) return 0;
  const int64_t every = std::max(1, spec.training().checkpoint_every_steps());
  const int64_t checkpoints = (spec.training().steps() + every - 1) / every;
  return checkpoints * kStepImagesJudged;
}

std::vector<Work> WorkOfFineTune(const v1::FineTuneSpec& spec, int64_t class_images_to_draw) {
  const bool prior = spec.prior().weight() > 0;
  double photos = 0;
  for (const v1::Subject& subject : spec.subjects()) {
    photos += subject.photos_size() + subject.validation_photos_size();
  }
  const auto& training = spec.training();
  const auto& samples = spec.samples();
  const double batches = 1.0 * training.steps() * training.gradient_accumulation_steps();
  const double class_photos = UsesClassImages(spec.prior()) ? spec.prior().class_photos_size() : 0;
  std::vector<Work> work = {{{v1::JOB_PHASE_UNSPECIFIED, "", 0}, {1, 0, 0}},
                            {{v1::JOB_PHASE_PREPARING, "", 0}, {1, photos + class_photos, 0}}};
  if (DrawsClassImages(spec.prior())) {
    work.push_back(Drawing(v1::JOB_PHASE_CLASS_IMAGES, spec.prior().sampler(), 0,
                           static_cast<double>(class_images_to_draw), spec.prior().sampling_steps(),
                           spec.prior().guidance()));
  }
  // Previews and what steps are judged by are drawn while it trains, and are measured with it.
  const auto previews = static_cast<double>(Previews(spec) + StepPictures(spec));
  work.push_back(
      {{v1::JOB_PHASE_TRAINING, TrainingVariant(spec) + (previews > 0 ? ", previews" : ""), 0},
       {batches, batches * training.batch_size() * (prior ? 2 : 1),
        previews > 0 ? previews * samples.steps() * PassesPerStep(samples.guidance()) : 1}});
  work.push_back({{v1::JOB_PHASE_SAVING, "", 0}, {1, photos, 0}});
  const double images = 1.0 * samples.prompts_size() * samples.images_per_prompt();
  if (images > 0) {
    const double judged = spec.judge().enabled() ? ClassImages(spec.judge().measures()) : 0;
    work.push_back(Drawing(v1::JOB_PHASE_SAMPLING, samples.sampler(), 0, images + judged,
                           samples.steps(), samples.guidance()));
  }
  if (spec.judge().enabled() && images > 0)
    work.push_back({{v1::JOB_PHASE_JUDGING, "", 0}, {1, images, 0}});
  work.push_back(
      {{v1::JOB_PHASE_UPLOADING, "", 0}, {1, images + static_cast<double>(Previews(spec)), 0}});
  return work;
}

// A picture that is begun with another one is drawn in part of the steps.
int StepsDone(const v1::GenerateSpec& spec) {
  if (!spec.image_to_image().has_strength()) return spec.steps();
  return std::max(1, StepsAtStrength(spec.steps(), spec.image_to_image().strength()));
}

std::vector<Work> WorkOfGenerate(const v1::GenerateSpec& spec) {
  const double images = 1.0 * spec.prompts_size() * spec.images_per_prompt();
  const int64_t pixels = int64_t{spec.width()} * spec.height();
  return {{{v1::JOB_PHASE_UNSPECIFIED, "", 0}, {1, 0, 0}},
          {{v1::JOB_PHASE_PREPARING, "", 0}, {1, 0, 0}},
          Drawing(v1::JOB_PHASE_SAMPLING, spec.sampler(), pixels, images, StepsDone(spec),
                  spec.guidance()),
          {{v1::JOB_PHASE_UPLOADING, "", 0}, {1, images, 0}}};
}

std::vector<Work> WorkOfEvaluate(const v1::EvaluateSpec& spec) {
  const double images = 1.0 * spec.prompts_size() * spec.images_per_prompt();
  return {
      {{v1::JOB_PHASE_UNSPECIFIED, "", 0}, {1, 0, 0}},
      {{v1::JOB_PHASE_PREPARING, "", 0}, {1, 1.0 * (spec.photos_size() + spec.gallery_size()), 0}},
      Drawing(v1::JOB_PHASE_SAMPLING, spec.sampler(), 0, images + ClassImages(spec.measures()),
              spec.steps(), spec.guidance()),
      {{v1::JOB_PHASE_JUDGING, "", 0}, {1, images, 0}},
      {{v1::JOB_PHASE_UPLOADING, "", 0}, {1, images, 0}}};
}

// That are about as much for any model. `variant`: of what is written.
std::vector<Work> WorkOnFiles(const std::string& variant) {
  return {{{v1::JOB_PHASE_UNSPECIFIED, "", 0}, {1, 0, 0}},
          {{v1::JOB_PHASE_PREPARING, "", 0}, {1, 0, 0}},
          {{v1::JOB_PHASE_SAVING, variant, 0}, {1, 0, 0}},
          {{v1::JOB_PHASE_UPLOADING, variant, 0}, {1, 0, 0}}};
}

const char* MetricOf(v1::JobPhase phase) {
  switch (phase) {
    case v1::JOB_PHASE_PREPARING:
      return "preparing_seconds";
    case v1::JOB_PHASE_CLASS_IMAGES:
      return "class_pictures_seconds";
    case v1::JOB_PHASE_TRAINING:
      return "training_seconds";
    case v1::JOB_PHASE_SAVING:
      return "saving_seconds";
    case v1::JOB_PHASE_SAMPLING:
      return "samples_seconds";
    case v1::JOB_PHASE_JUDGING:
      return "judging_seconds";
    case v1::JOB_PHASE_UPLOADING:
      return "uploading_seconds";
    default:
      return nullptr;
  }
}

// Solves a symmetric positive system of the rows and columns in `use` by Gaussian elimination.
std::array<double, 3> Solve(std::array<double, 9> matrix, std::array<double, 3> right,
                            const std::array<bool, 3>& use) {
  std::array<double, 3> solution = {};
  for (int i = 0; i < 3; ++i) {
    if (!use[i]) continue;
    for (int row = i + 1; row < 3; ++row) {
      if (!use[row]) continue;
      const double factor = matrix[3 * row + i] / matrix[3 * i + i];
      for (int column = i; column < 3; ++column) {
        matrix[3 * row + column] -= factor * matrix[3 * i + column];
      }
      right[row] -= factor * right[i];
    }
  }
  for (int i = 2; i >= 0; --i) {
    if (!use[i]) continue;
    double rest = right[i];
    for (int column = i + 1; column < 3; ++column) {
      if (use[column]) rest -= matrix[3 * i + column] * solution[column];
    }
    solution[i] = rest / matrix[3 * i + i];
  }
  return solution;
}

// The rates of the kind, or of the one most like it; how many times longer its work takes.
struct Found {
  const Rates* rates = nullptr;
  double scale = 1;
};

Found FindRates(const std::map<WorkKind, Rates>& rates, const WorkKind& kind) {
  Found found;
  std::pair<bool, double> best;  // another variant; how far away the size is
  for (const auto& [other, measured] : rates) {
    if (other.phase != kind.phase) continue;
    const double scale = kind.pixels > 0 && other.pixels > 0
                             ? static_cast<double>(kind.pixels) / static_cast<double>(other.pixels)
                             : 1;
    const std::pair<bool, double> distance = {other.variant != kind.variant,
                                              std::abs(std::log(scale))};
    if (found.rates != nullptr && best <= distance) continue;
    found = {&measured, scale};
    best = distance;
  }
  return found;
}

bool MayTakeLong(v1::JobPhase phase) {
  return phase == v1::JOB_PHASE_CLASS_IMAGES || phase == v1::JOB_PHASE_TRAINING ||
         phase == v1::JOB_PHASE_SAMPLING || phase == v1::JOB_PHASE_JUDGING;
}

}  // namespace

std::vector<Work> WorkOf(const v1::ResolvedSpec& settings, int64_t class_images_to_draw) {
  if (settings.has_evaluate()) return WorkOfEvaluate(settings.evaluate());
  if (settings.has_export_model()) {
    return WorkOnFiles(v1::ExportFormat_Name(settings.export_model().format()));
  }
  if (settings.has_import_model()) return WorkOnFiles("import");
  return settings.has_fine_tune() ? WorkOfFineTune(settings.fine_tune(), class_images_to_draw)
                                  : WorkOfGenerate(settings.generate());
}

std::optional<std::string> ClassImagesOf(const v1::ResolvedSpec& settings) {
  const v1::Prior& prior = settings.fine_tune().prior();
  if (!settings.has_fine_tune() || !DrawsClassImages(prior)) return std::nullopt;
  const auto sampler = FindSampler(prior.sampler());  // in a job's spec, as the caller spells it
  std::string key = absl::StrCat(absl::StrJoin(ClassPrompts(settings.fine_tune()), "\n"), "\n",
                                 sampler ? CanonicalName(*sampler) : prior.sampler(), "\n",
                                 prior.sampling_steps(), "\n", prior.guidance());
  if (prior.eta() != 0) absl::StrAppend(&key, "\n", prior.eta());  // older records have none
  return Sha256Hex(key).substr(0, 16);
}

int64_t CountOfClassImages(const v1::FineTuneSpec& spec) {
  return std::ssize(ClassPrompts(spec)) * spec.prior().class_images();
}

void Rates::Measure(const Amounts& amounts, double seconds) {
  seconds = std::max(seconds, kShortest);
  // What counts is how far off an estimate is in proportion.
  const double weight = 1 / (seconds * seconds);
  for (int i = 0; i < 3; ++i) {
    for (int j = 0; j < 3; ++j) {
      products_[3 * i + j] = kKept * products_[3 * i + j] + weight * amounts[i] * amounts[j];
    }
    seconds_[i] = kKept * seconds_[i] + weight * amounts[i] * seconds;
  }
  weight_ = kKept * weight_ + 1;
  ++runs_;
}

double Rates::Seconds(const Amounts& amounts) const {
  // In units in which each amount is 1 in the mean, so that they are pulled alike.
  std::array<double, 3> unit;
  std::array<bool, 3> use;
  for (int i = 0; i < 3; ++i) {
    unit[i] = std::sqrt(products_[4 * i] / std::max(weight_, 1.0));
    use[i] = unit[i] > 0;
  }
  std::array<double, 9> matrix = {};
  std::array<double, 3> right = {};
  for (int i = 0; i < 3; ++i) {
    if (!use[i]) continue;
    for (int j = 0; j < 3; ++j) {
      if (use[j]) matrix[3 * i + j] = products_[3 * i + j] / unit[i] / unit[j];
    }
    matrix[4 * i] += kPull[i] * weight_;
    right[i] = seconds_[i] / unit[i];
  }
  for (;;) {
    const auto rates = Solve(matrix, right, use);
    const auto least = std::min_element(rates.begin(), rates.end());
    if (*least < 0) {  // nothing takes negative time
      use[least - rates.begin()] = false;
      continue;
    }
    double seconds = 0;
    for (int i = 0; i < 3; ++i) {
      if (use[i]) seconds += rates[i] * amounts[i] / unit[i];
    }
    return seconds;
  }
}

std::string Rates::ToText() const {
  std::vector<double> numbers(products_.begin(), products_.end());
  numbers.insert(numbers.end(), seconds_.begin(), seconds_.end());
  numbers.push_back(weight_);
  return absl::StrCat(runs_, " ", absl::StrJoin(numbers, " ", [](std::string* out, double number) {
                        absl::StrAppend(out, absl::Hex(std::bit_cast<uint64_t>(number)));
                      }));
}

std::optional<Rates> Rates::FromText(const std::string& text) {
  const std::vector<absl::string_view> parts = absl::StrSplit(text, ' ');
  std::vector<double> numbers;
  Rates rates;
  if (parts.size() != 14 || !absl::SimpleAtoi(parts[0], &rates.runs_)) return std::nullopt;
  for (size_t i = 1; i < parts.size(); ++i) {
    uint64_t bits = 0;
    if (!absl::SimpleHexAtoi(parts[i], &bits)) return std::nullopt;
    numbers.push_back(std::bit_cast<double>(bits));
    if (!std::isfinite(numbers.back())) return std::nullopt;
  }
  std::copy_n(numbers.begin(), 9, rates.products_.begin());
  std::copy_n(numbers.begin() + 9, 3, rates.seconds_.begin());
  rates.weight_ = numbers.back();
  return rates;
}

std::optional<v1::WorkEstimate> EstimateWork(const v1::ResolvedSpec& settings,
                                             const DeviceRates& measured) {
  int64_t to_draw = CountOfClassImages(settings.fine_tune());
  if (const auto images = ClassImagesOf(settings)) {
    const auto there = measured.class_images.find(*images);
    if (there != measured.class_images.end()) to_draw -= std::min(to_draw, there->second);
  }
  v1::WorkEstimate estimate;
  estimate.set_device(measured.device);
  double total = 0;
  for (const Work& work : WorkOf(settings, to_draw)) {
    const Found found = FindRates(measured.rates, work.kind);
    if (found.rates == nullptr) {
      if (MayTakeLong(work.kind.phase)) return std::nullopt;
      continue;
    }
    const double seconds = found.scale * found.rates->Seconds(work.amounts);
    total += seconds;
    v1::PhaseEstimate& phase = *estimate.add_phases();
    phase.set_phase(work.kind.phase);
    *phase.mutable_duration() = ToProto(absl::Seconds(seconds));
    // Every job goes through this one.
    if (work.kind.phase == v1::JOB_PHASE_UNSPECIFIED) {
      estimate.set_measured_jobs(found.rates->runs());
    }
  }
  *estimate.mutable_worker_duration() = ToProto(absl::Seconds(total));
  return estimate;
}

std::vector<double> MeasuredSeconds(const std::vector<Work>& work, const v1::Job& job,
                                    absl::Duration worker_time) {
  std::vector<double> seconds(work.size(), 0);
  double rest = absl::ToDoubleSeconds(worker_time);
  std::optional<size_t> between;
  for (size_t i = 0; i < work.size(); ++i) {
    const char* metric = MetricOf(work[i].kind.phase);
    if (metric == nullptr) {
      between = i;
      continue;
    }
    const auto found = job.metrics().find(metric);
    if (found == job.metrics().end() || !std::isfinite(found->second) || found->second < 0) {
      return {};
    }
    seconds[i] = found->second;
    rest -= found->second;
  }
  if (between) seconds[*between] = std::max(rest, 0.0);
  return seconds;
}

}  // namespace likeness::server
