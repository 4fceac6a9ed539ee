// Which jobs a list shows, and in which order: ListJobs' `filter` and `order_by`, read and applied.
//
// The language of filters is a subset of AIP-160, with its precedence (OR binds tighter than AND):
//   filter      = factor { "AND" factor }
//   factor      = term { "OR" term }
//   term        = [ "NOT" | "-" ] ( restriction | "(" filter ")" )
//   restriction = field relation value | "labels" ":" key
//   field       = "state" | "method" | "model" | "labels." key | "create_time" | "end_time"
//   relation    = "=" | "!=", and for times "<" | "<=" | ">" | ">=" too
//   value       = word | '"' text with \" and \\ '"'
#pragma once

#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "likeness/v1/job.pb.h"

namespace likeness::server {

// A condition on a job: a tree whose leaves look at one field.
struct JobFilter {
  enum class Kind {
    kAnd,  // all operands; without any, every job
    kOr,
    kNot,  // the one operand
    kState,
    kMethod,  // text is a method: "dreambooth", "generate", ...
    kModel,   // text is a model's whole name
    kLabel,   // the label `key` has the value `text`
    kHasLabel,
    kCreateTime,
    kEndTime,  // no relation holds for a job that has not ended
  };
  enum class Relation { kEqual, kLess, kLessOrEqual, kGreater, kGreaterOrEqual };  // of times

  Kind kind = Kind::kAnd;
  std::vector<JobFilter> operands;
  v1::JobState state = v1::JOB_STATE_UNSPECIFIED;
  std::string key;
  std::string text;
  Relation relation = Relation::kEqual;
  absl::Time time;
};

// Empty text is a filter that every job passes. INVALID_ARGUMENT (INVALID_FILTER) on "filter", with
// the place where it went wrong.
absl::StatusOr<JobFilter> ParseJobFilter(absl::string_view text);

bool Matches(const JobFilter& filter, const v1::Job& job);

// The states that a job which passes can be in, as far as can be told without looking at one:
// perhaps more of them than any job is in.
std::set<v1::JobState> PossibleStates(const JobFilter& filter);

struct JobOrder {
  enum class Field { kCreateTime, kEndTime };  // jobs that have not ended come after all that have
  Field field = Field::kCreateTime;
  bool descending = true;
};

// "create_time", "end_time", either followed by " desc" or " asc"; empty text is "create_time
// desc". INVALID_ARGUMENT (INVALID_ORDER_BY) on "order_by".
absl::StatusOr<JobOrder> ParseJobOrder(absl::string_view text);

}  // namespace likeness::server
