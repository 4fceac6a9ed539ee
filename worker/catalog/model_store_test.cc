#include "worker/catalog/model_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "common/digest.h"
#include "common/resource_names.h"
#include "worker/base/error.h"
#include "worker/base/io/temp_dir.h"
#include "worker/support/cache_trim.h"
#include "worker/support/files.h"

namespace likeness {
namespace {

v1::Output File(const std::string& path, const std::string& content) {
  v1::Output file;
  file.set_path(path);
  file.set_blob(BlobName{.sha256 = Sha256Hex(content)}.ToString());
  return file;
}

class ModelStoreTest : public testing::Test {
 protected:
  StoredModel Assemble(const std::vector<v1::Output>& files) {
    return store_.Assemble(files, [&](const std::string& blob, const std::filesystem::path& to) {
      fetched_.push_back(blob);
      WriteFile(to, contents_.at(blob));
    });
  }
  v1::Output Offer(const std::string& path, const std::string& content) {
    const auto file = File(path, content);
    contents_[file.blob()] = content;
    return file;
  }

  TempDir dir_;
  ModelStore store_{dir_.path(), int64_t{1} << 30};
  std::map<std::string, std::string> contents_;
  std::vector<std::string> fetched_;
};

TEST_F(ModelStoreTest, LaysFilesWhereTheirPathsSay) {
  const auto model = Assemble({Offer("unet/weights", "u"), Offer("vae/weights", "v")});
  EXPECT_EQ(ReadFile(model.directory / "unet/weights"), "u");
  EXPECT_EQ(ReadFile(model.directory / "vae/weights"), "v");
}

TEST_F(ModelStoreTest, ErasedModelIsGoneAndWhatOthersShareIsNot) {
  const auto shared = Offer("vae/weights", "v");
  const auto one = Offer("unet/weights", "one");
  const auto erased = Assemble({one, shared});
  const auto other = Assemble({Offer("unet/weights", "two"), shared});
  store_.Erase({one, shared});
  EXPECT_FALSE(std::filesystem::exists(erased.directory));
  EXPECT_FALSE(std::filesystem::exists(dir_.path() / "blobs" / Sha256Hex("one")));
  EXPECT_EQ(ReadFile(other.directory / "vae/weights"), "v");
  store_.Erase({one, shared});  // there is nothing left to erase
  EXPECT_EQ(ReadFile(Assemble({one, shared}).directory / "unet/weights"), "one");
}

TEST_F(ModelStoreTest, WhatModelsShareIsFetchedOnce) {
  const auto shared = Offer("vae/weights", "v");
  Assemble({Offer("unet/weights", "one"), shared});
  Assemble({Offer("unet/weights", "two"), shared});
  EXPECT_THAT(fetched_, testing::SizeIs(3));
  Assemble({Offer("unet/weights", "two"), shared});
  EXPECT_THAT(fetched_, testing::SizeIs(3));
}

TEST_F(ModelStoreTest, AModelMadeHereIsNeverFetched) {
  const auto made = dir_.path() / "made";
  WriteFile(made / "unet/weights", "u");
  const auto adopted = store_.Adopt(made, {File("model/unet/weights", "u")});
  std::filesystem::remove_all(made);
  EXPECT_EQ(ReadFile(adopted.directory / "unet/weights"), "u");
  const auto again = Assemble({Offer("unet/weights", "u")});
  EXPECT_EQ(again.digest, adopted.digest);
  EXPECT_THAT(fetched_, testing::IsEmpty());
}

TEST_F(ModelStoreTest, AFetchThatFailsLeavesNoModel) {
  const auto files = std::vector<v1::Output>{Offer("a", "1"), File("b", "missing")};
  EXPECT_THROW(Assemble(files), std::out_of_range);
  EXPECT_FALSE(std::filesystem::exists(dir_.path() / "models"));
}

TEST_F(ModelStoreTest, AnotherWorkerMayTrimTheSameDiskMeanwhile) {
  const auto shared = Offer("vae/weights", "v");
  std::atomic<bool> done = false;
  std::thread other([&] {
    while (!done) TrimCache(dir_.path() / "models", 0, dir_.path() / "blobs");
  });
  for (int i = 0; i < 50; ++i) {
    const auto model = Assemble({Offer("unet/weights", std::to_string(i)), shared});
    EXPECT_EQ(ReadFile(model.directory / "unet/weights"), std::to_string(i));
    std::filesystem::remove_all(model.directory);  // so that its blobs are in no model again
  }
  done = true;
  other.join();
}

TEST_F(ModelStoreTest, WhatAWorkerThatFailedHereIsNotTakenForAModel) {
  WriteFile(dir_.path() / "models", "a file where a directory is wanted");
  EXPECT_THROW(Assemble({Offer("unet/weights", "u")}), std::filesystem::filesystem_error);
}

TEST_F(ModelStoreTest, APathOutOfTheDirectoryIsRefused) {
  for (const char* path : {"../x", "/etc/x", "unet/../../x", "model/", ""}) {
    EXPECT_THROW(Assemble({Offer(path, "x")}), Error) << path;
  }
}

}  // namespace
}  // namespace likeness
