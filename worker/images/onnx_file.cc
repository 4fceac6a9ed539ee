#include "worker/images/onnx_file.h"

#include <fstream>
#include <string>
#include <string_view>
#include <system_error>

#include "worker/base/error.h"
#include "worker/base/io/message_reader.h"

namespace likeness {
namespace {

// onnx.proto of github.com/onnx/onnx.
constexpr uint32_t kModelGraph = 7, kGraphNode = 1, kGraphInitializer = 5, kNodeName = 3,
                   kNodeOperator = 4, kNodeAttribute = 5, kAttributeName = 1, kAttributeInt = 3,
                   kAttributeTensor = 5, kAttributeInts = 8, kTensorDims = 1, kTensorName = 8;
constexpr size_t kMostShown = 80;  // bytes of a name

[[noreturn]] void Refuse(const std::string& why) {
  throw Error(ErrorKind::kFailedPrecondition, "model.onnx " + why);
}

const Error& Malformed() {
  static const Error error(ErrorKind::kFailedPrecondition,
                           "model.onnx is not an ONNX file, or is cut");
  return error;
}

MessageReader Message(std::string_view bytes) { return {bytes, Malformed()}; }

// Of a list of integers, packed or not.
void AddIntegers(const MessageField& field, std::vector<int64_t>& integers) {
  if (!field.has_length()) return integers.push_back(static_cast<int64_t>(field.value));
  for (auto packed = Message(field.bytes); !packed.AtEnd();) {
    integers.push_back(static_cast<int64_t>(packed.Varint()));
  }
}

void CheckTensor(std::string_view bytes) {
  std::vector<int64_t> dims;
  std::string name;
  auto tensor = Message(bytes);
  while (const auto field = tensor.Next()) {
    if (field->number == kTensorName && field->has_length()) name = field->bytes;
    if (field->number == kTensorDims) AddIntegers(*field, dims);
  }
  if (dims.size() < 2) return;
  for (const int64_t dim : dims) {
    if (dim > 0) continue;
    Refuse("has a weight \"" + name.substr(0, kMostShown) + "\" with a dimension of " +
           std::to_string(dim) + "; weights have 1 or more");
  }
}

struct Attribute {
  std::string name;
  std::vector<int64_t> integers;
};

Attribute ReadAttribute(std::string_view bytes) {
  Attribute read;
  auto attribute = Message(bytes);
  while (const auto field = attribute.Next()) {
    if (field->number == kAttributeInt || field->number == kAttributeInts) {
      AddIntegers(*field, read.integers);
    }
    if (!field->has_length()) continue;
    if (field->number == kAttributeName) read.name = field->bytes;
    if (field->number == kAttributeTensor) CheckTensor(field->bytes);
  }
  return read;
}

// That moves a window over a picture: Conv, ConvTranspose, MaxPool, AveragePool and their like.
bool HasWindow(const std::string& operation) {
  return operation.starts_with("Conv") || operation.ends_with("Pool");
}

bool IsDivisor(const std::string& attribute) {
  return attribute == "group" || attribute == "strides" || attribute == "kernel_shape" ||
         attribute == "dilations";
}

void CheckNode(std::string_view bytes) {
  std::string name, operation;
  std::vector<Attribute> attributes;
  auto node = Message(bytes);
  while (const auto field = node.Next()) {
    if (!field->has_length()) continue;
    if (field->number == kNodeName) name = field->bytes;
    if (field->number == kNodeOperator) operation = field->bytes;
    if (field->number == kNodeAttribute) attributes.push_back(ReadAttribute(field->bytes));
  }
  if (!HasWindow(operation)) return;
  for (const Attribute& attribute : attributes) {
    if (!IsDivisor(attribute.name)) continue;
    for (const int64_t integer : attribute.integers) {
      if (integer > 0) continue;
      Refuse("has a " + operation.substr(0, kMostShown) + " \"" + name.substr(0, kMostShown) +
             "\" with " + std::to_string(integer) + " as " + attribute.name +
             "; 1 or more is allowed");
    }
  }
}

void CheckGraph(std::string_view bytes) {
  auto graph = Message(bytes);
  while (const auto field = graph.Next()) {
    if (!field->has_length()) continue;
    if (field->number == kGraphNode) CheckNode(field->bytes);
    if (field->number == kGraphInitializer) CheckTensor(field->bytes);
  }
}

}  // namespace

void CheckOnnx(const std::vector<uint8_t>& bytes) {
  bool has_graph = false;
  auto model = Message({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  while (const auto field = model.Next()) {
    if (field->number != kModelGraph || !field->has_length()) continue;
    has_graph = true;
    CheckGraph(field->bytes);
  }
  if (!has_graph) model.Fail();
}

std::vector<uint8_t> ReadOnnx(const std::filesystem::path& path) {
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (status.type() == std::filesystem::file_type::not_found) Refuse("is missing");
  if (!std::filesystem::is_regular_file(status)) Refuse("is not a regular file");
  const auto size = std::filesystem::file_size(path, error);
  if (error) Refuse("cannot be read");
  if (size > kMostOnnxBytes) {
    Refuse("has " + std::to_string(size) + " bytes; at most " + std::to_string(kMostOnnxBytes) +
           " are read");
  }
  std::vector<uint8_t> bytes(size);
  std::ifstream file(path, std::ios::binary);
  if (!file.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(size))) {
    Refuse("cannot be read");
  }
  CheckOnnx(bytes);
  return bytes;
}

}  // namespace likeness
