#include "runtime/tokenizer/Utf8.h"
#include "test/unit/format/TestSupport.h"

using namespace qlr;
using namespace qlr::test;

namespace {

/// One call with everything.
std::string whole(std::string_view bytes) {
  Utf8Stream stream;
  std::string text = stream.push(bytes);
  return text + stream.finish();
}

TEST(Utf8, ReplacesMaximalSubparts) {
  const std::string r = "\xef\xbf\xbd";
  EXPECT_EQ(whole("a\xc3\xa9\xe4\xbd\xa0\xf0\x9f\x98\x80"), "a\xc3\xa9\xe4\xbd\xa0\xf0\x9f\x98\x80");
  EXPECT_EQ(whole("\x80x"), r + "x");
  EXPECT_EQ(whole("\xc0\xafx"), r + r + "x");              // overlong
  EXPECT_EQ(whole("\xed\xa0\x80"), r + r + r);             // a surrogate
  EXPECT_EQ(whole("\xe2\x82z"), r + "z");                  // cut short: one for the two bytes
  EXPECT_EQ(whole("\xf0\x9f\x98"), r);                     // incomplete at the end
  EXPECT_EQ(whole("\xf4\x90\x80\x80"), r + r + r + r);     // past U+10FFFF
  EXPECT_EQ(whole("\xf1\x80\x80\xe1\x80\xc2"), r + r + r); // Unicode 15, table 3-11
  EXPECT_EQ(whole("\xff\xfe"), r + r);
}

TEST(Utf8, StreamsDoNotDependOnTheCuts) {
  std::mt19937 random(4);
  for (int round = 0; round < 2000; ++round) {
    std::string bytes;
    for (unsigned i = 0, n = random() % 12; i < n; ++i) {
      const char *parts[] = {"a", "\xc3", "\xa9", "\xe4\xbd\xa0", "\xe4", "\xf0\x9f\x98\x80", "\xf0\x9f", "\xff"};
      bytes += parts[random() % 8];
    }
    std::string expected = whole(bytes), text;
    Utf8Stream stream;
    for (size_t i = 0; i < bytes.size();) {
      size_t n = 1 + random() % 3;
      std::string part = stream.push(std::string_view(bytes).substr(i, n));
      EXPECT_EQ(findInvalidUtf8(part), std::string_view::npos);
      text += part;
      i += n;
    }
    EXPECT_EQ(text + stream.finish(), expected);
  }
}

TEST(Utf8, FindsInvalidBytes) {
  EXPECT_EQ(findInvalidUtf8("abc"), std::string_view::npos);
  EXPECT_EQ(findInvalidUtf8("ab\xc3"), 2u);
  EXPECT_EQ(findInvalidUtf8("\xe4\xbd\xa0\x80"), 3u);
}

TEST(Utf8, Nfc) {
  EXPECT_EQ(normalizeNfc("plain"), "plain");
  EXPECT_EQ(normalizeNfc("e\xcc\x81"), "\xc3\xa9");
  EXPECT_EQ(normalizeNfc("\xe1\x84\x92\xe1\x85\xa1\xe1\x86\xab"), "\xed\x95\x9c"); // Hangul
  EXPECT_EQ(normalizeNfc("\xe2\x84\xab"), "\xc3\x85");                             // the Angstrom sign
  EXPECT_EQ(normalizeNfc("\xef\xac\x81"), "\xef\xac\x81");                         // a ligature is not canonical
  EXPECT_EQ(normalizeNfc(std::string("e\xcc\x81\0z", 5)), std::string("\xc3\xa9\0z", 4));
  // U+0334 (class 1) goes before U+0301 (class 230), but not across U+0D3C, which Unicode 9 does not know.
  EXPECT_EQ(normalizeNfc("x\xcc\x81\xcc\xb4"), "x\xcc\xb4\xcc\x81");
  EXPECT_EQ(normalizeNfc("x\xcc\x81\xe0\xb4\xbc\xcc\xb4"), "x\xcc\x81\xe0\xb4\xbc\xcc\xb4");
  for (uint32_t c : {0x41u, 0xe9u, 0x20acu, 0x1f600u}) {
    std::string text;
    appendUtf8(text, c);
    EXPECT_EQ(findInvalidUtf8(text), std::string_view::npos);
    EXPECT_EQ(utf8Length(static_cast<unsigned char>(text[0])), text.size());
  }
}

} // namespace
