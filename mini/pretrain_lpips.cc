#include "mini/pretrain_lpips.h"

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "mini/album.h"
#include "mini/autoencoder.h"
#include "mini/comparisons.h"
#include "mini/evaluator_training.h"
#include "mini/measures.h"
#include "mini/pretrain_data.h"
#include "mini/pretrain_loop.h"
#include "third_party/nlohmann/json.hpp"
#include "worker/base/io/json_file.h"
#include "worker/checkpoints/state_dict.h"
#include "worker/generation/tensor_image.h"
#include "worker/models/lpips.h"

namespace likeness::mini {
namespace {

// Beyond the identities of albums.
constexpr uint64_t kFirstTrainingComparison = kFirstPretrainingSeed + (uint64_t{1} << 30);
constexpr uint64_t kFirstHeldOutComparison = kFirstHeldOutSeed + (uint64_t{1} << 20);
constexpr int64_t kHeldOutComparisons = 100 * kChanges;

constexpr int64_t kHeadSteps = 1500, kHeadBatch = 256;
constexpr double kHeadTemperature = 0.1;

// Three eighths of AlexNet's.
LpipsOptions MiniLpips() { return {.channels = {24, 72, 144, 96, 96}}; }

// N comparisons; number n is of change n % kChanges.
struct Comparisons {
  torch::Tensor reference, nearer, further;  // uint8 [N,3,64,64]
};

// Where a drawing has changed, both pictures are seen as the autoencoder gives them back.
Comparisons DrawComparisons(uint64_t first_seed, int64_t count, Family& drawer) {
  std::vector<torch::Tensor> references, nearers, furthers;
  const auto seen = [&](const Image& image, Change change) {
    const auto picture_1CHW = ImageToTensor(image).unsqueeze(0);
    return UnitToPixels(IsDrawn(change) ? ThroughAutoencoder(drawer, picture_1CHW) : picture_1CHW);
  };
  for (int64_t i = 0; i < count; ++i) {
    const auto comparison = DrawComparison(first_seed, static_cast<uint32_t>(i));
    references.push_back(UnitToPixels(ImageToTensor(comparison.reference).unsqueeze(0)));
    nearers.push_back(seen(comparison.nearer, comparison.change));
    furthers.push_back(seen(comparison.further, comparison.change));
  }
  return {torch::cat(references), torch::cat(nearers), torch::cat(furthers)};
}

// [B,K]: by channel of all slices, the mean over places of the squared difference. LPIPS is their
// sum, weighted by the heads.
torch::Tensor DifferencesByChannel(const LpipsFeatures& a, const LpipsFeatures& b) {
  std::vector<torch::Tensor> slices;
  for (size_t i = 0; i < kLpipsSlices; ++i) {
    slices.push_back((a.slices_BCHW[i] - b.slices_BCHW[i]).square().mean({2, 3}));
  }
  return torch::cat(slices, 1);
}

// Of each comparison: reference and nearer picture, reference and further one.
struct Differences {
  torch::Tensor nearer_NK, further_NK;

  Differences Slice(int64_t first, int64_t end) const {
    return {nearer_NK.slice(0, first, end), further_NK.slice(0, first, end)};
  }
};

Differences DifferencesOf(Lpips& model, const Comparisons& comparisons) {
  torch::NoGradGuard no_grad;
  std::vector<torch::Tensor> nearer, further;
  for (const auto& rows : torch::arange(comparisons.reference.size(0)).split(128)) {
    const auto features = [&](const torch::Tensor& pictures) {
      return model->Features(PixelsToUnit(pictures.index({rows})));
    };
    const auto reference = features(comparisons.reference);
    nearer.push_back(DifferencesByChannel(reference, features(comparisons.nearer)));
    further.push_back(DifferencesByChannel(reference, features(comparisons.further)));
  }
  return {torch::cat(nearer), torch::cat(further)};
}

Differences DifferencesOfPixels(const Comparisons& comparisons) {
  const auto to_reference = [&](const torch::Tensor& pictures) {
    const auto difference = PixelsToUnit(pictures) - PixelsToUnit(comparisons.reference);
    return difference.square().mean({1, 2, 3}).unsqueeze(1);
  };
  return {to_reference(comparisons.nearer), to_reference(comparisons.further)};
}

// How often the further picture is found, by change and in all ("2afc").
std::map<std::string, double> Accuracy(const Differences& differences, const torch::Tensor& w_K) {
  const auto right_N = differences.nearer_NK.mv(w_K).lt(differences.further_NK.mv(w_K));
  const auto by_change = right_N.to(torch::kFloat64).view({-1, kChanges}).mean(0);
  std::map<std::string, double> accuracy = {{"2afc", by_change.mean().item<double>()}};
  for (int i = 0; i < kChanges; ++i) {
    accuracy[Name(static_cast<Change>(i))] = by_change[i].item<double>();
  }
  return accuracy;
}

// What the trunk learns with: the attributes, read from the last slice.
class TrunkClassifierImpl : public torch::nn::Module {
 public:
  explicit TrunkClassifierImpl(Lpips lpips) : lpips_(std::move(lpips)) {
    const int64_t left = 3 * 3;  // places of 64 x 64 pixels
    read_ = register_module("read", Linear(MiniLpips().channels.back() * left, AttributeOutputs()));
  }
  std::vector<torch::Tensor> forward(const torch::Tensor& pictures_BCHW) {
    torch::Tensor last_BCHW;
    lpips_->ForEachSlice(pictures_BCHW, [&](const torch::Tensor& x) { last_BCHW = x; });
    return SplitByAttribute(read_(last_BCHW.flatten(1)));
  }

