#include "server/jobs/sqlite/blob_names.h"

#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "common/digest.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "likeness/v1/event.pb.h"
#include "likeness/v1/job.pb.h"
#include "likeness/v1/model.pb.h"
#include "likeness/v1/worker_service.pb.h"

namespace likeness::server {
namespace {

using ::google::protobuf::Descriptor;
using ::google::protobuf::FieldDescriptor;
using ::testing::UnorderedElementsAre;

std::string BlobOf(const std::string& tenant, const std::string& content) {
  return BlobName{tenant, Sha256Hex(content)}.ToString();
}

std::vector<std::string> NamedBy(const google::protobuf::Message& message) {
  std::vector<std::string> named;
  VisitBlobsOf(message, "acme",
               [&](const NamedBlob& blob) { named.push_back(blob.name.ToString()); });
  return named;
}

// Of the message and all that it is made of.
void CollectStrings(const Descriptor& message, std::set<const Descriptor*>& seen,
                    std::vector<const FieldDescriptor*>& fields) {
  if (!seen.insert(&message).second) return;
  for (int i = 0; i < message.field_count(); ++i) {
    const FieldDescriptor* field = message.field(i);
    if (field->type() == FieldDescriptor::TYPE_STRING) fields.push_back(field);
    if (field->message_type() != nullptr) CollectStrings(*field->message_type(), seen, fields);
  }
}

TEST(BlobNamesTest, EveryFieldOfARecordThatNamesABlobIsCalledBlob) {
  std::set<const Descriptor*> seen;
  std::vector<const FieldDescriptor*> fields;
  for (const Descriptor* record : {v1::Job::descriptor(), v1::JobEvent::descriptor(),
                                   v1::Model::descriptor(), v1::Checkpoint::descriptor()}) {
    CollectStrings(*record, seen, fields);
  }
  int named = 0;
  for (const FieldDescriptor* field : fields) {
    if (!absl::StrContains(field->name(), "blob")) continue;
    EXPECT_EQ(field->name(), "blob") << field->full_name();
    EXPECT_FALSE(field->is_repeated()) << field->full_name();
    ++named;
  }
  EXPECT_GE(named, 4);  // of Photo, ImportSpec, Output and Checkpoint
}

TEST(BlobNamesTest, PhotosAndOutputsAreNamed) {
  v1::Job job;
  auto& photo = *job.mutable_fine_tune()->add_subjects()->add_photos();
  photo.set_blob(BlobOf("acme", "photo"));
  photo.mutable_mask()->set_blob(BlobOf("acme", "mask"));
  job.add_outputs()->set_blob(BlobOf("acme", "output"));
  EXPECT_THAT(NamedBy(job), UnorderedElementsAre(BlobOf("acme", "photo"), BlobOf("acme", "mask"),
                                                 BlobOf("acme", "output")));
}

TEST(BlobNamesTest, TextThatSaysABlobsNameNamesNone) {
  const std::string text = BlobOf("acme", "photo");
  v1::Job job;
  job.mutable_generate()->add_prompts(text);
  job.mutable_generate()->set_negative_prompt(text);
  (*job.mutable_labels())["blob"] = text;
  EXPECT_THAT(NamedBy(job), ::testing::IsEmpty());
  v1::JobEvent event;
  event.mutable_log()->set_text(text);
  EXPECT_THAT(NamedBy(event), ::testing::IsEmpty());
  v1::Model model;
  model.set_display_name(text);
  EXPECT_THAT(NamedBy(model), ::testing::IsEmpty());
}

TEST(BlobNamesTest, OfAnotherTenantNoneIsNamed) {
  v1::Job job;
  job.add_outputs()->set_blob(BlobOf("umbrella", "output"));
  EXPECT_THAT(NamedBy(job), ::testing::IsEmpty());
}

}  // namespace
}  // namespace likeness::server
