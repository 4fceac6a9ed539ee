// Following many jobs, and changing them, over a real port.
#include <map>
#include <set>
#include <thread>

#include "server/api/service_fixture.h"

namespace likeness::server {
namespace {

class WatchJobsTest : public ServiceTest {
 protected:
  WatchJobsTest() { OfferModels(); }

  v1::ListJobsResponse List(const std::string& filter = "",
                            v1::JobView view = v1::JOB_VIEW_UNSPECIFIED) {
    grpc::ClientContext context;
    v1::ListJobsRequest request;
    request.set_filter(filter);
    request.set_page_size(1000);
    request.set_view(view);
    v1::ListJobsResponse reply;
    const auto status = FromGrpcStatus(jobs_->ListJobs(&context, request, &reply));
    EXPECT_TRUE(status.ok()) << status;
    return reply;
  }

  std::unique_ptr<grpc::ClientReader<v1::JobEvent>> WatchAll(grpc::ClientContext& context,
                                                             const std::string& token,
                                                             const std::string& filter = "") {
    v1::WatchJobsRequest request;
    request.set_resume_token(token);
    request.set_filter(filter);
    return jobs_->WatchJobs(&context, request);
  }

  absl::StatusOr<v1::Job> Update(const v1::UpdateJobRequest& request) {
    grpc::ClientContext context;
    v1::Job job;
    const auto status = FromGrpcStatus(jobs_->UpdateJob(&context, request, &job));
    if (!status.ok()) return status;
    return job;
  }

  absl::Status Delete(const std::string& name) {
    grpc::ClientContext context;
    v1::DeleteJobRequest request;
    request.set_name(name);
    google::protobuf::Empty reply;
    return FromGrpcStatus(jobs_->DeleteJob(&context, request, &reply));
  }

  absl::StatusOr<v1::ListJobEventsResponse> Events(const std::string& name, int size = 0,
                                                   const std::string& token = "") {
    grpc::ClientContext context;
    v1::ListJobEventsRequest request;
    request.set_parent(name);
    request.set_page_size(size);
    request.set_page_token(token);
    v1::ListJobEventsResponse reply;
    const auto status = FromGrpcStatus(jobs_->ListJobEvents(&context, request, &reply));
    if (!status.ok()) return status;
    return reply;
  }
};

TEST_F(WatchJobsTest, ListThenWatchTellsEverythingThatHappensToAllJobs) {
  const std::string before = Create(PictureJob())->name();
  const std::string token = List().resume_token();
  const std::string after = Create(PictureJob())->name();
  v1::UpdateJobRequest update;
  update.mutable_job()->set_name(after);
  (*update.mutable_job()->mutable_labels())["project"] = "zoo";
  ASSERT_TRUE(Update(update).ok());
  ASSERT_TRUE(Cancel(before).ok());
  ASSERT_TRUE(Delete(before).ok());

  grpc::ClientContext context;
  auto stream = WatchAll(context, token);
  std::vector<std::pair<std::string, v1::JobEvent::EventCase>> seen;
  for (v1::JobEvent event; seen.size() < 3 && stream->Read(&event);) {
    EXPECT_FALSE(event.resume_token().empty());
    seen.emplace_back(event.job(), event.event_case());
    if (event.has_updated()) {
      EXPECT_EQ(event.updated().labels().at("project"), "zoo");
    }
  }
  context.TryCancel();
  EXPECT_THAT(seen,
              ::testing::UnorderedElementsAre(::testing::Pair(after, v1::JobEvent::kStateChange),
                                              ::testing::Pair(after, v1::JobEvent::kUpdated),
                                              // Its events went with it.
                                              ::testing::Pair(before, v1::JobEvent::kDeleted)));
}

TEST_F(WatchJobsTest, ListThenWatchUnderLoadHasNoGapAndNoEventTwice) {
  constexpr int kJobs = 1000;
  std::thread load([&] {
    for (int i = 0; i < kJobs; ++i) {
      const auto job = Create(PictureJob());
      ASSERT_TRUE(job.ok()) << job.status();
      ASSERT_TRUE(Cancel(job->name()).ok());
    }
  });
  v1::ListJobsResponse list;
  while (list.jobs_size() < kJobs / 10) list = List();
  std::map<std::string, v1::JobState> listed, states;
  for (const auto& job : list.jobs()) listed[job.name()] = states[job.name()] = job.state();
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(60)));
  auto stream = WatchAll(context, list.resume_token());
  std::map<std::string, std::set<int64_t>> seen;
  const auto ended = [&] {
    size_t count = 0;
    for (const auto& [name, state] : states) count += state == v1::JOB_STATE_CANCELLED;
    return count == kJobs;
  };
  for (v1::JobEvent event; !ended() && stream->Read(&event);) {
    if (!event.has_state_change()) continue;
    const bool first = seen[event.job()].empty();
    EXPECT_TRUE(seen[event.job()].insert(event.seq()).second) << "twice: " << event.job();
    const v1::StateChange& change = event.state_change();
    if (first && listed.count(event.job()) > 0) {
      // It goes on from what the list shows, or tells that again.
      const v1::JobState shown = listed[event.job()];
      EXPECT_TRUE(change.from() == shown || change.to() == shown ||
                  change.from() == v1::JOB_STATE_UNSPECIFIED);
    } else {
      EXPECT_EQ(change.from(), states[event.job()]) << "something was left out: " << event.job();
    }
    states[event.job()] = change.to();
  }
  EXPECT_TRUE(ended());
  load.join();
  context.TryCancel();
}

