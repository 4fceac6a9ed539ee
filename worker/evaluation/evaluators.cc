#include "worker/evaluation/evaluators.h"

#include <algorithm>
#include <string_view>

#include "third_party/nlohmann/json.hpp"
#include "worker/base/error.h"
#include "worker/base/io/json_file.h"
#include "worker/base/io/sha256.h"
#include "worker/checkpoints/component_files.h"
#include "worker/checkpoints/state_dict.h"

namespace likeness {
namespace {

namespace fs = std::filesystem;

std::string NameOf(const fs::path& directory) { return directory.filename().string(); }

nlohmann::json ConfigOf(const fs::path& directory) {
  return ReadJsonFile(directory / "config.json");
}

ImagePreprocessor PreprocessorOf(const fs::path& directory, bool clip) {
  return ImagePreprocessor(ImagePreprocessorOptions::FromJson(
      ReadJsonFile(directory / "preprocessor_config.json"), clip));
}

// Where it does not say how pictures are resized, SiglipImageProcessor takes another way than
// ViT's.
ImagePreprocessor SiglipPreprocessorOf(const fs::path& directory) {
  auto config = ReadJsonFile(directory / "preprocessor_config.json");
  if (config.is_object() && !config.contains("resample")) config["resample"] = 3;  // bicubic
  return ImagePreprocessor(ImagePreprocessorOptions::FromJson(config, /*clip=*/false));
}

// Of a network that reads pictures of one size: `image_size` of its config.json.
void RequireSide(const ImagePreprocessor& read, int64_t image_size) {
  const int64_t height = read.options().height, width = read.options().width;
  if (height == image_size && width == image_size) return;
  throw Error(ErrorKind::kFailedPrecondition,
              "preprocessor_config.json makes pictures of " + std::to_string(width) + " x " +
                  std::to_string(height) + " pixels; the network reads " +
                  std::to_string(image_size) + " x " + std::to_string(image_size) +
                  ", image_size of its config.json");
}

void RequireFiniteWeights(const torch::nn::Module& model, const std::string& component) {
  torch::NoGradGuard no_grad;
  for (const auto& named : model.named_parameters()) {
    const auto [least, most] = torch::aminmax(named.value());
    if (least.isfinite().item<bool>() && most.isfinite().item<bool>()) continue;
    throw Error(ErrorKind::kFailedPrecondition,
                component + ": weight \"" + named.key() + "\" has values that are not finite");
  }
}

// `make` builds the module.
template <typename Holder, typename Make>
Holder LoadNetwork(const fs::path& directory, const std::string& component, c10::Device device,
                   const Make& make) {
  Holder model = [&] {
    const SkipInitialization skip;
    return make();
  }();
  const auto files = OpenComponent(directory, NameOf(directory), "model", torch::kFloat32);
  LoadStateDict(*model, files, component);
  RequireFiniteWeights(*model, component);
  model->to(device);
  model->eval();
  for (auto& parameter : model->parameters()) parameter.requires_grad_(false);
  return model;
}

// Of what an evaluator gives: figures are computed from numbers alone.
void RequireFinite(const torch::Tensor& values, const std::string& evaluator) {
  if (values.isfinite().all().item<bool>()) return;
  throw Error(ErrorKind::kFailedPrecondition,
              "evaluator \"" + evaluator +
                  "\" gives values that are not finite: its weights are damaged or not those of "
                  "its config.json");
}

torch::Tensor UnitRows(const torch::Tensor& x_ND, const std::string& evaluator) {
  const auto x = x_ND.to(torch::kCPU, torch::kFloat32);
  const auto length_N1 = x.norm(2, /*dim=*/1, /*keepdim=*/true);
  RequireFinite(length_N1, evaluator);  // it is not where the row is not
  return x / length_N1.clamp_min(1e-12);
}

// Calls `use` with the pixels of all pictures, BCHW: together where they are of one size when they
// are read, else one by one.
template <typename Use>
void ReadEach(const std::vector<const Image*>& images, const ImagePreprocessor& read,
              c10::Device device, const Use& use) {
  torch::NoGradGuard no_grad;
  std::vector<torch::Tensor> pixels_1CHW;
  for (const Image* image : images) pixels_1CHW.push_back(read(*image));
  const bool one_size = std::all_of(
      pixels_1CHW.begin(), pixels_1CHW.end(),
      [&](const torch::Tensor& pixels) { return pixels.sizes() == pixels_1CHW[0].sizes(); });
  if (one_size) return use(torch::cat(pixels_1CHW).to(device));
  for (const auto& pixels : pixels_1CHW) use(pixels.to(device));
}

// The rows of all pictures.
template <typename Forward>
torch::Tensor EmbedEach(const std::vector<const Image*>& images, const ImagePreprocessor& read,
                        c10::Device device, const std::string& evaluator, const Forward& forward) {
  std::vector<torch::Tensor> rows;
  ReadEach(images, read, device, [&](const torch::Tensor& pixels_BCHW) {
    rows.push_back(UnitRows(forward(pixels_BCHW), evaluator));
  });
  return torch::cat(rows);
}

torch::Tensor SignedPixels(const Image& image) {
  auto bytes_HWC = torch::from_blob(const_cast<uint8_t*>(image.rgb.data()),
                                    {image.height, image.width, 3}, torch::kUInt8);
  return (bytes_HWC.permute({2, 0, 1}).unsqueeze(0).to(torch::kFloat32) / 127.5 - 1).contiguous();
}

}  // namespace

torch::Tensor RememberedRows::Get(const Image& image,
                                  const std::function<torch::Tensor()>& compute) {
  const std::string_view pixels(reinterpret_cast<const char*>(image.rgb.data()), image.rgb.size());
  const std::string key = std::to_string(image.width) + " " + Sha256OfBytes(pixels);
  if (const auto found = rows_.find(key); found != rows_.end()) return found->second;
  auto row = compute();
  if (order_.size() == kMost) {
    rows_.erase(order_.front());
    order_.pop_front();
  }
  rows_.emplace(key, row);
  order_.push_back(key);
  return row;
}

DinoEvaluator::DinoEvaluator(const fs::path& directory, c10::Device device)
    : name_(NameOf(directory)), read_(PreprocessorOf(directory, /*clip=*/false)), device_(device) {
  const VitOptions options = VitOptions::FromJson(ConfigOf(directory));
  if (options.kind == VitKind::kVit) RequireSide(read_, options.image_size);
  model_ = LoadNetwork<VitModel>(directory, "vit", device, [&] { return VitModel(options); });
}

torch::Tensor DinoEvaluator::Embed(const std::vector<const Image*>& images) {
  return EmbedEach(images, read_, device_, name_,
                   [&](const torch::Tensor& pixels) { return model_->forward(pixels); });
}

torch::Tensor DinoEvaluator::EmbedPhoto(const Image& photo) {
  return photos_.Get(photo, [&] { return Embed(photo); });
}

std::vector<DinoEvaluator::Parts> DinoEvaluator::EmbedParts(
    const std::vector<const Image*>& images) {
  std::vector<Parts> all;
  ReadEach(images, read_, device_, [&](const torch::Tensor& pixels_BCHW) {
    const auto tokens = model_->Read(pixels_BCHW);
    const auto rows_BD = UnitRows(tokens.class_BD, name_);
    for (int64_t b = 0; b < rows_BD.size(0); ++b) {
      all.push_back({rows_BD.slice(0, b, b + 1), UnitRows(tokens.patches_BPD[b], name_)});
    }
  });
  return all;
}

DinoEvaluator::Parts DinoEvaluator::EmbedPhotoParts(const Image& photo) {
  Parts parts = EmbedParts({&photo})[0];
  parts.whole_1D = photos_.Get(photo, [&] { return parts.whole_1D; });
  return parts;
}

torch::Tensor DinoEvaluator::PatchesWithin(const Image& mask) const {
  const auto red_1HW = read_(mask)[0].slice(0, 0, 1);  // of a gray image
  const auto white_1HW = red_1HW * read_.options().deviation[0] + read_.options().mean[0];
  return torch::avg_pool2d(white_1HW, model_->options().patch_size).flatten() > 0.5;
}

ClipEvaluator::ClipEvaluator(const fs::path& directory, c10::Device device)
    : name_(NameOf(directory)),
      tokenizer_(ClipTokenizer::Load(directory)),
      read_(PreprocessorOf(directory, /*clip=*/true)),
      device_(device) {
  const ClipOptions options = ClipOptions::FromJson(ConfigOf(directory));
  if (tokenizer_.model_max_length() > options.text.max_position_embeddings ||
      tokenizer_.vocab_size() > options.text.vocab_size) {
    throw Error(ErrorKind::kFailedPrecondition,
                "clip: the tokenizer has more tokens than the text model reads");
  }
  RequireSide(read_, options.vision.image_size);
  vision_ = LoadNetwork<ClipVisionModel>(directory, "clip_vision", device,
                                         [&] { return ClipVisionModel(options.vision); });
  text_ = LoadNetwork<ClipTextModel>(directory, "clip_text", device,
                                     [&] { return ClipTextModel(options.text); });
}

torch::Tensor ClipEvaluator::Embed(const std::vector<const Image*>& images) {
  return EmbedEach(images, read_, device_, name_,
                   [&](const torch::Tensor& pixels) { return vision_->forward(pixels); });
}

torch::Tensor ClipEvaluator::EmbedPhoto(const Image& photo) {
  return photos_.Get(photo, [&] { return Embed(photo); });
}

torch::Tensor ClipEvaluator::EmbedText(const std::string& prompt) {
  torch::NoGradGuard no_grad;
  const auto ids = torch::tensor(tokenizer_.EncodePadded(prompt), torch::kInt64).unsqueeze(0);
  return UnitRows(text_->ForwardAll(ids.to(device_)).projected, name_);
}

SiglipEvaluator::SiglipEvaluator(const fs::path& directory, c10::Device device)
    : name_(NameOf(directory)),
      tokenizer_(SiglipTokenizer::Load(directory)),
      read_(SiglipPreprocessorOf(directory)),
      device_(device) {
  const SiglipOptions options = SiglipOptions::FromJson(ConfigOf(directory));
  if (tokenizer_.vocab_size() > options.text.vocab_size) {
    throw Error(ErrorKind::kFailedPrecondition,
                "siglip: the tokenizer has more tokens than the text model reads");
  }
  RequireSide(read_, options.vision.image_size);
  model_ =
      LoadNetwork<SiglipModel>(directory, "siglip", device, [&] { return SiglipModel(options); });
}

torch::Tensor SiglipEvaluator::Embed(const std::vector<const Image*>& images) {
  return EmbedEach(images, read_, device_, name_, [&](const torch::Tensor& pixels) {
    return model_->Pool(model_->ReadPicture(pixels));
  });
}

torch::Tensor SiglipEvaluator::EmbedText(const std::string& prompt) {
  torch::NoGradGuard no_grad;
  const auto ids = tokenizer_.EncodePadded(prompt, model_->options().text.max_position_embeddings);
  const auto ids_1T = torch::tensor(ids, torch::kInt64).unsqueeze(0);
  return UnitRows(model_->ReadPrompt(ids_1T.to(device_)), name_);
}

std::vector<SiglipEvaluator::Parts> SiglipEvaluator::EmbedParts(
    const std::vector<const Image*>& images) {
  std::vector<Parts> all;
  ReadEach(images, read_, device_, [&](const torch::Tensor& pixels_BCHW) {
    for (const auto& read_PD : model_->ReadPicture(pixels_BCHW).unbind()) {
      all.push_back({.patches_PD = UnitRows(read_PD, name_), .read_PD = read_PD});
    }
  });
  return all;
}

torch::Tensor SiglipEvaluator::Covered(const Image& mask) const {
  const auto& options = model_->options().vision;
  const std::vector<int64_t> grid(2, options.image_size / options.patch_size);
  const auto red_11HW = (SignedPixels(mask).slice(1, 0, 1) + 1) / 2;  // of a gray image
  return at::upsample_bilinear2d(red_11HW, grid, /*align_corners=*/false).flatten();
}

torch::Tensor SiglipEvaluator::Pool(const Parts& parts, const torch::Tensor& kept_P) {
  torch::NoGradGuard no_grad;
  const auto kept_PD = parts.read_PD.index({kept_P.to(parts.read_PD.device())});
  return UnitRows(model_->Pool(kept_PD.unsqueeze(0)), name_);
}

LpipsEvaluator::LpipsEvaluator(const fs::path& directory, c10::Device device)
    : name_(NameOf(directory)), device_(device) {
  const LpipsOptions options = LpipsOptions::FromJson(ConfigOf(directory));
  model_ = LoadNetwork<Lpips>(directory, "lpips", device, [&] { return Lpips(options); });
}

LpipsFeatures LpipsEvaluator::Features(const Image& image) {
  torch::NoGradGuard no_grad;
  return model_->Features(SignedPixels(image).to(device_));
}

double LpipsEvaluator::Distance(const LpipsFeatures& a, const LpipsFeatures& b) {
  torch::NoGradGuard no_grad;
  const auto distance = model_->Distance(a, b);
  RequireFinite(distance, name_);
  return distance.item<double>();
}

SafetyEvaluator::SafetyEvaluator(const fs::path& directory, c10::Device device)
    : name_(NameOf(directory)), read_(PreprocessorOf(directory, /*clip=*/true)), device_(device) {
  const ClipVisionOptions options = ClipOptions::FromJson(ConfigOf(directory)).vision;
  RequireSide(read_, options.image_size);
  model_ = LoadNetwork<SafetyChecker>(directory, "safety_checker", device,
                                      [&] { return SafetyChecker(options); });
}

torch::Tensor SafetyEvaluator::ConceptScores(const Image& image) {
  torch::NoGradGuard no_grad;
  const auto scores = model_->ConceptScores(read_(image).to(device_)).to(torch::kCPU);
  RequireFinite(scores, name_);
  return scores;
}

namespace {

void Load(const EvaluatorFiles& files, c10::Device device, Evaluators& evaluators) {
  switch (files.kind) {
    case EvaluatorKind::kVit:
      evaluators.dino = std::make_unique<DinoEvaluator>(files.directory, device);
      break;
    case EvaluatorKind::kClip:
      evaluators.clip = std::make_unique<ClipEvaluator>(files.directory, device);
      break;
    case EvaluatorKind::kSiglip:
      evaluators.siglip = std::make_unique<SiglipEvaluator>(files.directory, device);
      break;
    case EvaluatorKind::kLpips:
      evaluators.lpips = std::make_unique<LpipsEvaluator>(files.directory, device);
      break;
    case EvaluatorKind::kFaceDetector:
    case EvaluatorKind::kSegmenter:
      break;  // is run elsewhere
    case EvaluatorKind::kSafetyChecker:
      evaluators.safety_checker = std::make_unique<SafetyEvaluator>(files.directory, device);
      break;
  }
}

}  // namespace

Evaluators LoadEvaluators(const std::vector<EvaluatorFiles>& files, c10::Device device,
                          const std::function<void()>& poll) {
  Evaluators evaluators;
  for (const auto& evaluator : files) {
    if (poll) poll();
    NamingEvaluator(evaluator, [&] { Load(evaluator, device, evaluators); });
  }
  return evaluators;
}

}  // namespace likeness
