// Names of resources. What is taken for a name is printed as it was read, and stays below its
// folder.
#include "absl/strings/str_split.h"
#include "common/resource_names.h"
#include "tests/fuzz/fuzz.h"

using likeness::fuzz::Check;

namespace {

void CheckName(absl::string_view text, const std::string& printed) {
  Check(text == printed, "a name is printed as it was read");
  for (const absl::string_view part : absl::StrSplit(text, '/')) {
    Check(part != "." && part != "..", "no name leads upwards");
  }
  Check(text.size() < 1000, "a name is short");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto text = likeness::fuzz::Text(data, size);
  if (auto name = likeness::ParseJobName(text); name.ok()) CheckName(text, name->ToString());
  if (auto name = likeness::ParseModelName(text); name.ok()) CheckName(text, name->ToString());
  if (auto name = likeness::ParseBlobName(text); name.ok()) CheckName(text, name->ToString());
  if (auto name = likeness::ParseUploadName(text); name.ok()) {
    Check(name->size_bytes >= 0, "a size is not negative");
    CheckName(text, name->ToString());
    Check(likeness::ParseBlobName(name->blob().ToString()).ok(), "an upload's blob has a name");
  }
  if (auto tenant = likeness::ParseParent(text); tenant.ok()) {
    Check(likeness::IsResourceId(*tenant), "a tenant is an id");
  }
  return 0;
}
