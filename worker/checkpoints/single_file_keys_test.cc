#include "worker/checkpoints/single_file_keys.h"

#include <gtest/gtest.h>

#include <string>

#include "worker/base/error.h"
#include "worker/base/io/temp_dir.h"

namespace likeness {
namespace {

class SingleFileKeysTest : public testing::Test {
 protected:
  void ExpectRefused(const std::string& key, const torch::Tensor& tensor) {
    const auto path = temp_.path() / "one.safetensors";
    WriteSafetensors(path, {{"clip." + key, tensor}}, {});
    try {
      FromOriginal(SafetensorsFile::Open(path), "clip.", OpenClipKeys("clip.", true), "text");
      ADD_FAILURE() << key << " of " << tensor.sizes() << " is taken";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kFailedPrecondition);
      EXPECT_NE(std::string(error.what()).find(key), std::string::npos) << error.what();
    }
  }

  TempDir temp_;
};

TEST_F(SingleFileKeysTest, ThreeTensorsInOneHaveRowsForThree) {
  for (const int64_t rows : {1, 2, 4}) {
    ExpectRefused("transformer.resblocks.0.attn.in_proj_weight", torch::ones({rows, 2}));
  }
  ExpectRefused("transformer.resblocks.0.attn.in_proj_bias", torch::ones({}));
}

TEST_F(SingleFileKeysTest, AProjectionHasTwoDimensions) {
  ExpectRefused("text_projection", torch::ones({2, 2, 2}));
}

}  // namespace
}  // namespace likeness