 private:
  Lpips lpips_;
  Linear read_ = nullptr;
};
TORCH_MODULE(TrunkClassifier);

void TrainTrunk(Lpips& model, const Album& album, const Comparisons& held_out,
                const PretrainOptions& options) {
  TrunkClassifier classifier(model);
  auto parameters = NamedParameters(*model->named_children()["net"], "net.");
  for (auto& parameter : NamedParameters(*classifier)) parameters.push_back(parameter);
  const int64_t batch = 2 * options.measures_batch;
  auto stage = EvaluatorStage("mini-lpips", parameters, batch);
  stage.loss = [&](int64_t, at::Generator generator) {
    return AttributeLoss([&](const torch::Tensor& x_BCHW) { return classifier->forward(x_BCHW); },
                         album, batch, generator);
  };
  stage.validate = [&] {
    const auto differences = DifferencesOf(model, held_out);
    return Accuracy(differences, torch::ones(differences.nearer_NK.size(1)));
  };
  TrainStage(stage, StageBudget(options, options.evaluator_minutes, options.evaluator_steps),
             options.directory);
}

// Weights [K] of the channels, none negative. The odds that a picture is the further one are as its
// distance to the power 1 / temperature: what is learned is the order, whatever the scale.
torch::Tensor TrainHeads(const Differences& training, const Differences& held_out,
                         const PretrainOptions& options) {
  auto root_K = torch::ones(training.nearer_NK.size(1)).set_requires_grad(true);
  auto stage = EvaluatorStage("mini-lpips-heads", {{"root", root_K}}, kHeadBatch);
  stage.optimizer.adamw_learning_rate = 3e-3;
  stage.loss = [&](int64_t, at::Generator generator) {
    const auto rows = DrawIndices(training.nearer_NK.size(0), kHeadBatch, generator);
    const auto log_distance = [&](const torch::Tensor& differences_NK) {
      return torch::log(differences_NK.index({rows}).mv(root_K.square()) + 1e-8);
    };
    const auto odds = (log_distance(training.further_NK) - log_distance(training.nearer_NK));
    return -torch::log_sigmoid(odds / kHeadTemperature).mean();
  };
  stage.validate = [&] { return Accuracy(held_out, root_K.square()); };
  TrainStage(stage, StageBudget(options, 0, std::min(kHeadSteps, 10 * options.pictures)),
             options.directory);
  return root_K.detach().square();
}

// The mean over pairs of the album's pictures, which share nothing but by chance.
double MeanDistance(Lpips& model, const Album& album, const torch::Tensor& w_K,
                    at::Generator& generator) {
  torch::NoGradGuard no_grad;
  const int64_t pairs = 1024;
  const auto features = [&] {
    return model->Features(album.Pictures(DrawIndices(album.pictures.size(0), pairs, generator)));
  };
  const auto a = features(), b = features();
  return DifferencesByChannel(a, b).mv(w_K).mean().item<double>();
}

void SetHeads(const torch::Tensor& w_K, Lpips& model) {
  torch::NoGradGuard no_grad;
  int64_t first = 0;
  for (size_t i = 0; i < kLpipsSlices; ++i) {
    auto head = model->named_parameters()["lin" + std::to_string(i) + ".model.1.weight"];
    const int64_t channels = head.size(1);
    head.copy_(w_K.slice(0, first, first + channels).view({1, channels, 1, 1}));
    first += channels;
  }
}

// What is measured is what is written.
void RoundToHalf(Lpips& model) {
  for (auto& [name, tensor] : StateDict(*model)) tensor.copy_(tensor.to(torch::kFloat16));
}

}  // namespace

void PretrainLpips(const PretrainOptions& options) {
  torch::manual_seed(options.seed);
  const auto drawer = LoadDrawer(options);
  const auto album = DrawTrainingAlbum(options, *drawer);
  const int64_t count = std::max<int64_t>(2, options.pictures / 8 / kChanges) * kChanges;
  const auto training = DrawComparisons(kFirstTrainingComparison, count, *drawer);
  const auto held_out =
      DrawComparisons(kFirstHeldOutComparison, std::min(count, kHeldOutComparisons), *drawer);

  Lpips model(MiniLpips());
  TrainTrunk(model, album, held_out, options);
  RoundToHalf(model);

  const auto of_training = DifferencesOf(model, training);
  const auto of_held_out = DifferencesOf(model, held_out);
  // Trained heads have to be better than the mean at comparisons that they did not learn from.
  const auto plain_K = torch::ones(of_training.nearer_NK.size(1));
  const int64_t learned = count - std::max<int64_t>(1, count / 8 / kChanges) * kChanges;
  const auto kept_back = of_training.Slice(learned, count);
  auto heads_K = TrainHeads(of_training.Slice(0, learned), kept_back, options);
  const bool trained = Accuracy(kept_back, heads_K)["2afc"] > Accuracy(kept_back, plain_K)["2afc"];
  if (!trained) heads_K = plain_K;
  // 1 is the distance of pictures that have nothing in common.
  auto generator = at::detail::createCPUGenerator(options.seed);
  heads_K = heads_K / MeanDistance(model, album, heads_K, generator);
  SetHeads(heads_K, model);
  RoundToHalf(model);

  WriteEvaluator(options.directory / "mini-lpips", MiniLpips().ToJson(), {model.get()});
  WriteJsonFile(
      options.directory / "lpips.json",
      {{"heads", trained ? "trained" : "plain mean"},
       {"mini-lpips", Accuracy(of_held_out, heads_K.to(torch::kFloat16).to(torch::kFloat32))},
       {"plain_mean", Accuracy(of_held_out, plain_K)},
       {"pixels", Accuracy(DifferencesOfPixels(held_out), torch::ones(1))}});
}

}  // namespace likeness::mini
