#include "mini/pretrain_evaluators.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "mini/album.h"
#include "mini/autoencoder.h"
#include "mini/captions.h"
#include "mini/evaluator_training.h"
#include "mini/pretrain_data.h"
#include "mini/pretrain_loop.h"
#include "third_party/nlohmann/json.hpp"
#include "worker/base/io/json_file.h"
#include "worker/models/clip_vision.h"
#include "worker/models/vit.h"

namespace likeness::mini {
namespace {

constexpr double kClipTemperature = 0.07;

constexpr int64_t kWidth = 96, kLayers = 4, kHeads = 4, kInner = 288, kPatch = 8;

VitOptions MiniDino() {
  return {.hidden_size = kWidth,
          .intermediate_size = kInner,
          .num_hidden_layers = kLayers,
          .num_attention_heads = kHeads,
          .image_size = kImageSize,
          .patch_size = kPatch,
          .layer_norm_eps = 1e-6};
}

ClipOptions MiniClip(const ClipTokenizer& tokenizer) {
  ClipOptions options;
  options.vision = {.hidden_size = kWidth,
                    .intermediate_size = kInner,
                    .num_hidden_layers = kLayers,
                    .num_attention_heads = kHeads,
                    .image_size = kImageSize,
                    .patch_size = kPatch,
                    .projection_dim = 64};
  options.text = {.vocab_size = tokenizer.vocab_size(),
                  .hidden_size = kWidth,
                  .intermediate_size = 2 * kWidth,
                  .num_hidden_layers = 2,
                  .num_attention_heads = kHeads,
                  .max_position_embeddings = tokenizer.model_max_length(),
                  .projection_dim = 64,
                  .with_projection = true,
                  .bos_token_id = tokenizer.bos_id(),
                  .eos_token_id = tokenizer.eos_id(),
                  .pad_token_id = tokenizer.pad_id()};
  return options;
}

torch::Tensor Unit(const torch::Tensor& x_BD) {
  return x_BD / x_BD.norm(2, {1}, true).clamp_min(1e-6);
}

Embed EmbedBy(VitModel model) {
  return [model](const torch::Tensor& x_BCHW) mutable { return Unit(model->forward(x_BCHW)); };
}

torch::Tensor IdsOf(const std::vector<std::string>& captions, const ClipTokenizer& tokenizer) {
  std::vector<torch::Tensor> rows;
  for (const auto& caption : captions) {
    rows.push_back(torch::tensor(tokenizer.EncodePadded(caption), torch::kInt64));
  }
  return torch::stack(rows);
}

struct Clip {
  ClipVisionModel vision;
  ClipTextModel text;
  const ClipTokenizer& tokenizer;

