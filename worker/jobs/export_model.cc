#include "worker/jobs/export_model.h"

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/resource_names.h"
#include "common/subject_phrase.h"
#include "third_party/nlohmann/json.hpp"
#include "worker/base/error.h"
#include "worker/exports/embedding_file.h"
#include "worker/exports/model_directory.h"
#include "worker/families/single_file.h"
#include "worker/jobs/constrained_export.h"
#include "worker/jobs/drawing_model.h"
#include "worker/jobs/keep_outputs.h"
#include "worker/jobs/outputs.h"
#include "worker/jobs/preflight.h"
#include "worker/methods/combined_adapters.h"
#include "worker/methods/extracted_lora.h"
#include "worker/methods/float8_lora.h"
#include "worker/methods/lora.h"
#include "worker/methods/lora_directory.h"
#include "worker/methods/merged_model.h"
#include "worker/methods/textual_inversion.h"
#include "worker/support/device.h"
#include "worker/support/files.h"
#include "worker/support/guard.h"
#include "worker/support/resident_memory.h"

namespace likeness {
namespace {

namespace fs = std::filesystem;

constexpr int kDefaultRank = 16, kDefaultRankWithEnergy = 256;
constexpr char kSingleFile[] = "model.safetensors";
constexpr char kWordsDir[] = "words";
// Of what the denoiser gives, for weights in 32 and in 16 bits.
constexpr double kMostApart = 1e-3, kMostApartFloat16 = 2e-2;
// Of a LoRA's update, for factors in 8 bits: 0.03 to 0.04 was measured, of ranks from 4 to 64 and
// of layers whose updates differ by up to 10,000 times.
constexpr double kMostApartFloat8 = 5e-2;

// One export under way.
struct Order {
  const v1::ExportSpec& spec;  // resolved
  nlohmann::json card;
  std::string prompt;  // of the passes that are compared
  // What the denoiser gives with the adapters over the model, or merged into it where that is
  // another.
  torch::Tensor as_drawn;
  fs::path scratch;
  fs::path out;
  std::function<void(int64_t done, int64_t total)> report;
  std::function<void()> poll;  // throws when the job is to stop

