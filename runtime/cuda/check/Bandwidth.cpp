#include "runtime/cuda/check/Bandwidth.h"

#include "runtime/cuda/CudaObjects.h"
#include "runtime/format/Error.h"

#include <algorithm>
#include <cstring>
#include <vector>

namespace qlr::cuda {
namespace {

/// Reads `*count` words of 16 bytes; writes only if they add up to a value that random bytes do not.
constexpr const char *readPtx = R"(.version 7.0
.target sm_80
.address_size 64
.visible .entry qlr_read(.param .u64 data, .param .u64 count, .param .u64 sink)
.maxntid 256
{
  .reg .pred %more, %found;
  .reg .b32 %thread, %block, %threads, %blocks, %sum, %v<16>;
  .reg .b64 %data, %count, %sink, %n, %i, %step, %step4, %at, %next, %last;
  ld.param.u64 %data, [data];
  ld.param.u64 %count, [count];
  ld.param.u64 %sink, [sink];
  cvta.to.global.u64 %data, %data;
  cvta.to.global.u64 %count, %count;
  cvta.to.global.u64 %sink, %sink;
  ld.global.u64 %n, [%count];
  mov.u32 %thread, %tid.x;
  mov.u32 %block, %ctaid.x;
  mov.u32 %threads, %ntid.x;
  mov.u32 %blocks, %nctaid.x;
  mul.wide.u32 %i, %block, %threads;
  cvt.u64.u32 %at, %thread;
  add.u64 %i, %i, %at;
  mul.wide.u32 %step, %blocks, %threads;
  shl.b64 %step4, %step, 2;
  mov.u32 %sum, 0;
four:
  mad.lo.u64 %last, %step, 3, %i;
  setp.lt.u64 %more, %last, %n;
  @!%more bra one;
  shl.b64 %at, %i, 4;
  add.u64 %at, %at, %data;
  shl.b64 %next, %step, 4;
  ld.global.nc.v4.u32 {%v0, %v1, %v2, %v3}, [%at];
  add.u64 %at, %at, %next;
  ld.global.nc.v4.u32 {%v4, %v5, %v6, %v7}, [%at];
  add.u64 %at, %at, %next;
  ld.global.nc.v4.u32 {%v8, %v9, %v10, %v11}, [%at];
  add.u64 %at, %at, %next;
  ld.global.nc.v4.u32 {%v12, %v13, %v14, %v15}, [%at];
  xor.b32 %v0, %v0, %v1;
  xor.b32 %v2, %v2, %v3;
  xor.b32 %v4, %v4, %v5;
  xor.b32 %v6, %v6, %v7;
  xor.b32 %v8, %v8, %v9;
  xor.b32 %v10, %v10, %v11;
  xor.b32 %v12, %v12, %v13;
  xor.b32 %v14, %v14, %v15;
  xor.b32 %v0, %v0, %v2;
  xor.b32 %v4, %v4, %v6;
  xor.b32 %v8, %v8, %v10;
  xor.b32 %v12, %v12, %v14;
  xor.b32 %v0, %v0, %v4;
  xor.b32 %v8, %v8, %v12;
  add.u32 %sum, %sum, %v0;
  add.u32 %sum, %sum, %v8;
  add.u64 %i, %i, %step4;
  bra four;
one:
  setp.lt.u64 %more, %i, %n;
  @!%more bra done;
  shl.b64 %at, %i, 4;
  add.u64 %at, %at, %data;
  ld.global.nc.v4.u32 {%v0, %v1, %v2, %v3}, [%at];
  xor.b32 %v0, %v0, %v1;
  xor.b32 %v2, %v2, %v3;
  xor.b32 %v0, %v0, %v2;
  add.u32 %sum, %sum, %v0;
  add.u64 %i, %i, %step;
  bra one;
done:
  setp.eq.u32 %found, %sum, 0x9e3779b9;
  @!%found bra end;
  st.global.u32 [%sink], %sum;
end:
  ret;
}
)";

constexpr unsigned readThreads = 256;

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

/// Times what `enqueue` puts into `stream`; seconds.
template <typename Enqueue> double timed(CUstream stream, const Enqueue &enqueue) {
  const Driver &driver = Driver::get();
  Event begin, end;
  driver.check(driver.api.eventCreate(begin.out(), CU_EVENT_DEFAULT), "timing");
  driver.check(driver.api.eventCreate(end.out(), CU_EVENT_DEFAULT), "timing");
  driver.check(driver.api.eventRecord(begin.get(), stream), "timing");
  enqueue();
  driver.check(driver.api.eventRecord(end.get(), stream), "timing");
  driver.check(driver.api.streamSynchronize(stream), "measuring bandwidth");
  float milliseconds = 0;
  driver.check(driver.api.eventElapsedTime(&milliseconds, begin.get(), end.get()), "timing");
  return std::max(milliseconds / 1e3, 1e-9);
}

/// Fills device memory from a page-locked buffer.
void fillDevice(CUdeviceptr to, uint64_t bytes, uint64_t seed, CUstream stream) {
  const Driver &driver = Driver::get();
  PinnedBuffer buffer(std::min<uint64_t>(bytes, 16u << 20), "random bytes");
  fillBytes(buffer.data(), buffer.size(), seed);
  for (uint64_t at = 0; at < bytes; at += buffer.size())
    driver.check(
        driver.api.memcpyHtoDAsync(to + at, buffer.data(), std::min<uint64_t>(buffer.size(), bytes - at), stream),
        "filling memory");
  driver.check(driver.api.streamSynchronize(stream), "filling memory");
}

} // namespace

