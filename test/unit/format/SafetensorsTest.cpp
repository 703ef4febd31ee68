#include "runtime/format/Safetensors.h"
#include "test/unit/format/TestSupport.h"

#include <cstring>

using namespace qlr;
using namespace qlr::test;

namespace {

/// A file of that header and so many bytes of data.
std::string image(const std::string &header, size_t dataBytes, uint64_t length = UINT64_MAX) {
  if (length == UINT64_MAX)
    length = header.size();
  std::string result(8, '\0');
  std::memcpy(result.data(), &length, 8);
  return result + header + std::string(dataBytes, '\x07');
}

std::string refusal(const std::string &bytes) {
  return errorOf([&] { SafetensorsFile::view(asBytes(bytes), "x.safetensors"); });
}

std::string tensor(const std::string &dtype, const std::string &shape, const std::string &offsets) {
  return "{\"a.b\":{\"dtype\":" + dtype + ",\"shape\":" + shape + ",\"data_offsets\":" + offsets + "}}";
}

std::string quoted(std::string text) { return text.insert(0, 1, '"').append(1, '"'); }

TEST(Safetensors, Minimal) {
  std::string bytes = image(tensor("\"F32\"", "[2,2]", "[0,16]"), 16);
  SafetensorsFile file = SafetensorsFile::view(asBytes(bytes), "x");
  EXPECT_EQ(file.tensors().size(), 1u);
  const TensorInfo &info = file.info("a.b");
  EXPECT_EQ(info.dtype, DType::F32);
  EXPECT_EQ(info.shape, (std::vector<uint64_t>{2, 2}));
  EXPECT_EQ(info.elements(), 4u);
  EXPECT_EQ(file.data("a.b").size(), 16u);
  EXPECT_FALSE(file.has("a"));
  expectContains(errorOf([&] { file.info("a"); }), "x: a: found no such tensor");
}

TEST(Safetensors, ScalarsEmptyTensorsAndPaddingLoad) {
  std::string header = R"({"__metadata__":{"k":"v"},"s":{"dtype":"I64","shape":[],"data_offsets":[0,8]},)"
                       R"("e":{"dtype":"BF16","shape":[3,0],"data_offsets":[8,8]},)"
                       R"("b":{"dtype":"BOOL","shape":[1],"data_offsets":[8,9]}}   )";
  std::string bytes = image(header, 9);
  SafetensorsFile file = SafetensorsFile::view(asBytes(bytes), "x");
  EXPECT_EQ(file.metadata().at("k"), "v");
  EXPECT_EQ(file.info("s").elements(), 1u);
  EXPECT_EQ(file.info("e").bytes(), 0u);
  EXPECT_TRUE(SafetensorsFile::view(asBytes(image("{}", 0)), "x").tensors().empty());
  // The product of the extents is what counts: this one is empty.
  bytes = image(tensor("\"F32\"", "[4611686018427387904,0]", "[0,0]"), 0);
  EXPECT_EQ(SafetensorsFile::view(asBytes(bytes), "x").info("a.b").bytes(), 0u);
}

TEST(Safetensors, EveryDtypeHasItsSize) {
  const std::pair<const char *, unsigned> sizes[] = {
      {"BOOL", 1}, {"U8", 1},  {"I8", 1},  {"F8_E5M2", 1}, {"F8_E4M3", 1}, {"F8_E8M0", 1},
      {"I16", 2},  {"U16", 2}, {"F16", 2}, {"BF16", 2},    {"I32", 4},     {"U32", 4},
      {"F32", 4},  {"C64", 8}, {"F64", 8}, {"I64", 8},     {"U64", 8}};
  for (auto [name, size] : sizes) {
    std::string total = std::to_string(3 * size);
    std::string bytes = image(tensor(quoted(name), "[3]", "[0," + total + "]"), 3 * size);
    SafetensorsFile file = SafetensorsFile::view(asBytes(bytes), "x");
    EXPECT_STREQ(dtypeName(file.info("a.b").dtype), name);
    EXPECT_EQ(dtypeSize(file.info("a.b").dtype), size);
  }
}

TEST(Safetensors, Refusals) {
  struct Case {
    std::string bytes, part;
  } cases[] = {
      {"", "0 bytes"},
      {"1234567", "7 bytes"},
      {image("{}", 0, 3), "header of 3 bytes"},
      {image("{}", 0, 100'000'001), "100000001"},
      {image("{}", 0, UINT64_MAX - 7), "header of 18446744073709551608"},
      {image("", 0), "does not start with {"},
      {image(" {}", 0), "does not start with {"},
      {image("[]", 0), "does not start with {"},
      {image("{} x", 0), "JSON"},
      {image("{", 0), "JSON"},
      {image("{\"\xff\":1}", 0), "JSON"},
      {image("{\"a\":1,}", 0), "JSON"},
      {image("{/**/}", 0), "JSON"},
      {image(R"({"a":[[[[[[[[[]]]]]]]]]})", 0), "nested deeper"},
      {image(R"({"__metadata__":[]})", 0), "__metadata__"},
      {image(R"({"__metadata__":{"a":1}})", 0), "__metadata__.a"},
      {image(R"({"__metadata__":{"a":"1","a":"2"}})", 0), "twice"},
      {image(R"({"a":1})", 0), "x.safetensors: a: found 1"},
      {image(R"({"a":{"shape":[],"data_offsets":[0,0]}})", 0), "no dtype"},
      {image(R"({"a":{"dtype":"U8","data_offsets":[0,0]}})", 0), "no shape"},
      {image(R"({"a":{"dtype":"U8","shape":[0]}})", 0), "no data_offsets"},
      {image(tensor("\"F33\"", "[1]", "[0,4]"), 4), "F33"},
      {image(tensor("3", "[1]", "[0,4]"), 4), "dtype 3"},
      {image(tensor("\"U8\"", "4", "[0,4]"), 4), "shape 4"},
      {image(tensor("\"U8\"", "[-4]", "[0,4]"), 4), "shape with -4"},
      {image(tensor("\"U8\"", "[4.0]", "[0,4]"), 4), "shape with 4.0"},
      {image(tensor("\"U8\"", "[\"4\"]", "[0,4]"), 4), "shape with"},
      {image(tensor("\"U8\"", "[18446744073709551616]", "[0,4]"), 4), "shape with"},
      {image(tensor("\"F32\"", "[4611686018427387904,4]", "[0,16]"), 16), "overflows"},
      {image(tensor("\"F32\"", "[4611686018427387904]", "[0,0]"), 0), "overflows"},
      {image(tensor("\"F32\"", "[4294967296,4294967296]", "[0,0]"), 0), "overflows"},
      {image(tensor("\"F32\"", "[4294967296,4294967296,0]", "[0,0]"), 0), "overflows"},
      {image(tensor("\"U8\"", "[4]", "[0]"), 4), "data_offsets [0]"},
      {image(tensor("\"U8\"", "[4]", "[0,4,4]"), 4), "data_offsets [0,4,4]"},
      {image(tensor("\"U8\"", "[4]", "{}"), 4), "data_offsets"},
      {image(tensor("\"U8\"", "[4]", "[0.0,4]"), 4), "data_offsets"},
      {image(tensor("\"U8\"", "[4]", "[-4,0]"), 4), "data_offsets"},
      {image(tensor("\"U8\"", "[4]", "[4,0]"), 4), "data_offsets [4,0]"},
      {image(tensor("\"U8\"", "[5]", "[0,4]"), 4), "4 bytes by data_offsets, expected 5"},
      {image(tensor("\"U8\"", "[4]", "[1,5]"), 5), "from byte 1"},
      {image(tensor("\"U8\"", "[4]", "[0,4]"), 3), "3 bytes of data, expected 4"},
      {image(tensor("\"U8\"", "[4]", "[0,4]"), 5), "5 bytes of data, expected 4"},
      {image(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],)"
             R"("data_offsets":[0,1]}})",
             1),
       "twice"},
      {image(R"({"a":{"dtype":"U8","dtype":"I8","shape":[1],"data_offsets":[0,1]}})", 1), "twice"},
      {image(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],)"
             R"("data_offsets":[1,3]}})",
             3),
       "from byte 1"},
      {image(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],)"
             R"("data_offsets":[3,5]}})",
             5),
       "from byte 3"},
      {"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "git lfs"},
      {"\n<!DOCTYPE html><html>", "HTML"},
      {"<html><head>", "HTML"},
  };
  for (const Case &c : cases) {
    std::string message = refusal(c.bytes);
    expectContains(message, "x.safetensors");
    expectContains(message, c.part);
  }
}

