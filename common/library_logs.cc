#include "common/library_logs.h"

#include <grpc/support/log.h>

#include "common/logging.h"
#include "google/protobuf/stubs/logging.h"

namespace likeness {
namespace {

// For a person who watches a server the lines of a library are noise below a warning.
void LogProtobuf(google::protobuf::LogLevel level, const char* file, int line,
                 const std::string& message) {
  const LogFields fields = {{"library", "protobuf"}, {"file", file}, {"line", line}};
  level >= google::protobuf::LOGLEVEL_WARNING ? LogWarning(message, fields)
                                              : LogDebug(message, fields);
}

void LogGrpc(gpr_log_func_args* args) {
  const LogFields fields = {{"library", "grpc"}, {"file", args->file}, {"line", args->line}};
  args->severity == GPR_LOG_SEVERITY_ERROR ? LogWarning(args->message, fields)
                                           : LogDebug(args->message, fields);
}

}  // namespace

void TakeLibraryLogs(bool silent) {
  google::protobuf::SetLogHandler(silent ? nullptr : &LogProtobuf);
  gpr_set_log_function(silent ? +[](gpr_log_func_args*) {} : &LogGrpc);
}

}  // namespace likeness
