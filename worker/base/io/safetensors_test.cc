#include "worker/base/io/safetensors.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <sstream>

#include "worker/base/error.h"
#include "worker/base/io/mapped_file.h"
#include "worker/base/io/safetensors_writer.h"
#include "worker/base/io/sha256.h"
#include "worker/base/io/temp_dir.h"

namespace likeness {
namespace {

class SafetensorsTest : public testing::Test {
 protected:
  std::filesystem::path path() const { return dir_.path() / "t.safetensors"; }

  void WriteBytes(const std::string& bytes) { std::ofstream(path(), std::ios::binary) << bytes; }
  // A file of this header and so many bytes of data.
  void WriteFile(const std::string& header, size_t data_bytes) {
    const uint64_t size = header.size();
    std::string bytes(reinterpret_cast<const char*>(&size), sizeof(size));
    WriteBytes(bytes + header + std::string(data_bytes, '\1'));
  }
  std::string ReadBytes() const {
    std::ostringstream bytes;
    bytes << std::ifstream(path(), std::ios::binary).rdbuf();
    return bytes.str();
  }
  void ExpectDataLoss(const std::string& says) {
    try {
      SafetensorsFile::Open(path());
      ADD_FAILURE() << "opened; expected: " << says;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kDataLoss);
      EXPECT_NE(std::string(error.what()).find(says), std::string::npos) << error.what();
      EXPECT_EQ(std::string(error.what()).find(dir_.path().string()), std::string::npos);
    }
  }

  TempDir dir_;
};

TEST_F(SafetensorsTest, GivesBackWhatWasWritten) {
  const NamedTensors tensors = {{"half", torch::randn({3, 5}).to(torch::kFloat16)},
                                {"brain", torch::randn({7}).to(torch::kBFloat16)},
                                {"single", torch::randn({2, 3, 4}).transpose(0, 2)},
                                {"ids", torch::arange(5)},
                                {"flags", torch::ones({3}, torch::kBool)},
                                {"scalar", torch::tensor(4.0)},
                                {"empty", torch::empty({0, 4})}};
  WriteSafetensors(path(), tensors, {{"format", "pt"}});
  const auto file = SafetensorsFile::Open(path());
  EXPECT_EQ(file.Names().size(), tensors.size());
  EXPECT_EQ(file.metadata().at("format"), "pt");
  for (const auto& [name, tensor] : tensors) {
    EXPECT_EQ(file.Get(name).dtype(), tensor.dtype()) << name;
    EXPECT_TRUE(torch::equal(file.Get(name), tensor)) << name;
  }
}

TEST_F(SafetensorsTest, MetadataMayBeNull) {
  WriteFile(R"({"__metadata__": null, "a": {"dtype": "U8", "shape": [2], "data_offsets": [0, 2]}})",
            2);
  EXPECT_EQ(SafetensorsFile::Open(path()).Get("a").numel(), 2);
}

// Programs would not agree on which of the two counts.
TEST_F(SafetensorsTest, AKeyIsThereOnce) {
  const std::string tensor = R"("a": {"dtype": "U8", "shape": [2], "data_offsets": [0, 2]})";
  WriteFile("{" + tensor + ", " + tensor + "}", 2);
  ExpectDataLoss("its header has \"a\" twice");
  WriteFile(R"({"a": {"dtype": "U8", "dtype": "I8", "shape": [2], "data_offsets": [0, 2]}})", 2);
  ExpectDataLoss("its header has \"dtype\" twice");
  WriteFile(R"({"__metadata__": {"format": "pt", "format": "tf"}, )" + tensor + "}", 2);
  ExpectDataLoss("its header has \"format\" twice");
  WriteFile(R"({"__metadata__": {"a": "pt"}, )" + tensor + "}", 2);
  EXPECT_EQ(SafetensorsFile::Open(path()).Names().size(), 1u) << "keys of different objects";
}

TEST_F(SafetensorsTest, WhatADownloadLeftInsteadIsNamed) {
  WriteBytes("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3438167536\n");
  ExpectDataLoss("t.safetensors is a Git LFS pointer, not the file itself");
  WriteBytes("<!DOCTYPE html>\n<html><head><title>404</title></head></html>\n");
  ExpectDataLoss("t.safetensors is a web page, not the file itself");
}

TEST_F(SafetensorsTest, EqualTensorsGiveEqualBytes) {
  auto a = torch::ones({4}), b = torch::zeros({2});
  WriteSafetensors(path(), {{"a", a}, {"b", b}});
  const auto first = ReadBytes();
  WriteSafetensors(path(), {{"b", b}, {"a", a}});
  EXPECT_EQ(ReadBytes(), first);
}

TEST_F(SafetensorsTest, TensorsOutliveTheFileObjectAndItsReplacement) {
  WriteSafetensors(path(), {{"a", torch::full({1000}, 3.0)}});
  auto tensor = SafetensorsFile::Open(path()).Get("a");
  WriteSafetensors(path(), {{"a", torch::full({1000}, 4.0)}});
  EXPECT_EQ(tensor.sum().item<double>(), 3000);
}

TEST_F(SafetensorsTest, WritingToATensorLeavesTheFileAlone) {
  WriteSafetensors(path(), {{"a", torch::ones({8})}});
  SafetensorsFile::Open(path()).Get("a").zero_();
  EXPECT_EQ(SafetensorsFile::Open(path()).Get("a").sum().item<double>(), 8);
}

TEST_F(SafetensorsTest, LeavesNoPartialFileWhenWritingFails) {
  EXPECT_THROW(WriteSafetensors(path(), {{"a", torch::ones(2)}, {"a", torch::ones(2)}}), Error);
  EXPECT_THROW(WriteSafetensors(dir_.path() / "missing" / "t", {{"a", torch::ones(2)}}), Error);
  int asked = 0;
  const auto stop_at_the_second = [&] {
    if (++asked == 2) throw Error(ErrorKind::kCancelled, "stopped");
  };
  EXPECT_THROW(WriteSafetensors(path(), {{"a", torch::ones(2)}, {"b", torch::ones(2)}}, {},
                                stop_at_the_second),
               Error);
  EXPECT_TRUE(std::filesystem::is_empty(dir_.path()));
}

TEST_F(SafetensorsTest, SaysThatAFileIsNotThere) {
  try {
    SafetensorsFile::Open(path());
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kNotFound);
  }
}

