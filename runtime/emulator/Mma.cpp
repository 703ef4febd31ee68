// mma.sync m16n8: the fragments of 32 lanes are gathered into matrices, multiplied, and given back. Lane l holds, with
// g = l / 4 and t = l % 4, of each 16-byte row piece p the word t: of A rows g and g + 8, of B column g, and of C and D
// rows g and g + 8, columns 2 t and 2 t + 1.
//
// The hardware's order of accumulation is not documented. Here products of floats are exact and added to the
// accumulator one after another in the order of k, each sum rounded to float.
#include "runtime/emulator/Collectives.h"
#include "runtime/format/Half.h"

#include <cstring>
#ifdef __F16C__
#include <immintrin.h>
#endif

namespace qlr::emu {
namespace {

/// a[row][word of k], b[word of k][column]: a word holds 4 bytes or 2 halves of consecutive k.
struct Fragments {
  uint32_t a[16][8];
  uint32_t b[8][8];
};

void gather(Fragments &f, const uint32_t *const *in, uint32_t pieces) {
  // A's registers are, for each piece of 4 words of k, rows g and g + 8; then come B's, one for each piece.
  for (uint32_t lane = 0; lane < 32; ++lane) {
    const uint32_t *words = in[lane] + 1, g = lane / 4, t = lane % 4;
    for (uint32_t p = 0; p < pieces; ++p) {
      f.a[g][4 * p + t] = words[2 * p];
      f.a[g + 8][4 * p + t] = words[2 * p + 1];
      f.b[4 * p + t][g] = words[2 * pieces + p];
    }
  }
}

template <typename T> void gatherC(T (&c)[16][8], const uint32_t *const *in, uint32_t pieces) {
  for (uint32_t lane = 0; lane < 32; ++lane) {
    const uint32_t *words = in[lane] + 1 + 3 * pieces, g = lane / 4, t = lane % 4;
    std::memcpy(&c[g][2 * t], words, 8);
    std::memcpy(&c[g + 8][2 * t], words + 2, 8);
  }
}

template <typename T> void scatter(const T (&d)[16][8], uint32_t *const *out) {
  for (uint32_t lane = 0; lane < 32; ++lane) {
    uint32_t g = lane / 4, t = lane % 4;
    std::memcpy(out[lane], &d[g][2 * t], 8);
    std::memcpy(out[lane] + 2, &d[g + 8][2 * t], 8);
  }
}

/// 8 words of two halves each as floats: those of even and those of odd k.
template <bool bf16> void expand(const uint32_t (&words)[8], float *even, float *odd) {
#ifdef __F16C__
  __m256i all = _mm256_loadu_si256(reinterpret_cast<const __m256i *>(words));
  __m256 low, high;
  if (bf16) {
    low = _mm256_castsi256_ps(_mm256_slli_epi32(all, 16));
    high = _mm256_castsi256_ps(_mm256_and_si256(all, _mm256_set1_epi32(static_cast<int32_t>(0xffff0000))));
  } else {
    // Packing takes the lanes of both halves in turn; the permutation puts them in order.
    auto halves = [](__m256i wide) {
      __m256i packed = _mm256_permute4x64_epi64(_mm256_packus_epi32(wide, wide), 0x88);
      return _mm256_cvtph_ps(_mm256_castsi256_si128(packed));
    };
    low = halves(_mm256_and_si256(all, _mm256_set1_epi32(0xffff)));
    high = halves(_mm256_srli_epi32(all, 16));
  }
  _mm256_storeu_ps(even, low);
  _mm256_storeu_ps(odd, high);
#else
  for (uint32_t i = 0; i < 8; ++i) {
    uint16_t low = static_cast<uint16_t>(words[i]), high = static_cast<uint16_t>(words[i] >> 16);
    even[i] = bf16 ? bf16ToF32(low) : f16ToF32(low);
    odd[i] = bf16 ? bf16ToF32(high) : f16ToF32(high);
  }
#endif
}

/// c += sum of a[k] b[k], in the order of k.
void addRow(float (&c)[8], const float *a, const float (*b)[8], uint32_t count) {
#ifdef __FMA__
  __m256 sum = _mm256_loadu_ps(c);
  for (uint32_t k = 0; k < count; ++k)
    sum = _mm256_fmadd_ps(_mm256_set1_ps(a[k]), _mm256_loadu_ps(b[k]), sum);
  _mm256_storeu_ps(c, sum);
#else
  for (uint32_t k = 0; k < count; ++k)
    for (uint32_t n = 0; n < 8; ++n)
      c[n] = __builtin_fmaf(a[k], b[k][n], c[n]);
#endif
}

template <bool bf16> void mmaFloat(const uint32_t *const *in, uint32_t *const *out) {
  const uint32_t pieces = in[0][0] / 8, words = 4 * pieces;
  Fragments f = {};
  gather(f, in, pieces);
  float c[16][8], a[16][16], b[16][8];
  gatherC(c, in, pieces);
  for (uint32_t w = 0; w < words; ++w)
    expand<bf16>(f.b[w], b[2 * w], b[2 * w + 1]);
  for (uint32_t m = 0; m < 16; ++m) {
    float even[8], odd[8];
    expand<bf16>(f.a[m], even, odd);
    for (uint32_t w = 0; w < 8; ++w) {
      a[m][2 * w] = even[w];
      a[m][2 * w + 1] = odd[w];
    }
  }
  for (uint32_t m = 0; m < 16; ++m)
    addRow(c[m], a[m], b, 2 * words);
  scatter(c, out);
}

/// Bytes 0 and 2, and bytes 1 and 3, of a word as two halfwords each, extended with or without sign.
template <bool isUnsigned> uint32_t evenBytes(uint32_t word) {
  if (isUnsigned)
    return word & 0x00ff00ff;
  return static_cast<uint16_t>(static_cast<int8_t>(word)) | static_cast<uint32_t>(static_cast<int8_t>(word >> 16))
                                                                << 16;
}

template <bool isUnsigned> uint32_t oddBytes(uint32_t word) { return evenBytes<isUnsigned>(word >> 8); }

/// c[i] += the two products of halfwords of a and b[i].
void addProducts(int32_t (&c)[8], uint32_t a, const uint32_t (&b)[8]) {
#ifdef __AVX2__
  __m256i product = _mm256_madd_epi16(_mm256_set1_epi32(static_cast<int32_t>(a)),
                                      _mm256_loadu_si256(reinterpret_cast<const __m256i *>(b)));
  __m256i *sum = reinterpret_cast<__m256i *>(c);
  _mm256_storeu_si256(sum, _mm256_add_epi32(_mm256_loadu_si256(sum), product));
#else
  for (uint32_t i = 0; i < 8; ++i) {
    int32_t low = static_cast<int16_t>(a) * static_cast<int16_t>(b[i]);
    int32_t high = static_cast<int16_t>(a >> 16) * static_cast<int16_t>(b[i] >> 16);
    c[i] = static_cast<int32_t>(static_cast<uint32_t>(c[i]) + static_cast<uint32_t>(low + high));
  }
#endif
}

template <bool unsignedA, bool unsignedB> void mmaInt(const uint32_t *const *in, uint32_t *const *out) {
  const uint32_t pieces = (in[0][0] & 255) / 16, words = 4 * pieces;
  Fragments f = {};
  gather(f, in, pieces);
  int32_t c[16][8];
  gatherC(c, in, pieces);
  uint32_t even[8][8], odd[8][8];
  for (uint32_t w = 0; w < words; ++w)
    for (uint32_t n = 0; n < 8; ++n) {
      even[w][n] = evenBytes<unsignedB>(f.b[w][n]);
      odd[w][n] = oddBytes<unsignedB>(f.b[w][n]);
    }
  for (uint32_t m = 0; m < 16; ++m)
    for (uint32_t w = 0; w < words; ++w) {
      addProducts(c[m], evenBytes<unsignedA>(f.a[m][w]), even[w]);
      addProducts(c[m], oddBytes<unsignedA>(f.a[m][w]), odd[w]);
    }
  scatter(c, out);
}

} // namespace

void computeMma(EmulatorOp op, const uint32_t *const *in, uint32_t *const *out) {
  if (op == EmulatorOp::MmaF16)
    return mmaFloat<false>(in, out);
  if (op == EmulatorOp::MmaBf16)
    return mmaFloat<true>(in, out);
  switch (in[0][0] >> 8) {
  case 0:
    return mmaInt<false, false>(in, out);
  case 1:
    return mmaInt<true, false>(in, out);
  case 2:
    return mmaInt<false, true>(in, out);
  default:
    return mmaInt<true, true>(in, out);
  }
}

} // namespace qlr::emu
