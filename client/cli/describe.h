// A job in words.
#pragma once

#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "google/protobuf/map.h"
#include "google/protobuf/timestamp.pb.h"
#include "likeness/v1/job.pb.h"

namespace likeness::client {

absl::Time ToTime(const google::protobuf::Timestamp& time);

// "running", "pending", ...
std::string StateText(v1::JobState state);

// "dreambooth", "lora", "generate" or "evaluate".
std::string MethodText(const v1::Job& job);

// What the job is about: the class, or the first prompt in quotation marks.
std::string AboutText(const v1::Job& job);

// " + rex:0.8 + watercolour": what lies over the model; empty without adapters.
std::string AdaptersText(const v1::ModelSelection& selection);

// Where a job that waits stands: "next in line", "3 ahead · starts in about 40 s".
std::string QueueText(const v1::Job& job, absl::Time now);

// How long the job waited for its first attempt; for one that waits still, until `now`.
std::string WaitText(const v1::Job& job, absl::Time now);

// "2026-11-23 00:10:11 UTC, 3 min ago", or "..., in 3 min".
std::string Moment(const google::protobuf::Timestamp& time, absl::Time now);

// "owner=me · project=zoo".
std::string LabelsText(const google::protobuf::Map<std::string, std::string>& labels);

// "step 200 · validation loss 0.0612 · subject 0.713 · prompt 0.281": what was measured of the
// weights in training; empty if nothing was.
std::string MeasurementsText(const v1::TrainingMeasurements& measurements);

// A metric of a job by its name: "421 MB" for ..._bytes, "12 s" for ..._seconds.
std::string MetricText(absl::string_view name, double value);

}  // namespace likeness::client
