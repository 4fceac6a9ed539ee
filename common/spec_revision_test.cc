#include "common/spec_revision.h"

#include <set>
#include <string>

#include "google/protobuf/descriptor.h"
#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"
#include "google/protobuf/wire_format_lite.h"
#include "gtest/gtest.h"

namespace likeness {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::internal::WireFormatLite;

// The field, with a value that is not its default, as bytes.
std::string AnyValueOf(const FieldDescriptor& field) {
  const auto type = static_cast<WireFormatLite::FieldType>(field.type());
  std::string bytes;
  {
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.WriteTag(
        WireFormatLite::MakeTag(field.number(), WireFormatLite::WireTypeForFieldType(type)));
    switch (WireFormatLite::WireTypeForFieldType(type)) {
      case WireFormatLite::WIRETYPE_FIXED64:
        coded.WriteLittleEndian64(1);
        break;
      case WireFormatLite::WIRETYPE_FIXED32:
        coded.WriteLittleEndian32(1);
        break;
      case WireFormatLite::WIRETYPE_LENGTH_DELIMITED:
        coded.WriteVarint32(1);
        coded.WriteString("x");
        break;
      default:
        coded.WriteVarint32(1);
    }
  }
  return bytes;
}

TEST(SpecRevisionTest, JobNeedsTheRevisionOfTheNewestFieldThatItUses) {
  v1::Job job;
  v1::FineTuneSpec& spec = *job.mutable_fine_tune();
  spec.mutable_lora()->set_rank(4);
  spec.mutable_training()->set_steps(10);
  spec.mutable_training()->set_learning_rate_schedule(v1::LEARNING_RATE_SCHEDULE_COSINE);
  EXPECT_EQ(SpecRevisionOf(job), 0);
  spec.mutable_training()->set_ema_decay(0);  // said, and so to be heard
  EXPECT_EQ(SpecRevisionOf(job), 1);
}

TEST(SpecRevisionTest, NewValueOfAnOldFieldCounts) {
  v1::Job job;
  job.mutable_fine_tune()->mutable_training()->set_learning_rate_schedule(
      v1::LEARNING_RATE_SCHEDULE_POLYNOMIAL);
  EXPECT_EQ(SpecRevisionOf(job), 1);
}

TEST(SpecRevisionTest, ASecondSubjectCounts) {
  v1::Job job;
  job.mutable_fine_tune()->add_subjects()->set_token("zwx");
  EXPECT_EQ(SpecRevisionOf(job), 0);
  job.mutable_fine_tune()->add_subjects()->set_token("abc");
  EXPECT_EQ(SpecRevisionOf(job), 2);
}

TEST(SpecRevisionTest, DrawingsAndEvaluationsAreLookedAtToo) {
  v1::Job job;
  job.mutable_evaluate()->add_photos()->set_blob("b");
  job.mutable_evaluate()->add_measures(v1::MEASURE_DINO);
  EXPECT_EQ(SpecRevisionOf(job), 0);
  job.mutable_generate()->add_prompts("a dog");
  EXPECT_EQ(SpecRevisionOf(job), 0);
  job.mutable_generate()->mutable_image_to_image();
  EXPECT_EQ(SpecRevisionOf(job), 1);
}

// Adds what is in `message`, a part of the job's spec, that workers of the revision know, by name.
void AddKnown(const v1::Job& job, Message& message, int revision, std::set<std::string>& known) {
  const auto& reflection = *message.GetReflection();
  for (int i = 0; i < message.GetDescriptor()->field_count(); ++i) {
    const FieldDescriptor& field = *message.GetDescriptor()->field(i);
    const bool repeated = field.is_repeated();
    if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      Message& part = repeated ? *reflection.AddMessage(&message, &field)
                               : *reflection.MutableMessage(&message, &field);
      if (SpecRevisionOf(job) <= revision && known.insert(std::string(field.full_name())).second) {
        AddKnown(job, part, revision, known);
      }
    } else if (field.cpp_type() == FieldDescriptor::CPPTYPE_ENUM) {
      for (int number = 1; number < field.enum_type()->value_count(); ++number) {
        const auto& value = *field.enum_type()->value(number);
        repeated ? reflection.AddEnumValue(&message, &field, value.number())
                 : reflection.SetEnumValue(&message, &field, value.number());
        if (SpecRevisionOf(job) <= revision) known.insert(std::string(value.full_name()));
        reflection.ClearField(&message, &field);
      }
    } else {
      const std::string wire = AnyValueOf(field);
      ASSERT_TRUE(message.MergeFromString(wire)) << field.full_name();
      ASSERT_TRUE(repeated || reflection.HasField(message, &field)) << field.full_name();
      if (SpecRevisionOf(job) <= revision) known.insert(std::string(field.full_name()));
    }
    reflection.ClearField(&message, &field);
  }
}

size_t CountKnown(int revision) {
  std::set<std::string> known;
  v1::Job job;
  AddKnown(job, *job.mutable_fine_tune(), revision, known);
  AddKnown(job, *job.mutable_generate(), revision, known);
  AddKnown(job, *job.mutable_evaluate(), revision, known);
  return known.size();
}

// What a revision knows never changes: this fails for a field that has no row in spec_revision.cc.
TEST(SpecRevisionTest, NewFieldsHaveANewRevision) {
  EXPECT_EQ(CountKnown(0), 101U) << "fields and values without a row are taken for the first ones";
}

}  // namespace
}  // namespace likeness
