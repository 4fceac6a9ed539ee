#include "server/api/paging.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/rpc_error.h"

namespace likeness::server {

absl::StatusOr<int> PageSize(int asked) {
  constexpr int kDefault = 50;
  constexpr int kMax = 1000;
  if (asked < 0) {
    return InvalidField("page_size", absl::StrCat("is ", asked, "; 0 to ", kMax, " is allowed"),
                        "OUT_OF_RANGE");
  }
  return asked == 0 ? kDefault : std::min(asked, kMax);
}

absl::StatusOr<std::string> OpenPageToken(const TokenSigner& signer, absl::string_view purpose,
                                          const std::string& token) {
  if (token.empty()) return "";
  if (auto payload = signer.Open(purpose, token)) return *std::move(payload);
  return InvalidField("page_token", "is not one that this server gave out for this list",
                      "INVALID_PAGE_TOKEN");
}

}  // namespace likeness::server
