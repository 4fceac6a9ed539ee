// What Training and Prior ask for, through the whole of a fine-tune.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "worker/base/io/safetensors.h"
#include "worker/exports/embedding_file.h"
#include "worker/methods/fine_tune_fixture.h"
#include "worker/methods/method.h"
#include "worker/models/clip_text.h"
#include "worker/nn/hookable_layers.h"
#include "worker/training/optimizer_table.h"

namespace likeness {
namespace {

namespace fs = std::filesystem;

class TrainingSettingsTest : public FineTuneModelTest {};

TEST_F(TrainingSettingsTest, EveryOptimizerResumesToTheSameBits) {
  for (const char* name : {"adamw_8bit", "adafactor", "prodigy"}) {
    FineTuneOptions options = Job();
    options.optimizer.name = name;
    options.train_text_encoder = true;
    options.lr_decay = LrDecay::kCosineWithRestarts;
    options.lr_cycles = 2;
    ExpectResumable(options, name);
    options.precision = TrainingPrecision::kBfloat16;
    ExpectResumable(options, std::string(name) + " bf16");
  }
}

TEST_F(TrainingSettingsTest, SixteenBitTrainingsResumeToTheSameBits) {
  for (const char* optimizer : {"adamw", "adamw_8bit", "adafactor", "prodigy"}) {
    FineTuneOptions options = Job();
    options.optimizer.name = optimizer;
    options.ema_decay = 0.8;
    options.previews = {.every = 2, .prompts = {"a sks dog"}, .steps = 1};
    options.precision = TrainingPrecision::kBfloat16Weights;
    ExpectResumable(options, std::string(optimizer) + " bf16_weights");
    options.precision = TrainingPrecision::kFloat16;
    ExpectResumable(options, std::string(optimizer) + " fp16");
  }
  EXPECT_EQ(Card("adamw fp16").at("settings").at("compute"), "fp16");
}

// Its gradients leave the range of 16-bit floats: no step is taken until the scale is smaller,
// which is known where the job goes on.
TEST_F(TrainingSettingsTest, ALossScaleThatIsTooLargeIsHalvedUntilStepsAreTaken) {
  FineTuneOptions options = Job();
  options.steps = 8;
  options.prior_weight = 30;
  options.precision = TrainingPrecision::kFloat16;
  ExpectResumable(options, "scaled");
  const auto steps = host("scaled").Steps();
  EXPECT_FALSE(steps.front().grad_norm);
  EXPECT_TRUE(steps.back().grad_norm);
  const auto skipped =
      std::count_if(steps.begin(), steps.end(), [](auto& s) { return !s.grad_norm; });
  EXPECT_GT(skipped, 1);
  EXPECT_EQ(Train(options, "at once").skipped_steps, skipped);
  host("in parts").stop = DrainAfterThree;
  EXPECT_EQ(FailureOf(options, "in parts"), ErrorKind::kCancelled) << failure_;
  host("in parts").stop = nullptr;
  EXPECT_EQ(Train(options, "in parts").skipped_steps, skipped);
  EXPECT_FALSE(Train(Job(), "in float32").skipped_steps);
}

TEST_F(TrainingSettingsTest, EveryMethodTrainsInFloat16AndDreamBoothAloneWithoutMasters) {
  for (const std::string& method : MethodNames()) {
    FineTuneOptions options = Job();
    options.method = method;
    options.lora = {.rank = 2, .alpha = 2};
    const auto exact = Train(options, method).losses;
    options.precision = TrainingPrecision::kFloat16;
    const auto rough = Train(options, method + " fp16").losses;
    for (size_t i = 0; i < exact.size(); ++i) {
      EXPECT_NEAR(rough[i], exact[i], 0.03 * exact[i]) << method;
    }
    options.precision = TrainingPrecision::kBfloat16Weights;
    if (method == "dreambooth") continue;
    EXPECT_EQ(FailureOf(options, "refused"), ErrorKind::kInvalidArgument) << method;
    EXPECT_THAT(failure_, testing::HasSubstr("precision is \"bf16_weights\"")) << method;
  }
}

TEST_F(TrainingSettingsTest, AFusedBackwardPassHasNoScaleToWaitFor) {
  FineTuneOptions options = Job();
  options.optimizer.max_grad_norm = 0;
  options.fused_backward_pass = true;
  options.precision = TrainingPrecision::kFloat16;
  EXPECT_EQ(FailureOf(options, "refused"), ErrorKind::kInvalidArgument);
  EXPECT_THAT(failure_, testing::HasSubstr("fused_backward_pass"));
}

TEST_F(TrainingSettingsTest, DrawsAverageAndCheckpointingResumeToTheSameBits) {
  FineTuneOptions options = EverythingDrawn();
  options.debiased_estimation = true;
  options.ema_decay = 0.8;
  options.gradient_checkpointing = true;
  MaskHalf(options.photos[0]);
  ExpectResumable(options, "model");
  options.method = "lora";
  options.lora = {.rank = 2, .alpha = 2, .dropout = 0.3};
  options.prior_kind = PriorKind::kBasePrediction;
  ExpectResumable(options, "adapter");
}

TEST_F(TrainingSettingsTest, EveryMethodLearnsSeveralSubjectsAndResumesToTheSameBits) {
  for (const std::string& method : MethodNames()) {
    FineTuneOptions options = Job();
    options.method = method;
    options.lora = {.rank = 2, .alpha = 2};
    options.validation_photos = {{.image = TestImage(3)}};
    LearnedSubject other;
    other.token = "zw";
    other.class_noun = "cat";
    other.photos = {{.image = TestImage(4)}, {.image = TestImage(5), .caption = "a zw on a sofa"}};
    options.other_subjects = {other};
    ExpectResumable(options, method);
    EXPECT_EQ(Card(method).at("subjects"),
              nlohmann::json::parse(R"([{"token": "sks", "class_noun": "dog"},
                                        {"token": "zw", "class_noun": "cat"}])"));
    options.other_subjects[0].photos.pop_back();
    Train(options, method + " of other photos");
    bool same = true;
    for (const auto& entry : fs::recursive_directory_iterator(dir_.path() / method)) {
      const std::string file = entry.path().lexically_relative(dir_.path() / method);
      if (entry.is_regular_file() && entry.path().extension() == ".safetensors") {
        same = same && Bytes(method, file) == Bytes(method + " of other photos", file);
      }
    }
    EXPECT_FALSE(same) << method << " learns from the second subject's photos";
  }
}

TEST_F(TrainingSettingsTest, ATextEncoderIsTrainedForAsManyStepsAsAsked) {
  FineTuneOptions options = Job();
  options.train_text_encoder = true;
  options.text_encoder_steps = 3;
  Train(options, "stopped");
  options.text_encoder_steps.reset();
  options.steps = 3;
  Train(options, "three");
  EXPECT_EQ(Bytes("stopped", kTextFile), Bytes("three", kTextFile));
  EXPECT_NE(Bytes("stopped", kUnetFile), Bytes("three", kUnetFile));
  // What the optimizer keeps for it stays as well, and what is left of the model learns on.
  const auto stopped = SafetensorsFile::Open(*host("stopped").LatestCheckpoint());
  const auto three = SafetensorsFile::Open(*host("three").LatestCheckpoint());
  for (const std::string& name : three.Names()) {
    if (name.find("/text_encoder/") == std::string::npos) continue;
    EXPECT_TRUE(torch::equal(stopped.Get(name), three.Get(name))) << name;
  }
  const auto updates = stopped.Get("adamw.steps");
  EXPECT_EQ(updates.min().item<int64_t>(), 3);
  EXPECT_EQ(updates.max().item<int64_t>(), 6);
}

TEST_F(TrainingSettingsTest, AStoppedTextEncoderResumesToTheSameBits) {
  for (const int64_t steps : {2, 3, 4}) {  // the run is interrupted after three
    FineTuneOptions options = Job();
    options.train_text_encoder = true;
    options.text_encoder_steps = steps;
    options.ema_decay = 0.8;
    ExpectResumable(options, "model " + std::to_string(steps));
    options.method = "lora";
    options.lora = {.rank = 2, .alpha = 2, .dropout = 0.3};
    ExpectResumable(options, "adapter " + std::to_string(steps));
  }
}

// Counts the passes of training through the text encoder.
class CountedPasses : public LayerHook {
 public:
  explicit CountedPasses(torch::nn::Module& encoder)
      : hooked_(*LayersOf(encoder).front().hooks, *this) {}
  torch::Tensor After(const torch::Tensor&, torch::Tensor y) override {
    if (torch::GradMode::is_enabled()) ++passes;
    return y;
  }
  int passes = 0;

