// Jobs over a real port: what clients and workers see.
#include <cmath>
#include <limits>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "common/digest.h"
#include "common/job_spec.h"
#include "likeness/v1/capabilities_service.grpc.pb.h"
#include "server/api/service_fixture.h"
#include "tests/support/raw_call.h"

namespace likeness::server {
namespace {

TEST_F(ServiceTest, WithoutWorkersThereIsNoBaseModel) {
  EXPECT_EQ(ErrorReason(Create(DogJob()).status()), "NO_BASE_MODELS");
}

TEST_F(ServiceTest, AcceptedJobIsComplete) {
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

TEST_F(ServiceTest, SeedZeroIsASeed) {
  OfferModels();
  auto request = DogJob();
  request.mutable_job()->mutable_fine_tune()->mutable_training()->set_seed(0);
  const auto job = Create(request);
  ASSERT_TRUE(job.ok());
  EXPECT_TRUE(job->fine_tune().training().has_seed());
  EXPECT_EQ(job->fine_tune().training().seed(), 0u);
}

TEST_F(ServiceTest, BadPhotosAreRefused) {
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

TEST_F(ServiceTest, PhotoFromAPhoneIsNamedInItsError) {
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

TEST_F(ServiceTest, NumberOfPhotosIsChecked) {
  OfferModels();
  auto none = DogJob();
  MutableSubjectOf(*none.mutable_job()->mutable_fine_tune()).clear_photos();
  ExpectRefused(none, "NO_PHOTOS", "job.fine_tune.subjects[0].photos");
  auto many = DogJob();
  auto* subject = &MutableSubjectOf(*many.mutable_job()->mutable_fine_tune());
  while (subject->photos_size() < 200) subject->add_photos()->set_inline_(PngPhoto());
  ExpectRefused(many, "TOO_MANY_PHOTOS", "job.fine_tune.subjects[0].photos");
}

TEST_F(ServiceTest, BadFineTuneFieldsAreRefused) {
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

TEST_F(ServiceTest, AnArticleInTheClassNounIsAWarning) {
  OfferModels();
  auto request = DogJob();
  EXPECT_THAT(Create(request)->warnings(),
              ::testing::Not(::testing::Contains(::testing::HasSubstr("article"))));
  MutableSubjectOf(*request.mutable_job()->mutable_fine_tune()).set_class_noun("a dog");
  EXPECT_THAT(Create(request)->warnings(), ::testing::Contains(::testing::HasSubstr("article")));
}

TEST_F(ServiceTest, AllWrongFieldsAreNamedAtOnce) {
  OfferModels();
  auto request = DogJob();
  request.mutable_job()->mutable_fine_tune()->mutable_training()->set_steps(0);
  request.mutable_job()->mutable_fine_tune()->mutable_training()->set_batch_size(65);
  EXPECT_EQ(FieldViolations(Create(request).status()).size(), 2u);
}

TEST_F(ServiceTest, PromptsAreChecked) {
  OfferModels();
  auto request = PictureJob();
  auto* spec = request.mutable_job()->mutable_generate();
  spec->set_prompts(0, std::string(10'000, 'x'));
  ExpectRefused(request, "PROMPT_TOO_LONG", "job.generate.prompts[0]");
  spec->set_prompts(0, "a dog\x07");
  ExpectRefused(request, "CONTROL_CHARACTERS", "job.generate.prompts[0]");
  for (const char* fine : {"", "a dog \xF0\x9F\x90\xB6"}) {
    spec->set_prompts(0, fine);
    EXPECT_TRUE(Create(request).ok()) << fine;
  }
  spec->set_width(65);
  ExpectRefused(request, "OUT_OF_RANGE", "job.generate.width");
}

TEST_F(ServiceTest, ValidationTellsWhatCreationWouldAndLeavesNothing) {
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

TEST_F(ServiceTest, UnknownModelsAreNotFound) {
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

TEST_F(ServiceTest, UnknownFieldsAreRefused) {
  OfferModels();
  auto request = DogJob();
  auto* training = request.mutable_job()->mutable_fine_tune()->mutable_training();
  training->GetReflection()->MutableUnknownFields(training)->AddVarint(4242, 1);
  ExpectRefused(request, "UNKNOWN_FIELDS", "job.fine_tune.training.4242");
}

TEST_F(ServiceTest, UnknownFieldsOfWorkersAreLeftOut) {
  OfferModels();
  ASSERT_TRUE(Create(PictureJob()).ok());
  v1::HeartbeatRequest news;
  const auto add = [](google::protobuf::Message& message) {
    message.GetReflection()->MutableUnknownFields(&message)->AddVarint(4242, 1);
  };
  const auto lease = worker_.Acquire();
  news.set_lease_token(lease->lease_token());
  news.mutable_progress()->set_done(1);
  add(news);
  add(*news.mutable_progress());
  ASSERT_TRUE(worker_.Heartbeat(news).ok());
  EXPECT_EQ(Get(lease->job().name())->progress().ByteSizeLong(), 2u) << "it is not kept either";
}

TEST_F(ServiceTest, WhatTheContractHasRoomForIsRefusedUntilItIsThere) {
  OfferModels();
  auto request = DogJob();
  *request.mutable_job()->mutable_fine_tune()->add_subjects() =
      request.job().fine_tune().subjects(0);
  ExpectRefused(request, "TOO_MANY_SUBJECTS", "job.fine_tune.subjects");
}

TEST_F(ServiceTest, ZeroIsNotTheDefault) {
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

TEST_F(ServiceTest, IdThatStandsForAnyResourceIsRefused) {
  OfferModels();
  auto request = DogJob();
  request.set_job_id("-");
  ExpectRefused(request, "INVALID_NAME", "job_id");
  request.clear_job_id();
  request.mutable_job()->mutable_fine_tune()->set_output_model_id("-");
  ExpectRefused(request, "INVALID_NAME", "job.fine_tune.output_model_id");
  EXPECT_EQ(ErrorReason(Get("tenants/default/jobs/-").status()), "INVALID_NAME");
}

TEST_F(ServiceTest, PhotosKeepTheNamesOfTheirFiles) {
  OfferModels();
  auto request = DogJob();
  auto& photo = *MutableSubjectOf(*request.mutable_job()->mutable_fine_tune()).mutable_photos(0);
  photo.set_file_name("rex 犬.png");
  EXPECT_EQ(Create(request)->fine_tune().subjects(0).photos(0).file_name(), "rex 犬.png");
  photo.set_file_name("/home/rex.png");
  ExpectRefused(request, "INVALID_FILE_NAME", "job.fine_tune.subjects[0].photos[0].file_name");
}

TEST_F(ServiceTest, RequestIdMakesCreationRepeatable) {
  OfferModels();
  auto request = DogJob();
  request.set_request_id("once");
  const auto first = Create(request);
  EXPECT_EQ(Create(request)->name(), first->name());
  request.mutable_job()->mutable_fine_tune()->mutable_training()->set_steps(11);
  EXPECT_EQ(ErrorReason(Create(request).status()), "REQUEST_ID_REUSED");
}

TEST_F(ServiceTest, MessageOverTheLimitIsRefused) {
  OfferModels();
  auto request = DogJob();
  const std::string photo = PngPhoto() + std::string(33 << 20, 'x');
  MutableSubjectOf(*request.mutable_job()->mutable_fine_tune())
      .mutable_photos(0)
      ->set_inline_(photo);
  EXPECT_EQ(Create(request).status().code(), absl::StatusCode::kResourceExhausted);
}

TEST_F(ServiceTest, NamesAndPageTokensAreChecked) {
  EXPECT_EQ(ErrorReason(Get("jobs/x").status()), "INVALID_NAME");
  EXPECT_EQ(ErrorReason(Get("tenants/other/jobs/x").status()), "JOB_NOT_FOUND");
  v1::ListJobsRequest list;
  v1::ListJobsResponse reply;
  list.set_page_token("Zm9yZ2Vk");
  grpc::ClientContext forged;
  EXPECT_EQ(ErrorReason(FromGrpcStatus(jobs_->ListJobs(&forged, list, &reply))),
            "INVALID_PAGE_TOKEN");
  list.clear_page_token();
  list.set_page_size(-1);
  grpc::ClientContext negative;
  EXPECT_EQ(ErrorReason(FromGrpcStatus(jobs_->ListJobs(&negative, list, &reply))), "OUT_OF_RANGE");
}

TEST_F(ServiceTest, PagesJoinUp) {
  OfferModels();
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(Create(PictureJob()).ok());
  v1::ListJobsRequest list;
  list.set_page_size(2);
  int jobs = 0;
  int pages = 0;
  do {
    grpc::ClientContext context;
    v1::ListJobsResponse reply;
    ASSERT_TRUE(jobs_->ListJobs(&context, list, &reply).ok());
    jobs += reply.jobs_size();
    ++pages;
    list.set_page_token(reply.next_page_token());
  } while (!list.page_token().empty());
  EXPECT_EQ(jobs, 5);
  EXPECT_EQ(pages, 3);
}

TEST_F(ServiceTest, FilteredListsHaveTokensOfTheirOwn) {
  OfferModels();
  for (const char* project : {"x", "x", "y"}) {
    auto request = PictureJob();
    (*request.mutable_job()->mutable_labels())["project"] = project;
    ASSERT_TRUE(Create(request).ok());
  }
  v1::ListJobsRequest request;
  request.set_filter("labels.project = x AND state = PENDING");
  request.set_page_size(1);
  const auto list = [&](v1::ListJobsResponse* page) {
    grpc::ClientContext context;
    return FromGrpcStatus(jobs_->ListJobs(&context, request, page));
  };
  v1::ListJobsResponse page;
  ASSERT_TRUE(list(&page).ok());
  request.set_page_token(page.next_page_token());
  ASSERT_TRUE(list(&page).ok());
  EXPECT_EQ(page.jobs_size(), 1);
  EXPECT_EQ(page.next_page_token(), "");
  request.set_order_by("end_time");
  EXPECT_EQ(ErrorReason(list(&page)), "INVALID_PAGE_TOKEN");
  request.set_order_by("age");
  EXPECT_EQ(ErrorReason(list(&page)), "INVALID_ORDER_BY");
  request.set_filter("project = x");
  const auto wrong = list(&page);
  EXPECT_EQ(ErrorReason(wrong), "INVALID_FILTER");
  EXPECT_EQ(FieldViolations(wrong).at(0).field, "filter");
}

TEST_F(ServiceTest, DeletedJobIsNotFound) {
  OfferModels();
  const auto job = Create(PictureJob());
  v1::DeleteJobRequest request;
  request.set_name(job->name());
  const auto remove = [&] {
    grpc::ClientContext context;
    google::protobuf::Empty reply;
    return ErrorReason(FromGrpcStatus(jobs_->DeleteJob(&context, request, &reply)));
  };
  EXPECT_EQ(remove(), "JOB_NOT_FINISHED");
  ASSERT_TRUE(Cancel(job->name()).ok());
  const auto token = Watch(job->name()).first.back().resume_token();
  EXPECT_EQ(remove(), "");
  EXPECT_EQ(remove(), "JOB_NOT_FOUND");
  EXPECT_EQ(ErrorReason(Watch(job->name(), token).second), "JOB_NOT_FOUND");
}

TEST_F(ServiceTest, WaitJobReturnsAtTheEndOrWhenTimeIsUp) {
  OfferModels();
  const auto job = Create(PictureJob());
  v1::WaitJobRequest request;
  request.set_name(job->name());
  request.mutable_timeout()->set_nanos(20'000'000);
  v1::Job reply;
  grpc::ClientContext early;
  ASSERT_TRUE(jobs_->WaitJob(&early, request, &reply).ok());
  EXPECT_EQ(reply.state(), v1::JOB_STATE_PENDING);
  request.mutable_timeout()->set_seconds(60);
  std::thread end([&] { EXPECT_TRUE(Cancel(job->name()).ok()); });
  grpc::ClientContext late;
  ASSERT_TRUE(jobs_->WaitJob(&late, request, &reply).ok());
  end.join();
  EXPECT_EQ(reply.state(), v1::JOB_STATE_CANCELLED);
  request.mutable_timeout()->set_seconds(601);
  grpc::ClientContext wrong;
  EXPECT_EQ(ErrorReason(FromGrpcStatus(jobs_->WaitJob(&wrong, request, &reply))), "OUT_OF_RANGE");
}

TEST_F(ServiceTest, WaitingWorkerIsWokenByANewJob) {
  OfferModels();
  std::thread create([this] { EXPECT_TRUE(Create(PictureJob()).ok()); });
  const auto lease = worker_.Acquire(absl::Seconds(30));
  create.join();
  EXPECT_TRUE(lease.ok()) << lease.status();
}

TEST_F(ServiceTest, BytesThatAreNotTheRequestAreSaidToBeMalformed) {
  const auto answer = [this](const std::string& method, const std::string& bytes) {
    likeness::testing::RawCall call(server_.channel(), "/likeness.v1.JobService/" + method);
    call.Write(bytes);
    call.Read();
    return call.Finish();
  };
  for (const char* method : {"GetJob", "CreateJob", "WatchJob", "GenerateImages"}) {
    for (const char* bytes : {"\x0a\x02\xff\xfe", "\x0a\x05x"}) {  // no UTF-8; cut short
      const grpc::Status status = answer(method, bytes);
      EXPECT_EQ(status.error_code(), grpc::INVALID_ARGUMENT) << method << status.error_message();
      EXPECT_EQ(ErrorReason(FromGrpcStatus(status)), "MALFORMED_REQUEST") << method;
    }
  }
  EXPECT_EQ(answer("NoSuchMethod", "").error_code(), grpc::UNIMPLEMENTED);
}

TEST_F(ServiceTest, ManyClientsAndWorkersAtOnceLoseNothing) {
  OfferModels();
  constexpr int kPairs = 8;
  constexpr int kJobs = 100;  // of each
  std::vector<std::string> done[kPairs];
  std::vector<std::thread> pairs;
  for (int pair = 0; pair < kPairs; ++pair) {
    pairs.emplace_back([this, &mine = done[pair]] {
      FakeWorker worker(server_.channel());
      for (int i = 0; i < kJobs; ++i) {
        ASSERT_TRUE(Create(PictureJob()).ok());
        const auto lease = worker.Acquire(absl::Seconds(30));
        ASSERT_TRUE(lease.ok()) << lease.status();
        ASSERT_TRUE(worker.Complete(lease->lease_token()).ok());
        mine.push_back(lease->job().name());
      }
    });
  }
  for (auto& pair : pairs) pair.join();
  std::set<std::string> names;
  for (const auto& mine : done) names.insert(mine.begin(), mine.end());
  EXPECT_EQ(names.size(), kPairs * kJobs);
  for (const std::string& name : names) {
    EXPECT_EQ(Get(name)->state(), v1::JOB_STATE_SUCCEEDED) << name;
  }
}

TEST_F(ServiceTest, GenerateImagesStreamsThePictures) {
  OfferModels();
  std::thread work([this] {
    const auto lease = worker_.Acquire(absl::Seconds(30));
    ASSERT_TRUE(lease.ok());
    v1::CompleteLeaseRequest outcome;
    outcome.set_lease_token(lease->lease_token());
    auto* output = outcome.add_outputs();
    output->set_path("samples/0000.png");
    output->set_kind(v1::OUTPUT_KIND_IMAGE);
    output->set_blob(*worker_.Upload(PngPhoto()));
    ASSERT_TRUE(worker_.Complete(outcome).ok());
  });
  grpc::ClientContext context;
  v1::GenerateImagesRequest request;
  request.mutable_generate()->add_prompts("a dog");
  auto stream = jobs_->GenerateImages(&context, request);
  std::vector<v1::GenerateImagesResponse> messages;
  for (v1::GenerateImagesResponse message; stream->Read(&message);) messages.push_back(message);
  EXPECT_TRUE(stream->Finish().ok());
  work.join();
  ASSERT_GE(messages.size(), 3u);
  EXPECT_TRUE(messages.front().has_job());
  EXPECT_EQ(messages[messages.size() - 2].image().png(), PngPhoto());
  EXPECT_EQ(messages.back().job().state(), v1::JOB_STATE_SUCCEEDED);
}

TEST_F(ServiceTest, ClientOfGenerateImagesThatGoesAwayCancelsTheJob) {
  OfferModels();
  grpc::ClientContext context;
  v1::GenerateImagesRequest request;
  request.mutable_generate()->add_prompts("a dog");
  auto stream = jobs_->GenerateImages(&context, request);
  v1::GenerateImagesResponse message;
  ASSERT_TRUE(stream->Read(&message));
  const std::string name = message.job().name();
  context.TryCancel();
  v1::WaitJobRequest wait;
  wait.set_name(name);
  grpc::ClientContext waiting;
  v1::Job job;
  ASSERT_TRUE(jobs_->WaitJob(&waiting, wait, &job).ok());
  EXPECT_EQ(job.state(), v1::JOB_STATE_CANCELLED);
}

TEST_F(ServiceTest, GenerateImagesEndsWellHoweverItsJobEnds) {
  OfferModels();
  std::thread work([&] {
    const auto lease = worker_.Acquire(absl::Seconds(20));
    ASSERT_TRUE(lease.ok()) << lease.status();
    ASSERT_TRUE(worker_.Fail(lease->lease_token(), /*retryable=*/false).ok());
  });
  grpc::ClientContext context;
  v1::GenerateImagesRequest request;
  request.mutable_generate()->add_prompts("a dog");
  auto stream = jobs_->GenerateImages(&context, request);
  v1::GenerateImagesResponse last;
  for (v1::GenerateImagesResponse message; stream->Read(&message);) last = message;
  EXPECT_TRUE(stream->Finish().ok());
  work.join();
  EXPECT_EQ(last.job().state(), v1::JOB_STATE_FAILED);
  EXPECT_EQ(last.job().error().message(), "as told");
}

TEST_F(ServiceTest, GenerateImagesUnderARequestIdCanBeTakenUpAgain) {
  OfferModels();
  v1::GenerateImagesRequest request;
  request.mutable_generate()->add_prompts("a dog");
  request.set_request_id("once");
  std::string name;
  {
    grpc::ClientContext context;
    auto stream = jobs_->GenerateImages(&context, request);
    v1::GenerateImagesResponse message;
    ASSERT_TRUE(stream->Read(&message));
    name = message.job().name();
    context.TryCancel();
    while (stream->Read(&message)) {
    }
  }
  const auto lease = worker_.Acquire(absl::Seconds(20));
  ASSERT_TRUE(lease.ok()) << "the job was cancelled with the call: " << lease.status();
  EXPECT_EQ(lease->job().name(), name);
  v1::CompleteLeaseRequest outcome;
  outcome.set_lease_token(lease->lease_token());
  const std::string sizes[] = {PngPhoto(), PngPhoto() + std::string(1 << 20, 'x')};
  for (const std::string& png : sizes) {
    auto* output = outcome.add_outputs();
    output->set_path("samples/" + std::to_string(outcome.outputs_size()) + ".png");
    output->set_kind(v1::OUTPUT_KIND_IMAGE);
    output->set_blob(*worker_.Upload(png));
  }
  ASSERT_TRUE(worker_.Complete(outcome).ok());
  grpc::ClientContext context;
  auto stream = jobs_->GenerateImages(&context, request);
  std::vector<v1::GenerateImagesResponse> messages;
  for (v1::GenerateImagesResponse message; stream->Read(&message);) messages.push_back(message);
  EXPECT_TRUE(stream->Finish().ok());
  ASSERT_GE(messages.size(), 4u);
  EXPECT_EQ(messages.back().job().name(), name);
  EXPECT_EQ(messages.back().job().state(), v1::JOB_STATE_SUCCEEDED);
  const auto& small = messages[messages.size() - 3].image();
  const auto& large = messages[messages.size() - 2].image();
  EXPECT_EQ(small.png(), PngPhoto());
  EXPECT_EQ(large.png(), "") << "it would not fit into a message";
  EXPECT_EQ(large.output().blob(), outcome.outputs(1).blob());
}

TEST_F(ServiceTest, OutputsMustBeStoredAndStayBelow) {
  OfferModels();
  ASSERT_TRUE(Create(PictureJob()).ok());
  v1::CompleteLeaseRequest outcome;
  outcome.set_lease_token(worker_.Acquire()->lease_token());
  auto* output = outcome.add_outputs();
  output->set_path("../../etc/passwd");
  output->set_blob("tenants/default/blobs/" + std::string(64, '0'));
  EXPECT_EQ(ErrorReason(worker_.Complete(outcome)), "INVALID_PATH");
  output->set_path("samples/0.png");
  EXPECT_EQ(ErrorReason(worker_.Complete(outcome)), "BLOB_NOT_FOUND");
}

TEST_F(ServiceTest, WorkersSayNoMoreOfAJobThanItCanCarry) {
  OfferModels();
  ASSERT_TRUE(Create(PictureJob()).ok());
  const std::string token = worker_.Acquire()->lease_token();
  const auto refused = [&](const std::function<void(v1::HeartbeatRequest&)>& say) {
    v1::HeartbeatRequest news;
    news.set_lease_token(token);
    say(news);
    return ErrorReason(worker_.Heartbeat(news).status());
  };
  const std::string long_text(5000, 'x');
  EXPECT_EQ(refused([&](auto& news) { news.add_warnings(long_text); }), "OUT_OF_RANGE");
  EXPECT_EQ(refused([&](auto& news) { news.add_log_lines()->set_text(long_text); }),
            "OUT_OF_RANGE");
  EXPECT_EQ(refused([&](auto& news) { news.mutable_progress()->set_unit(long_text); }),
            "OUT_OF_RANGE");
  EXPECT_EQ(refused([&](auto& news) { news.add_samples()->set_prompt(std::string(100'000, 'x')); }),
            "OUT_OF_RANGE");
  EXPECT_EQ(refused([&](auto& news) {
              news.mutable_resolved()->mutable_generate()->add_prompts(std::string(2 << 20, 'x'));
            }),
            "OUT_OF_RANGE");
  const auto fail = [&](int code, const std::string& message) {
    v1::FailLeaseRequest failure;
    failure.set_lease_token(token);
    failure.mutable_error()->set_code(code);
    failure.mutable_error()->set_message(message);
    grpc::ClientContext context;
    v1::FailLeaseResponse reply;
    return ErrorReason(FromGrpcStatus(
        v1::WorkerService::NewStub(server_.channel())->FailLease(&context, failure, &reply)));
  };
  EXPECT_EQ(fail(0, "all is well"), "OUT_OF_RANGE");
  EXPECT_EQ(fail(17, "there is no such code"), "OUT_OF_RANGE");
  EXPECT_EQ(fail(13, std::string(10'000, 'x')), "OUT_OF_RANGE");
  EXPECT_EQ(fail(13, long_text), "");
}

TEST_F(ServiceTest, CapabilitiesNameModelsAndLimits) {
  OfferModels();
  grpc::ClientContext context;
  v1::Capabilities reply;
  auto stub = v1::CapabilitiesService::NewStub(server_.channel());
  ASSERT_TRUE(stub->GetCapabilities(&context, {}, &reply).ok());
  ASSERT_EQ(reply.base_models_size(), 1);
  EXPECT_EQ(reply.base_models(0).default_token(), "sks");
  EXPECT_EQ(reply.limits().max_photos(), 100);
  EXPECT_THAT(reply.samplers(), ::testing::IsSupersetOf({"ddim", "dpmpp_2m", "euler_ancestral"}));
}

}  // namespace
}  // namespace likeness::server
