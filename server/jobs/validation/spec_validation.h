// What can be said against a job from its request alone: ranges, counts, texts, photo headers.
// Everything that is wrong is added to the checker.
#pragma once

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "likeness/v1/evaluate.pb.h"
#include "likeness/v1/fine_tune.pb.h"
#include "likeness/v1/generate.pb.h"
#include "likeness/v1/job.pb.h"
#include "likeness/v1/job_service.pb.h"
#include "server/jobs/limits.h"
#include "server/jobs/validation/field_checker.h"

namespace likeness::server {

// That a text is not of a form: "\"a b\" is not of the form [a-z0-9-]{1,63}".
std::string NotOfForm(absl::string_view text, absl::string_view form);

// An ID that a client chooses; "-" stands for any resource.
inline constexpr char kIdForm[] = "[a-z0-9-]{1,63}, other than \"-\"";

// Everything outside the spec: ids, labels, attempts and times, and that there is a spec.
void CheckCreateRequest(const v1::CreateJobRequest& request, FieldChecker& checker);

// `path` is where the spec stands in the request: "job.fine_tune".
void CheckFineTune(const v1::FineTuneSpec& spec, const std::string& path, const Limits& limits,
                   FieldChecker& checker);

void CheckGenerate(const v1::GenerateSpec& spec, const std::string& path, const Limits& limits,
                   FieldChecker& checker);

void CheckEvaluate(const v1::EvaluateSpec& spec, const std::string& path, const Limits& limits,
                   FieldChecker& checker);
void CheckExport(const v1::ExportSpec& spec, const std::string& path, FieldChecker& checker);
void CheckImport(const v1::ImportSpec& spec, const std::string& path, FieldChecker& checker);

// The settings of the method.
void CheckMethod(const v1::FineTuneSpec& spec, const std::string& path, FieldChecker& checker);
// That finds one learning rate for all that is trained. `recommended`: by the base model for the
// method; null where that is not known, and the rates are left to the worker to compare.
void CheckProdigy(const v1::FineTuneSpec& spec, const v1::Training* recommended,
                  const std::string& path, FieldChecker& checker);

// A first subject without a token has `default_token`, the base model's, where that is known.
void CheckTokensDiffer(const v1::FineTuneSpec& spec, const std::string& default_token,
                       const std::string& path, FieldChecker& checker);

void CheckTraining(const v1::Training& training, const std::string& path, const Limits& limits,
                   FieldChecker& checker);
void CheckPrior(const v1::Prior& prior, const std::string& path, const Limits& limits,
                FieldChecker& checker);

void CheckPhoto(const v1::Photo& photo, const std::string& field, const Limits& limits,
                FieldChecker& checker);
// For a photo whose mask would mean nothing.
void RefuseMask(const v1::Photo& photo, const std::string& field, FieldChecker& checker);

// Without directories.
void CheckFileName(const std::string& field, absl::string_view name, FieldChecker& checker);
// Of a subject. A class noun that is empty is left to the caller.
void CheckClassNoun(const std::string& field, const std::string& noun, FieldChecker& checker);
void CheckToken(const std::string& field, const std::string& token, FieldChecker& checker);

// Lists of them, wherever they stand.
void CheckPhotos(const google::protobuf::RepeatedPtrField<v1::Photo>& photos,
                 const std::string& path, const Limits& limits, FieldChecker& checker);
// A prompt or a caption: how long it is, and what it has between braces.
void CheckPrompt(const std::string& field, const std::string& text, const Limits& limits,
                 FieldChecker& checker);
void CheckPrompts(const google::protobuf::RepeatedPtrField<std::string>& prompts,
                  const std::string& path, int max_prompts, const Limits& limits,
                  FieldChecker& checker);

// One that is named as the model counts among them.
inline constexpr int kMaxAdapters = 8;
void CheckAdapters(const v1::ModelSelection& model, const std::string& path, FieldChecker& checker);

// What judges, as Judge and EvaluateSpec name it.
void CheckJudges(const google::protobuf::RepeatedField<int>& measures,
                 const google::protobuf::RepeatedPtrField<std::string>& evaluators,
                 const std::string& path, FieldChecker& checker);

// The photos' bytes, where they are inline. Blobs are looked at when they are found in the store.
void CheckPhotoFile(const std::string& field, absl::string_view bytes, FieldChecker& checker);

// What is odd but allowed.
std::vector<std::string> WarningsFor(const v1::FineTuneSpec& spec);
// The same of any job whose photos are blobs.
std::vector<std::string> WarningsFor(const v1::Job& job);

}  // namespace likeness::server
