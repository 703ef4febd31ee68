// Shuffles, votes, reductions and special registers against the rules of the PTX manual.
#include "test/unit/emulator/EmulatorFixture.h"

#include <bit>

using namespace qlr;
using namespace qlr::test;

namespace {

std::vector<uint32_t> lanes(size_t count = 32) {
  std::vector<uint32_t> result(count);
  for (size_t i = 0; i < count; ++i)
    result[i] = static_cast<uint32_t>(i * 1000 + 7);
  return result;
}

struct Mode {
  const char *name;
  /// The lane that `lane` reads, or -1 when that is outside its segment of `width` lanes.
  int (*source)(int lane, int b, int width);
  bool clampsAtZero; // up
};

const Mode kModes[] = {
    {"idx", [](int lane, int b, int width) { return lane / width * width + b % width; }, false},
    {"up", [](int lane, int b, int width) { return lane % width < b ? -1 : lane - b; }, true},
    {"down", [](int lane, int b, int width) { return lane % width + b >= width ? -1 : lane + b; }, false},
    {"bfly", [](int lane, int b, int width) { return (lane ^ b) / width != lane / width ? -1 : lane ^ b; }, false},
};

TEST(Warp, Shuffles) {
  const int distances[] = {0, 1, 3, 16, 31};
  for (const Mode &mode : kModes)
    for (int width : {32, 16, 8, 2}) {
      // As __shfl_*_sync encodes a width: segment mask in bits 8-12, clamp in bits 0-4.
      int c = (32 - width) << 8 | (mode.clampsAtZero ? 0 : 31);
      std::string name = "@llvm.nvvm.shfl.sync." + std::string(mode.name) + ".i32p", code;
      for (size_t i = 0; i < std::size(distances); ++i) {
        std::string n = std::to_string(i), value = std::to_string(2 * i), flag = std::to_string(2 * i + 1);
        code += "  %r" + n + " = call {i32, i1} " + name + "(i32 -1, i32 %x0, i32 " + std::to_string(distances[i]) +
                ", i32 " + std::to_string(c) + ")\n  %y" + value + " = extractvalue {i32, i1} %r" + n + ", 0\n  %p" +
                n + " = extractvalue {i32, i1} %r" + n + ", 1\n  %y" + flag + " = zext i1 %p" + n + " to i32\n";
      }
      std::vector<uint32_t> out = runPerThread(1, code, 10, lanes());
      for (int lane = 0; lane < 32; ++lane)
        for (size_t i = 0; i < std::size(distances); ++i) {
          int b = distances[i], from = mode.source(lane, b, width);
          // A butterfly may leave its segment downwards: only its upper end is a limit.
          if (std::string(mode.name) == "bfly" && from < 0 && (lane ^ b) < lane)
            from = lane ^ b;
          EXPECT_EQ(out[10 * lane + 2 * i], lanes()[from < 0 ? lane : from]) << mode.name << width << " " << b;
          EXPECT_EQ(out[10 * lane + 2 * i + 1], from >= 0) << mode.name << width << " " << b << " " << lane;
        }
    }
}

TEST(Warp, ShuffleOfFloatsBetweenTheLanesOfAMask) {
  // The upper half rotates by one among itself, the lower one stays.
  std::string code = R"(
  %upper = icmp uge i32 %tid, 16
  br i1 %upper, label %rotate, label %join
rotate:
  %next = add i32 %tid, 1
  %from = or i32 %next, 16
  %f = bitcast i32 %x0 to float
  %g = call float @llvm.nvvm.shfl.sync.idx.f32(i32 -65536, float %f, i32 %from, i32 31)
  %w = bitcast float %g to i32
  br label %join
join:
  %y0 = phi i32 [ %x0, %entry ], [ %w, %rotate ])";
  std::vector<uint32_t> out = runPerThread(1, code, 1, lanes());
  for (uint32_t lane = 0; lane < 32; ++lane)
    EXPECT_EQ(out[lane], lanes()[lane < 16 ? lane : (lane + 1) % 16 + 16]);
}

TEST(Warp, DivergedHalvesMeetAmongThemselves) {
  std::string code = R"(
  %upper = icmp uge i32 %tid, 16
  br i1 %upper, label %a, label %b
a:
  %s = call i32 @llvm.nvvm.redux.sync.add(i32 %x0, i32 -65536)
  br label %join
b:
  %m = call i32 @llvm.nvvm.redux.sync.umax(i32 %x0, i32 65535)
  br label %join
join:
  %y0 = phi i32 [ %s, %a ], [ %m, %b ])";
  std::vector<uint32_t> in = randomWords(32, 1), out = runPerThread(1, code, 1, in);
  uint32_t sum = 0, most = 0;
  for (int lane = 0; lane < 16; ++lane) {
    most = std::max(most, in[lane]);
    sum += in[16 + lane];
  }
  for (int lane = 0; lane < 32; ++lane)
    EXPECT_EQ(out[lane], lane < 16 ? most : sum);
}

