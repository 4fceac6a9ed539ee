// What CreateJob accepts and refuses, over a real port.
#include <limits>

#include "common/digest.h"
#include "common/job_spec.h"
#include "server/api/service_fixture.h"

namespace likeness::server {
namespace {

using CreateJobTest = ServiceTest;

TEST_F(CreateJobTest, AcceptedJobIsComplete) {
  OfferModels();
  const auto job = Create(DogJob());
  ASSERT_TRUE(job.ok()) << job.status();
  EXPECT_EQ(job->state(), v1::JOB_STATE_PENDING);
  EXPECT_EQ(job->fine_tune().base_model(), "baseModels/mini");
  EXPECT_TRUE(job->fine_tune().subjects(0).photos(0).has_blob());
  EXPECT_TRUE(job->fine_tune().training().has_seed());
  EXPECT_EQ(job->max_attempts(), 3);
  ASSERT_EQ(job->warnings_size(), 1) << "one photo is odd";
  EXPECT_THAT(job->warnings(0), ::testing::HasSubstr("1 photo"));
}

TEST_F(CreateJobTest, TheBaseModelIsLeftOutOnlyWhereOneIsOffered) {
  OfferModels();
  auto request = DogJob();
  request.mutable_job()->mutable_fine_tune()->clear_base_model();
  EXPECT_EQ(Create(request)->fine_tune().base_model(), "baseModels/mini");

  auto offer = worker_.Offer();
  offer.mutable_base_models(0)->set_name("baseModels/stray");
  grpc::ClientContext context;
  v1::AcquireLeaseResponse reply;
  const auto workers = v1::WorkerService::NewStub(server_.channel());
  ASSERT_TRUE(workers->AcquireLease(&context, offer, &reply).ok());
  const auto refused = Create(request).status();
  EXPECT_EQ(ErrorReason(refused), "BASE_MODEL_AMBIGUOUS");
  EXPECT_THAT(std::string(refused.message()),
              ::testing::AllOf(::testing::HasSubstr("baseModels/mini"),
                               ::testing::HasSubstr("baseModels/stray")));
  request.mutable_job()->mutable_fine_tune()->set_base_model("baseModels/stray");
  EXPECT_EQ(Create(request)->fine_tune().base_model(), "baseModels/stray");
}

TEST_F(CreateJobTest, WhatIsOfNoFormIsQuoted) {
  OfferModels();
  const auto message = [&](const v1::CreateJobRequest& request) {
    return std::string(Create(request).status().message());
  };
  using ::testing::HasSubstr;
  auto request = DogJob();
  request.set_job_id("rex-textual_inversion");
  EXPECT_THAT(message(request),
              HasSubstr("\"rex-textual_inversion\" is not of the form [a-z0-9-]"));
  request = DogJob();
  request.mutable_job()->mutable_fine_tune()->set_output_model_id("a b\n");
  EXPECT_THAT(message(request), HasSubstr("\"a b\\n\" is not of the form"));
  request = DogJob();
  MutableSubjectOf(*request.mutable_job()->mutable_fine_tune()).set_token("two words");
  EXPECT_THAT(message(request), HasSubstr("is \"two words\"; one word"));
  request = DogJob();
  (*request.mutable_job()->mutable_labels())["Upper"] = "x";
  EXPECT_THAT(message(request), HasSubstr("the key \"Upper\" is not of the form"));
}

TEST_F(CreateJobTest, SeedZeroIsASeed) {
  OfferModels();
  auto request = DogJob();
  request.mutable_job()->mutable_fine_tune()->mutable_training()->set_seed(0);
  const auto job = Create(request);
  ASSERT_TRUE(job.ok());
  EXPECT_TRUE(job->fine_tune().training().has_seed());
  EXPECT_EQ(job->fine_tune().training().seed(), 0u);
}

TEST_F(CreateJobTest, BadPhotosAreRefused) {
  OfferModels();
  ExpectPhotoRefused("", "PHOTO_EMPTY");
  ExpectPhotoRefused("this is not a picture", "PHOTO_NOT_AN_IMAGE");
  ExpectPhotoRefused(PngPhoto().substr(0, 50), "PHOTO_TRUNCATED");
  ExpectPhotoRefused(PngPhoto(60'000, 60'000), "PHOTO_TOO_LARGE");
  ExpectPhotoRefused(PngPhoto(31, 64), "PHOTO_TOO_SMALL");
  ExpectPhotoRefused("GIF89a and so on", "PHOTO_UNSUPPORTED_FORMAT");
  std::string animated = PngPhoto();
  animated.insert(33, std::string("\0\0\0\0acTL\0\0\0\0", 12));
  ExpectPhotoRefused(animated, "PHOTO_ANIMATED");
}

TEST_F(CreateJobTest, PhotoFromAPhoneIsNamedInItsError) {
  OfferModels();
  auto request = DogJob();
  const std::string heic(
      "\0\0\0\x18"
      "ftypheic\0\0\0\0mif1heic",
      24);
  MutableSubjectOf(*request.mutable_job()->mutable_fine_tune()).add_photos()->set_inline_(heic);
  const auto status = Create(request).status();
  EXPECT_EQ(ErrorReason(status), "PHOTO_UNSUPPORTED_FORMAT") << status;
  EXPECT_THAT(std::string(status.message()), ::testing::HasSubstr("HEIC"));
  EXPECT_EQ(FieldViolations(status).at(0).field, "job.fine_tune.subjects[0].photos[1].inline");
}

TEST_F(CreateJobTest, NumberOfPhotosIsChecked) {
  OfferModels();
  auto none = DogJob();
  MutableSubjectOf(*none.mutable_job()->mutable_fine_tune()).clear_photos();
  ExpectRefused(none, "NO_PHOTOS", "job.fine_tune.subjects[0].photos");
  auto many = DogJob();
  auto* subject = &MutableSubjectOf(*many.mutable_job()->mutable_fine_tune());
  while (subject->photos_size() < 200) subject->add_photos()->set_inline_(PngPhoto());
  ExpectRefused(many, "TOO_MANY_PHOTOS", "job.fine_tune.subjects[0].photos");
}

TEST_F(CreateJobTest, BadFineTuneFieldsAreRefused) {
  OfferModels();
  const std::string path = "job.fine_tune.";
  for (int steps : {0, -1, 1'000'000'000}) {
    auto request = DogJob();
    request.mutable_job()->mutable_fine_tune()->mutable_training()->set_steps(steps);
    ExpectRefused(request, "OUT_OF_RANGE", path + "training.steps");
  }
  auto request = DogJob();
  request.mutable_job()->mutable_fine_tune()->mutable_training()->set_learning_rate(
      std::numeric_limits<double>::quiet_NaN());
  ExpectRefused(request, "NOT_A_NUMBER", path + "training.learning_rate");
  request = DogJob();
  MutableSubjectOf(*request.mutable_job()->mutable_fine_tune()).clear_class_noun();
  ExpectRefused(request, "CLASS_NOUN_MISSING", path + "subjects[0].class_noun");
  request = DogJob();
  MutableSubjectOf(*request.mutable_job()->mutable_fine_tune()).set_token("two words");
  ExpectRefused(request, "INVALID_TOKEN", path + "subjects[0].token");
  request = DogJob();
  auto& subject = MutableSubjectOf(*request.mutable_job()->mutable_fine_tune());
  subject.set_token("zwx");
  subject.mutable_photos(0)->set_caption("a dog on the grass");
  ExpectRefused(request, "CAPTION_WITHOUT_TOKEN", path + "subjects[0].photos[0].caption");
  request = DogJob();
  request.mutable_job()->mutable_fine_tune()->mutable_prior()->set_sampler("magic");
  ExpectRefused(request, "UNKNOWN_SAMPLER", path + "prior.sampler");
  request.mutable_job()->mutable_fine_tune()->mutable_prior()->set_sampler("dpmp_2m_karras");
  EXPECT_THAT(FieldViolations(Create(request).status()).at(0).description,
              ::testing::HasSubstr("did you mean dpmpp_2m_karras?"));
  request = DogJob();
  request.mutable_job()->clear_fine_tune();
  ExpectRefused(request, "SPEC_MISSING", "job.spec");
}

TEST_F(CreateJobTest, AnArticleInTheClassNounIsAWarning) {
  OfferModels();
  auto request = DogJob();
  EXPECT_THAT(Create(request)->warnings(),
              ::testing::Not(::testing::Contains(::testing::HasSubstr("article"))));
  MutableSubjectOf(*request.mutable_job()->mutable_fine_tune()).set_class_noun("a dog");
  EXPECT_THAT(Create(request)->warnings(), ::testing::Contains(::testing::HasSubstr("article")));
}

TEST_F(CreateJobTest, AllWrongFieldsAreNamedAtOnce) {
  OfferModels();
  auto request = DogJob();
  request.mutable_job()->mutable_fine_tune()->mutable_training()->set_steps(0);
  request.mutable_job()->mutable_fine_tune()->mutable_training()->set_batch_size(65);
  EXPECT_EQ(FieldViolations(Create(request).status()).size(), 2u);
}

TEST_F(CreateJobTest, ValidationTellsWhatCreationWouldAndLeavesNothing) {
  OfferModels();
  auto request = DogJob();
  request.set_validate_only(true);
  const auto checked = Create(request);
  ASSERT_TRUE(checked.ok()) << checked.status();
  EXPECT_EQ(checked->fine_tune().base_model(), "baseModels/mini");
  EXPECT_EQ(checked->max_attempts(), 3);
  EXPECT_FALSE(checked->fine_tune().training().has_seed());
  EXPECT_EQ(checked->name(), "");
  EXPECT_EQ(checked->state(), v1::JOB_STATE_UNSPECIFIED);
  const auto& photo = checked->fine_tune().subjects(0).photos(0);
  EXPECT_EQ(photo.blob(), "tenants/default/blobs/" + Sha256Hex(PngPhoto()));

  grpc::ClientContext context;
  v1::ListJobsResponse jobs;
  ASSERT_TRUE(jobs_->ListJobs(&context, {}, &jobs).ok());
  EXPECT_TRUE(jobs.jobs().empty());
  *MutableSubjectOf(*request.mutable_job()->mutable_fine_tune()).mutable_photos(0) = photo;
  ExpectRefused(request, "BLOB_NOT_FOUND", "job.fine_tune.subjects[0].photos[0].blob");

  request = DogJob();
  request.set_job_id("rex");
  ASSERT_TRUE(Create(request).ok());
  request.set_validate_only(true);
  EXPECT_EQ(ErrorReason(Create(request).status()), "JOB_EXISTS");
  request.set_job_id("max");
  EXPECT_EQ(Create(request)->name(), "tenants/default/jobs/max");
  request.mutable_job()->mutable_fine_tune()->set_output_model_id("rex");
  EXPECT_EQ(ErrorReason(Create(request).status()), "MODEL_EXISTS");
  request.mutable_job()->mutable_fine_tune()->mutable_training()->set_steps(0);
  ExpectRefused(request, "OUT_OF_RANGE", "job.fine_tune.training.steps");
}

TEST_F(CreateJobTest, UnknownModelsAreNotFound) {
  OfferModels();
  auto request = PictureJob();
  request.mutable_job()->mutable_generate()->mutable_model()->set_name("baseModels/other");
  const auto status = Create(request).status();
  EXPECT_EQ(ErrorReason(status), "MODEL_NOT_FOUND");
  EXPECT_THAT(std::string(status.message()), ::testing::HasSubstr("baseModels/mini"));
  request.mutable_job()->mutable_generate()->mutable_model()->set_name(
      "tenants/default/models/nobody");
  EXPECT_EQ(ErrorReason(Create(request).status()), "MODEL_NOT_FOUND");
}

TEST_F(CreateJobTest, PreviewsAndPrecisionOfPicturesAreChecked) {
  OfferModels();
  auto request = PictureJob();
  auto& spec = *request.mutable_job()->mutable_generate();
  spec.set_preview_every_steps(5);
  spec.set_precision(v1::PRECISION_BF16);
  const auto job = Create(request);
  ASSERT_TRUE(job.ok()) << job.status();
  EXPECT_EQ(job->generate().preview_every_steps(), 5);
  spec.set_preview_every_steps(1001);
  ExpectRefused(request, "OUT_OF_RANGE", "job.generate.preview_every_steps");
  spec.set_preview_every_steps(0);
  for (const int precision : {3, 4, 9, -1}) {  // those of training, and none
    spec.set_precision(static_cast<v1::Precision>(precision));
    ExpectRefused(request, "OUT_OF_RANGE", "job.generate.precision");
  }
}

TEST_F(CreateJobTest, AStrengthThatLeavesNoStepIsRefusedWithTheLeastOne) {
  OfferModels();
  auto request = PictureJob();
  auto& spec = *request.mutable_job()->mutable_generate();
  auto& start = *spec.mutable_image_to_image();
  start.mutable_image()->set_inline_(PngPhoto());
  start.set_strength(0.01);
  spec.set_steps(20);
  ExpectRefused(request, "OUT_OF_RANGE", "job.generate.image_to_image.strength");
  EXPECT_THAT(std::string(Create(request).status().message()),
              ::testing::HasSubstr("is 0.01, which leaves none of 20 steps; 0.05 or more"));
  start.set_strength(0.05);
  EXPECT_TRUE(Create(request).ok());
  for (const int steps : {3, 7, 9, 49, 999}) {
    spec.set_steps(steps);
    start.set_strength(0.001);
    const std::string refused(Create(request).status().message());
    const std::string bound = refused.substr(refused.find("steps; ") + 7);
    start.set_strength(std::stod(bound));
    EXPECT_TRUE(Create(request).ok()) << refused;
  }
  start.set_strength(0.01);
  spec.clear_steps();  // the base model's, which its worker knows
  EXPECT_TRUE(Create(request).ok());
}

TEST_F(CreateJobTest, AWholeModelIsNotImported) {
  OfferModels();
  const auto file_with = [](const std::string& key) {
    std::string header = "{\"" + key + R"(":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}})";
    header.insert(0, 8, '\0');
    header[0] = static_cast<char>(header.size() - 8);
    return header;
  };
  v1::CreateJobRequest request;
  auto& spec = *request.mutable_job()->mutable_import_model();
  spec.set_inline_(file_with("model.diffusion_model.out.2.bias"));
  ExpectRefused(request, "FILE_UNUSABLE", "job.import_model.inline");
  EXPECT_THAT(FieldViolations(Create(request).status())[0].description,
              ::testing::StartsWith("holds a whole model, not an adapter"));
  spec.set_blob(*worker_.Upload(file_with("down_blocks.0.resnets.0.conv1.bias")));
  ExpectRefused(request, "FILE_UNUSABLE", "job.import_model.blob");
  spec.set_inline_(file_with("<cat>"));
  EXPECT_TRUE(Create(request).ok());
}