  torch::ScalarType dtype() const {
    if (spec.float8()) return torch::kFloat8_e4m3fn;
    return spec.float16() ? torch::kFloat16 : torch::kFloat32;
  }
};

nlohmann::json CardOf(const v1::ExportSpec& spec, const DrawingModel& drawing) {
  nlohmann::json adapters = nlohmann::json::array();
  for (const auto& adapter : spec.model().adapters()) {
    adapters.push_back({{"model", adapter.model()}, {"strength", adapter.strength()}});
  }
  nlohmann::json card = {{"format", 1},
                         {"token", drawing.words.token},
                         {"class_noun", drawing.words.class_noun},
                         {"base", {{"digest", drawing.settings.base.digest}}},
                         {"export", {{"model", spec.model().name()}, {"adapters", adapters}}}};
  for (const auto& [token, class_noun] : drawing.words.subjects) {
    card["subjects"].push_back({{"token", token}, {"class_noun", class_noun}});
  }
  if (spec.merge() == v1::ADAPTER_MERGE_ORTHOGONAL) card["export"]["merge"] = "orthogonal";
  if (spec.merge() == v1::ADAPTER_MERGE_CONSTRAINED) card["export"]["merge"] = "constrained";
  return card;
}

// Before anything is computed.
void CheckMerges(const DrawingModel& drawing) {
  for (const LaidAdapter& adapter : drawing.laid_over) {
    const bool network = FindMethod(adapter.method).merge == nullptr;
    if (!network && !IsTLora(adapter.directory)) continue;
    throw Error(ErrorKind::kFailedPrecondition,
                absl::StrCat(adapter.name, " is an adapter of ",
                             network ? adapter.method : "T-LoRA (lora.min_rank)",
                             network ? ", a network of its own that"
                                     : ", which acts otherwise at each timestep and which",
                             " no weights can hold: it cannot be merged"));
  }
}

// What lies over the model as one change by the sum or the orthogonal rule.
MergedAdapters CombineAdapters(const DrawingModel& drawing, v1::AdapterMerge rule,
                               std::map<std::string, double>& figures) {
  CombinedAdapters combined(rule == v1::ADAPTER_MERGE_ORTHOGONAL ? Combination::kOrthogonal
                                                                 : Combination::kSum);
  torch::NoGradGuard no_grad;
  for (const LaidAdapter& adapter : drawing.laid_over) {
    MergedAdapters merged;
    FindMethod(adapter.method).merge(drawing.model, adapter.directory, adapter.strength, merged);
    combined.Add(merged);
  }
  if (drawing.laid_over.size() > 1) figures["adapter_overlap"] = combined.overlap();
  return combined.merged();
}

MergedAdapters SolveForAdapters(const Order& order, DrawingModel& drawing,
                                std::vector<MergedAdapters> adapters,
                                std::map<std::string, double>& figures) {
  ConstrainedMerge solved = MergeForExport(drawing, std::move(adapters), order.poll);
  figures["merge_word_error"] = solved.word_error;
  figures["merge_caption_change"] = solved.caption_change;
  return std::move(solved.merged);
}

torch::Tensor PassOfMerged(const Order& order, Family& model, const MergedAdapters& merged) {
  std::map<std::string, NamedTensors> weights;
  for (MergedPart& part : Merge(model, merged)) {
    if (part.changed) weights[part.part.name] = std::move(part.weights);
  }
  return OnePassWith(model, weights, merged.words, order.prompt);
}

void CheckPass(const Order& order, const torch::Tensor& pass, const torch::Tensor& wanted) {
  const double apart = RelativeDifference(pass, wanted);
  const double most = order.spec.float16() ? kMostApartFloat16 : kMostApart;
  if (apart <= most) return;
  throw Error(ErrorKind::kInternal,
              absl::StrCat("what was exported differs from the model by ", apart,
                           " in what the denoiser gives; at most ", most, " is allowed"));
}

void ExportDirectory(const Order& order, DrawingModel& drawing, const MergedAdapters& merged) {
  const auto parts = Merge(drawing.model, merged);
  WriteMergedModel(drawing.directory, parts, merged.words, order.spec.float16(), order.card,
                   order.out, order.poll);
  const auto read = ReadMergedModel(order.out, parts);
  CheckReadBack(parts, order.spec.float16(), read);
  CheckPass(order, OnePassWith(drawing.model, read, merged.words, order.prompt), order.as_drawn);
}

// Where the format has no place for learned words: their own files beside it.
void WriteWordsBeside(const Order& order, const DrawingModel& drawing,
                      JobEnvironment& environment) {
  for (const LaidAdapter& adapter : drawing.laid_over) {
    if (!fs::exists(adapter.directory / kEmbeddingFile)) continue;
    const std::string id = ValueOrThrow(ParseModelName(adapter.name)).id;
    const fs::path beside = order.out / kWordsDir / id;
    fs::create_directories(beside);
    // Of further words, too: "learned_embeds-2.safetensors".
    for (const auto& file : FilesBelow(adapter.directory)) {
      const std::string name = file.filename().string();
      for (const char* first : {kEmbeddingFile, kA1111EmbeddingFile}) {
        if (name.starts_with(fs::path(first).stem().string())) fs::copy_file(file, beside / name);
      }
    }
    environment.Warn(absl::StrCat("the word that ", adapter.name,
                                  " has learned is in files of its own, in ", kExportDir, "/",
                                  kWordsDir, "/", id, ": the format has no place for it"));
  }
}

void ExportOneFile(const Order& order, DrawingModel& drawing, MergedAdapters merged) {
  const auto words = std::exchange(merged.words, {});
  const auto parts = Merge(drawing.model, merged);
  const fs::path whole = order.scratch / "merged";
  WriteMergedModel(drawing.directory, parts, /*words=*/{}, /*float16=*/false, order.card, whole,
                   order.poll);
  fs::create_directories(order.out);
  const fs::path file = order.out / kSingleFile;
  ExportSingleFile(whole, file,
                   order.spec.float16() ? std::optional(torch::kFloat16) : std::nullopt,
                   order.poll);
  const auto read = ReadSingleFile(file, whole);
  CheckReadBack(parts, order.spec.float16(), read);
  std::vector<std::unique_ptr<AppliedAdapter>> spoken;
  for (const NewWord& word : words) spoken.push_back(SpeakWord(drawing.model, word));
  CheckPass(order, OnePassWith(drawing.model, read, /*words=*/{}, order.prompt), order.as_drawn);
}

// The updates with factors in 8 bits, and what that costs of them.
std::pair<LoraWeights, double> RoundedToFloat8(const LoraWeights& weights) {
  LoraWeights rounded = InFloat8(weights);
  const double apart = UpdateDifference(rounded, weights);
  if (apart > kMostApartFloat8) {
    throw Error(ErrorKind::kFailedPrecondition,
                absl::StrCat("with factors in 8 bits the LoRA's update differs by ", apart,
                             " of itself; at most ", kMostApartFloat8,
                             " is allowed; export it with float16"));
  }
  return {std::move(rounded), apart};
}

std::map<std::string, double> FiguresOf(const ExtractedLora& extracted) {
  const LoraWeights& weights = extracted.weights;
  int64_t least = weights.scale.rank, sum = 0;
  for (const LoraUpdate& update : weights.updates) {
    least = std::min(least, update.Rank());
    sum += update.Rank();
  }
  return {
      {"lora_rank", static_cast<double>(weights.scale.rank)},
      {"lora_rank_least", static_cast<double>(least)},
      {"lora_rank_mean", static_cast<double>(sum) / static_cast<double>(weights.updates.size())},
      {"lora_energy", extracted.energy},
      {"lora_weight_error", extracted.relative_error}};
}

void WarnOfLayersBelowEnergy(const ExtractedLora& extracted, const v1::ExportSpec& spec,
                             JobEnvironment& environment) {
  if (extracted.layers_below_energy == 0) return;
  environment.Warn(absl::StrCat("with a rank of ", spec.rank(), ", ", extracted.layers_below_energy,
                                " of ", extracted.weights.updates.size(), " layers keep less than ",
                                spec.energy(), " of their squared singular values; all together ",
                                "keep ", extracted.energy));
}

// Returns how large the LoRA is, and how far from the model: of the weights, and of what the
// denoiser gives.
std::map<std::string, double> ExportLora(const Order& order, DrawingModel& drawing,
                                         MergedAdapters merged, JobEnvironment& environment,
                                         Workshop& workshop) {
  const CatalogEntry* base = workshop.catalog.FindByDigest(drawing.settings.base.digest);
  if (base == nullptr) {
    throw Error(ErrorKind::kFailedPrecondition,
                "this worker does not have the base model of the model, from which the LoRA is to "
                "be the difference");
  }
  const auto words = std::exchange(merged.words, {});
  const auto difference = DifferenceFrom(base->directory, Merge(drawing.model, merged));
  const auto energy = order.spec.has_energy() ? std::optional(order.spec.energy()) : std::nullopt;
  auto extracted = ExtractLora(difference, {order.spec.rank(), energy}, order.report);
  WarnOfLayersBelowEnergy(extracted, order.spec, environment);
  std::map<std::string, double> figures = FiguresOf(extracted);
  if (order.spec.float8()) {
    std::tie(extracted.weights, figures["lora_float8_error"]) = RoundedToFloat8(extracted.weights);
  }
  Family& model =
      workshop.warm.GetBase(base->facts.name, base->facts.digest, base->directory, order.poll);
  MakeModelDirectory(order.out, order.card, [&](const fs::path& partial) {
    WriteLoraWeights(model, extracted.weights, order.dtype(), partial);
  });
  std::vector<std::unique_ptr<AppliedAdapter>> spoken;
  for (const NewWord& word : words) spoken.push_back(SpeakWord(model, word));
  const auto wanted = PassOfMerged(order, model, AsChanges(extracted.weights, difference));
  const auto applied = ApplyLora(model, order.out, /*strength=*/1);
  const auto pass = OnePass(model, order.prompt);
  CheckPass(order, pass, wanted);
  figures["lora_pass_error"] = RelativeDifference(pass, order.as_drawn);
  return figures;
}

}  // namespace

v1::ResolvedSpec ResolveExport(const v1::ExportSpec& spec, const ModelFacts& model) {
  v1::ResolvedSpec resolved;
  resolved.set_base_model_digest(model.digest);
  v1::ExportSpec& result = *resolved.mutable_export_model();
  result = spec;
  result.mutable_model()->set_name(model.name);
  for (auto& adapter : *result.mutable_model()->mutable_adapters()) {
    if (!adapter.has_strength()) adapter.set_strength(1);
  }
  if (result.format() == v1::EXPORT_FORMAT_LORA && !result.has_rank()) {
    result.set_rank(result.has_energy() ? kDefaultRankWithEnergy : kDefaultRank);
  }
  if (result.merge() == v1::ADAPTER_MERGE_UNSPECIFIED) result.set_merge(v1::ADAPTER_MERGE_SUM);
  return resolved;
}

std::vector<v1::Output> DescribeExport(const JobEnvironment& environment) {
  return DescribeDirectory(environment.scratch() / kExportDir, kExportDir, v1::OUTPUT_KIND_EXPORT);
}

JobResult ExportModel(const v1::Lease& lease, JobEnvironment& environment, Workshop& workshop) {
  // Prepare
  Phases phases(environment, {Phase::kPreparing, Phase::kSaving, Phase::kUploading});
  DrawingModel drawing = DrawingModelOf(lease, environment, phases, workshop);
  CheckMerges(drawing);
  JobResult result;
  result.resolved = ResolveExport(lease.job().export_model(), drawing.facts);
  const v1::ExportSpec& spec = result.resolved.export_model();
  environment.Resolved(result.resolved);
  const bool constrained =
      spec.merge() == v1::ADAPTER_MERGE_CONSTRAINED && !drawing.laid_over.empty();
  std::vector<MergedAdapters> to_solve;
  if (constrained) to_solve = ReadForConstrainedMerge(drawing);
  if (spec.format() == v1::EXPORT_FORMAT_DIFFUSERS) {
    CheckFileNames(drawing.directory, std::vector<std::string>());
  }
  Order order{
      .spec = spec,
      .card = CardOf(spec, drawing),
      .prompt = absl::StrCat("a ", SubjectPhrase(drawing.words.token, drawing.words.class_noun)),
      .as_drawn = {},
      .scratch = environment.scratch(),
      .out = environment.scratch() / kExportDir,
      .report =
          [&](int64_t done, int64_t total) {
            ThrowIfStopped(environment.Stop());
            phases.Report(
                {.phase = Phase::kSaving, .done = done, .total = total, .unit = "layers"});
          },
      .poll = [&] { ThrowIfStopped(environment.Stop()); }};
  const InFullPrecision exact(drawing.model.device());
  order.as_drawn = OnePass(drawing.model, order.prompt);
  drawing.adapters.clear();
  std::map<std::string, double> figures;
  const MergedAdapters merged = constrained
                                    ? SolveForAdapters(order, drawing, std::move(to_solve), figures)
                                    : CombineAdapters(drawing, spec.merge(), figures);
  const bool orthogonal =
      spec.merge() == v1::ADAPTER_MERGE_ORTHOGONAL && drawing.laid_over.size() > 1;
  if (constrained || orthogonal) {
    order.as_drawn = PassOfMerged(order, drawing.model, merged);
  }

  // Write, read back, compare
  phases.Report({.phase = Phase::kSaving});
  switch (spec.format()) {
    case v1::EXPORT_FORMAT_DIFFUSERS:
      ExportDirectory(order, drawing, merged);
      break;
    case v1::EXPORT_FORMAT_SINGLE_FILE:
      ExportOneFile(order, drawing, merged);
      WriteWordsBeside(order, drawing, environment);
      break;
    case v1::EXPORT_FORMAT_LORA:
      figures.merge(ExportLora(order, drawing, merged, environment, workshop));
      WriteWordsBeside(order, drawing, environment);
      break;
    default:
      throw Error(ErrorKind::kInvalidArgument, "the export's format is none that is known");
  }

  // Keep
  result.outputs = KeepOutputs(DescribeExport(environment), /*extras=*/{}, environment, phases);
  result.metrics = phases.Measurements();
  result.metrics.merge(figures);
  result.metrics["worker_peak_memory_bytes"] = ReadResidentMemory().peak_bytes;
  return result;
}

}  // namespace likeness
