// Which settings of LoRA are accepted, over a real port.
#include <functional>
#include <string>

#include "server/api/service_fixture.h"

namespace likeness::server {
namespace {

using ::testing::HasSubstr;

using LoraSettingsTest = ServiceTest;

TEST_F(LoraSettingsTest, WhatIsOutOfRangeIsRefused) {
  OfferModels();
  const auto with = [](const std::function<void(v1::Lora&)>& set) {
    auto request = DogJob();
    set(*request.mutable_job()->mutable_fine_tune()->mutable_lora());
    return request;
  };
  const std::string path = "job.fine_tune.lora.";
  ExpectRefused(with([](auto& lora) { lora.set_rank(0); }), "OUT_OF_RANGE", path + "rank");
  ExpectRefused(with([](auto& lora) { lora.set_alpha(0); }), "OUT_OF_RANGE", path + "alpha");
  const auto all_dropped = with([](auto& lora) { lora.set_dropout(1); });
  ExpectRefused(all_dropped, "OUT_OF_RANGE", path + "dropout");
  EXPECT_THAT(std::string(Create(all_dropped).status().message()),
              HasSubstr("is 1; at least 0 and below 1 is allowed"));
  ExpectRefused(with([](auto& lora) { lora.add_targets("to q"); }), "INVALID_NAME",
                path + "targets[0]");
  ExpectRefused(with([](auto& lora) { lora.set_text_encoder_learning_rate(2); }), "OUT_OF_RANGE",
                path + "text_encoder_learning_rate");
  ExpectRefused(with([](auto& lora) { lora.set_lokr_factor(4); }), "OUT_OF_RANGE",
                path + "lokr_factor");
  EXPECT_TRUE(Create(with([](auto& lora) {
                lora.set_variant(v1::LORA_VARIANT_LOKR);
                lora.set_lokr_factor(4);
              })).ok());
  ExpectRefused(with([](auto& lora) {
                  lora.set_rank(4);
                  lora.set_min_rank(5);
                }),
                "OUT_OF_RANGE", path + "min_rank");
  ExpectRefused(with([](auto& lora) {
                  lora.set_variant(v1::LORA_VARIANT_DORA);
                  lora.set_min_rank(1);
                }),
                "OUT_OF_RANGE", path + "min_rank");
  EXPECT_TRUE(Create(with([](auto& lora) {
                lora.set_rank(4);
                lora.set_min_rank(4);
              })).ok());
  auto pivotal = DogJob();
  pivotal.mutable_job()
      ->mutable_fine_tune()
      ->mutable_pivotal_tuning()
      ->mutable_lora()
      ->set_text_encoder_learning_rate(1e-4);
  ExpectRefused(pivotal, "OUT_OF_RANGE",
                "job.fine_tune.pivotal_tuning.lora.text_encoder_learning_rate");
}

}  // namespace
}  // namespace likeness::server
