// The flags of `likeness train`, and the job they stand for.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/cli/queue_flags.h"
#include "client/cli/settings.h"
#include "common/flags.h"
#include "likeness/v1/fine_tune.pb.h"

namespace likeness::client {

// What is not set is left to the server: the base model's recommended value.
struct TrainFlags {
  std::string photos;
  std::string validation;
  std::string class_photos;  // a folder
  std::string class_noun;
  std::optional<std::string> token;
  std::vector<std::string> also;  // further subjects: "TOKEN CLASS=DIR"
  std::string base;
  std::string initial_model;
  std::string name;
  std::string out;
  bool detach = false;
  bool check = false;
  bool print_request = false;
  std::vector<std::string> labels;  // KEY=VALUE
  bool wait = true;
  std::string webhook;
  bool webhook_progress = false;
  QueueFlags queue;

  std::string method = "dreambooth";
  std::string preset;  // applied apart, when it is known what the base model recommends
  bool prior = true;
  bool samples = true;
  SettingFlags settings{*v1::FineTuneSpec::descriptor(), TrainSettings()};

  void AddTo(FlagSet& flags);
};

// A subject as --also names it: "abc teapot=rosie/".
struct FurtherSubject {
  std::string token;
  std::string class_noun;
  std::string photos;
};
// INVALID_ARGUMENT: the text is not of this form.
absl::StatusOr<FurtherSubject> ParseFurtherSubject(const std::string& text);

// The spec without its photos and base model. INVALID_ARGUMENT: a flag is missing or wrong.
absl::StatusOr<v1::FineTuneSpec> ToFineTuneSpec(const TrainFlags& flags);

}  // namespace likeness::client
