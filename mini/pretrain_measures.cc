#include "mini/pretrain_measures.h"

#include <fstream>

#include "mini/measures.h"
#include "mini/pretrain_data.h"
#include "mini/pretrain_loop.h"
#include "mini/pretrain_vae.h"
#include "third_party/nlohmann/json.hpp"
#include "worker/base/error.h"
#include "worker/checkpoints/state_dict.h"
#include "worker/generation/tensor_image.h"

namespace likeness::mini {
namespace {

constexpr uint64_t kViewStream = 7;
// Beyond the seeds of test subjects, which are small, but held out like them.
constexpr uint64_t kFirstHeldOutSeed = uint64_t{3} << 30;
constexpr int kHeldOutPerClass = 40;
constexpr int kTrainingViews = 4;
constexpr int kHeldOutViews = 5;  // four to know it by, one to find
constexpr double kTemperature = 0.07;

// Several views of many identities: row i * views + v is view v of identity i, whose class is
// i % kClasses.
struct Album {
  int views;
  torch::Tensor pictures;  // uint8 [N,3,64,64]
  torch::Tensor labels;    // int64 [N,5]: LabelsOf

  torch::Tensor Pictures(const torch::Tensor& rows) const {
    return PixelsToUnit(pictures.index({rows}));
  }
};

Depiction DrawDepiction(const Identity& identity, Random& random) {
  auto accessory = Accessory::kNone;
  if (random.Chance(.4f)) {
    const auto worn = static_cast<Accessory>(1 + random.Below(kAccessories - 1));
    if (CanWear(identity.subject_class, worn)) accessory = worn;
  }
  const auto scene = static_cast<Scene>(random.Below(kScenes));
  const auto view = DrawView(random);
  return {.identity = identity,
          .scene = scene,
          .accessory = accessory,
          .view = view,
          .scene_seed = random.Next()};
}

Album DrawAlbum(uint64_t first_seed, int identities, int views) {
  std::vector<torch::Tensor> pictures;
  std::vector<int64_t> labels;
  for (int i = 0; i < identities; ++i) {
    const uint64_t seed = first_seed + static_cast<uint64_t>(i);
    const auto identity = DrawIdentity(static_cast<SubjectClass>(i % kClasses), seed);
    Random random(seed, kViewStream);
    for (int v = 0; v < views; ++v) {
      const auto depiction = DrawDepiction(identity, random);
      pictures.push_back(
          ImageToTensor(Render(depiction)).add_(1).mul_(127.5).round_().to(torch::kUInt8));
      for (const int label : LabelsOf(depiction)) labels.push_back(label);
    }
  }
  const auto count = static_cast<int64_t>(kAttributes.size());
  return {views, torch::stack(pictures), torch::tensor(labels).view({-1, count})};
}

// The last view of each identity as the autoencoder gives it back.
void Blur(Album& album, AutoencoderKl& vae) {
  torch::NoGradGuard no_grad;
  const auto rows =
      torch::arange(album.views - 1, album.pictures.size(0), static_cast<int64_t>(album.views));
  for (const auto& part : rows.split(32)) {
    const auto seen = vae->Decode(vae->Encode(album.Pictures(part)).mean_BChw);
    album.pictures.index_put_({part},
                              seen.clamp(-1, 1).add(1).mul(127.5).round().to(torch::kUInt8));
  }
}

// Contrastive loss (InfoNCE, van den Oord et al. 1807.03748) between two views each of identities
// of two classes, so that most of what a picture must be told from is of its own class.
torch::Tensor IdentityLoss(IdentityEncoder& encoder, const Album& album, int64_t batch,
                           at::Generator& generator) {
  const int64_t per_class = album.pictures.size(0) / album.views / kClasses;
  const auto classes = torch::randperm(kClasses, generator, torch::kInt64).slice(0, 0, 2);
  std::vector<torch::Tensor> chosen;
  for (int64_t c = 0; c < 2; ++c) {
    const auto some = torch::randperm(per_class, generator, torch::kInt64).slice(0, 0, batch / 2);
    chosen.push_back(some * kClasses + classes[c]);
  }
  const auto rows = torch::cat(chosen) * album.views;
  const auto view = DrawIndices(album.views, rows.size(0), generator);
  const auto other =
      (view + 1 + DrawIndices(album.views - 1, rows.size(0), generator)) % album.views;
  const auto a = encoder->Forward(album.Pictures(rows + view));
  const auto b = encoder->Forward(album.Pictures(rows + other));
  const auto logits = a.mm(b.t()) / kTemperature;
  const auto same = torch::arange(rows.size(0));
  return 0.5 * (torch::nn::functional::cross_entropy(logits, same) +
                torch::nn::functional::cross_entropy(logits.t(), same));
}

torch::Tensor AttributeLoss(AttributeClassifier& classifier, const Album& album, int64_t batch,
                            at::Generator& generator) {
  const auto rows = DrawIndices(album.pictures.size(0), batch, generator);
  const auto logits = classifier->Forward(album.Pictures(rows));
  const auto labels = album.labels.index({rows});
  auto loss = torch::zeros({});
  for (size_t i = 0; i < logits.size(); ++i) {
    loss = loss + torch::nn::functional::cross_entropy(logits[i],
                                                       labels.select(1, static_cast<int64_t>(i)));
  }
  return loss;
}

torch::Tensor AllEmbeddings(IdentityEncoder& encoder, const Album& album) {
  std::vector<torch::Tensor> parts;
  for (const auto& rows : torch::arange(album.pictures.size(0)).split(128)) {
    parts.push_back(encoder->Forward(album.Pictures(rows)));
  }
  return torch::cat(parts);
}

// How often the last view is nearest to the others of its own identity among all of its class, and
// the mean similarity to its own and to the rest.
std::map<std::string, double> IdentityAccuracy(IdentityEncoder& encoder, const Album& album) {
  const auto embeddings = AllEmbeddings(encoder, album).view({-1, album.views, encoder->kWidth});
  const auto known = embeddings.slice(1, 0, album.views - 1);
  const auto query = embeddings.select(1, album.views - 1);
  double first = 0, same = 0, other = 0;
  for (int64_t c = 0; c < kClasses; ++c) {
    const auto ids = torch::arange(c, embeddings.size(0), kClasses);
    // [queries, identities]: mean over the known views of each identity.
    const auto similarity =
        torch::einsum("qd,ivd->qi", {query.index({ids}), known.index({ids})}) / (album.views - 1);
    const auto n = static_cast<double>(ids.size(0));
    first += similarity.argmax(1).eq(torch::arange(ids.size(0))).sum().item<double>() / n;
    same += similarity.diagonal().mean().item<double>();
    other += (similarity.sum() - similarity.diagonal().sum()).item<double>() / (n * (n - 1));
  }
  return {{"ranked_first_of_40", first / kClasses},
          {"same", same / kClasses},
          {"other", other / kClasses}};
}

std::map<std::string, double> AttributeAccuracy(AttributeClassifier& classifier,
                                                const Album& album) {
  std::map<std::string, double> right;
  for (const auto& rows : torch::arange(album.pictures.size(0)).split(128)) {
    const auto logits = classifier->Forward(album.Pictures(rows));
    const auto labels = album.labels.index({rows});
    for (size_t i = 0; i < logits.size(); ++i) {
      const auto hits = logits[i].argmax(1).eq(labels.select(1, static_cast<int64_t>(i))).sum();
      right[kAttributes[i].name] += hits.item<double>() / album.pictures.size(0);
    }
  }
  return right;
}

TrainedStage Stage(const char* name, const torch::nn::Module& module, int64_t batch) {
  TrainedStage stage;
  stage.name = name;
  stage.parameters = NamedParameters(module);
  stage.optimizer = {.adamw_learning_rate = 2e-3};
  stage.ema_decay = 0.99;
  stage.samples_per_step = batch;
  stage.draw_sheet = [](const std::filesystem::path&) {};
  return stage;
}

}  // namespace

void PretrainMeasures(const PretrainOptions& options) {
  if (options.pictures < kTrainingViews * kClasses * options.measures_batch / 2) {
    throw Error(ErrorKind::kInvalidArgument,
                std::to_string(options.pictures) +
                    " pictures are too few for the measures: half a batch of identities of each "
                    "class, four views each, is the least");
  }
  torch::manual_seed(options.seed);
  auto vae = LoadPretrainedVae(options.directory);
  auto album = DrawAlbum(kFirstPretrainingSeed, static_cast<int>(options.pictures / kTrainingViews),
                         kTrainingViews);
  Blur(album, vae);
  const auto held_out = DrawAlbum(kFirstHeldOutSeed, kHeldOutPerClass * kClasses, kHeldOutViews);
  const auto budget = StageBudget(options, 0, options.measures_steps);
  Measures measures;

  auto identity = Stage("identity", *measures.identity, 2 * options.measures_batch);
  identity.loss = [&](int64_t, at::Generator generator) {
    return IdentityLoss(measures.identity, album, options.measures_batch, generator);
  };
  identity.validate = [&] { return IdentityAccuracy(measures.identity, held_out); };
  TrainStage(identity, budget, options.directory);

  auto attributes = Stage("attributes", *measures.attributes, options.measures_batch);
  attributes.loss = [&](int64_t, at::Generator generator) {
    return AttributeLoss(measures.attributes, album, options.measures_batch, generator);
  };
  attributes.validate = [&] { return AttributeAccuracy(measures.attributes, held_out); };
  TrainStage(attributes, budget, options.directory);

  // What is written is measured: the weights as float16.
  const auto eval = options.directory / "eval";
  SaveMeasures(measures, eval);
  torch::NoGradGuard no_grad;
  auto saved = LoadMeasures(eval);
  const nlohmann::json accuracy = {{"identity", IdentityAccuracy(saved.identity, held_out)},
                                   {"attributes", AttributeAccuracy(saved.attributes, held_out)}};
  std::ofstream(eval / "measures.json") << accuracy.dump(2) << "\n";
}

}  // namespace likeness::mini