TEST_F(SafetensorsTest, RefusesACutHeader) {
  WriteBytes("");
  ExpectDataLoss("fewer than a header");
  WriteBytes("abc");
  ExpectDataLoss("fewer than a header");
  WriteSafetensors(path(), {{"a", torch::ones(100)}});
  WriteBytes(ReadBytes().substr(0, 40));
  ExpectDataLoss("it is cut");
}

TEST_F(SafetensorsTest, RefusesAnOversizeHeader) {
  const uint64_t size = uint64_t{1} << 60;
  WriteBytes(std::string(reinterpret_cast<const char*>(&size), sizeof(size)) + "{}");
  ExpectDataLoss("at most 100000000");
}

TEST_F(SafetensorsTest, RefusesCutData) {
  WriteSafetensors(path(), {{"a", torch::ones(100)}});
  WriteBytes(ReadBytes().substr(0, ReadBytes().size() - 4));
  ExpectDataLoss("tensor a lies outside");
}

TEST_F(SafetensorsTest, RefusesHeadersThatAreNotAsTheFormatSays) {
  WriteFile("not json", 0);
  ExpectDataLoss("not as the format says");
  WriteFile("[1]", 0);
  ExpectDataLoss("not as the format says");
  WriteFile(R"({"a": {"dtype": "F32"}})", 0);
  ExpectDataLoss("not as the format says");
  WriteFile(R"({"a": {"dtype": "F33", "shape": [1], "data_offsets": [0, 4]}})", 4);
  ExpectDataLoss("unknown dtype F33");
}

// A conversion to whole numbers would take them for [1, 2], [1] and so on.
TEST_F(SafetensorsTest, RefusesShapesAndOffsetsThatAreNoWholeNumbersFromZero) {
  for (const char* shape :
       {"[1.5, 2]", "[-1, -2]", "[true, 2]", "[2e0]", "[18446744073709551615]", "2", "[\"2\"]"}) {
    WriteFile(
        R"({"a": {"dtype": "U8", "shape": )" + std::string(shape) + R"(, "data_offsets": [0, 2]}})",
        2);
    ExpectDataLoss("tensor a has the shape ");
  }
  for (const char* offsets : {"[0.5, 2]", "[-0, 2]", "[0, true]", "[0, -2]"}) {
    WriteFile(
        R"({"a": {"dtype": "U8", "shape": [2], "data_offsets": )" + std::string(offsets) + "}}", 2);
    ExpectDataLoss("; a list of whole numbers from 0 is allowed");
  }
}

TEST_F(SafetensorsTest, RefusesOffsetsThatDoNotAddUp) {
  WriteFile(R"({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}})", 4);
  ExpectDataLoss("not its dtype times its shape");
  WriteFile(R"({"a": {"dtype": "F32", "shape": [4611686018427387905], "data_offsets": [0, 4]}})",
            4);
  ExpectDataLoss("not its dtype times its shape");
  WriteFile(R"({"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 0]}})", 4);
  ExpectDataLoss("lies outside");
  WriteFile(R"({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]},
                "b": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}})",
            4);
  ExpectDataLoss("overlap");
  WriteFile(R"({"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}})", 8);
  ExpectDataLoss("holes");
  WriteFile(R"({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}})", 8);
  ExpectDataLoss("belong to no tensor");
}

// Vectors of FIPS 180-2, appendix B.
// Writing tells which pages went: those come back as the file has them.
TEST(MappedFile, ReleasesWholePagesOfARangeAndNothingElse) {
  const TempDir dir;
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  const std::string bytes(3 * page, 'f');
  std::ofstream(dir.path() / "file", std::ios::binary) << bytes;
  const MappedFile file(dir.path() / "file");
  std::string elsewhere(3 * page, 'e');
  for (size_t at = 0; at < bytes.size(); at += page) file.data()[at] = 'w';
  ReleaseMappedPages(elsewhere.data(), elsewhere.size());
  EXPECT_EQ(elsewhere, std::string(3 * page, 'e'));
  ReleaseMappedPages(file.data() + 1, 2 * page);
  EXPECT_EQ(file.data()[0], 'w');
  EXPECT_EQ(file.data()[page], 'f');
  EXPECT_EQ(file.data()[2 * page], 'w');
  ReleaseMappedPages(file.data(), file.size());
  EXPECT_EQ(file.bytes(), bytes);
}

TEST(Sha256, GivesTheStandardsVectors) {
  EXPECT_EQ(Sha256OfBytes(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(Sha256OfBytes("abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(Sha256OfBytes("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(Sha256OfBytes(std::string(1000000, 'a')),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

}  // namespace
}  // namespace likeness
