#include "worker/training/fine_tune_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <limits>

#include "third_party/nlohmann/json.hpp"
#include "worker/base/error.h"

namespace likeness {
namespace {

using ::testing::HasSubstr;

FineTuneOptions Good() {
  FineTuneOptions options;
  options.class_noun = "dog";
  options.photos = {{.image = {8, 8, std::vector<uint8_t>(192)}}};
  return options;
}

std::string Refusal(const std::function<void(FineTuneOptions&)>& spoil) {
  FineTuneOptions options = Good();
  spoil(options);
  try {
    Validate(options, 8);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInvalidArgument);
    return error.what();
  }
  return "allowed";
}

TEST(FineTuneOptionsTest, DefaultsAreAllowedAndPromptsFollowTheMethod) {
  EXPECT_NO_THROW(Validate(Good(), 8));
  EXPECT_EQ(Good().InstancePrompt(), "a sks dog");
  EXPECT_EQ(Good().ClassPrompt(), "a dog");
}

TEST(FineTuneOptionsTest, EverySubjectNeedsATokenOfItsOwn) {
  const auto with_another = [](const char* token) {
    return Refusal([&](auto& o) {
      LearnedSubject other = o;
      other.token = token;
      o.other_subjects = {other};
    });
  };
  EXPECT_EQ(with_another("zwx"), "allowed");
  EXPECT_THAT(with_another("SKS"),
              HasSubstr("subjects[1].token is \"SKS\", which subjects[0] has"));
  EXPECT_THAT(with_another(""), HasSubstr("token"));
  EXPECT_THAT(Refusal([](auto& o) {
                LearnedSubject other = o;
                other.token = "zwx";
                other.photos.clear();
                o.other_subjects = {other};
              }),
              HasSubstr("photos is 0"));
}

TEST(FineTuneOptionsTest, EveryBadValueIsRefusedByName) {
  EXPECT_THAT(Refusal([](auto& o) { o.photos.clear(); }), HasSubstr("photos is 0"));
  EXPECT_THAT(Refusal([](auto& o) { o.photos[0].image.width = 9; }), HasSubstr("9 x 8"));
  EXPECT_THAT(Refusal([](auto& o) { o.photos[0].caption = "a dog"; }), HasSubstr("token"));
  EXPECT_THAT(Refusal([](auto& o) { o.class_noun = ""; }), HasSubstr("class_noun"));
  EXPECT_THAT(Refusal([](auto& o) { o.token = ""; }), HasSubstr("token"));
  EXPECT_THAT(Refusal([](auto& o) { o.steps = 0; }), HasSubstr("steps is 0"));
  EXPECT_THAT(Refusal([](auto& o) { o.steps = -1; }), HasSubstr("steps is -1"));
  EXPECT_THAT(Refusal([](auto& o) { o.steps = 1000000000; }), HasSubstr("1048576"));
  EXPECT_THAT(Refusal([](auto& o) { o.learning_rate = std::numeric_limits<double>::quiet_NaN(); }),
              HasSubstr("learning_rate"));
  EXPECT_THAT(Refusal([](auto& o) { o.learning_rate = -1; }), HasSubstr("learning_rate is -1"));
  EXPECT_THAT(Refusal([](auto& o) { o.batch_size = 0; }), HasSubstr("batch_size"));
  EXPECT_THAT(Refusal([](auto& o) { o.gradient_accumulation = 0; }),
              HasSubstr("gradient_accumulation"));
  EXPECT_THAT(Refusal([](auto& o) { o.prior_weight = -1; }), HasSubstr("prior_weight"));
  EXPECT_THAT(Refusal([](auto& o) { o.class_images.count = 0; }), HasSubstr("class_images"));
  EXPECT_THAT(Refusal([](auto& o) { o.snr_gamma = 0; }), HasSubstr("snr_gamma"));
  EXPECT_THAT(Refusal([](auto& o) { o.optimizer.beta2 = 1; }), HasSubstr("adam_beta2"));
  EXPECT_THAT(Refusal([](auto& o) { o.lr_warmup_steps = 401; }), HasSubstr("lr_warmup_steps"));
  EXPECT_THAT(Refusal([](auto& o) { o.lr_cycles = 0; }), HasSubstr("lr_cycles"));
  EXPECT_THAT(Refusal([](auto& o) { o.ema_decay = 1; }), HasSubstr("ema_decay"));
  EXPECT_THAT(Refusal([](auto& o) { o.draws.noise_offset = -1; }), HasSubstr("noise_offset"));
  EXPECT_THAT(Refusal([](auto& o) { o.draws.input_perturbation = -1; }),
              HasSubstr("input_perturbation"));
  EXPECT_THAT(Refusal([](auto& o) { o.draws.caption_dropout = 1; }), HasSubstr("caption_dropout"));
  EXPECT_THAT(Refusal([](auto& o) { o.optimizer.name = "sgd"; }),
              HasSubstr("adamw, adamw_8bit, adafactor, prodigy"));
  EXPECT_THAT(Refusal([](auto& o) {
                o.lr_decay = LrDecay::kPolynomial;
                o.learning_rate = 1e-7;
              }),
              HasSubstr("polynomial"));
  EXPECT_THAT(Refusal([](auto& o) {
                o.snr_gamma = 5;
                o.debiased_estimation = true;
              }),
              HasSubstr("debiased_estimation"));
}

TEST(FineTuneOptionsTest, ProdigyFindsOneRateForAll) {
  const auto refusal = [](const std::function<void(FineTuneOptions&)>& spoil) {
    return Refusal([&](FineTuneOptions& options) {
      options.optimizer.name = "prodigy";
      options.learning_rate = 1;
      options.method = "lora";
      spoil(options);
    });
  };
  const auto text_rate = [](FineTuneOptions& options) {
    options.text_encoder_learning_rate = 5e-6;
  };
  EXPECT_EQ(refusal([](auto&) {}), "allowed");
  EXPECT_EQ(refusal(text_rate), "allowed") << "nothing is trained with it";
  EXPECT_THAT(refusal([&](auto& o) {
                text_rate(o);
                o.train_text_encoder = true;
              }),
              HasSubstr("text_encoder_learning_rate"));
  EXPECT_THAT(refusal([](auto& o) { o.lora.up_learning_rate_ratio = 16; }),
              HasSubstr("up_learning_rate_ratio"));
  EXPECT_THAT(refusal([](auto& o) { o.method = "pivotal_tuning"; }),
              HasSubstr("vectors_learning_rate"));
}

TEST(FineTuneOptionsTest, SeedZeroIsASeedLikeAnyOther) {
  EXPECT_EQ(Refusal([](auto& o) { o.seed = 0; }), "allowed");
  EXPECT_EQ(SettingsJson(Good()).at("seed"), 0);
}

TEST(FineTuneOptionsTest, TheCardNamesWhatWasTrained) {
  FineTuneOptions options = Good();
  EXPECT_FALSE(SettingsJson(options).contains("text_encoder_learning_rate"));
  options.train_text_encoder = true;
  EXPECT_EQ(SettingsJson(options).at("text_encoder_learning_rate"), options.learning_rate);
  options.prior_weight = 0;
  EXPECT_FALSE(SettingsJson(options).contains("class_images"));
}

TEST(FineTuneOptionsTest, ClassPhotosTakeThePlaceOfDrawnImages) {
  const auto with_photo = [](const std::function<void(FineTuneOptions&)>& spoil) {
    return Refusal([&](auto& o) {
      o.class_images.count = 0;
      o.class_photos = {{.image = o.photos[0].image}};
      spoil(o);
    });
  };
  EXPECT_EQ(with_photo([](auto&) {}), "allowed");
  EXPECT_THAT(with_photo([](auto& o) { o.class_photos[0].image.width = 9; }),
              HasSubstr("class_photos is \"9 x 8\""));
  EXPECT_THAT(with_photo([](auto& o) { o.class_photos[0].mask = o.photos[0].image; }),
              HasSubstr("class photos have no masks"));
  const auto beside = [&](const char* class_noun) {
    return with_photo([&](auto& o) {
      LearnedSubject other = o;
      other.token = "zwx";
      other.class_noun = class_noun;
      o.other_subjects = {other};
    });
  };
  EXPECT_EQ(beside("dog"), "allowed");
  EXPECT_THAT(beside("cat"), HasSubstr("class_photos is \"a cat\"; class photos are for subjects"));

  FineTuneOptions options = Good();
  options.class_photos = {{.image = options.photos[0].image}};
  EXPECT_TRUE(options.UsesClassImages());
  EXPECT_FALSE(options.DrawsClassImages());
  const auto settings = SettingsJson(options);
  EXPECT_FALSE(settings.contains("class_images"));
  EXPECT_EQ(settings["class_photos"]["count"], 1);
  EXPECT_EQ(settings["class_photos"]["prompt"], "a dog");
}

}  // namespace
}  // namespace likeness
