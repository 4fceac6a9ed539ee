#include "worker/tokenizers/unicode_text.h"

#include <gtest/gtest.h>

#include "worker/base/error.h"

namespace likeness {
namespace {

std::string Nfc(std::string_view text) { return EncodeUtf8(NormalizeNfc(DecodeUtf8(text))); }
std::string Lower(std::string_view text) { return EncodeUtf8(ToLower(DecodeUtf8(text))); }

TEST(UnicodeTextTest, Utf8ComesBackAsItWas) {
  for (std::string text :
       {"", "a", "\u00e9", "\u20ac", "\U0001F436", "\u07ff\u0800\uffff\U00010000"}) {
    EXPECT_EQ(EncodeUtf8(DecodeUtf8(text)), text);
  }
}

TEST(UnicodeTextTest, BytesThatAreNotUtf8AreRefused) {
  const std::string_view cases[] = {"\xff",
                                    "\x80",
                                    "a\xc3",
                                    "\xc0\xaf",
                                    "\xe0\x80\x80",
                                    "\xed\xa0\x80",
                                    "\xf4\x90\x80\x80",
                                    "\xf0\x9f\x90",
                                    "\xc3("};
  for (auto bytes : cases) {
    try {
      DecodeUtf8(bytes);
      ADD_FAILURE() << "taken";
    } catch (const Error& e) {
      EXPECT_EQ(e.kind(), ErrorKind::kInvalidArgument);
    }
  }
}

TEST(UnicodeTextTest, LowerCaseIsCharacterByCharacter) {
  EXPECT_EQ(Lower("DOG \u00c9\u0416\u03a3"), "dog \u00e9\u0436\u03c3");
  EXPECT_EQ(Lower("\u0130"), "i\u0307") << "the one character that becomes two";
  EXPECT_EQ(Lower("\u0101\u0100\u1e9e\u10a0"), "\u0101\u0101\u00df\u2d00");
}

TEST(UnicodeTextTest, NfcComposesReordersAndExcludes) {
  EXPECT_EQ(Nfc("e\u0301"), "\u00e9");
  EXPECT_EQ(Nfc("a\u0301\u0323"), "\u1ea1\u0301") << "the dot below goes first";
  EXPECT_EQ(Nfc("a\u0301\u0301"), "\u00e1\u0301") << "the second mark is blocked";
  EXPECT_EQ(Nfc("\u1112\u1161\u11ab"), "\ud55c") << "Hangul";
  EXPECT_EQ(Nfc("\ud558\u11ab"), "\ud55c");
  EXPECT_EQ(Nfc("\u212b"), "\u00c5") << "a singleton";
  EXPECT_EQ(Nfc("\u0958"), "\u0915\u093c") << "excluded from composition";
  EXPECT_EQ(Nfc("\u0301"), "\u0301") << "a mark with nothing before it";
}

TEST(UnicodeTextTest, KnowsLettersNumbersAndSpaces) {
  EXPECT_TRUE(IsLetter(U'\u4e2d') && IsLetter(U'\u00aa') && !IsLetter(U'1') &&
              !IsLetter(U'\u0301'));
  EXPECT_TRUE(IsNumber(U'7') && IsNumber(U'\u00bd') && IsNumber(U'\u2167') && !IsNumber(U'a'));
  EXPECT_TRUE(IsSpace(U'\u00a0') && IsSpace(U'\u3000') && IsSpace(U'\x85') && !IsSpace(U'\x1f'));
}

}  // namespace
}  // namespace likeness
