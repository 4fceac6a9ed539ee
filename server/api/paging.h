// Pages of lists, the same for all of them (AIP-158).
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/repeated_ptr_field.h"
#include "server/api/signed_token.h"

namespace likeness::server {

// What a client asked for, within the limits: 0 means 50, more than 1,000 counts as 1,000. A
// negative one is INVALID_ARGUMENT (OUT_OF_RANGE).
absl::StatusOr<int> PageSize(int asked);

// What was signed for `purpose`; empty for an empty token. INVALID_ARGUMENT (INVALID_PAGE_TOKEN)
// for one of another list, or of nobody.
absl::StatusOr<std::string> OpenPageToken(const TokenSigner& signer, absl::string_view purpose,
                                          const std::string& token);

// Moves the next `size` of `items`, which are sorted by name, to `page`: those whose names come
// after `after`. What the page after it begins after; nothing if this is the last.
template <typename Item>
std::optional<std::string> FillPage(std::vector<Item>&& items, absl::string_view after, int size,
                                    google::protobuf::RepeatedPtrField<Item>* page) {
  for (Item& item : items) {
    if (item.name() <= after) continue;
    if (page->size() == size) return page->rbegin()->name();
    *page->Add() = std::move(item);
  }
  return std::nullopt;
}

}  // namespace likeness::server