TEST(Warp, Votes) {
  for (uint32_t pattern : {0u, 0xffffffffu, 0x00010000u, 0xfffffffeu, 0x12345678u}) {
    std::vector<uint32_t> in(32);
    for (int lane = 0; lane < 32; ++lane)
      in[lane] = pattern >> lane & 1;
    std::string code = "  %p = icmp ne i32 %x0, 0\n"
                       "  %y0 = call i32 @llvm.nvvm.vote.ballot.sync(i32 -1, i1 %p)\n";
    int number = 1;
    for (const char *mode : {"any", "all", "uni"}) {
      std::string n = std::to_string(number++);
      code += "  %v" + n + " = call i1 @llvm.nvvm.vote." + mode + ".sync(i32 -1, i1 %p)\n  %y" + n + " = zext i1 %v" +
              n + " to i32\n";
    }
    std::vector<uint32_t> out = runPerThread(1, code, 4, in);
    for (int lane = 0; lane < 32; ++lane) {
      EXPECT_EQ(out[4 * lane], pattern);
      EXPECT_EQ(out[4 * lane + 1], pattern != 0);
      EXPECT_EQ(out[4 * lane + 2], pattern == 0xffffffff);
      EXPECT_EQ(out[4 * lane + 3], pattern == 0xffffffff || pattern == 0);
    }
  }
}

TEST(Warp, Reductions) {
  std::vector<uint32_t> in = randomWords(32, 2);
  auto fold = [&](auto f) {
    uint32_t result = in[0];
    for (int lane = 1; lane < 32; ++lane)
      result = f(result, in[lane]);
    return result;
  };
  auto asInt = [](uint32_t x) { return static_cast<int32_t>(x); };
  std::vector<std::pair<const char *, uint32_t>> expected = {
      {"add", fold([](uint32_t a, uint32_t b) { return a + b; })},
      {"min", fold([&](uint32_t a, uint32_t b) { return asInt(a) < asInt(b) ? a : b; })},
      {"max", fold([&](uint32_t a, uint32_t b) { return asInt(a) > asInt(b) ? a : b; })},
      {"umin", fold([](uint32_t a, uint32_t b) { return std::min(a, b); })},
      {"umax", fold([](uint32_t a, uint32_t b) { return std::max(a, b); })},
      {"and", fold([](uint32_t a, uint32_t b) { return a & b; })},
      {"or", fold([](uint32_t a, uint32_t b) { return a | b; })},
      {"xor", fold([](uint32_t a, uint32_t b) { return a ^ b; })},
  };
  std::string code;
  for (size_t i = 0; i < expected.size(); ++i)
    code +=
        "  %y" + std::to_string(i) + " = call i32 @llvm.nvvm.redux.sync." + expected[i].first + "(i32 %x0, i32 -1)\n";
  std::vector<uint32_t> out = runPerThread(1, code, 8, in);
  for (size_t i = 0; i < out.size(); ++i)
    EXPECT_EQ(out[i], expected[i % 8].second) << expected[i % 8].first;
}

TEST(Warp, MatchAny) {
  std::vector<uint32_t> in(32);
  for (uint32_t lane = 0; lane < 32; ++lane)
    in[lane] = lane % 5 * 77;
  std::vector<uint32_t> out = runPerThread(1, "  %y0 = call i32 @llvm.nvvm.match.any.sync.i32(i32 -1, i32 %x0)", 1, in);
  for (uint32_t lane = 0; lane < 32; ++lane)
    for (uint32_t other = 0; other < 32; ++other)
      EXPECT_EQ(out[lane] >> other & 1, in[lane] == in[other]);
}

TEST(Warp, SpecialRegisters) {
  std::string code;
  const char *names[] = {"ntid.x", "ctaid.x",     "nctaid.x",    "laneid",      "warpid",      "warpsize",   "tid.y",
                         "ntid.z", "lanemask.lt", "lanemask.le", "lanemask.eq", "lanemask.ge", "lanemask.gt"};
  for (size_t i = 0; i < std::size(names); ++i)
    code += "  %y" + std::to_string(i) + " = call i32 @llvm.nvvm.read.ptx.sreg." + names[i] + "()\n";
  std::vector<uint32_t> out = runPerThread(0, code, std::size(names), {}, 80);
  for (uint32_t t = 0; t < 80; ++t) {
    uint32_t lane = t % 32, below = (1u << lane) - 1, own = 1u << lane;
    uint32_t expected[] = {80, 0, 1, lane, t / 32, 32, 0, 1, below, below | own, own, ~below, ~(below | own)};
    for (size_t i = 0; i < std::size(names); ++i)
      EXPECT_EQ(out[t * std::size(names) + i], expected[i]) << names[i] << " of " << t;
  }
}

TEST(Warp, BarriersReduceAndCount) {
  // Warps 0 and 1 meet at barrier 1, warps 2 and 3 at barrier 2, then all at barrier 0.
  std::string code = R"(
  %p = icmp ne i32 %x0, 0
  %id = lshr i32 %tid, 6
  %named = add i32 %id, 1
  %y0 = call i32 @llvm.nvvm.barrier.cta.red.popc.aligned.count(i32 %named, i32 64, i1 %p)
  %y1 = call i32 @llvm.nvvm.barrier.cta.red.popc.aligned.all(i32 0, i1 %p)
  %a = call i1 @llvm.nvvm.barrier.cta.red.and.aligned.all(i32 0, i1 %p)
  %o = call i1 @llvm.nvvm.barrier.cta.red.or.aligned.all(i32 0, i1 %p)
  %y2 = zext i1 %a to i32
  %y3 = zext i1 %o to i32)";
  std::vector<uint32_t> in(128);
  uint32_t count[2] = {};
  for (uint32_t t = 0; t < 128; ++t)
    count[t / 64] += in[t] = t % 3 == 0;
  std::vector<uint32_t> out = runPerThread(1, code, 4, in, 128);
  for (uint32_t t = 0; t < 128; ++t) {
    EXPECT_EQ(out[4 * t], count[t / 64]);
    EXPECT_EQ(out[4 * t + 1], count[0] + count[1]);
    EXPECT_EQ(out[4 * t + 2], 0u);
    EXPECT_EQ(out[4 * t + 3], 1u);
  }
}

} // namespace
