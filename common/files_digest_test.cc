#include "common/files_digest.h"

#include <gtest/gtest.h>

#include "common/digest.h"

namespace likeness {
namespace {

using Files = google::protobuf::RepeatedPtrField<v1::Output>;

void Add(const std::string& path, const std::string& blob, Files& files,
         v1::OutputKind kind = v1::OUTPUT_KIND_MODEL_FILE) {
  v1::Output& file = *files.Add();
  file.set_path(path);
  file.set_blob(blob);
  file.set_kind(kind);
}

TEST(FilesDigestTest, AModelAndTheOutputsItWasMadeOfHaveOne) {
  Files outputs, model;
  Add("model/unet/a", "tenants/t/blobs/11", outputs);
  Add("samples/0000.png", "tenants/t/blobs/33", outputs, v1::OUTPUT_KIND_IMAGE);
  Add("model/card.json", "tenants/t/blobs/22", outputs);
  Add("card.json", "tenants/other/blobs/22", model);
  Add("unet/a", "tenants/other/blobs/11", model);
  EXPECT_EQ(FilesDigest(outputs), FilesDigest(model));
  EXPECT_EQ(FilesDigest(model), Sha256Hex("card.json 22\nunet/a 11\n"));
  model.Mutable(0)->set_blob("tenants/other/blobs/23");
  EXPECT_NE(FilesDigest(outputs), FilesDigest(model));
}

}  // namespace
}  // namespace likeness
