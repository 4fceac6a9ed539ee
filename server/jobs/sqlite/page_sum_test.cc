#include "server/jobs/sqlite/page_sum.h"

#include <cstring>
#include <random>
#include <vector>

#include "gtest/gtest.h"

namespace likeness::server {
namespace {

// As https://www.sqlite.org/fileformat2.html#walformat has it.
Sum AsDescribed(Sum sum, const std::vector<unsigned char>& bytes, int size, bool big_endian) {
  for (int i = 0; i < size; i += 8) {
    uint32_t words[2];
    std::memcpy(words, bytes.data() + i, sizeof(words));
    if (big_endian) words[0] = BigEndian(&bytes[i]), words[1] = BigEndian(&bytes[i + 4]);
    sum.first += words[0] + sum.second;
    sum.second += words[1] + sum.first;
  }
  return sum;
}

TEST(PageSumTest, IsTheSumOfTheFileFormatWhateverIsAddedAtOnce) {
  std::mt19937 random(1);
  std::vector<unsigned char> bytes(65'536);
  for (unsigned char& byte : bytes) byte = static_cast<unsigned char>(random());
  Sum sum;
  Sum expected;
  for (const int size : {8, 32, 40, 504, 512, 4088, 4096, 65'528, 65'536, 0}) {
    for (const bool big_endian : {false, true}) {
      sum.Add(bytes.data(), size, big_endian);
      expected = AsDescribed(expected, bytes, size, big_endian);
      EXPECT_EQ(sum, expected) << size << " " << big_endian;
    }
  }
}

}  // namespace
}  // namespace likeness::server