TEST_F(WatchJobsTest, FilterKeepsOtherJobsOut) {
  grpc::ClientContext context;
  auto request = PictureJob();
  const std::string token = List().resume_token();
  Create(request);
  (*request.mutable_job()->mutable_labels())["project"] = "zoo";
  const std::string zoo = Create(request)->name();
  auto stream = WatchAll(context, token, "labels.project = zoo");
  v1::JobEvent event;
  ASSERT_TRUE(stream->Read(&event));
  EXPECT_EQ(event.job(), zoo);
  context.TryCancel();
  grpc::ClientContext refused;
  stream = WatchAll(refused, "", "NOT state = RUNNING");
  EXPECT_FALSE(stream->Read(&event));
  EXPECT_EQ(ErrorReason(FromGrpcStatus(stream->Finish())), "INVALID_FILTER");
}

TEST_F(WatchJobsTest, UpdateThatTakesAJobOutOfTheFilterIsTold) {
  auto request = PictureJob();
  (*request.mutable_job()->mutable_labels())["project"] = "zoo";
  const std::string name = Create(request)->name();
  const std::string token = List().resume_token();
  v1::UpdateJobRequest update;
  update.mutable_job()->set_name(name);
  (*update.mutable_job()->mutable_labels())["project"] = "farm";
  ASSERT_TRUE(Update(update).ok());
  ASSERT_TRUE(Cancel(name).ok());  // by then it does not match
  const std::string next = Create(request)->name();
  grpc::ClientContext context;
  auto stream = WatchAll(context, token, "labels.project = zoo");
  v1::JobEvent event;
  ASSERT_TRUE(stream->Read(&event));
  EXPECT_EQ(event.job(), name);
  EXPECT_EQ(event.updated().labels().at("project"), "farm");
  ASSERT_TRUE(stream->Read(&event));
  EXPECT_EQ(event.job(), next);
  context.TryCancel();
}

TEST_F(WatchJobsTest, TokenOfAJobOrOfNobodyIsRefused) {
  const auto job = Get(Create(PictureJob())->name());
  for (const std::string& token : {job->resume_token(), std::string("Zm9yZ2Vk")}) {
    grpc::ClientContext context;
    auto stream = WatchAll(context, token);
    v1::JobEvent event;
    EXPECT_FALSE(stream->Read(&event));
    EXPECT_EQ(ErrorReason(FromGrpcStatus(stream->Finish())), "RESUME_TOKEN_INVALID");
  }
}

TEST_F(WatchJobsTest, WatchGoesOnFromAJobThatWasRead) {
  const std::string name = Create(PictureJob())->name();
  const auto lease = worker_.Acquire();
  const std::string got = Get(name)->resume_token();
  EXPECT_EQ(List().jobs(0).resume_token(), got);
  ASSERT_TRUE(worker_.Complete(lease->lease_token()).ok());
  const auto [events, status] = Watch(name, got);
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].state_change().to(), v1::JOB_STATE_SUCCEEDED);
}

TEST_F(WatchJobsTest, BasicViewLeavesOutWhatIsLarge) {
  auto request = DogJob();
  request.mutable_job()->mutable_fine_tune()->mutable_prior()->add_class_photos()->set_inline_(
      PngPhoto());
  const std::string name = Create(request)->name();
  v1::CompleteLeaseRequest outcome;
  outcome.set_lease_token(worker_.Acquire()->lease_token());
  (*outcome.mutable_metrics())["loss"] = 0.5;
  ASSERT_TRUE(worker_.Complete(outcome).ok());
  const v1::Job basic = List("", v1::JOB_VIEW_BASIC).jobs(0);
  EXPECT_EQ(basic.state(), v1::JOB_STATE_SUCCEEDED);
  EXPECT_EQ(basic.fine_tune().subjects(0).class_noun(), "dog");
  EXPECT_EQ(basic.fine_tune().subjects(0).photos_size(), 0);
  EXPECT_EQ(basic.fine_tune().prior().class_photos_size(), 0);
  EXPECT_EQ(basic.metrics_size(), 0);
  Create(PictureJob());
  EXPECT_TRUE(List("", v1::JOB_VIEW_BASIC).jobs(0).has_generate()) << "the newest one";
  EXPECT_EQ(List("method = dreambooth", v1::JOB_VIEW_FULL).jobs(0).metrics_size(), 1);
  EXPECT_EQ(List("method = dreambooth").jobs(0).metrics_size(), 1);
}

