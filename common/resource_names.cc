#include "common/resource_names.h"

#include <algorithm>
#include <array>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/digest.h"
#include "common/rpc_error.h"
#include "common/shorten.h"

namespace likeness {
namespace {

// What a wrong name looks like in a message: short, and without control characters.
std::string Quoted(absl::string_view text) {
  std::string shown = Shorten(text, 100);
  for (char& c : shown) c = absl::ascii_iscntrl(c) ? '?' : c;
  return absl::StrCat("\"", shown, "\"");
}

absl::Status WrongName(absl::string_view field, absl::string_view text, absl::string_view form) {
  return InvalidField(field, absl::StrCat(Quoted(text), " is not of the form ", form),
                      "INVALID_NAME");
}

// The parts between slashes where there are as many; empty ones otherwise.
template <size_t count>
std::array<absl::string_view, count> Parts(absl::string_view text) {
  std::array<absl::string_view, count> parts;
  for (size_t i = 0; i + 1 < count; ++i) {
    const size_t slash = text.find('/');
    if (slash == absl::string_view::npos) return {};
    parts[i] = text.substr(0, slash);
    text.remove_prefix(slash + 1);
  }
  if (absl::StrContains(text, '/')) return {};
  parts.back() = text;
  return parts;
}

// What was an id once may still be stored.
bool IsStoredId(absl::string_view text) {
  return !text.empty() && text.size() <= 63 && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  });
}

bool IsUploadId(absl::string_view text) {
  return !text.empty() && text.size() <= 64 && std::all_of(text.begin(), text.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '-';
  });
}

}  // namespace

std::string JobName::ToString() const { return absl::StrCat("tenants/", tenant, "/jobs/", id); }

std::string ModelName::ToString() const {
  return is_base() ? absl::StrCat("baseModels/", id)
                   : absl::StrCat("tenants/", tenant, "/models/", id);
}

std::string BlobName::ToString() const {
  return absl::StrCat("tenants/", tenant, "/blobs/", sha256);
}

std::string UploadName::ToString() const {
  return absl::StrCat("tenants/", tenant, "/uploads/", uuid, "/blobs/", sha256, "/", size_bytes);
}

bool IsResourceId(absl::string_view text) { return text != "-" && IsStoredId(text); }

absl::StatusOr<JobName> ParseJobName(absl::string_view text, absl::string_view field) {
  const auto parts = Parts<4>(text);
  if (parts[0] != "tenants" || !IsStoredId(parts[1]) || parts[2] != "jobs" ||
      !IsStoredId(parts[3])) {
    return WrongName(field, text, "tenants/{tenant}/jobs/{job}");
  }
  return JobName{std::string(parts[1]), std::string(parts[3])};
}

absl::StatusOr<ModelName> ParseModelName(absl::string_view text, absl::string_view field) {
  const auto of_base = Parts<2>(text);
  const auto parts = Parts<4>(text);
  // A base model is named by its directory, so it may hold more than an id of ours.
  auto is_directory = [](absl::string_view id) {
    return !id.empty() && id.size() <= 128 && id != "." && id != ".." &&
           std::all_of(id.begin(), id.end(), [](char c) {
             return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_' ||
                    c == '.';
           });
  };
  if (of_base[0] == "baseModels" && is_directory(of_base[1])) {
    return ModelName{"", std::string(of_base[1])};
  }
  if (parts[0] == "tenants" && IsStoredId(parts[1]) && parts[2] == "models" &&
      IsStoredId(parts[3])) {
    return ModelName{std::string(parts[1]), std::string(parts[3])};
  }
  return WrongName(field, text, "baseModels/{base_model} or tenants/{tenant}/models/{model}");
}

absl::StatusOr<BlobName> ParseBlobName(absl::string_view text, absl::string_view field) {
  const auto parts = Parts<4>(text);
  if (parts[0] != "tenants" || !IsStoredId(parts[1]) || parts[2] != "blobs" ||
      !IsSha256Hex(parts[3])) {
    return WrongName(field, text, "tenants/{tenant}/blobs/{sha256}");
  }
  return BlobName{std::string(parts[1]), std::string(parts[3])};
}

absl::StatusOr<UploadName> ParseUploadName(absl::string_view text, absl::string_view field) {
  const auto parts = Parts<7>(text);
  int64_t size_bytes = 0;
  if (parts[0] != "tenants" || !IsResourceId(parts[1]) || parts[2] != "uploads" ||
      !IsUploadId(parts[3]) || parts[4] != "blobs" || !IsSha256Hex(parts[5]) ||
      !absl::SimpleAtoi(parts[6], &size_bytes) || size_bytes < 0 ||
      parts[6] != absl::StrCat(size_bytes)) {
    return WrongName(field, text, "tenants/{tenant}/uploads/{uuid}/blobs/{sha256}/{size_bytes}");
  }
  return UploadName{std::string(parts[1]), std::string(parts[3]), std::string(parts[5]),
                    size_bytes};
}

absl::StatusOr<std::string> ParseParent(absl::string_view text, absl::string_view field) {
  if (text.empty()) return std::string(kDefaultTenant);
  const auto parts = Parts<2>(text);
  if (parts[0] != "tenants" || !IsResourceId(parts[1])) {
    return WrongName(field, text, "tenants/{tenant}");
  }
  return std::string(parts[1]);
}

}  // namespace likeness
