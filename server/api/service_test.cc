// Jobs over a real port: what clients and workers see.
#include <cmath>
#include <limits>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "common/job_spec.h"
#include "likeness/v1/capabilities_service.grpc.pb.h"
#include "server/api/service_fixture.h"
#include "tests/support/raw_call.h"

namespace likeness::server {
namespace {

TEST_F(ServiceTest, WithoutWorkersThereIsNoBaseModel) {
  const auto refused = Create(DogJob()).status();
  EXPECT_EQ(ErrorReason(refused), "NO_BASE_MODELS");
  EXPECT_EQ(refused.message(),
            "no worker offers a base model; start a worker: likeness-worker serve --models DIR");
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

TEST_F(ServiceTest, RequestIdMakesCreationRepeatable) {
  OfferModels();
  auto request = DogJob();
  request.set_request_id("once");
  const auto first = Create(request);
  EXPECT_EQ(Create(request)->name(), first->name());
  request.mutable_job()->mutable_fine_tune()->mutable_training()->set_steps(11);
  EXPECT_EQ(ErrorReason(Create(request).status()), "REQUEST_ID_REUSED");
}

// JSON has no word for them.
TEST_F(ServiceTest, MeasurementsThatAreNoNumbersAreDropped) {
  constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
  constexpr double kInfinite = std::numeric_limits<double>::infinity();
  OfferModels();
  const std::string name = Create(DogJob())->name();
  v1::HeartbeatRequest news;
  news.set_lease_token(worker_.Acquire()->lease_token());
  v1::Progress& progress = *news.mutable_progress();
  progress.set_done(3);
  progress.mutable_training()->set_loss(kNone);
  progress.mutable_training()->set_step(3);
  progress.mutable_measurements()->set_validation_loss(0.25);
  progress.mutable_measurements()->set_subject_score(-kInfinite);
  ASSERT_TRUE(worker_.Heartbeat(news).ok());
  const v1::Progress kept = Get(name)->progress();
  EXPECT_EQ(kept.done(), 3);
  EXPECT_FALSE(kept.has_training()) << "the step has no loss";
  EXPECT_EQ(kept.measurements().validation_loss(), 0.25);
  EXPECT_FALSE(kept.measurements().has_subject_score());

  v1::CompleteLeaseRequest outcome;
  outcome.set_lease_token(news.lease_token());
  (*outcome.mutable_metrics())["loss"] = kInfinite;
  (*outcome.mutable_metrics())["dino"] = 0.5;
  ASSERT_TRUE(worker_.Complete(outcome).ok());
  const auto job = Get(name);
  EXPECT_EQ(job->state(), v1::JOB_STATE_SUCCEEDED);
  EXPECT_FALSE(job->metrics().contains("loss"));
  EXPECT_EQ(job->metrics().at("dino"), 0.5);
}

// A client may send the job that it got back.
TEST_F(ServiceTest, OutputOnlyFieldsMakeNoOtherRequest) {
  OfferModels();
  auto request = DogJob();
  request.set_request_id("once");
  const auto first = Create(request);
  v1::Job& job = *request.mutable_job();
  job.set_name(first->name());
  job.set_uid(first->uid());
  job.set_state(v1::JOB_STATE_RUNNING);
  *job.mutable_create_time() = first->create_time();
  (*job.mutable_metrics())["loss"] = 0.5;
  job.add_warnings("none");
  const auto again = Create(request);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->uid(), first->uid());
  (*job.mutable_labels())["colour"] = "red";
  EXPECT_EQ(ErrorReason(Create(request).status()), "REQUEST_ID_REUSED") << "that is the client's";
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
