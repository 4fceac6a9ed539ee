#include "common/utf8.h"

#include "common/job_spec.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "likeness/v1/job_service.pb.h"

namespace likeness {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

std::string Complaint(const google::protobuf::Message& message) {
  return std::string(CheckUtf8(message).message());
}

TEST(Utf8Test, TextOfAnyScriptPasses) {
  v1::CreateJobRequest request;
  MutableSubjectOf(*request.mutable_job()->mutable_fine_tune()).set_class_noun("собака 犬 🐕");
  MutableSubjectOf(*request.mutable_job()->mutable_fine_tune()).add_photos()->set_inline_("\xFF");
  EXPECT_TRUE(CheckUtf8(request).ok()) << "bytes are no text: " << Complaint(request);
}

TEST(Utf8Test, TheFieldAndItsValueAreNamedAtAnyDepth) {
  v1::CreateJobRequest request;
  auto& subject = MutableSubjectOf(*request.mutable_job()->mutable_fine_tune());
  subject.add_photos()->set_caption("fine");
  subject.add_photos()->set_caption("caf\xE9");
  EXPECT_THAT(Complaint(request), AllOf(HasSubstr("job.fine_tune.subjects[0].photos[1].caption"),
                                        HasSubstr("caf\\xe9"), HasSubstr("UTF-8")));
}

TEST(Utf8Test, ListsAndMapsAreLookedThrough) {
  v1::CreateJobRequest request;
  request.mutable_job()->mutable_generate()->add_prompts("a \xC3");
  EXPECT_THAT(Complaint(request), HasSubstr("job.generate.prompts[0]"));
  request.Clear();
  (*request.mutable_job()->mutable_labels())["owner"] = "\x80";
  EXPECT_THAT(Complaint(request), HasSubstr("job.labels.value"));
}

TEST(Utf8Test, BytesThatAreNoTextBecomeQuestionMarks) {
  EXPECT_EQ(ToUtf8("caf\xE9.png"), "caf?.png");
  EXPECT_EQ(ToUtf8("\xFF\xFE"), "??");
  EXPECT_EQ(ToUtf8("犬.png"), "犬.png");
  EXPECT_EQ(ToUtf8(""), "");
}

TEST(Utf8Test, AMessageIsMadeTextAtAnyDepth) {
  v1::CreateJobRequest request;
  request.set_job_id("caf\xE9");
  MutableSubjectOf(*request.mutable_job()->mutable_fine_tune()).set_class_noun("犬 \x80");
  auto& photo = *MutableSubjectOf(*request.mutable_job()->mutable_fine_tune()).add_photos();
  photo.set_inline_("\xFF");
  request.mutable_job()->add_warnings("fine");
  request.mutable_job()->add_warnings("\xC3");
  (*request.mutable_job()->mutable_labels())["owner"] = "me";
  MakeUtf8(request);
  EXPECT_TRUE(CheckUtf8(request).ok()) << Complaint(request);
  EXPECT_EQ(request.job_id(), "caf?");
  EXPECT_EQ(SubjectOf(request.job().fine_tune()).class_noun(), "犬 ?");
  EXPECT_EQ(photo.inline_(), "\xFF") << "bytes are no text";
  EXPECT_EQ(request.job().warnings(0), "fine");
  EXPECT_EQ(request.job().warnings(1), "?");
}

TEST(Utf8Test, ALongValueIsShownByItsBeginning) {
  v1::CreateJobRequest request;
  request.set_job_id(std::string(100'000, '\xFF'));
  EXPECT_LT(Complaint(request).size(), 500u);
}

}  // namespace
}  // namespace likeness
