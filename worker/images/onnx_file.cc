#include "worker/images/onnx_file.h"

#include <fstream>
#include <string>
#include <system_error>

#include "worker/base/error.h"

namespace likeness {
namespace {

// onnx.proto of github.com/onnx/onnx.
constexpr uint64_t kModelGraph = 7, kGraphNode = 1, kGraphInitializer = 5, kNodeAttribute = 5,
                   kAttributeTensor = 5, kTensorDims = 1, kTensorName = 8;

[[noreturn]] void Refuse(const std::string& why) {
  throw Error(ErrorKind::kFailedPrecondition, "model.onnx " + why);
}

[[noreturn]] void RefuseBytes() { Refuse("is not an ONNX file, or is cut"); }

// The fields of a protobuf message, one after the other.
class Fields {
 public:
  Fields(const uint8_t* begin, const uint8_t* end) : at_(begin), end_(end) {}

  // False at the end. Refuses what is no message.
  bool Next() {
    if (at_ == end_) return false;
    const uint64_t tag = Varint();
    number_ = tag >> 3;
    value_ = 0;
    begin_ = nullptr;
    uint64_t bytes = 0;
    switch (tag & 7) {
      case 0:
        value_ = Varint();
        return true;
      case 1:
        bytes = 8;
        break;
      case 2:
        bytes = Varint();
        break;
      case 5:
        bytes = 4;
        break;
      default:
        RefuseBytes();
    }
    if (bytes > static_cast<uint64_t>(end_ - at_)) RefuseBytes();
    if ((tag & 7) == 2) begin_ = at_;
    at_ += bytes;
    return true;
  }

  uint64_t number() const { return number_; }
  uint64_t value() const { return value_; }
  // Whether the field has a length: text, bytes, a message or a packed list.
  bool delimited() const { return begin_ != nullptr; }
  Fields Inside() const { return {begin_, at_}; }
  std::string Text() const { return {begin_, at_}; }
  bool AtEnd() const { return at_ == end_; }
  uint64_t Varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      if (at_ == end_) RefuseBytes();
      const uint8_t byte = *at_++;
      value |= uint64_t{byte & 0x7FU} << shift;
      if (byte < 0x80) return value;
    }
    RefuseBytes();
  }

 private:
  const uint8_t* at_;
  const uint8_t* end_;
  const uint8_t* begin_ = nullptr;
  uint64_t number_ = 0, value_ = 0;
};

void CheckTensor(Fields tensor) {
  std::vector<uint64_t> dims;
  std::string name;
  while (tensor.Next()) {
    if (tensor.number() == kTensorName && tensor.delimited()) name = tensor.Text();
    if (tensor.number() != kTensorDims) continue;
    if (!tensor.delimited()) {
      dims.push_back(tensor.value());
      continue;
    }
    for (Fields packed = tensor.Inside(); !packed.AtEnd();) dims.push_back(packed.Varint());
  }
  if (dims.size() < 2) return;
  for (const uint64_t dim : dims) {
    if (static_cast<int64_t>(dim) > 0) continue;
    Refuse("has a weight \"" + name.substr(0, 80) + "\" with a dimension of " +
           std::to_string(static_cast<int64_t>(dim)) + "; weights have 1 or more");
  }
}

void CheckNode(Fields node) {
  while (node.Next()) {
    if (node.number() != kNodeAttribute || !node.delimited()) continue;
    for (Fields attribute = node.Inside(); attribute.Next();) {
      if (attribute.number() == kAttributeTensor && attribute.delimited()) {
        CheckTensor(attribute.Inside());
      }
    }
  }
}

}  // namespace

void CheckOnnx(const std::vector<uint8_t>& bytes) {
  bool has_graph = false;
  for (Fields model(bytes.data(), bytes.data() + bytes.size()); model.Next();) {
    if (model.number() != kModelGraph || !model.delimited()) continue;
    has_graph = true;
    for (Fields graph = model.Inside(); graph.Next();) {
      if (!graph.delimited()) continue;
      if (graph.number() == kGraphNode) CheckNode(graph.Inside());
      if (graph.number() == kGraphInitializer) CheckTensor(graph.Inside());
    }
  }
  if (!has_graph) RefuseBytes();
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
