#include "client/cli/adapter_arguments.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "client/cli/names.h"
#include "common/status_macros.h"

namespace likeness::client {
namespace {

// "rex-7f3c:0.8"
absl::StatusOr<v1::Adapter> ToAdapter(const Connection& connection, absl::string_view text) {
  v1::Adapter adapter;
  const size_t colon = text.rfind(':');
  if (colon != absl::string_view::npos) {
    double strength = 0;
    if (!absl::SimpleAtod(text.substr(colon + 1), &strength)) {
      return absl::InvalidArgumentError(
          absl::StrCat("--adapter is '", text, "'; MODEL and MODEL:STRENGTH are allowed."));
    }
    adapter.set_strength(strength);
    text = text.substr(0, colon);
  }
  ASSIGN_OR_RETURN(*adapter.mutable_model(), ModelNameFromArgument(connection, text));
  return adapter;
}

}  // namespace

absl::Status AddAdapters(const Connection& connection, const std::vector<std::string>& arguments,
                         v1::ModelSelection& selection) {
  for (const std::string& text : arguments) {
    ASSIGN_OR_RETURN(*selection.add_adapters(), ToAdapter(connection, text));
  }
  return absl::OkStatus();
}

}  // namespace likeness::client
