// What Training and Prior ask for, through the whole of a fine-tune.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "worker/base/io/safetensors.h"
#include "worker/exports/embedding_file.h"
#include "worker/methods/fine_tune_fixture.h"
#include "worker/methods/method.h"
#include "worker/models/clip_text.h"
#include "worker/training/optimizer_table.h"

namespace likeness {
namespace {

namespace fs = std::filesystem;

class TrainingSettingsTest : public FineTuneModelTest {
 protected:
  // A resumed run ends with the bytes of one that was not interrupted.
  void ExpectResumable(const FineTuneOptions& options, const std::string& name) {
    Train(options, name);
    const std::string resumed = name + " resumed";
    host(resumed).stop = DrainAfterThree;
    EXPECT_EQ(FailureOf(options, resumed), ErrorKind::kCancelled) << failure_;
    host(resumed).stop = nullptr;
    Train(options, resumed);
    for (const auto& entry : fs::recursive_directory_iterator(dir_.path() / name)) {
      if (!entry.is_regular_file()) continue;
      const std::string file = entry.path().lexically_relative(dir_.path() / name);
      EXPECT_EQ(Bytes(name, file), Bytes(resumed, file)) << name << ": " << file;
    }
  }
};

// White in the left half.
void MaskHalf(SubjectPhoto& photo) {
  photo.mask = photo.image;
  for (size_t i = 0; i < photo.mask->rgb.size(); ++i) {
    const auto x = static_cast<int>(i / 3) % photo.image.width;
    photo.mask->rgb[i] = x < photo.image.width / 2 ? 255 : 0;
  }
}

// Of the middle.
Image CutTo(const Image& image, int width, int height) {
  Image cut{width, height, {}};
  for (int y = (image.height - height) / 2; y < (image.height + height) / 2; ++y) {
    const size_t row = static_cast<size_t>(y) * image.width + (image.width - width) / 2;
    cut.rgb.insert(cut.rgb.end(), image.rgb.begin() + 3 * row,
                   image.rgb.begin() + 3 * (row + width));
  }
  return cut;
}

// Five photos of three sizes.
FineTuneOptions InBuckets() {
  FineTuneOptions options = Job();
  options.aspect_ratio_buckets = true;
  const std::pair<int, int> sizes[] = {{12, 20}, {16, 16}, {12, 20}, {18, 14}, {12, 20}};
  options.photos.clear();
  for (const auto& [width, height] : sizes) {
    const auto number = static_cast<int>(options.photos.size());
    options.photos.push_back({.image = CutTo(TestImage(number, 32), width, height)});
  }
  return options;
}

FineTuneOptions EverythingDrawn() {
  FineTuneOptions options = Job();
  options.draws = {.noise_offset = 0.1,
                   .input_perturbation = 0.1,
                   .horizontal_flips = true,
                   .caption_dropout = 0.5};
  options.train_text_encoder = true;
  return options;
}

TEST_F(TrainingSettingsTest, EveryOptimizerResumesToTheSameBits) {
  for (const char* name : {"adamw_8bit", "adafactor", "prodigy"}) {
    FineTuneOptions options = Job();
    options.optimizer.name = name;
    options.train_text_encoder = true;
    options.lr_decay = LrDecay::kCosineWithRestarts;
    options.lr_cycles = 2;
    ExpectResumable(options, name);
    options.bfloat16 = true;
    ExpectResumable(options, std::string(name) + " bf16");
  }
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

TEST_F(TrainingSettingsTest, TheCheckpointWithTheLowestValidationLossMakesTheModel) {
  FineTuneOptions options = Job();
  options.lowest_validation_loss = true;
  options.validation_photos = {{.image = TestImage(3)}};
  options.checkpoint_every = 2;
  options.learning_rate = 1e-2;
  options.steps = 12;
  const auto result = Train(options, "out");
  const auto card = Card("out");
  ASSERT_EQ(card.at("validation_losses").size(), 6u);
  double lowest = std::numeric_limits<double>::infinity();
  int64_t best = 0;
  for (const auto& checkpoint : card.at("validation_losses")) {
    const double loss = checkpoint.at("loss");
    if (loss >= lowest) continue;
    lowest = loss;
    best = checkpoint.at("step");
  }
  EXPECT_EQ(result.best_step, best);
  EXPECT_EQ(card.at("best_step"), best);
  EXPECT_EQ(result.validation_loss_after, lowest) << "of the weights that the model has";
  EXPECT_EQ(result.losses.size(), 12u);
  ExpectResumable(options, "lowest");
}

// At this rate no weight moves, so that no checkpoint is better than the first.
FineTuneOptions Standstill() {
  FineTuneOptions options = Job();
  options.lowest_validation_loss = true;
  options.patience = 3;
  options.validation_photos = options.photos;
  options.checkpoint_every = 1;
  options.learning_rate = 1e-30;
  options.steps = 20;
  return options;
}

TEST_F(TrainingSettingsTest, TrainingEndsWhenThreeCheckpointsInARowHaveNotLoweredTheLoss) {
  FineTuneOptions options = Standstill();
  const auto ended = Train(options, "ended");
  EXPECT_EQ(ended.losses.size(), 4u);
  EXPECT_EQ(ended.best_step, 1);
  EXPECT_EQ(Card("ended").at("validation_losses").size(), 4u);
  options.patience = 0;
  options.steps = 5;
  EXPECT_EQ(Train(options, "patient").losses.size(), 5u);
  options = Standstill();
  options.validation_photos.clear();
  EXPECT_EQ(FailureOf(options, "out"), ErrorKind::kInvalidArgument);
}

TEST_F(TrainingSettingsTest, TheEndOfTrainingIsTheSameAfterAnyInterruption) {
  const FineTuneOptions options = Standstill();
  ExpectResumable(options, "interrupted");  // in between
  // When it has ended, while the model is saved; and while the last checkpoint is measured.
  for (const bool measuring : {false, true}) {
    const std::string name = measuring ? "while measuring" : "while saving";
    int asked = 0;  // after the last step: before it is measured, then within
    host(name).stop = [&](const RecordingHost& host) {
      const bool saving = !host.progress.empty() && host.progress.back().phase == Phase::kSaving;
      const bool within = measuring && host.steps_done() == 4 && ++asked >= 2;
      return saving || within ? StopReason::kDrain : StopReason::kNone;
    };
    EXPECT_EQ(FailureOf(options, name), ErrorKind::kCancelled);
    host(name).stop = nullptr;
    EXPECT_EQ(Train(options, name).losses.size(), 4u);
    EXPECT_EQ(Bytes("interrupted", kUnetFile), Bytes(name, kUnetFile));
    EXPECT_EQ(Card("interrupted"), Card(name));
  }
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

TEST_F(TrainingSettingsTest, TheFusedBackwardPassTrainsToTheSameBits) {
  for (const char* optimizer : {"adamw", "adamw_8bit", "adafactor"}) {
    for (const bool exact : {true, false}) {
      FineTuneOptions options = Job();
      options.optimizer = {.name = optimizer, .max_grad_norm = 0};
      options.train_text_encoder = true;
      options.bfloat16 = !exact;
      options.gradient_checkpointing = exact;
      options.ema_decay = 0.9;
      const std::string name = std::string(optimizer) + (exact ? " fp32" : " bf16");
      const auto apart = Train(options, name).losses;
      options.fused_backward_pass = true;
      EXPECT_EQ(Train(options, name + " fused").losses, apart) << name;
      for (const char* file : {kUnetFile, kTextFile}) {
        EXPECT_EQ(Bytes(name + " fused", file), Bytes(name, file)) << name;
      }
      EXPECT_EQ(host(name + " fused").Steps().back().grad_norm,
                host(name).Steps().back().grad_norm);
    }
  }
}

TEST_F(TrainingSettingsTest, TheFusedBackwardPassResumesToTheSameBits) {
  FineTuneOptions options = Job();
  options.optimizer.max_grad_norm = 0;
  options.fused_backward_pass = true;
  options.method = "lora";
  options.lora = {.rank = 2, .alpha = 2};
  ExpectResumable(options, "model");
}

TEST_F(TrainingSettingsTest, TheFusedBackwardPassIsRefusedWhereAllGradientsAreNeeded) {
  FineTuneOptions fused = Job();
  fused.optimizer.max_grad_norm = 0;
  fused.fused_backward_pass = true;
  const auto refused = [&](const char* why, const auto& set) {
    FineTuneOptions options = fused;
    set(options);
    EXPECT_EQ(FailureOf(options, "out"), ErrorKind::kInvalidArgument) << why;
    EXPECT_THAT(failure_, testing::HasSubstr(why));
  };
  refused("max_grad_norm", [](auto& o) { o.optimizer.max_grad_norm = 1; });
  refused("gradient_accumulation", [](auto& o) { o.gradient_accumulation = 2; });
  refused("prodigy", [](auto& o) { o.optimizer.name = "prodigy"; });
  refused("hypernetwork", [](auto& o) {
    o.method = "hypernetwork";
    o.gradient_checkpointing = true;
  });
  refused("aspect_ratio_buckets", [](auto& o) {
    o.aspect_ratio_buckets = true;
    o.gradient_checkpointing = true;
  });
}

TEST_F(TrainingSettingsTest, TheFusedBackwardPassTakesTwoForwardsOfUnlikeSizes) {
  FineTuneOptions options = InBuckets();
  options.optimizer.max_grad_norm = 0;
  const auto apart = Train(options, "apart").losses;
  options.fused_backward_pass = true;
  EXPECT_EQ(Train(options, "fused").losses, apart);
  EXPECT_EQ(Bytes("fused", kUnetFile), Bytes("apart", kUnetFile));
}

TEST_F(TrainingSettingsTest, PhotosInBucketsTrainAndResumeToTheSameBits) {
  FineTuneOptions options = InBuckets();
  options.batch_size = 2;
  options.gradient_accumulation = 2;
  options.train_text_encoder = true;
  options.draws = EverythingDrawn().draws;
  options.validation_photos = options.photos;
  MaskHalf(options.photos[0]);
  ExpectResumable(options, "model");
  options.method = "lora";
  options.lora = {.rank = 2, .alpha = 2, .dropout = 0.3};
  options.gradient_checkpointing = true;
  ExpectResumable(options, "adapter");
  options.prior_kind = PriorKind::kBasePrediction;
  ExpectResumable(options, "without class images");
}

TEST_F(TrainingSettingsTest, SquarePhotosInBucketsTrainAsWithoutThem) {
  FineTuneOptions options = Job();
  options.validation_photos = options.photos;
  const auto plain = Train(options, "plain");
  options.aspect_ratio_buckets = true;
  const auto buckets = Train(options, "buckets");
  EXPECT_EQ(buckets.losses, plain.losses);
  EXPECT_EQ(buckets.validation_loss_after, plain.validation_loss_after);
  EXPECT_EQ(Bytes("buckets", kUnetFile), Bytes("plain", kUnetFile));
}

// Equation 2: the subject's mean, and lambda times the prior's, though they are of unlike sizes.
TEST_F(TrainingSettingsTest, TheLossOfPhotosOfAnotherSizeHasBothHalves) {
  FineTuneOptions options = InBuckets();
  options.photos.resize(1);
  options.steps = 1;
  const auto loss = [&](double prior_weight) {
    options.prior_weight = prior_weight;
    return Train(options, "lambda " + std::to_string(prior_weight)).losses.at(0);
  };
  const double subject = loss(0), half = loss(0.5), whole = loss(1);
  EXPECT_GT(half, subject);
  EXPECT_NEAR(whole - subject, 2 * (half - subject), 1e-5 * whole);
}

TEST_F(TrainingSettingsTest, PhotosOfUnlikeSizesNeedBuckets) {
  FineTuneOptions options = InBuckets();
  options.aspect_ratio_buckets = false;
  EXPECT_EQ(FailureOf(options, "out"), ErrorKind::kInvalidArgument);
  EXPECT_THAT(failure_, testing::HasSubstr("12 x 20"));
}

TEST_F(TrainingSettingsTest, MasksThatCountWholeChangeNothing) {
  FineTuneOptions options = Job();
  options.draws.horizontal_flips = true;
  options.validation_photos = options.photos;
  const auto plain = Train(options, "plain");
  for (SubjectPhoto& photo : options.photos) MaskHalf(photo);
  options.unmasked_weight = 1;
  EXPECT_EQ(Train(options, "whole").losses, plain.losses);
  options.unmasked_weight = 0.2;
  options.validation_photos = options.photos;
  const auto masked = Train(options, "masked");
  EXPECT_LT(masked.losses[0], plain.losses[0]);
  EXPECT_LT(*masked.validation_loss_before, *plain.validation_loss_before);
}

TEST_F(TrainingSettingsTest, AMaskOfAnotherSizeIsRefused) {
  FineTuneOptions options = Job();
  options.photos[2].mask = TestImage(0, 8);
  EXPECT_EQ(FailureOf(options, "out"), ErrorKind::kInvalidArgument);
  EXPECT_THAT(failure_, testing::HasSubstr("8 x 8"));
}

TEST_F(TrainingSettingsTest, ProdigyWithTwoRatesIsRefused) {
  FineTuneOptions options = Job();
  options.optimizer.name = "prodigy";
  options.train_text_encoder = true;
  options.text_encoder_learning_rate = 1e-5;
  EXPECT_EQ(FailureOf(options, "out"), ErrorKind::kInvalidArgument);
  EXPECT_THAT(failure_, testing::HasSubstr("one learning rate"));
}

// Of every method, whatever it has changed.
TEST(BaseAloneTest, TheModelPredictsAsIfNothingWereAttached) {
  std::vector<std::string> methods = MethodNames();
  methods.push_back("dora");
  for (const std::string& name : methods) {
    const bool dora = name == "dora";
    const std::string method = dora ? "lora" : name;
    for (const auto dtype : {torch::kFloat32, torch::kBFloat16}) {
      torch::manual_seed(1);
      auto model = TinyModel();
      for (const Part& part : model.Parts()) {
        for (auto& parameter : part.module->parameters()) parameter.requires_grad_(false);
      }
      torch::NoGradGuard no_grad;
      const auto x = torch::randn({1, 4, 8, 8});
      const auto predict = [&] {
        return model.Predict(x, torch::tensor({500}), model.Encode({"a dog"}, {16, 16}))
            .to(torch::kFloat32);
      };
      const auto base = predict();
      MethodSpec spec{.learning_rate = 1, .compute = dtype};
      spec.textual_inversion.token = "zw";
      spec.textual_inversion.initial_text = "d";
      spec.lora.rank = spec.lora.alpha = 2;
      if (dora) spec.lora.variant = LoraVariant::kDora;
      const auto attached = FindMethod(method).attach(model, spec);
      for (const auto& master : attached->masters()) {
        master.detach().add_(torch::randn_like(master), 0.3);
      }
      attached->CopyMastersToParameters();
      const auto trained = predict();
      const double moved = (trained - base).abs().max().item<double>();
      const double rounding = dtype == torch::kFloat32 ? 1e-5 : 5e-2;
      {
        const BaseAlone alone(*attached);
        EXPECT_LE((predict() - base).abs().max().item<double>(),
                  rounding * base.abs().max().item<double>())
            << name;
      }
      EXPECT_TRUE(torch::equal(predict(), trained)) << name;
      if (method != "textual_inversion") {
        EXPECT_GT(moved, 1e-3) << name;
      }
    }
  }
}

}  // namespace
}  // namespace likeness
