#include "worker/images/onnx_file.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "worker/base/error.h"
#include "worker/base/io/temp_dir.h"

namespace likeness {
namespace {

using Bytes = std::vector<uint8_t>;

Bytes Field(int number, const Bytes& inside) {
  Bytes field = {static_cast<uint8_t>(number << 3 | 2), static_cast<uint8_t>(inside.size())};
  field.insert(field.end(), inside.begin(), inside.end());
  return field;
}

// A model whose graph has one weight with these dimensions.
Bytes WeightOf(const Bytes& dims) {
  Bytes tensor;
  for (const uint8_t dim : dims) tensor.insert(tensor.end(), {1 << 3, dim});
  return Field(7, Field(5, tensor));
}

std::string Refusal(const Bytes& bytes) {
  try {
    CheckOnnx(bytes);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kFailedPrecondition);
    return error.what();
  }
  return "";
}

TEST(CheckOnnx, AWeightWithoutValuesIsRefusedAndAnEmptyListIsNot) {
  EXPECT_EQ(Refusal(WeightOf({1, 3, 1, 1})), "");
  EXPECT_EQ(Refusal(WeightOf({0})), "");
  EXPECT_NE(Refusal(WeightOf({0, 3, 1, 1})).find("dimension of 0"), std::string::npos);
  EXPECT_NE(Refusal(Field(7, Field(5, Field(1, {2, 0})))), "") << "packed";
  EXPECT_NE(Refusal(Field(7, Field(1, Field(5, Field(5, {8, 2, 8, 0}))))), "") << "a constant";
}

TEST(CheckOnnx, WhatIsCutOrNoModelIsRefused) {
  Bytes cut = WeightOf({1, 3});
  cut.pop_back();
  for (const Bytes& bytes : {Bytes(), cut, Bytes{'n', 'o', ' ', 'n', 'e', 't'}}) {
    EXPECT_NE(Refusal(bytes).find("not an ONNX file"), std::string::npos);
  }
}

TEST(ReadOnnx, WhatIsNoFileIsSaid) {
  const TempDir folder;
  for (const auto& [path, why] : {std::pair{folder.path() / "model.onnx", "missing"},
                                  {folder.path(), "not a regular file"}}) {
    try {
      ReadOnnx(path);
      ADD_FAILURE() << why;
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find(why), std::string::npos) << error.what();
    }
  }
}

}  // namespace
}  // namespace likeness
