#include "server/api/call.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/string_view.h"
#include "common/ids.h"

namespace likeness::server {
namespace {

constexpr char kRequestId[] = "x-request-id";
constexpr size_t kMaxRequestIdBytes = 128;

absl::string_view Metadata(const grpc::ServerContext& context, const char* key) {
  const auto& all = context.client_metadata();
  const auto found = all.find(key);
  if (found == all.end()) return "";
  return {found->second.data(), found->second.size()};
}

// What goes into logs and back to the client as it came.
bool IsRequestId(absl::string_view text) {
  return !text.empty() && text.size() <= kMaxRequestIdBytes &&
         std::all_of(text.begin(), text.end(), [](unsigned char c) {
           return absl::ascii_isalnum(c) || c == '-' || c == '_' || c == '.' || c == ':';
         });
}

}  // namespace

CallInfo::CallInfo(const char* name, grpc::ServerContext& context) : method(name) {
  const absl::string_view id = Metadata(context, kRequestId);
  request_id = IsRequestId(id) ? std::string(id) : RandomUuid();
  const auto parent = ParseTraceparent(Metadata(context, kTraceparent));
  trace = parent ? parent->Child() : NewTrace();
  context.AddInitialMetadata(kRequestId, request_id);
}

}  // namespace likeness::server
