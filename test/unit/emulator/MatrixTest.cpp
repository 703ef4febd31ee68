// mma.sync and ldmatrix: fragments laid out by the PTX manual's formulas, products in integers and in double.
#include "test/unit/emulator/EmulatorFixture.h"

#include "runtime/format/Half.h"

#include <bit>
#include <cmath>

using namespace qlr;
using namespace qlr::test;

namespace {

/// "i32 %x<i>" for words from .. to-1, of type `type` where that is not i32 (the code converts them as %v<i>).
std::string words(const std::string &type, int from, int to) {
  std::string text;
  for (int i = from; i < to; ++i)
    text += (i > from ? ", " : "") + type + (type == "i32" ? " %x" : " %v") + std::to_string(i);
  return text;
}

std::string casts(const std::string &type, int from, int to) {
  std::string text;
  for (int i = from; i < to; ++i)
    text += "  %v" + std::to_string(i) + " = bitcast i32 %x" + std::to_string(i) + " to " + type + "\n";
  return text;
}

std::string results(const std::string &type) {
  std::string text, structure = "{" + type + ", " + type + ", " + type + ", " + type + "}";
  for (int i = 0; i < 4; ++i) {
    std::string n = std::to_string(i);
    text += "  %r" + n + " = extractvalue " + structure + " %r, " + n + "\n";
    text += type == "i32" ? "  %y" + n + " = add i32 %r" + n + ", 0\n"
                          : "  %y" + n + " = bitcast float %r" + n + " to i32\n";
  }
  return text;
}

// The manual, "Matrix Fragments for mma.m16n8k16 with floating point type": element i of a thread's A fragment.
int rowOfA(int lane, int i) { return lane / 4 + (i % 4 >= 2 ? 8 : 0); } // 16-bit: a0,a1 g; a2,a3 g+8; ...
int colOfA(int lane, int i) { return lane % 4 * 2 + (i & 1) + (i >= 4 ? 8 : 0); }
int rowOfB(int lane, int i) { return lane % 4 * 2 + (i & 1) + (i >= 2 ? 8 : 0); }
// 8-bit, m16n8k32 (and k16: the first half): a_i for 0..15.
int rowOfA8(int lane, int i) { return lane / 4 + (i % 8 >= 4 ? 8 : 0); }
int colOfA8(int lane, int i) { return lane % 4 * 4 + (i & 3) + (i >= 8 ? 16 : 0); }
int rowOfB8(int lane, int i) { return lane % 4 * 4 + (i & 3) + (i >= 4 ? 16 : 0); }
// C and D: c0,c1 row g; c2,c3 row g+8.
int rowOfC(int lane, int i) { return lane / 4 + (i >= 2 ? 8 : 0); }
int colOfC(int lane, int i) { return lane % 4 * 2 + (i & 1); }

void floatMma(bool bf16, int k) {
  SCOPED_TRACE(std::string(bf16 ? "bf16" : "f16") + " k" + std::to_string(k));
  int wordsA = k / 4, wordsB = k / 8, all = wordsA + wordsB + 4;
  std::string operands = bf16 ? "i32" : "<2 x half>";
  std::string name = "@llvm.nvvm.mma.m16n8k" + std::to_string(k) + ".row.col." + (bf16 ? "bf16" : "f32.f32");
  std::string code = (bf16 ? "" : casts(operands, 0, wordsA + wordsB)) + casts("float", wordsA + wordsB, all) +
                     "  %r = call {float, float, float, float} " + name + "(" + words(operands, 0, wordsA + wordsB) +
                     ", " + words("float", wordsA + wordsB, all) + ")\n" + results("float");
  std::mt19937 random(9);
  std::normal_distribution<float> normal;
  std::vector<uint16_t> a(16 * k), b(k * 8);
  std::vector<float> c(16 * 8);
  auto round = [&](float x) { return bf16 ? f32ToBf16(x) : f32ToF16(x); };
  auto wide = [&](uint16_t x) { return double(bf16 ? bf16ToF32(x) : f16ToF32(x)); };
  for (uint16_t &x : a)
    x = round(normal(random));
  for (uint16_t &x : b)
    x = round(normal(random));
  a[3] = 1; // a denormal
  for (float &x : c)
    x = normal(random);
  std::vector<uint32_t> in;
  for (int lane = 0; lane < 32; ++lane) {
    for (int i = 0; i < wordsA; ++i)
      in.push_back(a[rowOfA(lane, 2 * i) * k + colOfA(lane, 2 * i)] |
                   uint32_t(a[rowOfA(lane, 2 * i + 1) * k + colOfA(lane, 2 * i + 1)]) << 16);
    for (int i = 0; i < wordsB; ++i)
      in.push_back(b[rowOfB(lane, 2 * i) * 8 + lane / 4] | uint32_t(b[rowOfB(lane, 2 * i + 1) * 8 + lane / 4]) << 16);
    for (int i = 0; i < 4; ++i)
      in.push_back(std::bit_cast<uint32_t>(c[rowOfC(lane, i) * 8 + colOfC(lane, i)]));
  }
  std::vector<uint32_t> out = runPerThread(all, code, 4, in);
  for (int lane = 0; lane < 32; ++lane)
    for (int i = 0; i < 4; ++i) {
      int m = rowOfC(lane, i), n = colOfC(lane, i);
      double exact = c[m * 8 + n], size = std::fabs(exact);
      for (int kk = 0; kk < k; ++kk) {
        double product = wide(a[m * k + kk]) * wide(b[kk * 8 + n]);
        exact += product;
        size += std::fabs(product);
      }
      EXPECT_NEAR(std::bit_cast<float>(out[4 * lane + i]), exact, size * 0x1p-22) << m << ", " << n;
    }
}

TEST(Matrix, FloatMma) {
  for (bool bf16 : {false, true})
    for (int k : {8, 16})
      floatMma(bf16, k);
}

void integerMma(const std::string &types, int k) {
  SCOPED_TRACE(types + " k" + std::to_string(k));
  bool unsignedA = types[0] == 'u', unsignedB = types.size() > 2 ? types[3] == 'u' : unsignedA;
  int wordsA = k / 8, wordsB = k / 16, all = wordsA + wordsB + 4;
  std::string code = "  %r = call {i32, i32, i32, i32} @llvm.nvvm.mma.m16n8k" + std::to_string(k) + ".row.col." +
                     types + "(" + words("i32", 0, all) + ")\n" + results("i32");
  std::mt19937 random(10);
  std::vector<uint8_t> a(16 * k), b(k * 8);
  std::vector<uint32_t> c = randomWords(16 * 8, 11);
  for (uint8_t &x : a)
    x = static_cast<uint8_t>(random());
  for (uint8_t &x : b)
    x = static_cast<uint8_t>(random());
  std::vector<uint32_t> in;
  for (int lane = 0; lane < 32; ++lane) {
    for (int w = 0; w < wordsA; ++w) {
      uint32_t word = 0;
      for (int i = 4 * w; i < 4 * w + 4; ++i)
        word |= uint32_t(a[rowOfA8(lane, i) * k + colOfA8(lane, i)]) << 8 * (i % 4);
      in.push_back(word);
    }
    for (int w = 0; w < wordsB; ++w) {
      uint32_t word = 0;
      for (int i = 4 * w; i < 4 * w + 4; ++i)
        word |= uint32_t(b[rowOfB8(lane, i) * 8 + lane / 4]) << 8 * (i % 4);
      in.push_back(word);
    }
    for (int i = 0; i < 4; ++i)
      in.push_back(c[rowOfC(lane, i) * 8 + colOfC(lane, i)]);
  }
  std::vector<uint32_t> out = runPerThread(all, code, 4, in);
  auto value = [](uint8_t x, bool isUnsigned) { return isUnsigned ? int(x) : int(static_cast<int8_t>(x)); };
  for (int lane = 0; lane < 32; ++lane)
    for (int i = 0; i < 4; ++i) {
      int m = rowOfC(lane, i), n = colOfC(lane, i);
      int64_t exact = static_cast<int32_t>(c[m * 8 + n]);
      for (int kk = 0; kk < k; ++kk)
        exact += value(a[m * k + kk], unsignedA) * value(b[kk * 8 + n], unsignedB);
      EXPECT_EQ(out[4 * lane + i], static_cast<uint32_t>(exact)) << m << ", " << n;
    }
}

TEST(Matrix, IntegerMma) {
  for (const char *types : {"s8", "u8.s8", "s8.u8", "u8"})
    for (int k : {16, 32})
      integerMma(types, k);
}

TEST(Matrix, LoadMatrix) {
  for (int matrices : {1, 2, 4})
    for (bool transposed : {false, true}) {
      SCOPED_TRACE(std::to_string(matrices) + (transposed ? " transposed" : ""));
      std::string count = std::to_string(matrices), result;
      std::string structure = "i32";
      if (matrices > 1) {
        structure = "{i32";
        for (int i = 1; i < matrices; ++i)
          structure += ", i32";
        structure += "}";
      }
      for (int i = 0; i < matrices; ++i)
        result += matrices == 1 ? "  %y0 = add i32 %r, 0\n"
                                : "  %y" + std::to_string(i) + " = extractvalue " + structure + " %r, " +
                                      std::to_string(i) + "\n";
      // 32 rows of 16 bytes; each thread writes one; lane l gives the address of row (l * 5 + 3) % 32.
      std::string name = "@llvm.nvvm.ldmatrix.sync.aligned.m8n8.x" + count + (transposed ? ".trans" : "") + ".b16.p3";
      std::string code = "  %row = getelementptr [4 x i32], ptr addrspace(3) @qlr_shared, i32 %tid\n";
      for (int i = 0; i < 4; ++i)
        code += "  %s" + std::to_string(i) + " = getelementptr i32, ptr addrspace(3) %row, i32 " + std::to_string(i) +
                "\n  store i32 %x" + std::to_string(i) + ", ptr addrspace(3) %s" + std::to_string(i) + "\n";
      code += "  call void @llvm.nvvm.barrier.cta.sync.aligned.all(i32 0)\n"
              "  %five = mul i32 %tid, 5\n  %three = add i32 %five, 3\n  %which = and i32 %three, 31\n"
              "  %from = getelementptr [4 x i32], ptr addrspace(3) @qlr_shared, i32 %which\n  %r = call " +
              structure + " " + name + "(ptr addrspace(3) %from)\n" + result;
      std::vector<uint32_t> in = randomWords(128, 12);
      Device device(perThread(4, code, matrices) + "declare " + structure + " " + name +
                    "(ptr addrspace(3))\ndeclare i32 @llvm.nvvm.read.ptx.sreg.tid.x()\n"
                    "declare void @llvm.nvvm.barrier.cta.sync.aligned.all(i32)\n");
      std::vector<uint32_t> out(32 * matrices);
      device.buffer(in, "in", true);
      device.buffer(out, "out");
      ASSERT_EQ(device.run(1, 32, 512), "");
      const uint16_t *halves = reinterpret_cast<const uint16_t *>(in.data());
      for (int lane = 0; lane < 32; ++lane)
        for (int m = 0; m < matrices; ++m)
          for (int e = 0; e < 2; ++e) {
            int row = lane / 4, column = lane % 4 * 2 + e;
            if (transposed)
              std::swap(row, column);
            int address = ((8 * m + row) * 5 + 3) % 32;
            EXPECT_EQ(out[lane * matrices + m] >> 16 * e & 0xffff, halves[address * 8 + column]);
          }
    }
}

// The checker makes room for other blocks now and then; the lane that computes an ldmatrix for all must not do it for
// another one.
TEST(Matrix, LoadMatrixManyTimes) {
  const uint32_t rounds = 150000; // of 8 accesses: more than 2^20
  std::string code = "  br label %before\nbefore:\n"
                     "  %row = getelementptr [4 x i32], ptr addrspace(3) @qlr_shared, i32 %tid\n";
  for (int i = 0; i < 4; ++i)
    code += "  %s" + std::to_string(i) + " = getelementptr i32, ptr addrspace(3) %row, i32 " + std::to_string(i) +
            "\n  store i32 %x" + std::to_string(i) + ", ptr addrspace(3) %s" + std::to_string(i) + "\n";
  code += "  call void @llvm.nvvm.barrier.cta.sync.aligned.all(i32 0)\n  br label %loop\nloop:\n"
          "  %n = phi i32 [ 0, %before ], [ %m, %loop ]\n  %sum = phi i32 [ 0, %before ], [ %next, %loop ]\n"
          "  %r = call i32 @llvm.nvvm.ldmatrix.sync.aligned.m8n8.x1.b16.p3(ptr addrspace(3) %row)\n"
          "  %next = add i32 %sum, %r\n  %m = add i32 %n, 1\n  %c = icmp ult i32 %m, " +
          std::to_string(rounds) + "\n  br i1 %c, label %loop, label %done\ndone:\n  %y0 = add i32 %next, 0\n";
  std::vector<uint32_t> in = randomWords(128, 13), out(32);
  Device device(perThread(4, code, 1) +
                "declare i32 @llvm.nvvm.ldmatrix.sync.aligned.m8n8.x1.b16.p3(ptr addrspace(3))\n"
                "declare i32 @llvm.nvvm.read.ptx.sreg.tid.x()\n"
                "declare void @llvm.nvvm.barrier.cta.sync.aligned.all(i32)\n");
  device.buffer(in, "in", true);
  device.buffer(out, "out");
  ASSERT_EQ(device.run(1, 32, 512), "");
  for (int lane = 0; lane < 32; ++lane)
    EXPECT_EQ(out[lane], rounds * in[lane / 4 * 4 + lane % 4]);
}

} // namespace