TEST_F(WatchJobsTest, UpdateChangesLabelsAlwaysAndThePriorityWhileTheJobWaits) {
  const auto first = Create(PictureJob());
  const auto second = Create(PictureJob());
  v1::UpdateJobRequest update;
  update.mutable_job()->set_name(second->name());
  update.mutable_job()->set_etag(second->etag());
  update.mutable_job()->set_priority(5);
  const auto urgent = Update(update);
  ASSERT_TRUE(urgent.ok()) << urgent.status();
  EXPECT_NE(urgent->etag(), second->etag());
  EXPECT_EQ(ErrorReason(Update(update).status()), "ETAG_MISMATCH");
  EXPECT_EQ(worker_.Acquire()->job().name(), second->name()) << "it overtakes the first one";
  update.mutable_job()->clear_etag();
  update.mutable_job()->set_priority(1);
  EXPECT_EQ(ErrorReason(Update(update).status()), "JOB_NOT_WAITING");

  update.mutable_job()->clear_priority();
  (*update.mutable_job()->mutable_labels())["project"] = "zoo";
  ASSERT_TRUE(Update(update).ok());
  EXPECT_EQ(List("labels.project = zoo").jobs_size(), 1);
  update.mutable_job()->clear_labels();
  update.mutable_update_mask()->add_paths("labels");
  ASSERT_TRUE(Update(update).ok());
  EXPECT_EQ(List("labels.project = zoo").jobs_size(), 0);
  update.mutable_update_mask()->set_paths(0, "state");
  EXPECT_EQ(ErrorReason(Update(update).status()), "FIELD_NOT_CHANGEABLE");
}

TEST_F(WatchJobsTest, EventsOfAJobAreListedInPages) {
  const std::string name = Create(PictureJob())->name();
  const auto lease = worker_.Acquire();
  v1::HeartbeatRequest news;
  news.set_lease_token(lease->lease_token());
  news.set_sequence(1);
  for (const char* text : {"one", "two"}) news.add_log_lines()->set_text(text);
  ASSERT_TRUE(worker_.Heartbeat(news).ok());
  ASSERT_TRUE(worker_.Complete(lease->lease_token()).ok());
  std::vector<int64_t> seqs;
  std::string token;
  do {
    const auto page = Events(name, 2, token);
    ASSERT_TRUE(page.ok()) << page.status();
    EXPECT_LE(page->events_size(), 2);
    for (const auto& event : page->events()) seqs.push_back(event.seq());
    token = page->next_page_token();
  } while (!token.empty());
  EXPECT_THAT(seqs, ::testing::ElementsAre(1, 2, 3, 4, 5));
  EXPECT_EQ(ErrorReason(Events("tenants/default/jobs/nobody").status()), "JOB_NOT_FOUND");
}

TEST_F(WatchJobsTest, ManyJobsAreCancelledAndDeletedByAFilter) {
  auto request = PictureJob();
  (*request.mutable_job()->mutable_labels())["project"] = "zoo";
  std::vector<std::string> zoo;
  for (int i = 0; i < 3; ++i) zoo.push_back(Create(request)->name());
  const std::string other = Create(PictureJob())->name();
  grpc::ClientContext context;
  v1::CancelJobsRequest cancel;
  v1::CancelJobsResponse cancelled;
  EXPECT_EQ(ErrorReason(FromGrpcStatus(jobs_->CancelJobs(&context, cancel, &cancelled))),
            "FILTER_MISSING");
  for (const char* blank : {" ", "\t\n"}) {
    cancel.set_filter(blank);
    grpc::ClientContext blanks;
    EXPECT_EQ(ErrorReason(FromGrpcStatus(jobs_->CancelJobs(&blanks, cancel, &cancelled))),
              "FILTER_MISSING");
  }
  cancel.set_filter("labels.project = zoo");
  grpc::ClientContext cancelling;
  ASSERT_TRUE(jobs_->CancelJobs(&cancelling, cancel, &cancelled).ok());
  EXPECT_THAT(cancelled.jobs(), ::testing::UnorderedElementsAreArray(zoo));
  EXPECT_FALSE(cancelled.more());
  EXPECT_EQ(Get(other)->state(), v1::JOB_STATE_PENDING);

  grpc::ClientContext deleting;
  v1::DeleteJobsRequest remove;
  v1::DeleteJobsResponse deleted;
  remove.set_filter("labels.project = zoo OR state = PENDING");
  ASSERT_TRUE(jobs_->DeleteJobs(&deleting, remove, &deleted).ok());
  EXPECT_THAT(deleted.jobs(), ::testing::UnorderedElementsAreArray(zoo));
  EXPECT_TRUE(Get(other).ok()) << "it has not ended";
  EXPECT_EQ(List().jobs_size(), 1);
}

}  // namespace
}  // namespace likeness::server
