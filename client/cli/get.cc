// likeness get: all about one job.
#include <algorithm>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/time/clock.h"
#include "client/cli/command.h"
#include "client/cli/describe.h"
#include "client/cli/enum_flag.h"
#include "client/cli/job_view.h"
#include "client/cli/names.h"
#include "client/cli/outputs.h"
#include "client/cli/refusal.h"
#include "client/cli/report.h"
#include "client/cli/table.h"
#include "client/cli/text.h"
#include "client/lib/jobs.h"
#include "common/job_spec.h"
#include "common/prior.h"
#include "common/rpc_error.h"
#include "common/status_macros.h"
#include "common/used_spec.h"

namespace likeness::client {
namespace {

constexpr char kUsage[] = R"(All about one job.

  likeness get rex-7f3c
  likeness get rex-7f3c --json | jq .state

Usage: likeness get JOB [FLAGS])";

std::string StateLine(const v1::Job& job) {
  auto text = StateText(job.state());
  if (const auto progress = ProgressSummary(job); !progress.empty()) {
    absl::StrAppend(&text, " · ", progress);
  }
  if (job.attempt() > 1) absl::StrAppend(&text, " · attempt ", job.attempt());
  return text;
}

// "rank 16 · alpha 16 · dora": what a message holds that is a number, true, or a word of an enum.
void AddSettings(const google::protobuf::Message& message, std::vector<std::string>& parts) {
  std::vector<const google::protobuf::FieldDescriptor*> set;
  const auto& reflection = *message.GetReflection();
  reflection.ListFields(message, &set);
  for (const auto* field : set) {
    const std::string name = absl::StrReplaceAll(field->name(), {{"_", " "}});
    if (field->is_repeated()) continue;
    if (field->message_type() != nullptr) {
      AddSettings(reflection.GetMessage(message, field), parts);
    } else if (field->enum_type() != nullptr) {
      const auto word = EnumWord(*field->enum_type(), reflection.GetEnumValue(message, field));
      if (!word.empty()) parts.push_back(word);
    } else if (field->cpp_type() == google::protobuf::FieldDescriptor::CPPTYPE_BOOL) {
      if (reflection.GetBool(message, field)) parts.push_back(name);
    } else if (field->cpp_type() == google::protobuf::FieldDescriptor::CPPTYPE_INT32) {
      parts.push_back(absl::StrCat(name, " ", reflection.GetInt32(message, field)));
    } else if (field->cpp_type() == google::protobuf::FieldDescriptor::CPPTYPE_DOUBLE) {
      parts.push_back(absl::StrCat(name, " ", Figure(reflection.GetDouble(message, field))));
    }
  }
}

std::string MethodSettings(const v1::FineTuneSpec& spec) {
  const std::string method = MethodOf(spec);
  std::vector<std::string> parts = {method};
  if (spec.method_case() != v1::FineTuneSpec::METHOD_NOT_SET) {
    const auto* field = v1::FineTuneSpec::descriptor()->FindFieldByName(method);
    AddSettings(spec.GetReflection()->GetMessage(spec, field), parts);
  }
  return absl::StrJoin(parts, " · ");
}

std::string FineTuneSettings(const v1::FineTuneSpec& spec) {
  std::vector<std::string> parts;
  const auto& training = spec.training();
  if (training.has_steps()) parts.push_back(absl::StrCat(training.steps(), " steps"));
  if (training.has_learning_rate()) {
    parts.push_back(absl::StrCat("learning rate ", Figure(training.learning_rate())));
  }
  if (training.has_batch_size()) parts.push_back(absl::StrCat("batch ", training.batch_size()));
  if (training.has_seed()) parts.push_back(absl::StrCat("seed ", training.seed()));
  const bool without_prior = spec.prior().has_weight() && spec.prior().weight() == 0;
  if (without_prior) {
    parts.push_back("no prior");
  } else if (IsBasePrediction(spec.prior())) {
    parts.push_back("prior of the base's predictions");
  } else if (!spec.prior().class_photos().empty()) {
    parts.push_back(Count(spec.prior().class_photos_size(), "class photo"));
  } else if (spec.prior().has_class_images()) {
    parts.push_back(Count(spec.prior().class_images(), "class picture"));
  }
  return absl::StrJoin(parts, " · ");
}

std::string GenerateSettings(const v1::GenerateSpec& spec) {
  std::vector<std::string> parts;
  if (spec.has_sampler()) parts.push_back(spec.sampler());
  if (spec.has_steps()) parts.push_back(absl::StrCat(spec.steps(), " steps"));
  if (spec.has_guidance()) parts.push_back(absl::StrCat("guidance ", Figure(spec.guidance())));
  if (spec.has_eta()) parts.push_back(absl::StrCat("eta ", Figure(spec.eta())));
  AddSettings(spec.micro_conditioning(), parts);
  if (spec.has_seed()) parts.push_back(absl::StrCat("seed ", spec.seed()));
  return absl::StrJoin(parts, " · ");
}

// "priority 5 · waits at most 30 min · runs at most 2 h · on a worker with zone=a · 24.0 GB"
std::string QueueSettings(const v1::Job& job) {
  std::vector<std::string> parts;
  if (job.priority() != 0 && job.priority() != 3) {
    parts.push_back(absl::StrCat("priority ", job.priority()));
  }
  const auto limit = [&](const char* what, const google::protobuf::Duration& duration) {
    parts.push_back(absl::StrCat(what, " at most ", RoundTime(absl::Seconds(duration.seconds()))));
  };
  if (job.has_max_queue_duration()) limit("waits", job.max_queue_duration());
  if (job.has_execution_timeout()) limit("runs", job.execution_timeout());
  const auto& required = job.requirements().labels();
  if (!required.empty()) {
    const std::map<std::string, std::string> labels(required.begin(), required.end());
    parts.push_back(
        absl::StrCat("on a worker with ", absl::StrJoin(labels, ", ", absl::PairFormatter("="))));
  }
  if (const int64_t bytes = job.requirements().min_device_memory_bytes(); bytes > 0) {
    parts.push_back(absl::StrCat(ByteSize(bytes), " of device memory"));
  }
  return absl::StrJoin(parts, " · ");
}

// "lora · rank 16 · float16"
std::string ExportText(const v1::ExportSpec& spec) {
  std::vector<std::string> parts = {EnumWord(spec.format())};
  if (spec.has_energy()) parts.push_back(absl::StrCat("energy ", spec.energy()));
  if (spec.has_rank()) parts.push_back(absl::StrCat("rank ", spec.rank()));
  if (spec.float16()) parts.emplace_back("float16");
  if (spec.float8()) parts.emplace_back("float8");
  if (spec.merge() > v1::ADAPTER_MERGE_SUM) {
    parts.push_back(absl::StrCat("merge ", EnumWord(spec.merge())));
  }
  return absl::StrJoin(parts, " · ");
}

void PrintSpec(const v1::Job& job) {
  if (job.has_fine_tune()) {
    const auto& spec = FineTuneOf(job);
    for (const v1::Subject& subject : spec.subjects()) {
      PrintFact("subject",
                absl::StrCat(SubjectPhrase(subject), " · ", Count(subject.photos_size(), "photo")));
    }
    PrintFact("base", spec.base_model());
    PrintFact("method", MethodSettings(spec));
    PrintFact("settings", FineTuneSettings(spec));
  }
  if (job.has_evaluate()) {
    const auto& spec = EvaluateOf(job);
    PrintFact("model", absl::StrCat(spec.model().name(), AdaptersText(spec.model())));
    PrintFact("photos", Count(spec.photos_size(), "photo"));
    if (!spec.gallery().empty()) PrintFact("gallery", Count(spec.gallery_size(), "photo"));
    for (const auto& prompt : spec.prompts()) PrintFact("prompt", absl::StrCat("\"", prompt, "\""));
  }
  if (job.has_export_model()) {
    const auto& spec = ExportOf(job);
    PrintFact("model", absl::StrCat(spec.model().name(), AdaptersText(spec.model())));
    PrintFact("format", ExportText(spec));
  }
  if (job.has_import_model()) {
    const auto& spec = ImportOf(job);
    PrintFact("file", spec.file_name());
    PrintFact("base", spec.base_model());
    PrintFact("token", spec.token());
  }
  if (job.has_generate()) {
    const auto& spec = GenerateOf(job);
    PrintFact("model", absl::StrCat(spec.model().name(), AdaptersText(spec.model())));
    for (const auto& prompt : spec.prompts()) PrintFact("prompt", absl::StrCat("\"", prompt, "\""));
    PrintFact("settings", GenerateSettings(spec));
  }
}

void PrintFigures(const v1::Job& job) {
  std::vector<std::string> figures;
  for (const auto& [name, value] : job.metrics()) {
    figures.push_back(absl::StrCat(name, " ", MetricText(name, value)));
  }
  std::sort(figures.begin(), figures.end());
  for (const auto& figure : figures)
    PrintFact(&figure == &figures.front() ? "figures" : "", figure);
}

void PrintOutputs(const v1::Job& job) {
  const auto pictures = std::count_if(job.outputs().begin(), job.outputs().end(), IsPicture);
  if (pictures > 0) PrintFact("pictures", absl::StrCat(pictures));
  if (!job.output_model().empty()) {
    const auto size = ModelBytes(job) > 0 ? absl::StrCat(" · ", ByteSize(ModelBytes(job))) : "";
    PrintFact("makes", absl::StrCat("models/", ShortName(job.output_model()), size));
  }
}

// The photos by the names of their files, as far as the job tells.
RefusalNames NamesOf(const v1::Job& job) {
  const auto listed = [](const google::protobuf::RepeatedPtrField<v1::Photo>& photos) {
    std::vector<RefusalNames::Photo> names;
    for (const auto& photo : photos) {
      names.push_back({.path = photo.file_name(), .mask_path = photo.mask().file_name()});
    }
    return names;
  };
  const v1::Subject& subject = SubjectOf(job.fine_tune());
  std::vector<std::vector<RefusalNames::Photo>> others;
  for (int i = 1; i < job.fine_tune().subjects_size(); ++i) {
    others.push_back(listed(job.fine_tune().subjects(i).photos()));
  }
  return {.photos = listed(job.has_evaluate() ? job.evaluate().photos() : subject.photos()),
          .validation_photos = listed(subject.validation_photos()),
          .other_photos = std::move(others),
          .class_photos = listed(job.fine_tune().prior().class_photos()),
          .gallery = listed(job.evaluate().gallery())};
}

void PrintJob(const v1::Job& job, absl::Time now) {
  PrintFact("job", ShortName(job.name()));
  PrintFact("state", StateLine(job));
  PrintSpec(job);
  PrintFact("queue", QueueSettings(job));
  PrintFact("labels", LabelsText(job.labels()));
  PrintFact("created", Moment(job.create_time(), now));
  if (job.has_start_time()) PrintFact("started", Moment(job.start_time(), now));
  if (job.has_end_time()) PrintFact("ended", Moment(job.end_time(), now));
  if (job.has_expire_time()) PrintFact("kept until", Moment(job.expire_time(), now));
  PrintFact("measured", MeasurementsText(job.progress().measurements()));
  PrintFigures(job);
  PrintOutputs(job);
  const RefusalNames names = NamesOf(job);
  for (const auto& warning : job.warnings()) PrintFact("note", WithFileNames(warning, names));
  if (job.has_error()) PrintFact("error", FailureText(FromRpcStatus(job.error()), names));
}

absl::StatusOr<ExitCode> Run(const Context& context) {
  ASSIGN_OR_RETURN(const Connection connection, context.Connect());
  ASSIGN_OR_RETURN(auto name, JobNameFromArgument(connection, context.positional[0]));
  ASSIGN_OR_RETURN(auto job, GetJob(connection, name));
  if (!PrintObject(context, job, job.name())) PrintJob(job, absl::Now());
  return kDone;
}

}  // namespace

int Get(const Args& arguments) {
  FlagSet flags(kUsage);
  return RunCommand(flags, arguments, {.at_least = 1, .at_most = 1, .kinds = {"JOB"}}, Run);
}

}  // namespace likeness::client
