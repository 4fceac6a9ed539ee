#include "server/jobs/request_fingerprint.h"

#include <vector>

#include "common/digest.h"
#include "google/api/field_behavior.pb.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"

namespace likeness::server {
namespace {

// Clears what is the server's to say, which is ignored in requests.
void ClearOutputOnly(v1::Job& job) {
  std::vector<const google::protobuf::FieldDescriptor*> fields;
  job.GetReflection()->ListFields(job, &fields);
  for (const auto* field : fields) {
    const auto& options = field->options();
    for (int i = 0; i < options.ExtensionSize(google::api::field_behavior); ++i) {
      const auto behavior = options.GetExtension(google::api::field_behavior, i);
      if (behavior != google::api::OUTPUT_ONLY && behavior != google::api::IDENTIFIER) continue;
      job.GetReflection()->ClearField(&job, field);
    }
  }
}

}  // namespace

std::string RequestFingerprint(v1::CreateJobRequest request) {
  ClearOutputOnly(*request.mutable_job());
  std::string bytes;
  {
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);  // maps have no order
    request.SerializeToCodedStream(&coded);
  }
  return Sha256Hex(bytes);
}

}  // namespace likeness::server
