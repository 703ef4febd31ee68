// Instructions of one lane against formulas written from the PTX manual.
#include "test/unit/emulator/EmulatorFixture.h"

#include "runtime/format/Half.h"

#include <array>
#include <bit>
#include <cmath>

using namespace qlr;
using namespace qlr::test;

namespace {

TEST(Scalar, Dot4) {
  const char *names[] = {"s.s", "s.u", "u.s", "u.u"};
  std::string code;
  for (size_t i = 0; i < 4; ++i)
    code += "  %y" + std::to_string(i) + " = call i32 @llvm.nvvm.idp4a." + names[i] + "(i32 %x0, i32 %x1, i32 %x2)\n";
  std::vector<uint32_t> in = randomWords(3 * 256, 3), out = runPerThread(3, code, 4, in, 256);
  for (size_t t = 0; t < 256; ++t)
    for (size_t mode = 0; mode < 4; ++mode) {
      int64_t sum = static_cast<int32_t>(in[3 * t + 2]);
      for (int i = 0; i < 4; ++i) {
        int a = static_cast<int>(in[3 * t] >> 8 * i & 255), b = static_cast<int>(in[3 * t + 1] >> 8 * i & 255);
        sum += (names[mode][0] == 's' && a > 127 ? a - 256 : a) * (names[mode][2] == 's' && b > 127 ? b - 256 : b);
      }
      EXPECT_EQ(out[4 * t + mode], static_cast<uint32_t>(sum)) << names[mode];
    }
}

TEST(Scalar, PermuteOfAnySelector) {
  std::vector<uint32_t> in = randomWords(3 * 512, 4);
  std::vector<uint32_t> out =
      runPerThread(3, "  %y0 = call i32 @llvm.nvvm.prmt(i32 %x0, i32 %x1, i32 %x2)", 1, in, 512);
  for (size_t t = 0; t < 512; ++t) {
    std::array<uint8_t, 8> pool;
    std::memcpy(pool.data(), &in[3 * t], 8);
    uint32_t expected = 0;
    for (int i = 0; i < 4; ++i) {
      uint32_t nibble = in[3 * t + 2] >> 4 * i & 15;
      uint8_t byte = pool[nibble & 7];
      if (nibble & 8)
        byte = byte & 128 ? 255 : 0;
      expected |= uint32_t(byte) << 8 * i;
    }
    EXPECT_EQ(out[t], expected);
  }
}

TEST(Scalar, PermuteModes) {
  // Bytes of the result, lowest first, for selectors 0 to 3: the manual's table.
  const std::vector<std::pair<const char *, std::array<std::array<int, 4>, 4>>> table = {
      {"f4e", {{{0, 1, 2, 3}, {1, 2, 3, 4}, {2, 3, 4, 5}, {3, 4, 5, 6}}}},
      {"b4e", {{{0, 7, 6, 5}, {1, 0, 7, 6}, {2, 1, 0, 7}, {3, 2, 1, 0}}}},
      {"rc8", {{{0, 0, 0, 0}, {1, 1, 1, 1}, {2, 2, 2, 2}, {3, 3, 3, 3}}}},
      {"ecl", {{{0, 1, 2, 3}, {1, 1, 2, 3}, {2, 2, 2, 3}, {3, 3, 3, 3}}}},
      {"ecr", {{{0, 0, 0, 0}, {0, 1, 1, 1}, {0, 1, 2, 2}, {0, 1, 2, 3}}}},
      {"rc16", {{{0, 1, 0, 1}, {2, 3, 2, 3}, {0, 1, 0, 1}, {2, 3, 2, 3}}}},
  };
  std::string code;
  for (size_t i = 0; i < table.size(); ++i) {
    bool two = i < 2;
    code += "  %y" + std::to_string(i) + " = call i32 @llvm.nvvm.prmt." + table[i].first + "(i32 %x0, " +
            (two ? "i32 %x1, " : "") + "i32 %x2)\n";
  }
  std::vector<uint32_t> in = randomWords(3 * 32, 5), out = runPerThread(3, code, table.size(), in);
  for (size_t t = 0; t < 32; ++t)
    for (size_t i = 0; i < table.size(); ++i) {
      const uint8_t *pool = reinterpret_cast<const uint8_t *>(&in[3 * t]);
      for (int byte = 0; byte < 4; ++byte)
        EXPECT_EQ(out[table.size() * t + i] >> 8 * byte & 255, pool[table[i].second[in[3 * t + 2] & 3][byte]])
            << table[i].first << " " << byte;
    }
}

TEST(Scalar, ConstantSelectorsFold) {
  std::vector<uint32_t> in = randomWords(64, 6);
  std::vector<uint32_t> out =
      runPerThread(2, "  %y0 = call i32 @llvm.nvvm.prmt(i32 %x0, i32 %x1, i32 21536)", 1, in); // 0x5420
  for (size_t t = 0; t < 32; ++t) {
    uint32_t a = in[2 * t], b = in[2 * t + 1];
    EXPECT_EQ(out[t], (a & 255) | (a >> 16 & 255) << 8 | (b & 255) << 16 | (b >> 8 & 255) << 24);
  }
}

TEST(Scalar, HighProducts) {
  std::vector<uint32_t> in = randomWords(64, 7);
  std::vector<uint32_t> out = runPerThread(2,
                                           "  %y0 = call i32 @llvm.nvvm.mulhi.i(i32 %x0, i32 %x1)\n"
                                           "  %y1 = call i32 @llvm.nvvm.mulhi.ui(i32 %x0, i32 %x1)",
                                           2, in);
  for (size_t t = 0; t < 32; ++t) {
    int64_t a = static_cast<int32_t>(in[2 * t]), b = static_cast<int32_t>(in[2 * t + 1]);
    EXPECT_EQ(out[2 * t], static_cast<uint32_t>(static_cast<uint64_t>(a * b) >> 32));
    EXPECT_EQ(out[2 * t + 1], static_cast<uint32_t>(uint64_t{in[2 * t]} * in[2 * t + 1] >> 32));
  }
}

TEST(Scalar, Approximations) {
  struct Case {
    const char *name;
    double (*exact)(double);
    bool flushes;
  };
  const Case cases[] = {
      {"ex2.approx.f32", [](double x) { return std::exp2(x); }, false},
      {"ex2.approx.ftz.f32", [](double x) { return std::exp2(x); }, true},
      {"lg2.approx.f", [](double x) { return std::log2(x); }, false},
      {"lg2.approx.ftz.f", [](double x) { return std::log2(x); }, true},
      {"rsqrt.approx.f", [](double x) { return 1 / std::sqrt(x); }, false},
      {"rsqrt.approx.ftz.f", [](double x) { return 1 / std::sqrt(x); }, true},
      {"rcp.approx.ftz.f", [](double x) { return 1 / x; }, true},
      {"sqrt.approx.f", [](double x) { return std::sqrt(x); }, false},
      {"sqrt.approx.ftz.f", [](double x) { return std::sqrt(x); }, true},
      {"sqrt.rn.f", [](double x) { return std::sqrt(x); }, false},
  };
  const float values[] = {0x1p-140f, 0x1p-126f, 1e-30f, 0.1f, 0.5f, 1.0f, 1.7f, 3.0f, 100.0f, 127.5f, 1e20f, 3e38f};
  std::vector<uint32_t> in(32);
  for (size_t i = 0; i < 32; ++i)
    in[i] = std::bit_cast<uint32_t>(values[i % std::size(values)]);
  for (const Case &one : cases) {
    bool overloaded = std::string(one.name).starts_with("ex2");
    std::string name = "@llvm.nvvm." + std::string(one.name);
    Device device(
        perThread(1,
                  "  %f = bitcast i32 %x0 to float\n  %g = call float " + name +
                      "(float %f)\n  %y0 = bitcast float %g to i32",
                  1) +
        (overloaded ? "declare float " + name + "(float)\ndeclare i32 @llvm.nvvm.read.ptx.sreg.tid.x()\n" : ""));
    std::vector<uint32_t> from = in, out(32);
    device.buffer(from, "in", true);
    device.buffer(out, "out");
    ASSERT_EQ(device.run(1, 32), "");
    for (size_t i = 0; i < 32; ++i) {
      float x = values[i % std::size(values)], got = std::bit_cast<float>(out[i]);
      auto flush = [&](float v) { return one.flushes && std::fabs(v) < 0x1p-126f ? 0.0f : v; };
      float expected = flush(static_cast<float>(one.exact(flush(x))));
      if (std::isinf(expected))
        EXPECT_EQ(got, expected) << one.name << " " << x;
      else
        EXPECT_NEAR(got, expected, std::fabs(expected) * 1.2e-7) << one.name << " " << x;
    }
  }
}

TEST(Scalar, BfloatRoundsToNearestEven) {
  std::vector<uint32_t> in = randomWords(1024, 8);
  const uint32_t special[] = {0x3f808000, 0x3f818000, 0x3f808001, 0x7f7fffff, 0xff800000,
                              0x7fc00000, 0x7f800001, 0x00000001, 0x80007fff};
  std::copy(std::begin(special), std::end(special), in.begin());
  std::string code = "  %f = bitcast i32 %x0 to float\n  %b = fptrunc float %f to bfloat\n"
                     "  %h = bitcast bfloat %b to i16\n  %y0 = zext i16 %h to i32\n"
                     "  %back = fpext bfloat %b to float\n  %y1 = bitcast float %back to i32";
  std::vector<uint32_t> out = runPerThread(1, code, 2, in, 1024);
  for (size_t t = 0; t < 1024; ++t) {
    float f = std::bit_cast<float>(in[t]);
    uint32_t expected = std::isnan(f) ? 0x7fff : f32ToBf16(f);
    EXPECT_EQ(out[2 * t], expected) << std::hex << in[t];
    EXPECT_EQ(out[2 * t + 1], expected << 16);
  }
}

TEST(Scalar, RefusesWhatHasNoModelByName) {
  std::string text = perThread(1,
                               "  %y0 = call i32 asm \"lop3.b32 $0, $1, $1, $1, 0x80;\", \"=r,r\"(i32 %x0)\n"
                               "  call void @llvm.nvvm.barrier.cta.sync.all(i32 0)",
                               1);
  std::string error = refusal(deviceModule(text));
  EXPECT_TRUE(has(error, "kernel k: no host model of "));
  EXPECT_TRUE(has(error, "inline PTX \"lop3.b32 $0, $1, $1, $1, 0x80;\""));
  EXPECT_TRUE(has(error, "llvm.nvvm.barrier.cta.sync.all"));
  EXPECT_TRUE(has(refusal(deviceModule("@v = internal addrspace(3) global [4 x i8] undef\n" +
                                       perThread(1, "  %y0 = load i32, ptr addrspace(3) @v", 1))),
                  "the variable v"));
  EXPECT_TRUE(has(refusal(deviceModule("define void @f() { ret void }")), "no kernel"));
  EXPECT_EQ(refusal(deviceModule(perThread(1, "  %y0 = add i32 %x0, 1", 1))), "");
}

} // namespace
