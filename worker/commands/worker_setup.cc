#include "worker/commands/worker_setup.h"

#include <cstdlib>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "common/logging.h"
#include "common/status_macros.h"
#include "common/utf8.h"
#include "worker/checkpoints/model_digest.h"
#include "worker/support/device.h"

namespace likeness {
namespace {

constexpr int kMostThreads = 1024;

}  // namespace

std::string WorkerFlags::DefaultModels() {
  constexpr char kHere[] = "models";
  std::error_code error;
  if (std::filesystem::is_directory(kHere, error)) return kHere;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", error);
  const auto installed = program.parent_path().parent_path() / "share/likeness/models";
  return std::filesystem::is_directory(installed, error) ? installed.string() : kHere;
}

std::string WorkerFlags::DefaultCacheDir() {
  if (const char* cache = std::getenv("XDG_CACHE_HOME")) return absl::StrCat(cache, "/likeness");
  if (const char* home = std::getenv("HOME")) return absl::StrCat(home, "/.cache/likeness");
  return "/var/cache/likeness";
}

void WorkerFlags::AddTo(FlagSet& flags) {
  flags.Add("models", &models, "Directory whose model directories are offered by their names.",
            "LIKENESS_MODELS");
  flags.Add("device", &device, "auto, cpu, or cuda:N.", "LIKENESS_DEVICE");
  flags.Add("threads", &threads, "Threads to compute with on the CPU; 0: as LibTorch chooses.",
            "LIKENESS_THREADS");
  flags.Add("allow-tf32", &allow_tf32,
            "Whether a GPU may compute what is in fp32 in TF32, which is several times faster; "
            "without it fp32 is exact.",
            "LIKENESS_ALLOW_TF32");
  flags.Add("generation-precision", &generation_precision,
            "What pictures are drawn in, class pictures too: fp32, or bf16 where the processor "
            "computes in it.",
            "LIKENESS_GENERATION_PRECISION");
  flags.Add("cache-dir", &cache_dir, "Class pictures, personalized models, digests.",
            "LIKENESS_CACHE_DIR");
  flags.Add("cache-bytes", &cache_bytes,
            "Bytes of personalized models to keep, and of class pictures; the longest unused go.",
            "LIKENESS_CACHE_BYTES");
  flags.Add("log-format", &log_format, "text or json.", "LIKENESS_LOG_FORMAT");
  flags.Add("log-level", &log_level, "debug, info, warning or error.", "LIKENESS_LOG_LEVEL");
}

absl::Status StartLogging(const WorkerFlags& flags) {
  return InitLogging({.format = flags.log_format, .level = flags.log_level});
}

absl::StatusOr<std::unique_ptr<Workshop>> SetUp(const WorkerFlags& flags) {
  RETURN_IF_ERROR(StartLogging(flags));
  if (flags.threads < 0 || flags.threads > kMostThreads) {
    return absl::InvalidArgumentError(
        absl::StrCat("--threads=", flags.threads, ": 0 to ", kMostThreads, " is allowed"));
  }
  if (flags.cache_bytes < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("--cache-bytes=", flags.cache_bytes, ": 0 or more is allowed"));
  }
  SetThreads(flags.threads);
  ASSIGN_OR_RETURN(const c10::Device device, ParseDevice(flags.device));
  AllowTf32(flags.allow_tf32, device);
  ASSIGN_OR_RETURN(const c10::ScalarType drawing,
                   ParseDrawingPrecision(flags.generation_precision, device));

  const std::filesystem::path cache = flags.cache_dir;
  RememberDigestsIn(cache / "digests.json");
  ASSIGN_OR_RETURN(ModelCatalog catalog, ModelCatalog::Scan(flags.models, cache / "models.json"));
  for (const auto& rejected : catalog.rejected()) {
    LogWarning("model not offered",
               {{"directory", rejected.path}, {"error", rejected.reason.message()}});
  }
  if (catalog.empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat("--models=", flags.models, ": no usable model directory is there"));
  }
  for (const auto& [name, entry] : catalog.entries()) {
    LogInfo(
        "model offered",
        {{"model", name}, {"display_name", entry.display_name}, {"digest", entry.facts.digest}});
    if (!IsUtf8(entry.display_name)) {
      LogWarning("the name of a model's directory is not UTF-8: clients see another one",
                 {{"model", name}, {"shown_as", ToUtf8(entry.display_name)}});
    }
  }
  EvaluatorScan evaluators = FindEvaluators(flags.models);
  for (const auto& rejected : evaluators.rejected) {
    LogWarning("evaluator not offered", {{"directory", rejected.name}, {"error", rejected.reason}});
  }
  for (const auto& evaluator : evaluators.found) {
    LogInfo("evaluator found", {{"evaluator", evaluator.name}});
  }
  return std::make_unique<Workshop>(
      Workshop{.catalog = std::move(catalog),
               .store = ModelStore(cache / "personalized", flags.cache_bytes),
               .warm = WarmBase(device, drawing),
               .class_image_cache = cache / "class-pictures",
               .cache_bytes = flags.cache_bytes,
               .evaluators = std::move(evaluators.found),
               .judges = WarmEvaluators(device),
               .safety_checkers = WarmEvaluators(device)});
}

}  // namespace likeness
