#include "worker/evaluation/subject_parts.h"

#include <gtest/gtest.h>

#include <map>

namespace likeness {
namespace {

class SubjectPartsTest : public ::testing::Test {
 protected:
  SubjectPartsTest() {
    torch::manual_seed(3);
    for (const Image& photo : photos_) {
      const auto patches_PD = torch::randn({4, 8});
      patches_[&photo] = patches_PD / patches_PD.norm(2, 1, true);
    }
  }

  SubjectParts Parts(int64_t kept_bytes) {
    SubjectParts parts(
        [this](const Image& photo) {
          ++embedded_;
          return patches_.at(&photo);
        },
        kept_bytes);
    for (const Image& photo : photos_) {
      const bool none = &photo == &photos_[2];
      parts.Add(photo, patches_.at(&photo), torch::tensor({!none, !none, false, false}));
    }
    return parts;
  }

  Image photos_[3];
  std::map<const Image*, torch::Tensor> patches_;
  int embedded_ = 0;
};

TEST_F(SubjectPartsTest, PatchesThatDoNotFitAreComputedAgain) {
  const auto kept = Parts(1 << 20).FoundAmongPhotos([] {});
  EXPECT_EQ(embedded_, 0);
  const int64_t of_one = patches_.at(&photos_[0]).nbytes();
  EXPECT_EQ(Parts(of_one).FoundAmongPhotos([] {}), kept);
  EXPECT_EQ(embedded_, 2);
}

TEST_F(SubjectPartsTest, EveryPatchOfASubjectIsFoundInItsOwnPhoto) {
  const auto parts = Parts(0);
  SubjectParts one([](const Image&) { return torch::Tensor(); });
  one.Add(photos_[0], patches_.at(&photos_[0]), torch::tensor({true, false, true, false}));
  EXPECT_NEAR(one.FoundIn(patches_.at(&photos_[0])).value(), 1, 1e-6);
  EXPECT_LT(parts.FoundIn(patches_.at(&photos_[2])).value(), 1);
  EXPECT_FALSE(one.FoundAmongPhotos([] {})) << "there is no other photo";
}

TEST_F(SubjectPartsTest, PhotosThatShowNothingOfTheSubjectFindNothing) {
  SubjectParts none([](const Image&) { return torch::Tensor(); });
  none.Add(photos_[0], patches_.at(&photos_[0]), torch::zeros({4}, torch::kBool));
  EXPECT_FALSE(none.FoundIn(patches_.at(&photos_[1])));
}

}  // namespace
}  // namespace likeness