TEST(Safetensors, EveryTruncationIsRefused) {
  std::string bytes = image(tensor("\"F32\"", "[2,2]", "[0,16]"), 16);
  for (size_t size = 0; size < bytes.size(); ++size)
    EXPECT_THROW(SafetensorsFile::view(asBytes(bytes).first(size), "x"), Error) << size;
}

TEST(Safetensors, SharedFixtures) {
  QLR_NEED_SHARED(folder, "data/negative_fixtures/safetensors");
  int good = 0, bad = 0;
  for (const auto &entry : std::filesystem::directory_iterator(folder)) {
    std::string name = entry.path().filename().string();
    if (name.starts_with("ok_")) {
      ++good;
      EXPECT_NO_THROW(SafetensorsFile::open(entry.path().string())) << name;
    } else {
      ++bad;
      expectContains(errorOf([&] { SafetensorsFile::open(entry.path().string()); }), name);
    }
  }
  EXPECT_GE(good, 3);
  EXPECT_GE(bad, 18);
}

TEST(Safetensors, SharedImpostors) {
  QLR_NEED_SHARED(folder, "data/negative_fixtures");
  expectContains(errorOf([&] { SafetensorsFile::open(folder + "/lfs_pointer.model.safetensors"); }), "git lfs pull");
  expectContains(errorOf([&] { SafetensorsFile::open(folder + "/html_login_page.model.safetensors"); }), "HTML page");
}

