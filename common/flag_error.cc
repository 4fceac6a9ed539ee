#include "common/flag_error.h"

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"

namespace likeness {

absl::Status WithFlag(absl::string_view flag, absl::string_view path, const absl::Status& status) {
  absl::Status named(status.code(), absl::StrCat(flag, " \"", path, "\": ", status.message()));
  status.ForEachPayload(
      [&](absl::string_view url, const absl::Cord& payload) { named.SetPayload(url, payload); });
  return named;
}

}  // namespace likeness
