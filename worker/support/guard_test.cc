#include "worker/support/guard.h"

#include <gtest/gtest.h>
#include <torch/torch.h>

#include <cerrno>
#include <filesystem>
#include <functional>
#include <new>
#include <system_error>
#include <vector>

#include "common/rpc_error.h"
#include "worker/base/error.h"

namespace likeness {
namespace {

absl::Status Thrown(const std::function<void()>& body) { return Guard(body); }

TEST(GuardTest, PassesSuccess) {
  EXPECT_TRUE(Guard([] {}).ok());
}

TEST(GuardTest, KeepsKindAndMessageOfAnEngineError) {
  const auto status = Thrown(
      [] { throw Error(ErrorKind::kFailedPrecondition, "unet: conv_in.weight is missing"); });
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(status.message(), "unet: conv_in.weight is missing");
  EXPECT_FALSE(IsRetryable(status));
}

TEST(GuardTest, OutOfMemoryIsExhaustedAndWorthAnotherTry) {
  for (const auto& body : std::vector<std::function<void()>>{
           [] {
             throw c10::OutOfMemoryError({__func__, __FILE__, __LINE__}, "CUDA out of memory");
           },
           [] { throw std::bad_alloc(); },
           [] { torch::empty({int64_t{1} << 50}, torch::kUInt8); }}) {
    const auto status = Thrown(body);
    EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
    EXPECT_EQ(ErrorReason(status), "OUT_OF_MEMORY");
    EXPECT_TRUE(IsRetryable(status));
  }
}

TEST(GuardTest, AFullDiskIsNamedWithoutThePath) {
  const auto status = Thrown([] {
    throw std::filesystem::filesystem_error("copy", "/secret/place",
                                            std::make_error_code(std::errc::no_space_on_device));
  });
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(ErrorReason(status), "DISK_FULL");
  EXPECT_EQ(status.message().find("secret"), std::string::npos);
}

TEST(GuardTest, AFullDiskOrQuotaHasOneReasonWhoeverMetIt) {
  for (const int full : {ENOSPC, EDQUOT}) {
    for (const auto& body : std::vector<std::function<void()>>{
             [&] { throw WriteError("writing 0000.png", full); },
             [&] { throw std::system_error(full, std::generic_category()); }}) {
      const auto status = Thrown(body);
      EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
      EXPECT_EQ(ErrorReason(status), "DISK_FULL") << status;
      EXPECT_TRUE(IsRetryable(status));
    }
  }
  EXPECT_EQ(Thrown([] { throw WriteError("writing 0000.png", EACCES); }).code(),
            absl::StatusCode::kInternal);
}

TEST(GuardTest, ADefectOfTheEngineIsInternalWithoutItsStackTrace) {
  const auto status = Thrown([] { torch::ones({2, 3}).mm(torch::ones({2, 3})); });
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
  EXPECT_EQ(status.message().find('\n'), std::string::npos);
  EXPECT_TRUE(IsRetryable(status));
}

TEST(GuardTest, ALibrarysOwnTextGoesToTheLogAlone) {
  testing::internal::CaptureStderr();
  const auto status = Thrown([] {
    TORCH_WARN("a warning of LibTorch");
    throw std::runtime_error("[json.exception.type_error.302] type must be string");
  });
  const std::string logged = testing::internal::GetCapturedStderr();
  EXPECT_EQ(ErrorReason(status), "WORKER_DEFECT");
  EXPECT_EQ(status.message().find("json.exception"), std::string::npos);
  EXPECT_NE(logged.find("[json.exception.type_error.302]"), std::string::npos);
  EXPECT_NE(logged.find("library=libtorch"), std::string::npos) << logged;
}

TEST(GuardTest, AStatusComesThroughUnchanged) {
  const auto thrown =
      InvalidField("job.fine_tune.subjects[0].token", "too long", "TOKEN_NOT_SINGLE");
  EXPECT_EQ(Thrown([&] { ThrowIfError(thrown); }), thrown);
  EXPECT_EQ(ValueOrThrow<int>(3), 3);
}

TEST(GuardTest, WhatIsWrongInTheRequestStaysWrong) {
  EXPECT_FALSE(IsRetryable(absl::InvalidArgumentError("")));
  EXPECT_FALSE(IsRetryable(absl::NotFoundError("")));
  EXPECT_TRUE(IsRetryable(absl::UnavailableError("")));
  EXPECT_TRUE(IsRetryable(absl::DataLossError("")));
}

}  // namespace
}  // namespace likeness
