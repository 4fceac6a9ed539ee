#include "worker/jobs/faces.h"

#include <gtest/gtest.h>

namespace likeness {
namespace {

TEST(IsPerson, TheLastWordSaysWhatItIs) {
  for (const char* noun : {"woman", "Man", "old man", "baby"}) EXPECT_TRUE(IsPerson(noun)) << noun;
  for (const char* noun : {"dog", "man cave", "", "statue of a saint"}) {
    EXPECT_FALSE(IsPerson(noun)) << noun;
  }
}

}  // namespace
}  // namespace likeness
