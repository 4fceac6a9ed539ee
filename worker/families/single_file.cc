#include "worker/families/single_file.h"

#include <string>
#include <system_error>
#include <vector>

#include "worker/base/error.h"
#include "worker/base/io/json_file.h"
#include "worker/base/io/safetensors_writer.h"
#include "worker/checkpoints/component_files.h"
#include "worker/families/diffusers_directory.h"
#include "worker/families/latent_diffusion.h"
#include "worker/families/single_file_model.h"

namespace likeness {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// Of OpenCLIP's text towers; CLIP's own pad with the end.
constexpr char kOpenClipPad[] = "!";

// The vocabulary beside the file, as the published directories of the part's kind pad with it.
ClipTokenizer TokenizerBeside(const fs::path& file, const std::string& suffix,
                              const ClipTextOptions& text) {
  const auto own = file.parent_path() / ("tokenizer" + suffix);
  const auto dir = fs::exists(own) ? own : file.parent_path() / "tokenizer";
  if (!fs::exists(dir)) {
    throw Error(ErrorKind::kNotFound,
                "tokenizer: a single file holds no vocabulary; a folder tokenizer with CLIP's "
                "vocab.json and merges.txt is needed beside it");
  }
  const auto found = ClipTokenizer::Load(dir, static_cast<int>(text.max_position_embeddings));
  auto options = found.options();
  const bool open_clip = text.hidden_act == "gelu";
  if (!open_clip) options.pad = options.eos;
  if (open_clip && found.TokenToId(kOpenClipPad)) options.pad = {kOpenClipPad};
  return ClipTokenizer(found.vocabulary(), found.merges(), options);
}

void WritePart(const SafetensorsFile& file, const SingleFilePart& part, const fs::path& out,
               const std::function<void()>& poll) {
  fs::create_directories(out / part.name);
  WriteSafetensors(out / part.name / (part.file_stem + ".safetensors"),
                   FromOriginal(file, part.prefix, part.rows, part.name), {{"format", "pt"}}, poll);
}

// Everything but weights; the family writes it as it does for any model.
void WriteRest(const fs::path& file, const SingleFileModel& model, const fs::path& out) {
  for (const auto& part : model.parts) {
    auto config = part.config;
    if (part.name.starts_with("text_encoder")) {
      const auto suffix = part.name.substr(std::string("text_encoder").size());
      const auto tokenizer = TokenizerBeside(file, suffix, ClipTextOptions::FromJson(config));
      config = WithTokensOf(tokenizer, ClipTextOptions::FromJson(config)).ToJson();
      tokenizer.Save(out / ("tokenizer" + suffix));
    }
    WriteJsonFile(out / part.name / "config.json", config);
  }
  fs::create_directories(out / "scheduler");
  WriteJsonFile(out / "scheduler/scheduler_config.json", model.scheduler);
  WriteJsonFile(out / "model_index.json", {{"_class_name", model.pipeline}});
  ModelOfConfigs(out)->SaveBesideParts(out);
}

NamedTensors TensorsOf(const fs::path& dir, const SingleFilePart& part,
                       std::optional<torch::ScalarType> dtype) {
  auto tensors =
      ReadComponent(dir / part.name, part.name, part.file_stem, dtype.value_or(torch::kFloat32));
  for (auto& [name, tensor] : tensors) {
    if (dtype && tensor.is_floating_point()) tensor = tensor.to(*dtype);
  }
  return tensors;
}

std::vector<ClipTextOptions> TextEncodersOf(const Family& model) {
  std::vector<ClipTextOptions> text_encoders;
  for (const Part& part : model.Parts()) {
    if (part.role != Role::kTextEncoder) continue;
    text_encoders.push_back(ClipTextOptions::FromJson(json::parse(part.config)));
  }
  return text_encoders;
}

// Of the model, which is that of the directory's configurations.
std::vector<SingleFilePart> PartsOf(const fs::path& dir, const Family& model) {
  return SingleFileParts(ReadConfig<UNet2DConditionOptions>(dir, "unet"),
                         ReadConfig<AutoencoderKlOptions>(dir, "vae"), TextEncodersOf(model));
}

std::string ArchitectureOf(const std::vector<ClipTextOptions>& text_encoders, bool predicts_v) {
  if (text_encoders.size() > 1) return "stable-diffusion-xl-v1-base";
  if (text_encoders[0].hidden_act == "quick_gelu") return "stable-diffusion-v1";
  return predicts_v ? "stable-diffusion-v2-768-v" : "stable-diffusion-v2-512";
}

}  // namespace

