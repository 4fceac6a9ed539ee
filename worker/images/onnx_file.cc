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
constexpr uint32_t kModelGraph = 7, kGraphNode = 1, kGraphInitializer = 5, kNodeAttribute = 5,
                   kAttributeTensor = 5, kTensorDims = 1, kTensorName = 8;

[[noreturn]] void Refuse(const std::string& why) {
  throw Error(ErrorKind::kFailedPrecondition, "model.onnx " + why);
}

const Error& Malformed() {
  static const Error error(ErrorKind::kFailedPrecondition,
                           "model.onnx is not an ONNX file, or is cut");
  return error;
}

MessageReader Message(std::string_view bytes) { return {bytes, Malformed()}; }

void CheckTensor(std::string_view bytes) {
  std::vector<uint64_t> dims;
  std::string name;
  auto tensor = Message(bytes);
  while (const auto field = tensor.Next()) {
    if (field->number == kTensorName && field->has_length()) name = field->bytes;
    if (field->number != kTensorDims) continue;
    if (!field->has_length()) {
      dims.push_back(field->value);
      continue;
    }
    for (auto packed = Message(field->bytes); !packed.AtEnd();) dims.push_back(packed.Varint());
  }
  if (dims.size() < 2) return;
  for (const uint64_t dim : dims) {
    if (static_cast<int64_t>(dim) > 0) continue;
    Refuse("has a weight \"" + name.substr(0, 80) + "\" with a dimension of " +
           std::to_string(static_cast<int64_t>(dim)) + "; weights have 1 or more");
  }
}

void CheckNode(std::string_view bytes) {
  auto node = Message(bytes);
  while (const auto field = node.Next()) {
    if (field->number != kNodeAttribute || !field->has_length()) continue;
    auto attribute = Message(field->bytes);
    while (const auto value = attribute.Next()) {
      if (value->number == kAttributeTensor && value->has_length()) CheckTensor(value->bytes);
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
