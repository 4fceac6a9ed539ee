// Sequences of calls as bytes, for sequences_fuzz and its mutator: one step after the other, each a
// byte for the kind, two for the length of a message, and the message.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "google/protobuf/message.h"
#include "tests/fuzz/fuzz.h"

namespace likeness::fuzz {

enum Kind : uint8_t {
  kCreate,
  kGet,
  kCancel,
  kRetry,
  kDelete,
  kList,
  kAcquire,
  kHeartbeat,
  kComplete,
  kFail,
  kRelease,
  kTime,  // passes
  kGetModel,
  kDeleteModel,
  kKinds
};

// An empty message of the kind of step.
std::unique_ptr<google::protobuf::Message> MessageOf(Kind kind);

struct Step {
  Kind kind;
  std::unique_ptr<google::protobuf::Message> message;
};

constexpr size_t kMaxSteps = 24;

std::vector<Step> ReadSteps(absl::string_view bytes);
std::string WriteSteps(const std::vector<Step>& steps);

}  // namespace likeness::fuzz