 private:
  HookedLayer hooked_;
};

TEST_F(TrainingSettingsTest, AStoppedTextEncoderReadsThePromptsOnceMore) {
  FineTuneOptions options = Job();
  options.train_text_encoder = true;
  options.text_encoder_steps = 3;
  const auto passes = [&](const std::string& name) {
    const CountedPasses counted(PartOf("text_encoder"));
    Train(options, name);
    return counted.passes;
  };
  EXPECT_EQ(passes("model"), 4);
  options.method = "lora";
  options.lora = {.rank = 2, .alpha = 2};
  EXPECT_EQ(passes("adapter"), 4);
  options.lora.dropout = 0.3;  // which draws anew in every step
  EXPECT_EQ(passes("dropout"), 6);
}

// The model that a job makes depends on each of them, and a checkpoint on all.
TEST_F(TrainingSettingsTest, EachSettingChangesTheModelAndIsSaidInTheCard) {
  Train(Job(), "plain");
  const auto changes = [&](const std::string& name, const auto& set) {
    FineTuneOptions options = Job();
    set(options);
    Train(options, name);
    EXPECT_NE(Bytes("plain", kUnetFile), Bytes(name, kUnetFile)) << name;
    EXPECT_TRUE(Card(name).at("settings").contains(name)) << name;
  };
  changes("noise_offset", [](auto& o) { o.draws.noise_offset = 0.1; });
  changes("input_perturbation", [](auto& o) { o.draws.input_perturbation = 0.1; });
  changes("horizontal_flips", [](auto& o) { o.draws.horizontal_flips = true; });
  changes("caption_dropout", [](auto& o) { o.draws.caption_dropout = 0.5; });
  changes("debiased_estimation", [](auto& o) { o.debiased_estimation = true; });
  changes("optimizer", [](auto& o) { o.optimizer.name = "adafactor"; });
  changes("ema_decay", [](auto& o) { o.ema_decay = 0.5; });
  changes("unmasked_weight", [](auto& o) { MaskHalf(o.photos[1]); });
  changes("prior_kind", [](auto& o) { o.prior_kind = PriorKind::kBasePrediction; });
}

TEST_F(TrainingSettingsTest, TheModelAndItsPreviewsAreMadeOfTheAverage) {
  FineTuneOptions options = Job();
  options.ema_decay = 0.9;
  options.previews = {.every = 6, .prompts = {"a sks dog"}, .steps = 2};
  options.validation_photos = options.photos;
  const auto averaged = Train(options, "averaged");
  const auto checkpoint = SafetensorsFile::Open(*host("averaged").LatestCheckpoint());
  const auto model = SafetensorsFile::Open(dir_.path() / "averaged" / kUnetFile);
  for (const std::string& name : model.Names()) {
    EXPECT_TRUE(torch::equal(model.Get(name), checkpoint.Get("average/unet/" + name))) << name;
    EXPECT_FALSE(torch::equal(model.Get(name), checkpoint.Get("weight/unet/" + name))) << name;
  }
  options.ema_decay = 0;
  const auto last = Train(options, "last");
  EXPECT_EQ(averaged.losses, last.losses) << "what is trained is not the average";
  EXPECT_NE(averaged.validation_loss_after, last.validation_loss_after);
  EXPECT_NE(host("averaged").previews.at(0).image.rgb, host("last").previews.at(0).image.rgb);
}

TEST_F(TrainingSettingsTest, AnAverageOfVectorsKeepsTheirLengthsWhereThatIsAsked) {
  FineTuneOptions options = Job();
  const double far = 0.1;  // a mean of several vectors is shorter than each
  options.vectors_learning_rate = far;
  options.textual_inversion = {.token = {}, .vectors = 1, .initial_text = "dog", .keep_norm = true};
  options.ema_decay = 0.9;
  auto* encoder = PartOf("text_encoder").as<ClipTextModelImpl>();
  const auto begun_KD = encoder->RowsOf({base_->tokenizer().Encode("dog").at(0)}).detach();
  for (const char* method : {"textual_inversion", "pivotal_tuning"}) {
    options.method = method;
    options.learning_rate = options.method == "textual_inversion" ? far : 1e-3;
    Train(options, method);
    const auto rows_KD = ReadEmbedding(dir_.path() / method / kEmbeddingFile).rows_KD.at(0);
    EXPECT_FALSE(torch::allclose(rows_KD, begun_KD)) << method;
    EXPECT_TRUE(torch::allclose(rows_KD.norm(2, 1), begun_KD.norm(2, 1))) << method;
  }
}

TEST_F(TrainingSettingsTest, CheckpointedGradientsTrainAboutTheSame) {
  FineTuneOptions options = Job();
  options.train_text_encoder = true;
  const auto kept = Train(options, "kept").losses;
  options.gradient_checkpointing = true;
  const auto again = Train(options, "again").losses;
  for (size_t i = 0; i < kept.size(); ++i) EXPECT_NEAR(again[i], kept[i], 1e-4 * kept[i]) << i;
}

TEST_F(TrainingSettingsTest, TheBasesPredictionKeepsTheClassWithoutClassImages) {
  FineTuneOptions options = Job();
  options.train_text_encoder = true;
  options.prior_weight = 0;
  const auto alone = Train(options, "alone").losses;
  options.prior_weight = 1;
  options.prior_kind = PriorKind::kBasePrediction;
  const auto kept = Train(options, "kept").losses;
  EXPECT_EQ(host("kept").CountPhase(Phase::kClassPictures), 0);
  EXPECT_FALSE(fs::exists(Paths("kept").class_image_cache));
  // Before anything is trained it predicts what its base does.
  EXPECT_NEAR(kept[0], alone[0], 1e-5 * alone[0]);
  EXPECT_GT(kept[1], alone[1] * (1 + 1e-4));
}

TEST_F(TrainingSettingsTest, ProdigyWithTwoRatesIsRefused) {
  FineTuneOptions options = Job();
  options.optimizer.name = "prodigy";
  options.train_text_encoder = true;
  options.text_encoder_learning_rate = 1e-5;
  EXPECT_EQ(FailureOf(options, "out"), ErrorKind::kInvalidArgument);
  EXPECT_THAT(failure_, testing::HasSubstr("one learning rate"));
}

TEST_F(TrainingSettingsTest, ClassPhotosTrainAsDrawnImagesOfTheSamePixelsDo) {
  FineTuneOptions options = Job();
  Train(options, "drawn");
  ClassImageOptions images = options.class_images;
  images.prompt = options.ClassPrompt();
  for (const Image& image :
       ClassImages(*base_, images, Paths("drawn").class_image_cache, host("drawn"))) {
    options.class_photos.push_back({.image = image});
  }
  ExpectResumable(options, "brought");
  EXPECT_EQ(host("brought").CountPhase(Phase::kClassPictures), 0);
  EXPECT_EQ(Bytes("brought", kUnetFile), Bytes("drawn", kUnetFile));
  EXPECT_EQ(Card("brought")["settings"]["class_photos"]["count"], 4);
}

}  // namespace
}  // namespace likeness
