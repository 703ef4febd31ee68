#include "runtime/format/Checkpoint.h"
#include "test/unit/format/TestSupport.h"

using namespace qlr;
using namespace qlr::test;

namespace {

struct Entry {
  std::string name;
  DType dtype;
  std::string bytes;
};

void writeShard(const std::string &path, const std::vector<Entry> &entries, const std::string &unit = "") {
  SafetensorsWriter writer(path);
  for (const Entry &entry : entries)
    writer.declare(entry.name, entry.dtype, {entry.bytes.size() / dtypeSize(entry.dtype)});
  if (!unit.empty())
    writer.setMetadata("levels.trellis2.unit", unit);
  writer.begin();
  for (const Entry &entry : entries)
    writer.write(asBytes(entry.bytes));
  writer.finish();
}

constexpr const char *indexText =
    R"({"metadata":{"total_size":3},"weight_map":{"a":"m-1.safetensors","b":"m-2.safetensors"}})";

TEST(Checkpoint, Single) {
  TempDir dir;
  writeShard(dir / "model.safetensors", {{"a", DType::U8, "x"}, {"b", DType::U8, "yz"}}, "0.25");
  Checkpoint checkpoint = Checkpoint::open(dir.path());
  EXPECT_EQ(checkpoint.names(), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(checkpoint.data("b").size(), 2u);
  EXPECT_EQ(checkpoint.metadata("levels.trellis2.unit"), "0.25");
  EXPECT_FALSE(checkpoint.metadata("other"));
  expectContains(errorOf([&] { checkpoint.info("c"); }), ": c: found no such tensor");
  EXPECT_NO_THROW(checkpoint.require("b", DType::U8, {2}));
  expectContains(errorOf([&] { checkpoint.require("b", DType::F16, {1, 2}); }), "found U8 [2], expected F16 [1, 2]");
}

TEST(Checkpoint, Sharded) {
  TempDir dir;
  writeShard(dir / "m-1.safetensors", {{"a", DType::U8, "x"}});
  writeShard(dir / "m-2.safetensors", {{"b", DType::U8, "yz"}});
  writeFile(dir / "model.safetensors.index.json", indexText);
  Checkpoint checkpoint = Checkpoint::open(dir.path());
  EXPECT_EQ(checkpoint.files().size(), 2u);
  EXPECT_EQ(static_cast<char>(checkpoint.data("a")[0]), 'x');
  EXPECT_EQ(static_cast<char>(checkpoint.data("b")[1]), 'z');
}

TEST(Checkpoint, DistinctErrors) {
  TempDir dir;
  auto message = [&] { return errorOf([&] { Checkpoint::open(dir.path()); }); };
  expectContains(message(), "no weights");
  writeFile(dir / "model.safetensors.index.json", indexText);
  writeShard(dir / "m-1.safetensors", {{"a", DType::U8, "x"}});
  expectContains(message(), "1 of 2 shards missing: m-2.safetensors");
  writeShard(dir / "m-2.safetensors", {{"c", DType::U8, "yz"}});
  expectContains(message(), "b: found it is not in m-2.safetensors");
  writeShard(dir / "m-2.safetensors", {{"b", DType::U8, "yz"}, {"c", DType::U8, ""}});
  expectContains(message(), "the index is stale");
  writeShard(dir / "m-2.safetensors", {{"b", DType::U8, "yz"}});
  writeShard(dir / "model.safetensors", {{"a", DType::U8, "x"}});
  expectContains(message(), "both model.safetensors and an index");
}

TEST(Checkpoint, BadIndexes) {
  TempDir dir;
  std::string path = dir / "model.safetensors.index.json";
  auto message = [&](const std::string &text) {
    writeFile(path, text);
    return errorOf([&] { Checkpoint::open(dir.path()); });
  };
  expectContains(message("{}"), "weight_map");
  expectContains(message(R"({"weight_map":{}})"), "weight_map");
  expectContains(message(R"({"weight_map":{"a":1}})"), "a: found 1");
  expectContains(message(R"({"weight_map":{"a":"../x.safetensors"}})"), "same directory");
  expectContains(message(R"({"weight_map":{"a":"/etc/passwd"}})"), "same directory");
  expectContains(message(R"({"weight_map":{"a":"s","a":"t"}})"), "twice");
  expectContains(message("version https://git-lfs.github.com/spec/v1\n"), "git lfs pull");
}

TEST(Checkpoint, MetadataOfShardsMustAgree) {
  TempDir dir;
  writeFile(dir / "model.safetensors.index.json", indexText);
  writeShard(dir / "m-1.safetensors", {{"a", DType::U8, "x"}}, "0.25");
  writeShard(dir / "m-2.safetensors", {{"b", DType::U8, "yz"}}, "0.5");
  Checkpoint checkpoint = Checkpoint::open(dir.path());
  expectContains(errorOf([&] { checkpoint.metadata("levels.trellis2.unit"); }), "found 0.5, expected 0.25");
}

TEST(Checkpoint, Floats) {
  TempDir dir;
  using namespace std::string_literals;
  writeShard(dir / "model.safetensors", {{"odd", DType::U8, "?"},
                                         {"h", DType::F16, "\x00\x3c\x00\xc0"s},
                                         {"b", DType::BF16, "\x80\x3f\x00\xc0"s},
                                         {"f", DType::F32, "\x00\x00\x80\x3f\x00\x00\x00\xc0"s}});
  Checkpoint checkpoint = Checkpoint::open(dir.path());
  for (const char *name : {"h", "b", "f"})
    EXPECT_EQ(checkpoint.floats(name), (std::vector<float>{1, -2})) << name;
  expectContains(errorOf([&] { checkpoint.floats("odd"); }), "found U8");
}

TEST(Checkpoint, SharedModels) {
  QLR_NEED_SHARED(folder, "data/stories260K/qwen2_layout");
  Checkpoint checkpoint = Checkpoint::open(folder);
  EXPECT_EQ(checkpoint.info("model.embed_tokens.weight").shape, (std::vector<uint64_t>{512, 64}));
  EXPECT_FALSE(checkpoint.has("lm_head.weight"));
}

} // namespace
