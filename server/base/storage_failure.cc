#include "server/base/storage_failure.h"

#include <cstdlib>
#include <cstring>

#include "common/logging.h"

namespace likeness::server {

void EndAfterStorageFailure(absl::string_view what, int error) {
  LogError("the disk failed; the process ends and goes on at its next start from what is on it",
           {{"failed", what}, {"errno", error}, {"error", strerror(error)}});
  std::_Exit(kStorageFailureExitCode);
}

}  // namespace likeness::server