void fillBytes(std::byte *data, uint64_t bytes, uint64_t seed) {
  uint64_t state = seed * 0x9e3779b97f4a7c15u + 1;
  for (uint64_t at = 0; at < bytes; at += 8) {
    state ^= state << 13; // xorshift64 (Marsaglia, "Xorshift RNGs")
    state ^= state >> 7;
    state ^= state << 17;
    // Bit 6 of a high byte is the exponent's first: without it no type has an infinity, and nothing is large.
    const uint64_t word = state & 0xbfbfbfbfbfbfbfbfu;
    std::memcpy(data + at, &word, std::min<uint64_t>(8, bytes - at));
  }
}

Bandwidth measureBandwidth(const DeviceInfo &device, uint64_t bytes, unsigned repetitions) {
  const Driver &driver = Driver::get();
  bytes = std::max<uint64_t>(bytes / 16 * 16, 16);
  Context context(device);
  Stream stream;
  driver.check(driver.api.streamCreate(stream.out(), CU_STREAM_NON_BLOCKING), "measuring bandwidth");
  DeviceMemory from, to, word;
  for (DeviceMemory *memory : {&from, &to})
    driver.check(driver.api.memAlloc(memory->out(), bytes), "taking memory to measure bandwidth");
  driver.check(driver.api.memAlloc(word.out(), 16), "taking memory to measure bandwidth");
  fillDevice(from.get(), bytes, 1, stream.get());
  fillDevice(to.get(), bytes, 2, stream.get());

  Module module;
  driver.check(driver.api.moduleLoadDataEx(module.out(), readPtx, 0, nullptr, nullptr), "loading the reading kernel");
  CUfunction read = nullptr;
  driver.check(driver.api.moduleGetFunction(&read, module.get(), "qlr_read"), "loading the reading kernel");
  driver.check(driver.api.funcSetAttribute(read, CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT,
                                           CU_SHAREDMEM_CARVEOUT_MAX_SHARED),
               "loading the reading kernel");
  PinnedBuffer count(16, "a count");
  const uint64_t words = bytes / 16;
  std::memcpy(count.data(), &words, sizeof words);
  driver.check(driver.api.memcpyHtoDAsync(word.get(), count.data(), 16, stream.get()), "measuring bandwidth");
  CUdeviceptr data = from.get(), counted = word.get(), sink = word.get() + 8;
  void *params[] = {&data, &counted, &sink};
  const auto blocks = static_cast<unsigned>(device.multiprocessors * 8);

  std::vector<double> copies, reads;
  for (unsigned i = 0; i <= repetitions; ++i) {
    double copy = timed(stream.get(), [&] {
      driver.check(driver.api.memcpyDtoDAsync(to.get(), from.get(), bytes, stream.get()), "copying");
    });
    double reading = timed(stream.get(), [&] {
      driver.check(driver.api.launchKernel(read, blocks, 1, 1, readThreads, 1, 1, 0, stream.get(), params, nullptr),
                   "reading");
    });
    if (i == 0)
      continue; // warm-up
    copies.push_back(2.0 * static_cast<double>(bytes) / copy / 1e9);
    reads.push_back(static_cast<double>(bytes) / reading / 1e9);
  }
  return {median(copies), median(reads), bytes};
}

} // namespace qlr::cuda