std::map<std::string, NamedTensors> ReadSingleFile(const fs::path& path, const fs::path& dir) {
  const auto file = SafetensorsFile::Open(path);
  std::map<std::string, NamedTensors> parts;
  for (const auto& part : PartsOf(dir, *ModelOfConfigs(dir))) {
    parts[part.name] = FromOriginal(file, part.prefix, part.rows, part.name);
  }
  return parts;
}

void ImportSingleFile(const fs::path& path, const fs::path& out, const ImportOptions& options) {
  if (fs::exists(out)) {
    throw Error(ErrorKind::kFailedPrecondition, "the directory for the model is there already");
  }
  const auto file = SafetensorsFile::Open(path);
  const auto model = ReadSingleFileModel(file, options.prediction_type);
  fs::path partial = out;
  partial += ".partial";
  const auto give_up = [&] {
    std::error_code ignored;
    fs::remove_all(partial, ignored);
  };
  try {
    fs::remove_all(partial);
    for (const auto& part : model.parts) {
      if (options.poll) options.poll();
      WritePart(file, part, partial, options.poll);
    }
    WriteRest(path, model, partial);
    fs::rename(partial, out);
  } catch (const fs::filesystem_error& error) {
    give_up();
    throw WriteError("the model could not be written", error.code().value());
  } catch (...) {
    give_up();
    throw;
  }
}

void ExportSingleFile(const fs::path& dir, const fs::path& path,
                      std::optional<torch::ScalarType> dtype, const std::function<void()>& poll) {
  const auto model = ModelOfConfigs(dir);  // refuses what is no whole model
  if (const auto& words = model->tokenizer().options().added_words; !words.empty()) {
    throw Error(ErrorKind::kFailedPrecondition,
                "tokenizer: the word \"" + words.front() +
                    "\" behind the vocabulary has no place in a single file");
  }
  NamedTensors tensors;
  for (const auto& part : PartsOf(dir, *model)) {
    for (auto& tensor : ToOriginal(TensorsOf(dir, part, dtype), part.rows, part.name)) {
      tensors.push_back(std::move(tensor));
    }
  }
  const auto& schedule = model->schedule().options();
  const bool predicts_v = schedule.prediction_type == PredictionType::kV;
  if (schedule.prediction_type == PredictionType::kSample) {
    throw Error(ErrorKind::kFailedPrecondition,
                "scheduler: prediction_type \"sample\" has no place in a single file");
  }
  // By these two other tools know it.
  if (predicts_v) tensors.emplace_back("v_pred", torch::empty({0}));
  if (schedule.rescale_betas_zero_snr) tensors.emplace_back("ztsnr", torch::empty({0}));
  const auto side = std::to_string(model->image_size());
  WriteSafetensors(
      path, tensors,
      {{"format", "pt"},
       {"modelspec.sai_model_spec", "1.0.0"},
       {"modelspec.architecture", ArchitectureOf(TextEncodersOf(*model), predicts_v)},
       {"modelspec.implementation", "https://github.com/Stability-AI/generative-models"},
       {"modelspec.prediction_type", predicts_v ? "v" : "epsilon"},
       {"modelspec.resolution", side + "x" + side}},
      poll);
}

}  // namespace likeness