TEST_F(CreateJobTest, ANetworkThatNoWorkerHasIsMissedBeforeAnybodyWaits) {
  OfferModels();
  auto portrait = DogJob();
  MutableSubjectOf(*portrait.mutable_job()->mutable_fine_tune()).set_crop(v1::SUBJECT_CROP_FACE);
  auto drawing = PictureJob();
  drawing.mutable_job()->mutable_generate()->set_safety_check(true);
  for (auto* request : {&portrait, &drawing}) {
    for (const bool check : {true, false}) {
      request->set_validate_only(check);
      const auto refused = Create(*request).status();
      EXPECT_TRUE(absl::IsFailedPrecondition(refused)) << refused;
      EXPECT_EQ(ErrorReason(refused), "NO_EVALUATORS") << refused;
    }
  }
  EXPECT_EQ(
      Create(portrait).status().message(),
      "no worker that offers baseModels/mini has a face detector, which "
      "job.fine_tune.subjects[0].crop needs; docs/evaluation.md says where a worker looks for "
      "one");
  auto offer = worker_.Offer();
  offer.set_worker("sees-faces");
  offer.add_methods("face_detection");
  grpc::ClientContext context;
  v1::AcquireLeaseResponse reply;
  const auto workers = v1::WorkerService::NewStub(server_.channel());
  ASSERT_TRUE(workers->AcquireLease(&context, offer, &reply).ok());
  ASSERT_TRUE(Create(portrait).ok());
  EXPECT_FALSE(Create(drawing).ok());
  EXPECT_FALSE(worker_.Acquire(absl::ZeroDuration()).ok()) << "it waits for the one that can";
  grpc::ClientContext again;
  ASSERT_TRUE(workers->AcquireLease(&again, offer, &reply).ok());
  EXPECT_TRUE(reply.has_lease());
}

