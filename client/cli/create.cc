// likeness create: a job as JSON, as the API takes it.
#include <algorithm>
#include <iostream>
#include <iterator>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/cli/command.h"
#include "client/cli/describe.h"
#include "client/cli/follow.h"
#include "client/cli/interrupt.h"
#include "client/cli/names.h"
#include "client/lib/jobs.h"
#include "client/lib/output_folder.h"
#include "common/photo_folder.h"
#include "common/status_macros.h"
#include "google/protobuf/util/json_util.h"
#include "nlohmann/json.hpp"

namespace likeness::client {
namespace {

constexpr char kUsage[] =
    R"(Submit a job that a file describes, as JSON: a Job, or a whole CreateJobRequest.

  likeness create -f job.json
  likeness train --class dog --photos rex/ --print-request > job.json
  jq '.job.fineTune.training.steps = 400' job.json | likeness create -f - --wait

Prints the job's name. A request with a requestId makes one job, however often
it is sent.

Usage: likeness create -f FILE [FLAGS])";

struct CreateFlags {
  std::string file;
  std::string name;
  std::string out;
  bool wait = false;
};

absl::StatusOr<std::string> ReadText(const std::string& file) {
  if (file != "-") return ReadUserFile(file);
  return std::string{std::istreambuf_iterator<char>(std::cin), {}};
}

// Where a text stops to be JSON.
class JsonFault : public nlohmann::json_sax<nlohmann::json> {
 public:
  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool start_object(std::size_t) override { return true; }
  bool key(string_t&) override { return true; }
  bool end_object() override { return true; }
  bool start_array(std::size_t) override { return true; }
  bool end_array() override { return true; }
  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::json::exception&) override {
    place_ = position == 0 ? 0 : position - 1;
    return false;
  }

  size_t place() const { return place_; }

 private:
  size_t place_ = 0;
};

// INVALID_ARGUMENT says at which line and column the text stops to be JSON.
absl::Status CheckJson(const std::string& file, const std::string& text) {
  JsonFault fault;
  if (nlohmann::json::sax_parse(text, &fault)) return absl::OkStatus();
  const auto before = absl::string_view(text).substr(0, fault.place());
  const auto line = 1 + std::count(before.begin(), before.end(), '\n');
  const size_t line_end = before.rfind('\n');
  const size_t column = 1 + before.size() - (line_end == before.npos ? 0 : line_end + 1);
  return absl::InvalidArgumentError(absl::StrCat(
      file, " is not JSON: ", before.size() >= text.size() ? "it ends too early, in" : "see",
      " line ", line, ", column ", column, "."));
}

absl::StatusOr<v1::CreateJobRequest> ParseRequest(const std::string& file,
                                                  const std::string& text) {
  RETURN_IF_ERROR(CheckJson(file, text));
  v1::CreateJobRequest request;
  const auto as_request = google::protobuf::util::JsonStringToMessage(text, &request);
  if (as_request.ok() && request.has_job()) return request;
  // A Job has other fields at the top: which of the two it is shows in what can be parsed.
  request.Clear();
  const auto as_job = google::protobuf::util::JsonStringToMessage(text, request.mutable_job());
  if (as_job.ok()) return request;
  const bool meant_request = text.find("\"job\"") != text.npos;
  return absl::InvalidArgumentError(
      absl::StrCat(file, " is neither a job nor a CreateJobRequest: ",
                   std::string((meant_request ? as_request : as_job).message())));
}

absl::StatusOr<ExitCode> Run(Context& context, const CreateFlags& flags) {
  if (flags.file.empty()) {
    return absl::InvalidArgumentError("-f is missing: the file with the job, - for stdin.");
  }
  context.names.fields_are_flags = false;
  Interrupt interrupt;
  ASSIGN_OR_RETURN(const std::string text, ReadText(flags.file));
  ASSIGN_OR_RETURN(auto request, ParseRequest(flags.file, text));
  if (!flags.name.empty()) request.set_job_id(flags.name);
  RETURN_IF_ERROR(CheckNewId("--name", flags.name));
  std::optional<OutputFolder> folder;
  if (flags.wait) {
    ASSIGN_OR_RETURN(folder, OutputFolder::Prepare(flags.out));
  }
  ASSIGN_OR_RETURN(const Connection connection, context.Connect(interrupt.token()));
  ASSIGN_OR_RETURN(const auto job, SubmitJob(context, connection, request, interrupt));
  if (!job) return kDetached;
  if (flags.wait) return FollowOwnJob(context, connection, *job, flags.out, interrupt);
  PrintJobOrName(context, *job);
  return kDone;
}

}  // namespace

int Create(const Args& arguments) {
  CreateFlags values;
  FlagSet flags(kUsage);
  flags.Add("file", &values.file, "The job as JSON; - for stdin. Required.")
      .Takes("FILE")
      .Letter('f');
  flags.Add("name", &values.name, "Name of the job [the file's job_id, else made up].")
      .Takes("NAME");
  flags.Add("wait", &values.wait, "Stay until the job ends, and fetch its pictures.");
  flags.Add("out", &values.out, "Folder for the pictures [the job's name].").Takes("DIR");
  return RunCommand(flags, arguments, {}, [&](Context& context) { return Run(context, values); });
}

}  // namespace likeness::client
