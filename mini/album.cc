#include "mini/album.h"

#include "mini/measures.h"
#include "mini/pretrain_data.h"
#include "worker/generation/tensor_image.h"

namespace likeness::mini {
namespace {

constexpr uint64_t kViewStream = 7;
constexpr double kTemperature = 0.07;

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

torch::Tensor AllEmbeddings(const Embed& embed, const Album& album) {
  std::vector<torch::Tensor> parts;
  for (const auto& rows : torch::arange(album.pictures.size(0)).split(128)) {
    parts.push_back(embed(album.Pictures(rows)));
  }
  return torch::cat(parts);
}

}  // namespace

torch::Tensor Album::Pictures(const torch::Tensor& rows) const {
  return PixelsToUnit(pictures.index({rows}));
}

void Album::Blur(const std::function<torch::Tensor(const torch::Tensor&)>& through) {
  torch::NoGradGuard no_grad;
  const auto rows = torch::arange(views - 1, pictures.size(0), static_cast<int64_t>(views));
  for (const auto& part : rows.split(32)) {
    const auto seen = through(Pictures(part));
    pictures.index_put_({part}, UnitToPixels(seen));
  }
}

Album DrawAlbum(uint64_t first_seed, int identities, int views) {
  Album album{.views = views, .pictures = {}, .labels = {}, .depictions = {}};
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
      album.depictions.push_back(depiction);
    }
  }
  album.pictures = torch::stack(pictures);
  album.labels = torch::tensor(labels).view({-1, static_cast<int64_t>(kAttributes.size())});
  return album;
}

torch::Tensor IdentityLoss(const Embed& embed, const Album& album, int64_t batch,
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
  const auto a = embed(album.Pictures(rows + view));
  const auto b = embed(album.Pictures(rows + other));
  const auto logits = a.mm(b.t()) / kTemperature;
  const auto same = torch::arange(rows.size(0));
  return 0.5 * (torch::nn::functional::cross_entropy(logits, same) +
                torch::nn::functional::cross_entropy(logits.t(), same));
}

torch::Tensor AttributeLoss(const Classify& classify, const Album& album, int64_t batch,
                            at::Generator& generator) {
  const auto rows = DrawIndices(album.pictures.size(0), batch, generator);
  const auto logits = classify(album.Pictures(rows));
  const auto labels = album.labels.index({rows});
  auto loss = torch::zeros({});
  for (size_t i = 0; i < logits.size(); ++i) {
    loss = loss + torch::nn::functional::cross_entropy(logits[i],
                                                       labels.select(1, static_cast<int64_t>(i)));
  }
  return loss;
}

std::map<std::string, double> AttributeAccuracy(const Classify& classify, const Album& album) {
  std::map<std::string, double> right;
  for (const auto& rows : torch::arange(album.pictures.size(0)).split(128)) {
    const auto logits = classify(album.Pictures(rows));
    const auto labels = album.labels.index({rows});
    for (size_t i = 0; i < logits.size(); ++i) {
      const auto hits = logits[i].argmax(1).eq(labels.select(1, static_cast<int64_t>(i))).sum();
      right[kAttributes[i].name] += hits.item<double>() / album.pictures.size(0);
    }
  }
  return right;
}

std::map<std::string, double> IdentityAccuracy(const Embed& embed, const Album& album) {
  const auto all = AllEmbeddings(embed, album);
  const auto embeddings = all.view({-1, album.views, all.size(1)});
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

}  // namespace likeness::mini