  torch::Tensor See(const torch::Tensor& x_BCHW) { return Unit(vision->forward(x_BCHW)); }
  torch::Tensor Read(const std::vector<std::string>& captions) {
    return Unit(text->ForwardAll(IdsOf(captions, tokenizer)).projected);
  }
};

// Radford et al. 2103.00020, figure 3; but what bears the same caption is as right as the picture
// itself.
torch::Tensor CaptionLoss(Clip& clip, const Album& album, int64_t batch, at::Generator& generator) {
  const auto rows = DrawIndices(album.pictures.size(0), batch, generator);
  std::vector<std::string> captions;
  for (int64_t i = 0; i < batch; ++i) {
    Random random(DrawSeed(generator), 0);
    const auto& depiction = album.depictions[static_cast<size_t>(rows[i].item<int64_t>())];
    std::string caption = Caption(depiction, random);
    captions.push_back(caption.empty() ? FullCaption(depiction) : std::move(caption));
  }
  auto same = torch::zeros({batch, batch});
  for (int64_t i = 0; i < batch; ++i) {
    for (int64_t j = 0; j < batch; ++j) {
      if (captions[static_cast<size_t>(i)] == captions[static_cast<size_t>(j)]) same[i][j] = 1;
    }
  }
  const auto targets = same / same.sum(1, /*keepdim=*/true);
  const auto logits = clip.See(album.Pictures(rows)).mm(clip.Read(captions).t()) / kClipTemperature;
  const auto loss = [&](const torch::Tensor& x) {
    return -(targets * torch::log_softmax(x, 1)).sum(1).mean();
  };
  return 0.5 * (loss(logits) + loss(logits.t()));
}

// How often the likeliest of all classes, and of all scenes, is the right one; and how often a full
// caption finds its picture among 64.
std::map<std::string, double> CaptionAccuracy(Clip& clip, const Album& album) {
  std::vector<std::string> classes, scenes;
  for (int c = 0; c < kClasses; ++c) {
    classes.push_back(std::string("a ") + Name(static_cast<SubjectClass>(c)));
  }
  for (const auto& subject : classes) {
    for (int s = 0; s < kScenes; ++s) {
      scenes.push_back(subject + " " + Phrase(static_cast<Scene>(s)));
    }
  }
  const auto classes_KP = clip.Read(classes);
  const auto scenes_KSP = clip.Read(scenes).view({kClasses, kScenes, -1});
  double class_right = 0, scene_right = 0, found = 0, asked = 0;
  const int64_t pictures = album.pictures.size(0);
  for (const auto& rows : torch::arange(pictures).split(64)) {
    const auto seen_BP = clip.See(album.Pictures(rows));
    const auto labels = album.labels.index({rows});
    class_right +=
        seen_BP.mm(classes_KP.t()).argmax(1).eq(labels.select(1, 0)).sum().item<double>();
    std::vector<std::string> captions;
    for (int64_t i = 0; i < rows.size(0); ++i) {
      const auto& depiction = album.depictions[static_cast<size_t>(rows[i].item<int64_t>())];
      captions.push_back(FullCaption(depiction));
      const auto likeliest = scenes_KSP[labels[i][0].item<int64_t>()].mv(seen_BP[i]).argmax();
      scene_right += likeliest.item<int64_t>() == labels[i][1].item<int64_t>();
    }
    const auto best = clip.Read(captions).mm(seen_BP.t()).argmax(1);
    found += best.eq(torch::arange(rows.size(0))).sum().item<double>();
    asked += static_cast<double>(rows.size(0));
  }
  return {{"class", class_right / asked},
          {"scene", scene_right / asked},
          {"caption_finds_picture_of_64", found / asked}};
}

nlohmann::json PreprocessorConfig(bool clip) {
  nlohmann::json config = {
      {"image_processor_type", clip ? "CLIPImageProcessor" : "ViTImageProcessor"},
      {"do_resize", true},
      {"resample", 3},
      {"do_rescale", true},
      {"do_normalize", true},
      {"image_mean", {0.5, 0.5, 0.5}},
      {"image_std", {0.5, 0.5, 0.5}}};
  const nlohmann::json square = {{"height", kImageSize}, {"width", kImageSize}};
  if (clip) {
    config["size"] = {{"shortest_edge", kImageSize}};
    config["do_center_crop"] = true;
    config["crop_size"] = square;
  } else {
    config["size"] = square;
  }
  return config;
}

}  // namespace

void PretrainEvaluators(const PretrainOptions& options) {
  torch::manual_seed(options.seed);
  const auto drawer = LoadDrawer(options);
  const auto album = DrawTrainingAlbum(options, *drawer);
  // As the worker sees it: photos as they are, pictures through the autoencoder.
  // Never more than it learns from.
  const auto per_class = static_cast<int>(
      std::min<int64_t>(kHeldOutPerClass, options.pictures / (kTrainingViews * kClasses)));
  auto held_out = DrawAlbum(kFirstHeldOutSeed, per_class * kClasses, kHeldOutViews);
  held_out.Blur([&](const torch::Tensor& pictures_BCHW) {
    return ThroughAutoencoder(*drawer, pictures_BCHW);
  });
  const auto budget = StageBudget(options, options.evaluator_minutes, options.evaluator_steps);

  VitModel dino(MiniDino());
  auto identity = EvaluatorStage("mini-dino", NamedParameters(*dino), 2 * options.measures_batch);
  identity.loss = [&](int64_t, at::Generator generator) {
    return IdentityLoss(EmbedBy(dino), album, options.measures_batch, generator);
  };
  identity.validate = [&] { return IdentityAccuracy(EmbedBy(dino), held_out); };
  TrainStage(identity, budget, options.directory);
  const auto dino_directory = options.directory / "mini-dino";
  WriteEvaluator(dino_directory, MiniDino().ToJson(), {dino.get()});
  WriteJsonFile(dino_directory / "preprocessor_config.json", PreprocessorConfig(/*clip=*/false));

  const ClipOptions sizes = MiniClip(drawer->tokenizer());
  Clip clip{ClipVisionModel(sizes.vision), ClipTextModel(sizes.text), drawer->tokenizer()};
  auto parameters = NamedParameters(*clip.vision);
  for (auto& parameter : NamedParameters(*clip.text)) parameters.push_back(parameter);
  auto captions = EvaluatorStage("mini-clip", parameters, 2 * options.measures_batch);
  captions.loss = [&](int64_t, at::Generator generator) {
    return CaptionLoss(clip, album, 2 * options.measures_batch, generator);
  };
  captions.validate = [&] { return CaptionAccuracy(clip, held_out); };
  TrainStage(captions, budget, options.directory);
  const auto clip_directory = options.directory / "mini-clip";
  WriteEvaluator(clip_directory, sizes.ToJson(), {clip.vision.get(), clip.text.get()},
                 {{"logit_scale", torch::tensor(-std::log(kClipTemperature))}});
  WriteJsonFile(clip_directory / "preprocessor_config.json", PreprocessorConfig(/*clip=*/true));
  drawer->tokenizer().Save(clip_directory);

  torch::NoGradGuard no_grad;
  WriteJsonFile(options.directory / "evaluators.json",
                {{"mini-dino", IdentityAccuracy(EmbedBy(dino), held_out)},
                 {"mini-clip", CaptionAccuracy(clip, held_out)}});
}

}  // namespace likeness::mini
