// The fields of the request that the flags of `likeness train` fill.
#include "client/cli/train_fixture.h"

namespace likeness::client {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST_F(TrainTest, TheStopRuleIsNamed) {
  script_.job = Rex(v1::JOB_STATE_PENDING);
  const auto run = [&](const std::string& rule) { return Train({"--stop-rule=" + rule}); };
  ASSERT_EQ(run("best").exit_code, kDone);
  EXPECT_EQ(server_->record().create.job().fine_tune().training().stop_rule(), v1::STOP_RULE_BEST);
  ASSERT_EQ(run("lowest_validation_loss").exit_code, kDone);
  EXPECT_EQ(server_->record().create.job().fine_tune().training().stop_rule(),
            v1::STOP_RULE_LOWEST_VALIDATION_LOSS);
  const auto ran = run("never");
  EXPECT_NE(ran.exit_code, kDone);
  EXPECT_THAT(ran.err,
              HasSubstr("--stop-rule is 'never'; last, best, lowest_validation_loss, plateau"));
}

TEST_F(TrainTest, MethodsHaveFlagsOfTheirOwn) {
  script_.job = Rex(v1::JOB_STATE_PENDING);
  const auto asked = [&] { return server_->record().create.job().fine_tune(); };
  ASSERT_EQ(Train({"--method=lora", "--rank=8", "--min-rank=2", "--alpha=4", "--train-text-encoder",
                   "--text-encoder-steps=50"})
                .exit_code,
            kDone);
  EXPECT_EQ(asked().lora().text_encoder_steps(), 50);
  EXPECT_EQ(asked().lora().rank(), 8);
  EXPECT_EQ(asked().lora().min_rank(), 2);
  EXPECT_EQ(asked().lora().alpha(), 4);
  EXPECT_TRUE(asked().lora().train_text_encoder());
  ASSERT_EQ(Train({"--method=textual_inversion", "--vectors=3"}).exit_code, kDone);
  EXPECT_EQ(asked().textual_inversion().vectors(), 3);
  ASSERT_EQ(Train({"--method=lora", "--variant=dora", "--up-rate-ratio=16"}).exit_code, kDone);
  EXPECT_EQ(asked().lora().variant(), v1::LORA_VARIANT_DORA);
  EXPECT_EQ(asked().lora().up_learning_rate_ratio(), 16);
  ASSERT_EQ(Train({"--method=pivotal_tuning", "--rank=4", "--vectors=2"}).exit_code, kDone);
  EXPECT_EQ(asked().pivotal_tuning().lora().rank(), 4);
  EXPECT_EQ(asked().pivotal_tuning().textual_inversion().vectors(), 2);
  ASSERT_EQ(
      Train({"--method=hypernetwork", "--layer-structure=1,1.5,1", "--activation=swish"}).exit_code,
      kDone);
  EXPECT_THAT(asked().hypernetwork().layer_structure(), ElementsAre(1, 1.5, 1));
  EXPECT_EQ(asked().hypernetwork().activation(), v1::HYPERNETWORK_ACTIVATION_SWISH);
  ASSERT_EQ(Train({"--method=lora", "--dropout=0.1", "--rank-stabilized", "--target=to_q",
                   "--target=conv1", "--lokr-factor=4", "--text-encoder-learning-rate=1e-6"})
                .exit_code,
            kDone);
  EXPECT_EQ(asked().lora().dropout(), 0.1);
  EXPECT_TRUE(asked().lora().rank_stabilized());
  EXPECT_THAT(asked().lora().targets(), ElementsAre("to_q", "conv1"));
  EXPECT_EQ(asked().lora().lokr_factor(), 4);
  EXPECT_EQ(asked().lora().text_encoder_learning_rate(), 1e-6);
  ASSERT_EQ(Train({"--text-encoder-learning-rate=2e-6"}).exit_code, kDone);
  EXPECT_EQ(asked().dreambooth().text_encoder_learning_rate(), 2e-6);
  ASSERT_EQ(Train({"--method=pivotal_tuning", "--initial-text=a brown dog", "--keep-norm",
                   "--vectors-learning-rate=1e-3"})
                .exit_code,
            kDone);
  EXPECT_EQ(asked().pivotal_tuning().textual_inversion().initial_text(), "a brown dog");
  EXPECT_TRUE(asked().pivotal_tuning().textual_inversion().keep_norm());
  EXPECT_EQ(asked().pivotal_tuning().vectors_learning_rate(), 1e-3);
  ASSERT_EQ(Train({"--method=hypernetwork", "--layer-norm", "--dropout=0.2", "--no-self-attention"})
                .exit_code,
            kDone);
  EXPECT_TRUE(asked().hypernetwork().layer_norm());
  EXPECT_EQ(asked().hypernetwork().dropout(), 0.2);
  EXPECT_TRUE(asked().hypernetwork().has_self_attention());
  EXPECT_FALSE(asked().hypernetwork().self_attention());
  ASSERT_EQ(Train({"--method=hypernetwork", "--activation=leaky_relu", "--activate-output",
                   "--no-last-layer-dropout", "--weight-initialization=kaiming_normal"})
                .exit_code,
            kDone);
  EXPECT_EQ(asked().hypernetwork().activation(), v1::HYPERNETWORK_ACTIVATION_LEAKY_RELU);
  EXPECT_TRUE(asked().hypernetwork().activate_output());
  EXPECT_TRUE(asked().hypernetwork().has_last_layer_dropout());
  EXPECT_FALSE(asked().hypernetwork().last_layer_dropout());
  EXPECT_EQ(asked().hypernetwork().weight_initialization(),
            v1::WEIGHT_INITIALIZATION_KAIMING_NORMAL);
  ASSERT_EQ(Train({"--method=custom_diffusion", "--no-train-token"}).exit_code, kDone);
  EXPECT_TRUE(asked().custom_diffusion().has_train_token());
  ASSERT_EQ(Train({"--method=svdiff"}).exit_code, kDone);
  EXPECT_TRUE(asked().has_svdiff());
  ExpectRefusals({{{"--method=magic"}, "--method is 'magic'"},
                  {{"--rank=8"}, "--method lora"},
                  {{"--method=lora", "--vectors=2"}, "--method textual_inversion"},
                  {{"--method=textual_inversion", "--train-text-encoder"}, "means nothing"},
                  {{"--method=svdiff", "--variant=dora"}, "--method lora"},
                  {{"--method=custom_diffusion", "--dropout=0.1"},
                   "--dropout means nothing with --method custom_diffusion; use --method lora or "
                   "pivotal_tuning or hypernetwork."},
                  {{"--rank=many"}, "--rank: \"many\" is not a whole number"},
                  {{"--method=lora", "--variant=vera"}, "lora, dora, loha, lokr are allowed"},
                  {{"--method=lora", "--activation=relu"}, "--method hypernetwork"},
                  {{"--method=hypernetwork", "--layer-structure=1,x"}, "1,2,1"}});
}

TEST_F(TrainTest, FlagsOfTheTrainingFillItsFields) {
  script_.job = Rex(v1::JOB_STATE_PENDING);
  ASSERT_EQ(
      Train({"--optimizer=adamw-8bit", "--schedule=cosine_with_restarts", "--schedule-cycles=3",
             "--warmup-steps=10", "--debiased-estimation", "--noise-offset=0.05",
             "--input-perturbation=0.1", "--flips", "--caption-dropout=0.2", "--ema-decay=0.999",
             "--gradient-checkpointing", "--prior-kind=base_prediction", "--alpha-masks",
             "--unmasked-weight=0.1", "--fused-backward-pass", "--aspect-ratio-buckets"})
          .exit_code,
      kDone);
  const auto asked = server_->record().create.job().fine_tune();
  EXPECT_EQ(asked.training().optimizer(), v1::OPTIMIZER_ADAMW_8BIT);
  EXPECT_EQ(asked.training().learning_rate_schedule(),
            v1::LEARNING_RATE_SCHEDULE_COSINE_WITH_RESTARTS);
  EXPECT_EQ(asked.training().schedule_cycles(), 3);
  EXPECT_EQ(asked.training().warmup_steps(), 10);
  EXPECT_TRUE(asked.training().debiased_estimation());
  EXPECT_EQ(asked.training().noise_offset(), 0.05);
  EXPECT_EQ(asked.training().input_perturbation(), 0.1);
  EXPECT_TRUE(asked.training().horizontal_flips());
  EXPECT_EQ(asked.training().caption_dropout(), 0.2);
  EXPECT_EQ(asked.training().ema_decay(), 0.999);
  EXPECT_TRUE(asked.training().gradient_checkpointing());
  EXPECT_TRUE(asked.training().alpha_masks());
  EXPECT_TRUE(asked.training().aspect_ratio_buckets());
  EXPECT_TRUE(asked.training().fused_backward_pass());
  EXPECT_EQ(asked.training().unmasked_weight(), 0.1);
  EXPECT_EQ(asked.prior().kind(), v1::PRIOR_KIND_BASE_PREDICTION);
  ASSERT_EQ(Train({}).exit_code, kDone);
  const auto unsaid = server_->record().create.job().fine_tune();
  EXPECT_EQ(unsaid.training().optimizer(), v1::OPTIMIZER_UNSPECIFIED);
  EXPECT_FALSE(unsaid.has_prior());
  const auto wrong = Train({"--optimizer=sgd"});
  EXPECT_NE(wrong.exit_code, kDone);
  EXPECT_THAT(wrong.err, HasSubstr("adamw, adamw_8bit, adafactor, prodigy are allowed"));
}

TEST_F(TrainTest, OptimizerPriorPicturesAndJudgementHaveFlags) {
  script_.job = Rex(v1::JOB_STATE_PENDING);
  ASSERT_EQ(Train({"--gradient-accumulation-steps=4",
                   "--max-grad-norm=0.5",
                   "--weight-decay=0.1",
                   "--adam-beta1=0.8",
                   "--adam-beta2=0.99",
                   "--checkpoint-every=25",
                   "--crop=face",
                   "--require-single-token",
                   "--also=abc cat=rex",
                   "--class-prompt=a pet",
                   "--prior-sampler=ddim",
                   "--prior-steps=20",
                   "--prior-guidance=5",
                   "--prior-eta=0.5",
                   "--seed=3",
                   "--sample-sampler=euler",
                   "--sample-steps=30",
                   "--sample-guidance=6",
                   "--sample-eta=1",
                   "--negative-prompt=grass",
                   "--prompt=a {subject1}",
                   "--preview-prompt=a {class1}",
                   "--measure=dino",
                   "--measure=clip_t",
                   "--evaluator=mini-dino",
                   "--judge"})
                .exit_code,
            kDone);
  auto asked = server_->record().create.job().fine_tune();
  EXPECT_EQ(asked.training().gradient_accumulation_steps(), 4);
  EXPECT_EQ(asked.training().max_grad_norm(), 0.5);
  EXPECT_EQ(asked.training().weight_decay(), 0.1);
  EXPECT_EQ(asked.training().adam_beta1(), 0.8);
  EXPECT_EQ(asked.training().adam_beta2(), 0.99);
  EXPECT_EQ(asked.training().checkpoint_every_steps(), 25);
  for (const auto& subject : asked.subjects()) {
    EXPECT_EQ(subject.crop(), v1::SUBJECT_CROP_FACE);
    EXPECT_TRUE(subject.require_single_token());
  }
  EXPECT_EQ(asked.prior().class_prompt(), "a pet");
  EXPECT_EQ(asked.prior().sampler(), "ddim");
  EXPECT_EQ(asked.prior().sampling_steps(), 20);
  EXPECT_EQ(asked.prior().guidance(), 5);
  EXPECT_EQ(asked.prior().eta(), 0.5);
  EXPECT_EQ(asked.samples().sampler(), "euler");
  EXPECT_EQ(asked.samples().steps(), 30);
  EXPECT_EQ(asked.samples().guidance(), 6);
  EXPECT_EQ(asked.samples().eta(), 1);
  EXPECT_EQ(asked.samples().negative_prompt(), "grass");
  EXPECT_EQ(asked.samples().seed(), 3);
  EXPECT_THAT(asked.samples().prompts(), ElementsAre("a {subject1}"));
  EXPECT_THAT(asked.previews().prompts(), ElementsAre("a {class1}"));
  EXPECT_TRUE(asked.judge().enabled());
  EXPECT_THAT(asked.judge().measures(), ElementsAre(v1::MEASURE_DINO, v1::MEASURE_CLIP_T));
  EXPECT_THAT(asked.judge().evaluators(), ElementsAre("mini-dino"));
  ASSERT_EQ(Train({"--seed=3", "--sample-seed=4", "--no-judge"}).exit_code, kDone);
  asked = server_->record().create.job().fine_tune();
  EXPECT_EQ(asked.training().seed(), 3);
  EXPECT_EQ(asked.samples().seed(), 4);
  EXPECT_TRUE(asked.judge().has_enabled());
  EXPECT_FALSE(asked.judge().enabled());
  ExpectRefusals({{{"--no-samples", "--sample-steps=30"}, "so --sample-steps cannot be given"},
                  {{"--no-prior", "--prior-steps=3", "--class-prompt=a"},
                   "so --class-prompt, --prior-steps cannot be given"},
                  {{"--measure=beauty"}, "--measure is 'beauty'; dino, clip_i"}});
}

TEST_F(TrainTest, AMemoryBudgetIsASize) {
  script_.job = Rex(v1::JOB_STATE_PENDING);
  const std::pair<const char*, int64_t> sizes[] = {{"8GiB", int64_t{8} << 30},
                                                   {"800MiB", int64_t{800} << 20},
                                                   {"8GB", 8'000'000'000},
                                                   {"1.5 gib", int64_t{3} << 29},
                                                   {"8589934592", int64_t{8} << 30}};
  for (const auto& [text, bytes] : sizes) {
    ASSERT_EQ(Train({std::string("--memory=") + text}).exit_code, kDone) << text;
    EXPECT_EQ(server_->record().create.job().fine_tune().training().memory_budget_bytes(), bytes);
  }
  const char* allowed = "a size such as 8GiB, 800MB or 8589934592 is";
  ExpectRefusals({{{"--memory=8 parsecs"}, allowed},
                  {{"--memory=GiB"}, allowed},
                  {{"--memory=-1GiB"}, allowed},
                  {{"--memory=1e9GiB"}, allowed}});
}

}  // namespace
}  // namespace likeness::client
