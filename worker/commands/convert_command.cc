// likeness-worker convert: between a diffusers directory and a single file.
#include <filesystem>
#include <optional>
#include <string>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "worker/commands/commands.h"
#include "worker/families/diffusers_directory.h"
#include "worker/families/single_file.h"
#include "worker/support/command_flags.h"
#include "worker/support/guard.h"

namespace likeness {
namespace {

namespace fs = std::filesystem;

constexpr char kUsage[] = R"(Usage: likeness-worker convert --from FILE.safetensors --to DIRECTORY
       likeness-worker convert --from DIRECTORY --to FILE.safetensors

Makes a diffusers directory of a checkpoint in the original layout of Stable
Diffusion 1.x, 2.x or XL, beside which the folder tokenizer holds CLIP's
vocabulary; or such a file of a directory.
)";

absl::StatusOr<std::optional<torch::ScalarType>> ParseDtype(const std::string& text) {
  if (text.empty()) return std::nullopt;
  if (text == "fp32") return torch::kFloat32;
  if (text == "fp16") return torch::kFloat16;
  if (text == "bf16") return torch::kBFloat16;
  return absl::InvalidArgumentError(
      absl::StrCat("--dtype=", text, ": fp32, fp16 or bf16 is allowed"));
}

absl::StatusOr<std::optional<PredictionType>> ParsePrediction(const std::string& text) {
  if (text.empty()) return std::nullopt;
  if (text == "epsilon") return PredictionType::kEpsilon;
  if (text == "v_prediction") return PredictionType::kV;
  return absl::InvalidArgumentError(
      absl::StrCat("--prediction-type=", text, ": epsilon or v_prediction is allowed"));
}

}  // namespace

int ConvertCommand(const CommandLine& arguments) {
  std::string from, to, dtype_name, prediction_name;
  FlagSet flags(kUsage);
  flags.Add("from", &from, "The checkpoint: a file or a directory.");
  flags.Add("to", &to, "What is written: the other of the two. A directory must not be there yet.");
  flags.Add("dtype", &dtype_name,
            "Of a file's tensors: fp32, fp16 or bf16; by default each its own.");
  flags.Add("prediction-type", &prediction_name,
            "What a file's model predicts, where the file does not say it: epsilon or "
            "v_prediction. By default v_prediction for Stable Diffusion 2, else epsilon.");
  return RunWithFlags(flags, arguments, [&]() -> absl::Status {
    RETURN_IF_ERROR(RequireFlag("from", from));
    RETURN_IF_ERROR(RequireFlag("to", to));
    ASSIGN_OR_RETURN(const auto dtype, ParseDtype(dtype_name));
    ASSIGN_OR_RETURN(const auto prediction, ParsePrediction(prediction_name));
    const bool exports = fs::is_directory(from);
    if (exports && prediction) {
      return absl::InvalidArgumentError(absl::StrCat("--prediction-type=", prediction_name,
                                                     ": a directory says what its model predicts"));
    }
    if (!exports && dtype) {
      return absl::InvalidArgumentError(absl::StrCat(
          "--dtype=", dtype_name, ": a directory is written with the dtypes of the file"));
    }
    if (exports) {
      ExportSingleFile(from, to, dtype);
      return absl::OkStatus();
    }
    ImportSingleFile(from, to, {.prediction_type = prediction, .poll = {}});
    const absl::Status usable = Guard([&] { LoadModel(to); });
    std::error_code ignored;
    if (!usable.ok()) fs::remove_all(to, ignored);
    return usable;
  });
}

}  // namespace likeness