TEST(Safetensors, MissingFileAndDirectory) {
  TempDir dir;
  expectContains(errorOf([&] { SafetensorsFile::open(dir / "none"); }), "No such file");
  expectContains(errorOf([&] { SafetensorsFile::open(dir.path()); }), "directory");
}

TEST(SafetensorsWriter, RoundTrip) {
  TempDir dir;
  std::string path = dir / "a.safetensors";
  SafetensorsWriter writer(path);
  EXPECT_EQ(writer.declare("z \"quoted\" \xc3\xa9", DType::F16, {3}), 0u);
  EXPECT_EQ(writer.declare("empty", DType::U8, {0, 5}), 6u);
  EXPECT_EQ(writer.declare("a", DType::U8, {2, 2}), 6u);
  writer.setMetadata("note", "0000");
  writer.begin();
  writer.write(asBytes("abcde"));
  writer.write(asBytes("f1234")); // over a tensor's end
  writer.setMetadata("note", "done");
  EXPECT_THROW(writer.setMetadata("note", std::string(100, 'x')), Error);
  writer.setMetadata("note", "done");
  EXPECT_FALSE(fileExists(path)) << "no file before finish()";
  writer.finish();

  SafetensorsFile file = SafetensorsFile::open(path);
  EXPECT_EQ(file.metadata().at("note"), "done");
  EXPECT_EQ((file.header().size() + 8) % 64, 0u);
  EXPECT_EQ(std::memcmp(file.data("a").data(), "1234", 4), 0);
  EXPECT_EQ(std::memcmp(file.data("z \"quoted\" \xc3\xa9").data(), "abcdef", 6), 0);
  EXPECT_EQ(writer.hashes().at("a"), xxh64Hex(asBytes("1234")));
  EXPECT_EQ(writer.hashes().at("empty"), xxh64Hex({}));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(dir.path()), {}), 1);
}

TEST(SafetensorsWriter, UnfinishedLeavesNothing) {
  TempDir dir;
  {
    SafetensorsWriter writer(dir / "a.safetensors");
    writer.declare("a", DType::F32, {2});
    writer.begin();
    writer.write(asBytes("1234"));
    expectContains(errorOf([&] { writer.finish(); }), "4 bytes written, expected 8");
    EXPECT_THROW(writer.write(asBytes("12345")), Error);
  }
  EXPECT_TRUE(std::filesystem::is_empty(dir.path()));
  expectContains(errorOf([] {
                   SafetensorsWriter writer("/nonexistent/a");
                   writer.begin();
                 }),
                 "/nonexistent/a");
}

TEST(SafetensorsWriter, RefusesBadDeclarations) {
  TempDir dir;
  SafetensorsWriter writer(dir / "a");
  writer.declare("a", DType::U8, {1});
  EXPECT_THROW(writer.declare("a", DType::U8, {1}), Error);
  EXPECT_THROW(writer.declare("__metadata__", DType::U8, {1}), Error);
  EXPECT_THROW(writer.declare("b", DType::F32, {1ull << 62, 4}), Error);
}

} // namespace
