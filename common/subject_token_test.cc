#include "common/subject_token.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace likeness {
namespace {

TEST(SubjectTokenTest, OneWordStandsForASubject) {
  for (const char* token : {"sks", "zwx-2", "<new1>", "ö", "*"})
    EXPECT_TRUE(IsToken(token)) << token;
  for (const std::string& token :
       {std::string(), std::string("a b"), std::string("a\tb"), std::string("{subject}"),
        std::string("a\nb"), std::string("a\x1b[31m"), std::string("\xff"), std::string(65, 'w')}) {
    EXPECT_FALSE(IsToken(token)) << token;
  }
}

TEST(SubjectTokenTest, WhatIsWrongIsSaidWithWhatIsAllowed) {
  EXPECT_EQ(TokenError(""), "is empty; one word is allowed");
  EXPECT_EQ(TokenError("a b"), "is \"a b\"; one word, without spaces, is allowed");
  EXPECT_THAT(*TokenError("{class}"),
              testing::HasSubstr("is \"{class}\"; one word is allowed, without braces"));
}

}  // namespace
}  // namespace likeness