TEST_F(CreateJobTest, ZeroIsNotTheDefault) {
  OfferModels();
  auto request = PictureJob();
  request.mutable_job()->set_max_attempts(0);
  ExpectRefused(request, "OUT_OF_RANGE", "job.max_attempts");
  request.mutable_job()->clear_max_attempts();
  request.mutable_job()->set_priority(0);
  ExpectRefused(request, "OUT_OF_RANGE", "job.priority");
  request.mutable_job()->clear_priority();
  const auto job = Create(request);
  EXPECT_EQ(job->max_attempts(), 3);
  EXPECT_EQ(job->priority(), 3);
  EXPECT_FALSE(job->generate().has_negative_prompt());
  request.mutable_job()->mutable_generate()->set_negative_prompt("");
  EXPECT_TRUE(Create(request)->generate().has_negative_prompt());
}

TEST_F(CreateJobTest, PhotosKeepTheNamesOfTheirFiles) {
  OfferModels();
  auto request = DogJob();
  auto& photo = *MutableSubjectOf(*request.mutable_job()->mutable_fine_tune()).mutable_photos(0);
  photo.set_file_name("rex 犬.png");
  EXPECT_EQ(Create(request)->fine_tune().subjects(0).photos(0).file_name(), "rex 犬.png");
  photo.set_file_name("/home/rex.png");
  ExpectRefused(request, "INVALID_FILE_NAME", "job.fine_tune.subjects[0].photos[0].file_name");
}

TEST_F(CreateJobTest, ClassPhotosAreBlobsThatHaveToBeThere) {
  OfferModels();
  auto request = DogJob();
  v1::Prior& prior = *request.mutable_job()->mutable_fine_tune()->mutable_prior();
  prior.add_class_photos()->set_inline_(PngPhoto(80, 64));
  const auto job = Create(request);
  ASSERT_TRUE(job.ok()) << job.status();
  const std::string blob = "tenants/default/blobs/" + Sha256Hex(PngPhoto(80, 64));
  EXPECT_EQ(job->fine_tune().prior().class_photos(0).blob(), blob);
  EXPECT_THAT(InputBlobsOf(*job), ::testing::Contains(blob)) << "which keeps it";
  prior.mutable_class_photos(0)->set_inline_("no picture");
  ExpectRefused(request, "PHOTO_NOT_AN_IMAGE", "job.fine_tune.prior.class_photos[0].inline");
  prior.mutable_class_photos(0)->set_blob("tenants/default/blobs/" + std::string(64, 'a'));
  ExpectRefused(request, "BLOB_NOT_FOUND", "job.fine_tune.prior.class_photos[0].blob");
}

}  // namespace
}  // namespace likeness::server
