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

TEST(CheckOnnx, AWindowWithoutSizeOrStepIsRefusedByTheNameOfItsAttribute) {
  const auto text = [](const std::string& bytes) { return Bytes(bytes.begin(), bytes.end()); };
  // One value as the attribute's integer, several as a packed list.
  const auto refusal = [&](const std::string& operation, const std::string& attribute,
                           const Bytes& values) {
    Bytes inside = Field(1, text(attribute));
    if (values.size() == 1) {
      inside.insert(inside.end(), {3 << 3, values[0]});
    } else {
      const Bytes list = Field(8, values);
      inside.insert(inside.end(), list.begin(), list.end());
    }
    Bytes node = Field(5, inside);  // before what it belongs to
    for (const Bytes& field : {Field(3, text("first")), Field(4, text(operation))}) {
      node.insert(node.end(), field.begin(), field.end());
    }
    return Refusal(Field(7, Field(1, node)));
  };
  EXPECT_EQ(refusal("Conv", "group", {0}),
            "model.onnx has a Conv \"first\" with 0 as group; 1 or more is allowed");
  EXPECT_EQ(refusal("Conv", "group", {1}), "");
  for (const char* operation : {"Conv", "ConvTranspose", "MaxPool", "AveragePool"}) {
    for (const char* attribute : {"strides", "kernel_shape", "dilations"}) {
      EXPECT_NE(refusal(operation, attribute, {2, 0}).find(attribute), std::string::npos);
      EXPECT_EQ(refusal(operation, attribute, {2, 1}), "") << operation << " " << attribute;
    }
    EXPECT_EQ(refusal(operation, "pads", {0, 0}), "");
  }
  EXPECT_EQ(refusal("Slice", "strides", {0, 0}), "");
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
