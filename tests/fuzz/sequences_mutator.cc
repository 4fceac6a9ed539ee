// How libFuzzer changes a sequence of calls: steps come, go and change places, and within a message
// fields are set, cleared and changed by their descriptors, so that what is tried is nearly always
// a request that means something.
#include <algorithm>
#include <cmath>
#include <random>
#include <utility>

#include "google/protobuf/descriptor.h"
#include "tests/fuzz/sequences.h"

namespace likeness::fuzz {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

constexpr int kMaxDepth = 6;

// Words that requests are made of; "0" to "3" stand for jobs and leases (sequences_fuzz.cc).
constexpr const char* kWords[] = {"",
                                  "0",
                                  "1",
                                  "2",
                                  "3",
                                  "a dog",
                                  "dog",
                                  "sks",
                                  "baseModels/a",
                                  "tenants/default/models/m",
                                  "ddim",
                                  "a",
                                  "w",
                                  "generate",
                                  "dreambooth",
                                  "s1",
                                  "s2",
                                  "s5",
                                  "training",
                                  "tenants/default",
                                  "a {class}",
                                  "m",
                                  "r",
                                  "state = RUNNING",
                                  "https://example.com/",
                                  "create_time desc",
                                  "cpu",
                                  "dpmpp_2m",
                                  "\xff"};

class Mutator {
 public:
  explicit Mutator(unsigned seed) : random_(seed) {}

  void Mutate(std::vector<Step>& steps) {
    const auto action = steps.empty() ? 0 : Below(10);
    if (action < 3 && steps.size() < kMaxSteps) {
      const auto kind = static_cast<Kind>(Below(kKinds));
      Step step{kind, MessageOf(kind)};
      for (int i = Below(6); i >= 0; --i) Change(*step.message, 0);
      steps.insert(steps.begin() + Below(static_cast<int>(steps.size()) + 1), std::move(step));
    } else if (action == 3) {
      steps.erase(steps.begin() + Below(static_cast<int>(steps.size())));
    } else if (action == 4) {
      std::swap(steps[Below(static_cast<int>(steps.size()))],
                steps[Below(static_cast<int>(steps.size()))]);
    } else if (action == 5 && steps.size() < kMaxSteps) {
      const Step& again = steps[Below(static_cast<int>(steps.size()))];
      Step step{again.kind, MessageOf(again.kind)};
      step.message->CopyFrom(*again.message);
      steps.push_back(std::move(step));
    } else {
      Message& message = *steps[Below(static_cast<int>(steps.size()))].message;
      for (int i = Below(3); i >= 0; --i) Change(message, 0);
    }
  }

 private:
  int Below(int end) { return std::uniform_int_distribution<int>(0, end - 1)(random_); }
  std::string Word() { return kWords[Below(static_cast<int>(std::size(kWords)))]; }

  int64_t Number() {
    constexpr int64_t kNumbers[] = {0,   1,  2,       3,         10,        64,
                                    512, -1, 1 << 20, INT32_MAX, INT64_MAX, INT64_MIN};
    return Below(3) == 0 ? Below(1000) : kNumbers[Below(static_cast<int>(std::size(kNumbers)))];
  }
  double Fraction() {
    constexpr double kFractions[] = {0, 0.5, 1, 7.5, 1e-5, -1, 1e300, INFINITY, NAN};
    return kFractions[Below(static_cast<int>(std::size(kFractions)))];
  }

  void Change(Message& message, int depth) {
    const auto& descriptor = *message.GetDescriptor();
    if (descriptor.field_count() == 0) return;
    const FieldDescriptor& field = *descriptor.field(Below(descriptor.field_count()));
    const Reflection& reflection = *message.GetReflection();
    if (field.is_repeated()) return ChangeRepeated(message, field, depth);
    if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      if (depth >= kMaxDepth || Below(8) == 0) return reflection.ClearField(&message, &field);
      return Change(*reflection.MutableMessage(&message, &field), depth + 1);
    }
    if (Below(8) == 0) return reflection.ClearField(&message, &field);
    Set(message, field);
  }

  void ChangeRepeated(Message& message, const FieldDescriptor& field, int depth) {
    const Reflection& reflection = *message.GetReflection();
    const int size = reflection.FieldSize(message, &field);
    if (size > 0 && Below(4) == 0) return reflection.RemoveLast(&message, &field);
    if (size > 8) return;
    if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      if (depth >= kMaxDepth) return;
      Message& element = size > 0 && Below(2) == 0
                             ? *reflection.MutableRepeatedMessage(&message, &field, Below(size))
                             : *reflection.AddMessage(&message, &field);
      return Change(element, depth + 1);
    }
    if (field.cpp_type() == FieldDescriptor::CPPTYPE_STRING) {
      reflection.AddString(&message, &field, Word());
    } else if (field.cpp_type() == FieldDescriptor::CPPTYPE_ENUM) {
      reflection.AddEnumValue(&message, &field, Below(8));
    }
  }

  void Set(Message& message, const FieldDescriptor& field) {
    const Reflection& reflection = *message.GetReflection();
    switch (field.cpp_type()) {
      case FieldDescriptor::CPPTYPE_BOOL:
        return reflection.SetBool(&message, &field, Below(2) == 0);
      case FieldDescriptor::CPPTYPE_INT32:
        return reflection.SetInt32(&message, &field, static_cast<int32_t>(Number()));
      case FieldDescriptor::CPPTYPE_INT64:
        return reflection.SetInt64(&message, &field, Number());
      case FieldDescriptor::CPPTYPE_UINT32:
        return reflection.SetUInt32(&message, &field, static_cast<uint32_t>(Number()));
      case FieldDescriptor::CPPTYPE_UINT64:
        return reflection.SetUInt64(&message, &field, static_cast<uint64_t>(Number()));
      case FieldDescriptor::CPPTYPE_FLOAT:
        return reflection.SetFloat(&message, &field, static_cast<float>(Fraction()));
      case FieldDescriptor::CPPTYPE_DOUBLE:
        return reflection.SetDouble(&message, &field, Fraction());
      case FieldDescriptor::CPPTYPE_ENUM:
        return reflection.SetEnumValue(&message, &field, Below(8));
      case FieldDescriptor::CPPTYPE_STRING:
        return reflection.SetString(&message, &field, Word());
      case FieldDescriptor::CPPTYPE_MESSAGE:
        return;
    }
  }

  std::mt19937 random_;
};

}  // namespace
}  // namespace likeness::fuzz

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size,
                                          unsigned seed) {
  auto steps = likeness::fuzz::ReadSteps(likeness::fuzz::Text(data, size));
  likeness::fuzz::Mutator(seed).Mutate(steps);
  const std::string bytes = likeness::fuzz::WriteSteps(steps);
  if (bytes.size() > max_size) return size;
  std::copy(bytes.begin(), bytes.end(), data);
  return bytes.size();
}
