// Drawing with adapters, over a real port: what is accepted, who gets the job, and what it keeps.
#include <cstdlib>
#include <string>
#include <tuple>

#include "likeness/v1/model_service.grpc.pb.h"
#include "server/api/service_fixture.h"
#include "tests/support/http_get.h"

namespace likeness::server {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string ModelNamed(const std::string& id) { return "tenants/default/models/" + id; }

class AdaptersTest : public ServiceTest {
 protected:
  AdaptersTest() { OfferModels(); }

  // `method`: "lora", "textual_inversion", "custom_diffusion", "svdiff" or "dreambooth". `digest`:
  // of the base that the worker used.
  void MakeModel(const std::string& id, const std::string& method,
                 const std::string& digest = "d1") {
    auto request = DogJob();
    auto& spec = *request.mutable_job()->mutable_fine_tune();
    spec.set_output_model_id(id);
    if (method == "lora") spec.mutable_lora();
    if (method == "textual_inversion") {
      spec.mutable_textual_inversion();
      spec.mutable_subjects(0)->set_token("zwx");
    }
    if (method == "custom_diffusion") spec.mutable_custom_diffusion();
    if (method == "svdiff") spec.mutable_svdiff();
    Train(request, "weights of " + id, digest);
  }

  static v1::CreateJobRequest Drawing(const std::string& model,
                                      const std::vector<std::string>& adapters) {
    auto request = PictureJob();
    auto& selection = *request.mutable_job()->mutable_generate()->mutable_model();
    selection.set_name(model);
    for (const auto& id : adapters) selection.add_adapters()->set_model(ModelNamed(id));
    return request;
  }

  static v1::CreateJobRequest Export(v1::ExportFormat format, const std::string& model,
                                     const std::vector<std::string>& adapters) {
    v1::CreateJobRequest request;
    auto& spec = *request.mutable_job()->mutable_export_model();
    spec.set_format(format);
    spec.mutable_model()->set_name(model);
    for (const auto& id : adapters) spec.mutable_model()->add_adapters()->set_model(ModelNamed(id));
    return request;
  }

  static std::vector<std::string> AdaptersOf(const v1::Job& job) {
    std::vector<std::string> models;
    for (const auto& adapter : job.generate().model().adapters()) models.push_back(adapter.model());
    return models;
  }

  std::string ReasonOfDeleting(const std::string& id) {
    grpc::ClientContext context;
    v1::DeleteModelRequest request;
    request.set_name(ModelNamed(id));
    google::protobuf::Empty reply;
    return ErrorReason(FromGrpcStatus(models_->DeleteModel(&context, request, &reply)));
  }

  std::vector<std::string> Listed(const std::string& filter) {
    grpc::ClientContext context;
    v1::ListJobsRequest request;
    request.set_filter(filter);
    v1::ListJobsResponse reply;
    EXPECT_TRUE(jobs_->ListJobs(&context, request, &reply).ok());
    std::vector<std::string> names;
    for (const auto& job : reply.jobs()) names.push_back(job.name());
    return names;
  }

