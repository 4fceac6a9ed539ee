#include "client/cli/job_view.h"

#include "absl/strings/str_cat.h"
#include "client/cli/plain_screen.h"
#include "client/cli/terminal_screen.h"
#include "common/job_spec.h"
#include "gtest/gtest.h"

namespace likeness::client {
namespace {

// A story told in events, and what a log file shows of it.
class JobViewTest : public testing::Test {
 protected:
  v1::JobEvent At(int64_t second) {
    v1::JobEvent event;
    event.mutable_time()->set_seconds(1'800'000'000 + second);
    return event;
  }

  void Snapshot(v1::JobState state, int64_t second = 0) {
    auto event = At(second);
    auto* job = event.mutable_snapshot();
    job->set_name("tenants/default/jobs/rex-7f3c");
    job->set_state(state);
    job->set_queue_position(1);
    MutableSubjectOf(*job->mutable_fine_tune()).set_class_noun("dog");
    view_.Apply(event);
  }

  void State(int64_t second, v1::JobState state, int attempt = 1, const std::string& error = "") {
    auto event = At(second);
    auto* change = event.mutable_state_change();
    change->set_to(state);
    change->set_attempt(attempt);
    if (!error.empty()) {
      *change->mutable_job() = view_.job();
      change->mutable_job()->mutable_error()->set_code(3);  // INVALID_ARGUMENT
      change->mutable_job()->mutable_error()->set_message(error);
    }
    view_.Apply(event);
  }

  void Progress(int64_t second, v1::JobPhase phase, int64_t done, int64_t total,
                const std::string& unit, double loss = 0) {
    auto event = At(second);
    auto* progress = event.mutable_progress();
    progress->set_phase(phase);
    progress->set_done(done);
    progress->set_total(total);
    progress->set_unit(unit);
    if (loss > 0) {
      progress->mutable_training()->set_loss(loss);
      progress->mutable_training()->set_steps_per_second(9.84);
      progress->mutable_remaining_duration()->set_seconds(20 - second);
    }
    view_.Apply(event);
  }

  std::string shown_;
  PlainScreen screen_{[this](absl::string_view text) { absl::StrAppend(&shown_, text); }};
  JobView view_{screen_};
};

TEST_F(JobViewTest, TellsAJobFromQueueToEnd) {
  Snapshot(v1::JOB_STATE_PENDING);
  State(4, v1::JOB_STATE_RUNNING);
  Progress(5, v1::JOB_PHASE_CLASS_IMAGES, 24, 48, "images");
  Progress(7, v1::JOB_PHASE_CLASS_IMAGES, 48, 48, "images");
  for (int step = 0; step <= 300; step += 10)
    Progress(8, v1::JOB_PHASE_TRAINING, step, 300, "steps", 0.05);
  Progress(20, v1::JOB_PHASE_SAMPLING, 1, 2, "images");
  Progress(22, v1::JOB_PHASE_UPLOADING, 1'000, 18'200'000, "bytes");
  State(23, v1::JOB_STATE_SUCCEEDED);
  EXPECT_EQ(shown_,
            "   waiting     1 ahead\n"
            "   preparing   loading and encoding\n"
            " ✓ preparing   1 s\n"
            "   class       24/48 50%\n"
            " ✓ class       48 of 48 images of \"a dog\" · 3 s\n"
            "   training      0/300 0%  loss 0.05  9.8 it/s  0:12 left\n"
            "   training     30/300 10%  loss 0.05  9.8 it/s  0:12 left\n"
            "   training     60/300 20%  loss 0.05  9.8 it/s  0:12 left\n"
            "   training     90/300 30%  loss 0.05  9.8 it/s  0:12 left\n"
            "   training    120/300 40%  loss 0.05  9.8 it/s  0:12 left\n"
            "   training    150/300 50%  loss 0.05  9.8 it/s  0:12 left\n"
            "   training    180/300 60%  loss 0.05  9.8 it/s  0:12 left\n"
            "   training    210/300 70%  loss 0.05  9.8 it/s  0:12 left\n"
            "   training    240/300 80%  loss 0.05  9.8 it/s  0:12 left\n"
            "   training    270/300 90%  loss 0.05  9.8 it/s  0:12 left\n"
            " ✓ training    300 of 300 steps · loss 0.05 · 12 s\n"
            "   samples     1/2 50%\n"
            " ✓ samples     2 of 2 images · 2 s\n"
            "   uploading   1.0 kB of 18.2 MB 0%\n"
            " ✓ uploading   18.2 MB · 1 s\n");
}

TEST_F(JobViewTest, TellsEachMeasurementOnce) {
  Snapshot(v1::JOB_STATE_RUNNING);
  const auto report = [&](int64_t step, int64_t measured_at, double loss, bool scored) {
    auto event = At(5);
    auto* progress = event.mutable_progress();
    progress->set_phase(v1::JOB_PHASE_TRAINING);
    progress->set_done(step);
    progress->set_total(300);
    progress->mutable_training()->set_loss(0.05);
    auto* measurements = progress->mutable_measurements();
    measurements->set_validation_loss(loss);
    measurements->set_validation_loss_step(measured_at);
    if (scored) {
      measurements->set_subject_score(0.713);
      measurements->set_prompt_score(0.281);
      measurements->set_score_step(50);
    }
    view_.Apply(event);
  };
  report(0, 0, 0.112, false);
  report(49, 0, 0.112, false);
  report(50, 50, 0.0612, true);
  report(51, 50, 0.0612, true);
  report(45, 40, 0.07, false);  // of an attempt that goes on from a checkpoint
  report(50, 50, 0.0612, true);
  report(100, 100, 0.06, true);
  EXPECT_EQ(shown_,
            "   measured    step 0 · validation loss 0.112\n"
            "   training      0/300 0%  loss 0.05\n"
            "   training     49/300 16%  loss 0.05\n"
            "   measured    step 50 · validation loss 0.0612 · subject 0.713 · prompt 0.281\n"
            "   measured    step 100 · validation loss 0.06\n"
            "   training    100/300 33%  loss 0.05  val 0.06\n");
}

TEST_F(JobViewTest, PhotosASecondAreToldOfLargerBatches) {
  Snapshot(v1::JOB_STATE_RUNNING);
  auto event = At(1);
  *event.mutable_snapshot() = view_.job();
  auto& training = *event.mutable_snapshot()->mutable_resolved()->mutable_fine_tune();
  training.mutable_training()->set_batch_size(2);
  training.mutable_training()->set_gradient_accumulation_steps(2);
  view_.Apply(event);
  Progress(8, v1::JOB_PHASE_TRAINING, 30, 300, "steps", 0.05);
  EXPECT_EQ(shown_, "   training     30/300 10%  loss 0.05  9.8 it/s  39 photos/s  0:12 left\n");
}

TEST_F(JobViewTest, SaysWhereAJobFailed) {
  Snapshot(v1::JOB_STATE_RUNNING);
  Progress(5, v1::JOB_PHASE_TRAINING, 150, 300, "steps");
  State(6, v1::JOB_STATE_FAILED, 1, "The loss is not finite at step 151.");
  EXPECT_EQ(shown_,
            "   training    150/300 50%\n"
            " ✗ failed      The loss is not finite at step 151. (in training, 150 of 300 steps)\n");
}

TEST_F(JobViewTest, SaysThatAnotherWorkerIsWaitedFor) {
  Snapshot(v1::JOB_STATE_RUNNING);
  Progress(5, v1::JOB_PHASE_TRAINING, 150, 300, "steps");
  State(6, v1::JOB_STATE_PENDING, 1);
  EXPECT_EQ(shown_,
            "   training    150/300 50%\n"
            " ! attempt 1   interrupted; the job waits for another worker\n"
            "   waiting     1 ahead\n");
}

TEST_F(JobViewTest, ClaimsNoTimeForAPhaseItDidNotSeeBegin) {
  auto event = At(100);
  event.mutable_snapshot()->set_state(v1::JOB_STATE_RUNNING);
  event.mutable_snapshot()->mutable_progress()->set_phase(v1::JOB_PHASE_TRAINING);
  event.mutable_snapshot()->mutable_progress()->set_total(300);
  event.mutable_snapshot()->mutable_progress()->set_unit("steps");
  view_.Apply(event);
  Progress(101, v1::JOB_PHASE_SAMPLING, 1, 8, "images");
  EXPECT_EQ(shown_,
            "   training      0/300 0%\n"
            " ✓ training    300 of 300 steps\n"
            "   samples     1/8 12%\n");
}

TEST_F(JobViewTest, SaysOnceWhereLivePreviewsAre) {
  Snapshot(v1::JOB_STATE_RUNNING);
  Progress(5, v1::JOB_PHASE_SAMPLING, 0, 2, "images");
  shown_.clear();
  auto event = At(6);
  event.mutable_sample()->set_step(5);
  event.mutable_sample()->set_prompt("a dog");
  view_.Apply(event, "rex/preview.jpg");
  event.mutable_sample()->set_step(10);
  view_.Apply(event, "rex/preview.jpg");
  EXPECT_EQ(shown_, "   preview     step 5 · \"a dog\" -> rex/preview.jpg\n");
}

TEST_F(JobViewTest, TellsAWarningOnce) {
  auto event = At(1);
  event.mutable_snapshot()->set_state(v1::JOB_STATE_RUNNING);
  event.mutable_snapshot()->add_warnings("One photo only.");
  view_.Apply(event);
  view_.Apply(event);
  auto log = At(2);
  log.mutable_log()->set_severity(v1::LOG_SEVERITY_WARNING);
  log.mutable_log()->set_text("One photo only.");
  view_.Apply(log);
  EXPECT_EQ(shown_, " ! note        One photo only.\n");
}

TEST_F(JobViewTest, SaysWhenTheServerWasAway) {
  Snapshot(v1::JOB_STATE_RUNNING);
  view_.ConnectionLost("connection refused");
  view_.ConnectionLost("connection refused");
  Progress(5, v1::JOB_PHASE_TRAINING, 150, 300, "steps");
  EXPECT_EQ(shown_,
            " ! server      not reachable, trying again (connection refused)\n"
            " ✓ server      connected again\n"
            "   training    150/300 50%\n");
}

TEST(TerminalScreenTest, LinesThatStayPushTheMovingOneDown) {
  std::string shown;
  TerminalScreen screen({.write = [&](absl::string_view text) { absl::StrAppend(&shown, text); },
                         .columns = [] { return 80; },
                         .colour = false});
  screen.Progress({.label = "waiting", .text = "1 ahead"});
  screen.Line(Mark::kWarning, "note", "One photo only.");
  screen.ClearProgress();
  EXPECT_EQ(shown,
            "\r ⠋ waiting     1 ahead\x1b[K"
            "\r\x1b[K ! note        One photo only.\n"
            "\r ⠋ waiting     1 ahead\x1b[K"
            "\r\x1b[K");
}

TEST(TerminalScreenTest, CountsDownBetweenReports) {
  std::string shown;
  TerminalScreen screen({.write = [&](absl::string_view text) { shown = std::string(text); },
                         .columns = [] { return 50; },
                         .colour = false});
  screen.Progress({.label = "class", .done = 1, .total = 4, .eta = absl::Seconds(9)});
  screen.Tick(absl::Seconds(3));
  EXPECT_EQ(shown, "\r ⠙ class       1/4 ━━━────────── 25%  0:06 left\x1b[K");
  screen.Tick(absl::Seconds(30));
  EXPECT_EQ(shown, "\r ⠹ class       1/4 ━━━────────── 25%  0:00 left\x1b[K");
}

}  // namespace
}  // namespace likeness::client
