// Jobs as clients ask for them, through admission: a serialized CreateJobRequest is checked, and
// one that passes the checks is accepted as it was said it would be.
#include <memory>

#include "server/api/unknown_fields.h"
#include "tests/fuzz/queue.h"

namespace likeness::server {
namespace {

using fuzz::Check;
using fuzz::IsOurs;
using fuzz::Queue;

void Run(v1::CreateJobRequest request) {
  static std::unique_ptr<Queue> queue;
  static int accepted = 0;
  if (!queue || accepted > 2000) {
    queue = std::make_unique<Queue>();
    accepted = 0;
  }
  (void)RefuseUnknownFields(request);
  request.set_validate_only(true);
  const auto checked = queue->admission->Create("default", request);
  Check(!IsOurs(checked.status()), "a check ends well");
  request.set_validate_only(false);
  const auto created = queue->admission->Create("default", request);
  Check(!IsOurs(created.status()), "a creation ends well");
  if (request.request_id().empty()) {
    Check(checked.ok() == created.ok(), "what was checked is accepted");
  }
  if (!created.ok()) return;
  ++accepted;
  const auto name = ParseJobName(created->name());
  Check(name.ok() && queue->jobs->Get(*name).ok(), "what was accepted is there");
}

}  // namespace
}  // namespace likeness::server

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  likeness::v1::CreateJobRequest request;
  (void)request.ParsePartialFromArray(data, static_cast<int>(size));
  likeness::server::Run(std::move(request));
  return 0;
}
