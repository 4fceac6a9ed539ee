#include "worker/methods/fine_tune_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <set>

#include "third_party/nlohmann/json.hpp"
#include "worker/base/error.h"
#include "worker/base/io/safetensors.h"
#include "worker/checkpoints/state_dict.h"
#include "worker/families/diffusers_directory.h"
#include "worker/methods/fine_tune_fixture.h"
#include "worker/training/recording_host.h"

namespace likeness {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST_F(FineTuneModelTest, LearnsThePhotosAndSaysSoInTheCard) {
  FineTuneOptions options = Job();
  options.steps = 60;
  options.batch_size = 3;
  options.validation_photos = options.photos;
  const auto result = Train(options, "out");
  EXPECT_LT(*result.validation_loss_after, 0.8 * *result.validation_loss_before);
  EXPECT_EQ(result.losses.size(), 60u);
  const auto card = Card("out");
  EXPECT_EQ(card.at("prompt"), "a sks dog");
  EXPECT_EQ(card.at("base").at("digest"), base_->digest());
  EXPECT_EQ(card.at("loss").size(), 60u);
  EXPECT_EQ(card.at("validation_loss").at("after"), *result.validation_loss_after);
}

TEST_F(FineTuneModelTest, AResumedRunEqualsAnUninterruptedOneBitForBit) {
  FineTuneOptions frozen = Job();
  FineTuneOptions everything = Job();
  everything.train_text_encoder = true;
  everything.gradient_accumulation = 2;
  everything.lr_decay = LrDecay::kCosine;
  everything.lr_warmup_steps = 2;
  FineTuneOptions bfloat16 = Job();
  bfloat16.precision = TrainingPrecision::kBfloat16;
  int number = 0;
  for (const auto& options : {frozen, everything, bfloat16}) {
    const std::string straight = "straight" + std::to_string(++number);
    const std::string resumed = "resumed" + std::to_string(number);
    Train(options, straight);
    host(resumed).stop = DrainAfterThree;
    EXPECT_EQ(FailureOf(options, resumed), ErrorKind::kCancelled);
    EXPECT_FALSE(fs::exists(Paths(resumed).output_model));
    EXPECT_THAT(host(resumed).checkpoints, ElementsAre(3));
    host(resumed).stop = nullptr;
    EXPECT_EQ(Train(options, resumed).losses.size(), 6u);
    EXPECT_EQ(Bytes(straight, kUnetFile), Bytes(resumed, kUnetFile));
    EXPECT_EQ(Bytes(straight, kTextFile), Bytes(resumed, kTextFile));
    EXPECT_EQ(Card(straight), Card(resumed));
  }
}

TEST_F(FineTuneModelTest, AdaptersResumeToTheSameBitsToo) {
  FineTuneOptions lora = Job();
  lora.method = "lora";
  lora.lora = {.rank = 2, .alpha = 2, .dropout = 0.2};
  lora.train_text_encoder = true;
  lora.gradient_accumulation = 2;
  FineTuneOptions bfloat16 = lora;
  bfloat16.precision = TrainingPrecision::kBfloat16;
  FineTuneOptions word = Job();
  word.method = "textual_inversion";
  word.textual_inversion.vectors = 2;
  word.textual_inversion.keep_norm = true;
  word.prior_weight = 0;
  FineTuneOptions dora = lora;
  dora.lora.variant = LoraVariant::kDora;
  dora.lora.up_learning_rate_ratio = 4;
  FineTuneOptions loha = lora;
  loha.lora.variant = LoraVariant::kLoha;
  FineTuneOptions lokr = bfloat16;
  lokr.lora.variant = LoraVariant::kLokr;
  FineTuneOptions hypernetwork = Job();
  hypernetwork.method = "hypernetwork";
  hypernetwork.hypernetwork = {.activation = "relu", .layer_norm = true, .dropout = 0.2};
  FineTuneOptions pivotal = lora;
  pivotal.method = "pivotal_tuning";
  FineTuneOptions custom = Job();
  custom.method = "custom_diffusion";
  FineTuneOptions svdiff = Job();
  svdiff.method = "svdiff";
  int number = 0;
  for (const auto& options :
       {lora, bfloat16, word, dora, loha, lokr, hypernetwork, pivotal, custom, svdiff}) {
    const std::string straight = "straight-adapter" + std::to_string(++number);
    const std::string resumed = "resumed-adapter" + std::to_string(number);
    Train(options, straight);
    host(resumed).stop = DrainAfterThree;
    EXPECT_EQ(FailureOf(options, resumed), ErrorKind::kCancelled);
    host(resumed).stop = nullptr;
    Train(options, resumed);
    int files = 0;  // the adapter's and the card
    for (const auto& entry : fs::directory_iterator(dir_.path() / straight)) {
      const std::string name = entry.path().filename();
      EXPECT_EQ(Bytes(straight, name), Bytes(resumed, name)) << options.method << " " << name;
      ++files;
    }
    EXPECT_GE(files, 2);
  }
}

TEST_F(FineTuneModelTest, ACheckpointOfAnotherJobIsRefused) {
  host("out").stop = DrainAfterThree;
  FailureOf(Job(), "out");
  host("out").stop = nullptr;
  FineTuneOptions other = Job();
  other.learning_rate = 2e-3;
  EXPECT_EQ(FailureOf(other, "out"), ErrorKind::kFailedPrecondition);
  EXPECT_THAT(failure_, HasSubstr("another model, settings or photos"));
}

TEST_F(FineTuneModelTest, TheBaseStaysWhatItWasWhetherTrainingEndsOrFails) {
  NamedTensors before;
  for (const auto& [name, tensor] : StateDict(PartOf("unet")))
    before.emplace_back(name, tensor.clone());
  const void* storage = PartOf("unet").parameters()[0].data_ptr();
  FineTuneOptions options = Job();
  options.train_text_encoder = true;
  Train(options, "first");
  options.learning_rate = 1e30;
  EXPECT_EQ(FailureOf(options, "diverged"), ErrorKind::kFailedPrecondition);

  const auto after = StateDict(PartOf("unet"));
  for (size_t i = 0; i < before.size(); ++i)
    EXPECT_TRUE(torch::equal(before[i].second, after[i].second)) << before[i].first;
  EXPECT_EQ(PartOf("unet").parameters()[0].data_ptr(), storage);
  for (const auto& parameter : PartOf("text_encoder").parameters())
    EXPECT_FALSE(parameter.requires_grad() || parameter.grad().defined());
  options.learning_rate = 1e-3;
  Train(options, "second");  // the same job on the same base gives the same model
  EXPECT_EQ(Bytes("first", kUnetFile), Bytes("second", kUnetFile));
}

TEST_F(FineTuneModelTest, DivergenceStopsTheJobWithTheStepAndAHint) {
  FineTuneOptions options = Job();
  options.learning_rate = 1e30;
  EXPECT_EQ(FailureOf(options, "out"), ErrorKind::kFailedPrecondition);
  EXPECT_THAT(failure_, HasSubstr("at step 1"));
  EXPECT_THAT(failure_, HasSubstr("lower learning rate"));
  EXPECT_FALSE(fs::exists(Paths("out").output_model));
}

// AdamW moves every weight by about the learning rate, so the last step can ruin a model whose loss
// nobody looks at any more.
TEST_F(FineTuneModelTest, WeightsThatTheLastStepRuinedAreNeitherSavedNorCheckpointed) {
  for (const int64_t checkpoint_every : {0, 1}) {
    FineTuneOptions options = Job();
    options.steps = 1;
    options.learning_rate = 1e39;
    options.checkpoint_every = checkpoint_every;
    const std::string out = "out" + std::to_string(checkpoint_every);
    EXPECT_EQ(FailureOf(options, out), ErrorKind::kFailedPrecondition);
    EXPECT_THAT(failure_, HasSubstr("is not finite after step 1"));
    EXPECT_TRUE(host(out).checkpoints.empty());
    EXPECT_FALSE(fs::exists(Paths(out).output_model));
  }
}

// Without regular checkpoints, nothing else keeps what was learned.
TEST_F(FineTuneModelTest, DrainWhileTheModelIsSavedLosesNoStep) {
  FineTuneOptions options = Job();
  options.checkpoint_every = 0;
  for (const bool validates : {false, true}) {
    const std::string out = validates ? "validating" : "saving";
    if (validates) options.validation_photos = options.photos;
    Train(options, "straight " + out);
    host(out).stop = [](const RecordingHost& host) {
      const bool saves = !host.progress.empty() && host.progress.back().phase == Phase::kSaving;
      return saves ? StopReason::kDrain : StopReason::kNone;
    };
    EXPECT_EQ(FailureOf(options, out), ErrorKind::kCancelled);
    EXPECT_THAT(host(out).checkpoints, ElementsAre(options.steps));
    host(out).stop = nullptr;
    const auto steps_before = host(out).Steps().size();
    Train(options, out);
    EXPECT_EQ(host(out).Steps().size(), steps_before) << "no step is done again";
    EXPECT_EQ(Bytes("straight " + out, kUnetFile), Bytes(out, kUnetFile));
  }
}

TEST_F(FineTuneModelTest, WritingTheModelCanBeStopped) {
  const FineTuneOptions options = Job();
  Train(options, "straight");
  int asked = 0;  // since saving began: once before anything is written
  host("out").stop = [&](const RecordingHost& host) {
    const bool saves = !host.progress.empty() && host.progress.back().phase == Phase::kSaving;
    return saves && ++asked > 10 ? StopReason::kDrain : StopReason::kNone;
  };
  EXPECT_EQ(FailureOf(options, "out"), ErrorKind::kCancelled);
  EXPECT_FALSE(fs::exists(Paths("out").output_model));
  host("out").stop = nullptr;
  Train(options, "out");
  EXPECT_EQ(Bytes("straight", kUnetFile), Bytes("out", kUnetFile));
}

TEST_F(FineTuneModelTest, PhasesComeInOneOrderAndBeginBeforeTheirWork) {
  FineTuneOptions options = Job();
  options.validation_photos = options.photos;
  Train(options, "out");
  EXPECT_THAT(host("out").Phases(), ElementsAre(Phase::kPreparing, Phase::kClassPictures,
                                                Phase::kTraining, Phase::kSaving));
  std::map<Phase, int64_t> first;  // units done in the first report
  for (const auto& report : host("out").progress) first.try_emplace(report.phase, report.done);
  for (const auto phase : {Phase::kClassPictures, Phase::kTraining, Phase::kSaving}) {
    EXPECT_EQ(first.at(phase), 0) << PhaseName(phase);
  }
}

TEST_F(FineTuneModelTest, WithinAnAccumulatedStepItReportsAndCanBeStopped) {
  FineTuneOptions options = Job();
  options.gradient_accumulation = 4;
  Train(options, "straight");
  const auto etas = [&](int64_t step) {
    std::set<std::optional<double>> seen;
    for (const auto& report : host("straight").progress) {
      if (report.phase == Phase::kTraining && report.done == step) seen.insert(report.eta_seconds);
    }
    return seen.size();
  };
  EXPECT_EQ(etas(0), 4u) << "none known at first, then after each of three batches";
  EXPECT_EQ(etas(2), 4u) << "after the step, then after each of three batches";

  int batches = 0;
  host("drained").stop = [&](const RecordingHost& host) {
    const bool within = !host.progress.empty() && host.progress.back().phase == Phase::kTraining &&
                        host.steps_done() == 2;
    return within && ++batches == 3 ? StopReason::kDrain : StopReason::kNone;
  };
  EXPECT_EQ(FailureOf(options, "drained"), ErrorKind::kCancelled);
  EXPECT_THAT(host("drained").checkpoints, ElementsAre(2)) << "what was accumulated is left";
  host("drained").stop = nullptr;
  Train(options, "drained");
  EXPECT_EQ(Bytes("straight", kUnetFile), Bytes("drained", kUnetFile));
}

TEST_F(FineTuneModelTest, UnchangedFilesAreSharedWithTheBase) {
  Train(Job(), "out");
  for (const char* file : {"model_index.json", "unet/config.json", kTextFile,
                           "vae/diffusion_pytorch_model.safetensors", "tokenizer/vocab.json"})
    EXPECT_TRUE(fs::equivalent(dir_.path() / "base" / file, dir_.path() / "out" / file)) << file;
  EXPECT_NE(Bytes("base", kUnetFile), Bytes("out", kUnetFile));
  EXPECT_EQ(LoadModel(dir_.path() / "out")->image_size(), 16);
}

// Others marked the text encoder trainable without gradients, or never saved it.
TEST_F(FineTuneModelTest, ATrainedTextEncoderMovesAndIsSaved) {
  FineTuneOptions options = Job();
  options.train_text_encoder = true;
  Train(options, "out");
  const auto before = SafetensorsFile::Open(dir_.path() / "base" / kTextFile);
  const auto after = SafetensorsFile::Open(dir_.path() / "out" / kTextFile);
  for (const char* name :
       {"text_model.final_layer_norm.weight", "text_model.encoder.layers.0.self_attn.q_proj.weight",
        "text_model.embeddings.token_embedding.weight"})
    EXPECT_FALSE(torch::equal(before.Get(name), after.Get(name))) << name;
}

TEST_F(FineTuneModelTest, TheTextEncoderHasALearningRateOfItsOwn) {
  FineTuneOptions options = Job();
  options.steps = 1;
  options.train_text_encoder = true;
  options.text_encoder_learning_rate = 1e-9;
  Train(options, "slow");
  options.text_encoder_learning_rate.reset();
  Train(options, "same");
  EXPECT_EQ(Bytes("slow", kUnetFile), Bytes("same", kUnetFile));
  EXPECT_NE(Bytes("slow", kTextFile), Bytes("same", kTextFile));
}

TEST_F(FineTuneModelTest, CancellingStopsBetweenStepsAndKeepsNothing) {
  host("out").stop = [](const RecordingHost& host) {
    return host.steps_done() >= 2 ? StopReason::kCancel : StopReason::kNone;
  };
  EXPECT_EQ(FailureOf(Job(), "out"), ErrorKind::kCancelled);
  EXPECT_EQ(host("out").steps_done(), 2);
  EXPECT_TRUE(host("out").checkpoints.empty());
  EXPECT_FALSE(fs::exists(Paths("out").output_model));
}

TEST_F(FineTuneModelTest, CheckpointsComeEveryNStepsAndAtTheEnd) {
  FineTuneOptions options = Job();
  options.checkpoint_every = 4;
  Train(options, "out");
  EXPECT_THAT(host("out").checkpoints, ElementsAre(4, 6));
  // The pictures are drawn when the weights in training are gone: a worker that is drained
  // meanwhile has nothing else to hand on.
  options.checkpoint_every = 0;
  Train(options, "finished");
  EXPECT_THAT(host("finished").checkpoints, ElementsAre(6));
}

// Others cast the trained weights for a preview, and trained on with those.
TEST_F(FineTuneModelTest, PreviewsAreShownAndChangeNothing) {
  for (const auto precision : {TrainingPrecision::kFloat32, TrainingPrecision::kBfloat16,
                               TrainingPrecision::kBfloat16Weights}) {
    FineTuneOptions options = Job();
    options.precision = precision;
    const std::string number = TrainingPrecisionName(precision);
    Train(options, "plain" + number);
    options.previews = {.every = 2, .prompts = {"a sks dog", "a red sks dog"}, .steps = 2};
    Train(options, "shown" + number);
    const auto& previews = host("shown" + number).previews;
    ASSERT_EQ(previews.size(), 6u);
    EXPECT_EQ(previews[0].step, 2);
    EXPECT_EQ(previews[3].prompt, "a red sks dog");
    EXPECT_NE(previews[0].image.rgb, previews[4].image.rgb);
    EXPECT_EQ(Bytes("plain" + number, kUnetFile), Bytes("shown" + number, kUnetFile));
  }
}

TEST_F(FineTuneModelTest, PreviewsAreGuidedAwayFromTheNegativePrompt) {
  FineTuneOptions options = Job();
  options.previews = {.every = 6, .prompts = {"a sks dog"}, .steps = 2};
  const auto preview = [&](const std::string& out) {
    Train(options, out);
    return host(out).previews.at(0).image.rgb;
  };
  const auto plain = preview("plain");
  options.previews.negative_prompt = "red";
  EXPECT_NE(preview("guided"), plain);
}

TEST_F(FineTuneModelTest, Bfloat16LearnsAboutTheSame) {
  FineTuneOptions options = Job();
  const auto exact = Train(options, "fp32").losses;
  for (const auto precision : {TrainingPrecision::kBfloat16, TrainingPrecision::kBfloat16Weights}) {
    options.precision = precision;
    const auto rough = Train(options, TrainingPrecisionName(precision)).losses;
    for (size_t i = 0; i < exact.size(); ++i) EXPECT_NEAR(rough[i], exact[i], 0.03 * exact[i]);
  }
}

TEST_F(FineTuneModelTest, EverySeedGivesItsOwnRunAndSeedZeroIsOneOfThem) {
  FineTuneOptions options = Job();
  options.seed = 0;
  const auto first = Train(options, "zero").losses;
  EXPECT_EQ(Train(options, "zero-again").losses, first);
  options.seed = 1;
  EXPECT_NE(Train(options, "one").losses, first);
}

TEST_F(FineTuneModelTest, CaptionsArePromptsOfTheirPhotos) {
  FineTuneOptions options = Job();
  options.steps = 1;
  const auto plain = Train(options, "plain").losses;
  options.photos[0].caption = "a red sks dog";
  EXPECT_NE(Train(options, "captioned").losses, plain);
}

TEST_F(FineTuneModelTest, WithoutPriorNoClassImagesAreDrawn) {
  FineTuneOptions options = Job();
  options.prior_weight = 0;
  Train(options, "out");
  EXPECT_EQ(host("out").CountPhase(Phase::kClassPictures), 0);
}

}  // namespace
}  // namespace likeness