  std::unique_ptr<v1::ModelService::Stub> models_ = v1::ModelService::NewStub(server_.channel());
};

TEST_F(AdaptersTest, ModelsSayWhichKindTheyAre) {
  MakeModel("rex", "lora");
  MakeModel("tom", "dreambooth");
  for (const auto& [id, method, kind] :
       {std::tuple("rex", "lora", v1::MODEL_KIND_ADAPTER),
        std::tuple("tom", "dreambooth", v1::MODEL_KIND_PIPELINE)}) {
    grpc::ClientContext context;
    v1::GetModelRequest request;
    request.set_name(ModelNamed(id));
    v1::Model model;
    ASSERT_TRUE(models_->GetModel(&context, request, &model).ok());
    EXPECT_EQ(model.method(), method);
    EXPECT_EQ(model.kind(), kind);
  }
}

TEST_F(AdaptersTest, AnAdapterThatIsNamedAsTheModelLiesOverItsBase) {
  MakeModel("rex", "lora");
  MakeModel("style", "lora");
  const auto job = Create(Drawing(ModelNamed("rex"), {"style"}));
  ASSERT_TRUE(job.ok()) << job.status();
  EXPECT_EQ(job->generate().model().name(), "baseModels/mini");
  EXPECT_THAT(AdaptersOf(*job), ElementsAre(ModelNamed("rex"), ModelNamed("style")));
  const auto lease = worker_.Acquire();
  ASSERT_EQ(lease->models_size(), 2);
  EXPECT_EQ(lease->models(0).name(), ModelNamed("rex"));
  EXPECT_EQ(lease->models(1).name(), ModelNamed("style"));
  EXPECT_EQ(lease->models(1).files_size(), 1);
}

TEST_F(AdaptersTest, AnOfferMayHaveLongDefaultsOfEveryMethod) {
  auto offer = worker_.Offer();
  auto& base = *offer.mutable_base_models(0);
  for (int i = 0; i < 3; ++i) {
    base.add_other_fine_tune_defaults()->mutable_samples()->set_negative_prompt(
        std::string(1500, 'x'));
  }
  grpc::ClientContext context;
  v1::AcquireLeaseResponse reply;
  const auto status = FromGrpcStatus(
      v1::WorkerService::NewStub(server_.channel())->AcquireLease(&context, offer, &reply));
  EXPECT_TRUE(status.ok()) << status;
}

// It would draw without the adapter.
TEST_F(AdaptersTest, AWorkerThatKnowsNoAdaptersGetsNoJobWithOne) {
  MakeModel("rex", "lora");
  ASSERT_TRUE(Create(Drawing("", {"rex"})).ok());
  auto offer = worker_.Offer();
  const auto acquired = [&] {
    grpc::ClientContext context;
    v1::AcquireLeaseResponse reply;
    EXPECT_TRUE(
        v1::WorkerService::NewStub(server_.channel())->AcquireLease(&context, offer, &reply).ok());
    return reply.has_lease();
  };
  offer.clear_methods();
  for (const char* method : {"dreambooth", "generate"}) offer.add_methods(method);
  EXPECT_FALSE(acquired());
  offer.add_methods("lora");
  EXPECT_TRUE(acquired());
}

TEST_F(AdaptersTest, ALoraOfWhatChangesNoLayerIsRefusedWithTheFormatsThatAreAllowed) {
  MakeModel("word", "textual_inversion");
  MakeModel("rex", "lora");
  const std::string field = "job.export_model.format";
  ExpectRefused(Export(v1::EXPORT_FORMAT_LORA, ModelNamed("word"), {}), "INVALID_ADAPTER", field);
  auto off = Export(v1::EXPORT_FORMAT_LORA, "baseModels/mini", {"word", "rex"});
  EXPECT_TRUE(Create(off).ok());
  off.mutable_job()->mutable_export_model()->mutable_model()->mutable_adapters(1)->set_strength(0);
  ExpectRefused(off, "INVALID_ADAPTER", field);
  EXPECT_THAT(std::string(Create(off).status().message()),
              HasSubstr("EXPORT_FORMAT_DIFFUSERS and EXPORT_FORMAT_SINGLE_FILE are allowed"));
  for (const auto format : {v1::EXPORT_FORMAT_DIFFUSERS, v1::EXPORT_FORMAT_SINGLE_FILE}) {
    EXPECT_TRUE(Create(Export(format, ModelNamed("word"), {})).ok());
  }
}

TEST_F(AdaptersTest, OfTwoAdaptersWithOneLearnedWordBothAreNamed) {
  MakeModel("word", "textual_inversion");
  MakeModel("again", "textual_inversion");
  for (const auto& request :
       {Drawing("baseModels/mini", {"word", "again"}), Drawing(ModelNamed("word"), {"again"}),
        Export(v1::EXPORT_FORMAT_DIFFUSERS, "", {"word", "again"})}) {
    const auto refused = Create(request).status();
    EXPECT_EQ(ErrorReason(refused), "INVALID_ADAPTER") << refused;
    for (const char* id : {"word", "again"}) {
      EXPECT_THAT(std::string(refused.message()), HasSubstr(ModelNamed(id)));
    }
  }
}

TEST_F(AdaptersTest, AMergeWithoutAdaptersIsRefused) {
  MakeModel("tom", "dreambooth");
  MakeModel("rex", "lora");
  for (const auto merge : {v1::ADAPTER_MERGE_ORTHOGONAL, v1::ADAPTER_MERGE_CONSTRAINED}) {
    for (const std::string& model : {ModelNamed("tom"), std::string("baseModels/mini")}) {
      auto request = Export(v1::EXPORT_FORMAT_DIFFUSERS, model, {});
      request.mutable_job()->mutable_export_model()->set_merge(merge);
      ExpectRefused(request, "OUT_OF_RANGE", "job.export_model.merge");
    }
  }
  auto one = Export(v1::EXPORT_FORMAT_DIFFUSERS, ModelNamed("rex"), {});
  one.mutable_job()->mutable_export_model()->set_merge(v1::ADAPTER_MERGE_ORTHOGONAL);
  EXPECT_TRUE(Create(one).ok());
}

TEST_F(AdaptersTest, TheAdapterThatIsNamedAsTheModelCountsAmongThem) {
  std::vector<std::string> others;
  MakeModel("rex", "lora");
  for (int i = 0; i < 8; ++i) MakeModel(others.emplace_back("a" + std::to_string(i)), "lora");
  ExpectRefused(Drawing(ModelNamed("rex"), others), "OUT_OF_RANGE", "job.generate.model.adapters");
  others.pop_back();
  EXPECT_TRUE(Create(Drawing(ModelNamed("rex"), others)).ok());
}

TEST_F(AdaptersTest, WithoutAModelTheBaseIsThatOfTheAdapters) {
  MakeModel("rex", "lora");
  const auto job = Create(Drawing("", {"rex"}));
  ASSERT_TRUE(job.ok()) << job.status();
  EXPECT_EQ(job->generate().model().name(), "baseModels/mini");
}

TEST_F(AdaptersTest, AdaptersLieOverAWholeModelOfTheirBaseToo) {
  MakeModel("rex", "lora", "d1");
  MakeModel("tom", "dreambooth", "d1");
  MakeModel("later", "dreambooth", "d2");
  ASSERT_TRUE(Create(Drawing(ModelNamed("tom"), {"rex"})).ok());
  const auto lease = worker_.Acquire();
  ASSERT_EQ(lease->models_size(), 2);
  EXPECT_EQ(lease->models(0).name(), ModelNamed("tom"));
  ExpectRefused(Drawing(ModelNamed("later"), {"rex"}), "INVALID_ADAPTER",
                "job.generate.model.adapters[0].model");
}

TEST_F(AdaptersTest, WhatReplacesTheBasesWeightsLiesOverTheBaseAlone) {
  MakeModel("tom", "dreambooth");
  MakeModel("rex", "custom_diffusion");
  MakeModel("max", "svdiff");
  for (const char* id : {"rex", "max"}) {
    ExpectRefused(Drawing(ModelNamed("tom"), {id}), "INVALID_ADAPTER",
                  "job.generate.model.adapters[0].model");
    EXPECT_TRUE(Create(Drawing("baseModels/mini", {id})).ok()) << id;
  }
}

TEST_F(AdaptersTest, WhatIsNoAdapterOfTheModelIsRefused) {
  MakeModel("rex", "lora", "d1");
  MakeModel("old", "lora", "d0");
  MakeModel("tom", "dreambooth");
  const std::string second = "job.generate.model.adapters[1].model";
  ExpectRefused(Drawing("baseModels/mini", {"rex", "tom"}), "INVALID_ADAPTER", second);
  ExpectRefused(Drawing("baseModels/mini", {"rex", "rex"}), "INVALID_ADAPTER", second);
  ExpectRefused(Drawing("baseModels/mini", {"rex", "old"}), "INVALID_ADAPTER", second);
  ExpectRefused(Drawing("", std::vector<std::string>(9, "rex")), "OUT_OF_RANGE",
                "job.generate.model.adapters");
  EXPECT_EQ(ErrorReason(Create(Drawing("", {"nobody"})).status()), "MODEL_NOT_FOUND");
  auto request = Drawing("", {"rex"});
  auto& adapter = *request.mutable_job()->mutable_generate()->mutable_model()->mutable_adapters(0);
  adapter.set_strength(11);
  ExpectRefused(request, "OUT_OF_RANGE", "job.generate.model.adapters[0].strength");
  const auto message = [&](const std::string& model) {
    adapter.set_model(model);
    ExpectRefused(request, "INVALID_NAME", "job.generate.model.adapters[0].model");
    return std::string(Create(request).status().message());
  };
  EXPECT_THAT(message("baseModels/mini"), HasSubstr("is baseModels/mini, a base model"));
  EXPECT_THAT(message("rex"), HasSubstr("\"rex\" is not of the form"));
}

TEST_F(AdaptersTest, WhatTrainingCannotGoOnFromIsSaidWithTheReason) {
  MakeModel("tom", "dreambooth");
  MakeModel("rex", "lora");
  const auto message = [&](const std::string& model, bool lora) {
    auto request = DogJob();
    auto& spec = *request.mutable_job()->mutable_fine_tune();
    spec.set_initial_model(model);
    if (lora) spec.mutable_lora();
    ExpectRefused(request, model == "baseModels/mini" ? "INVALID_NAME" : "INVALID_ADAPTER",
                  "job.fine_tune.initial_model");
    return std::string(Create(request).status().message());
  };
  EXPECT_THAT(
      message(ModelNamed("tom"), false),
      HasSubstr("is a whole model, made by dreambooth; training can go on from an adapter"));
  EXPECT_THAT(message(ModelNamed("rex"), false),
              HasSubstr("go on from it by lora alone, and the method is dreambooth"));
  EXPECT_THAT(message("baseModels/mini", true), HasSubstr("is a base model"));
}

TEST_F(AdaptersTest, AnAdapterOfAnotherBaseIsAllowedWhereTheJobSaysSo) {
  MakeModel("rex", "lora", "d1");
  MakeModel("old", "lora", "d0");
  MakeModel("whole", "dreambooth", "d2");
  auto request = Drawing("baseModels/mini", {"rex", "old"});
  auto& selection = *request.mutable_job()->mutable_generate()->mutable_model();
  selection.mutable_adapters(1)->set_allow_other_base(true);
  const auto job = Create(request);
  ASSERT_TRUE(job.ok()) << job.status();
  EXPECT_TRUE(job->generate().model().adapters(1).allow_other_base());
  selection.set_name(ModelNamed("whole"));
  ExpectRefused(request, "INVALID_ADAPTER", "job.generate.model.adapters[0].model");
  selection.mutable_adapters(0)->set_allow_other_base(true);
  EXPECT_TRUE(Create(request).ok());
}

class PromptAdaptersTest : public AdaptersTest {
 protected:
  static v1::CreateJobRequest Prompts(const std::vector<std::string>& prompts,
                                      const std::vector<std::string>& adapters = {}) {
    auto request = Drawing("baseModels/mini", adapters);
    auto& spec = *request.mutable_job()->mutable_generate();
    spec.set_prompt_adapters(true);
    spec.mutable_prompts()->Assign(prompts.begin(), prompts.end());
    return request;
  }
};

TEST_F(PromptAdaptersTest, TheirFilesAreLeasedAndTheyAreInUse) {
  for (const char* id : {"rex", "ink", "pen"}) MakeModel(id, "lora");
  const auto job =
      Create(Prompts({"a dog <lora:ink:0.5>", "a cat <lora:pen> <lora:ink:1>"}, {"rex"}));
  ASSERT_TRUE(job.ok()) << job.status();
  EXPECT_EQ(job->generate().prompts(0), "a dog <lora:ink:0.5>") << "the record says what was asked";
  for (const char* id : {"rex", "ink", "pen"}) {
    EXPECT_EQ(ReasonOfDeleting(id), "MODEL_IN_USE") << id;
    EXPECT_THAT(Listed("model = " + ModelNamed(id)), ElementsAre(job->name()));
  }
  const auto lease = worker_.Acquire();
  ASSERT_EQ(lease->models_size(), 3);
  for (const auto& [index, id] : {std::pair(0, "rex"), std::pair(1, "ink"), std::pair(2, "pen")}) {
    EXPECT_EQ(lease->models(index).name(), ModelNamed(id));
    EXPECT_EQ(lease->models(index).files_size(), 1);
  }
}

TEST_F(PromptAdaptersTest, EachIsLookedUpOnceHoweverManyPromptsNameIt) {
  for (const char* id : {"rex", "ink", "pen"}) MakeModel(id, "lora");
  const auto lookups = [this] {
    const std::string page =
        likeness::testing::HttpGet(server_.server().metrics_port(), "/metrics");
    const std::string count = "likeness_store_duration_seconds_count{operation=\"GetModel\"} ";
    const size_t at = page.find(count);
    return at == page.npos ? -1 : std::atoi(page.c_str() + at + count.size());
  };
  const int before = lookups();
  ASSERT_GE(before, 0);
  const std::vector<std::string> prompts(64, "a dog <lora:ink:0.5> <lora:pen>");
  const auto job = Create(Prompts(prompts, {"rex"}));
  ASSERT_TRUE(job.ok()) << job.status();
  EXPECT_EQ(lookups() - before, 3);
}

TEST_F(PromptAdaptersTest, WithoutTheSettingTheyAreText) {
  auto request = Prompts({"a dog <lora:nobody:high>"});
  request.mutable_job()->mutable_generate()->clear_prompt_adapters();
  EXPECT_TRUE(Create(request).ok());
}

TEST_F(PromptAdaptersTest, WhatIsWrongIsNamedWithItsPrompt) {
  MakeModel("rex", "lora");
  MakeModel("old", "lora", "d0");
  MakeModel("tom", "dreambooth");
  const std::string second = "job.generate.prompts[1]";
  for (const char* wrong : {"<lora:rex:high>", "<lora:Rex:1>", "<lora:rex", "<lora:tom:1>",
                            "<lora:rex:1> <lora:rex:1>", "<lora:rex:1> <lora:old:1>"}) {
    ExpectRefused(Prompts({"a dog", wrong}), "INVALID_ADAPTER", second);
  }
  ExpectRefused(Prompts({"a dog", "<lora:rex:1>"}, {"rex"}), "INVALID_ADAPTER", second);
  EXPECT_EQ(ErrorReason(Create(Prompts({"<lora:nobody:1>"})).status()), "MODEL_NOT_FOUND");
  std::string nine = "a dog";
  for (int i = 0; i < 9; ++i) nine += " <lora:a" + std::to_string(i) + ":1>";
  ExpectRefused(Prompts({"a dog", nine}), "OUT_OF_RANGE", second);
  std::vector<std::string> prompts;
  for (int i = 0; i < 33; ++i) prompts.push_back("<lora:a" + std::to_string(i) + ":1>");
  ExpectRefused(Prompts(prompts), "OUT_OF_RANGE", "job.generate.prompts");
}

TEST_F(AdaptersTest, EveryAdapterOfAJobThatWaitsIsInUse) {
  for (const char* id : {"rex", "style", "rexy"}) MakeModel(id, "lora");
  const auto job = Create(Drawing("", {"rex", "style"}));
  EXPECT_EQ(ReasonOfDeleting("rex"), "MODEL_IN_USE");
  EXPECT_EQ(ReasonOfDeleting("style"), "MODEL_IN_USE");
  EXPECT_EQ(ReasonOfDeleting("rexy"), "") << "whose name begins alike";
  for (const char* model : {"tenants/default/models/rex", "tenants/default/models/style"}) {
    EXPECT_THAT(Listed(std::string("model = ") + model), ElementsAre(job->name())) << model;
  }
  EXPECT_THAT(Listed("model = baseModels/mini AND method = generate"), ElementsAre(job->name()));
  EXPECT_THAT(Listed("model = tenants/default/models/re"), ElementsAre());
}

TEST_F(AdaptersTest, ErasingAPersonFindsWhatWasDrawnWithAnyAdapter) {
  MakeModel("rex", "lora");
  MakeModel("style", "lora");
  const auto job = Create(Drawing("", {"rex", "style"}));
  ASSERT_TRUE(worker_.Complete(worker_.Acquire()->lease_token()).ok());
  grpc::ClientContext context;
  v1::EraseModelRequest request;
  request.set_name(ModelNamed("style"));
  v1::Erasure erasure;
  ASSERT_TRUE(models_->EraseModel(&context, request, &erasure).ok());
  EXPECT_EQ(erasure.jobs_size(), 2);
  EXPECT_EQ(Get(job->name()).status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace likeness::server
