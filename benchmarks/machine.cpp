// Measures what this machine can do at best: fused multiply-adds in fp32 and of bfloat16, and
// memory bandwidth. Prints one figure a line: `fma ISA THREADS GFLOP/s`, `bf16 ISA THREADS GFLOP/s`
// and `triad STORES THREADS GB/s`.
#include <immintrin.h>
#include <omp.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>

#include "core/cpu.hpp"

namespace doppio {
namespace {

double seconds_now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// The shortest of several runs of `work` on `threads` threads at once, in seconds.
template <class Work>
double best_seconds(int threads, Work work) {
  double best = 1e9;
  for (int i = 0; i < 12; ++i) {
    const double begin = seconds_now();
#pragma omp parallel num_threads(threads)
    work();
    best = std::min(best, seconds_now() - begin);
  }
  return best;
}

/// Enough independent sums to hide the latency of a multiply-add, few enough for 16 registers.
constexpr int kSums = 12;
constexpr long kRounds = 20'000'000;

// The values stay finite: x -> x / 2 + 1 tends to 2.
__attribute__((target("avx2,fma"))) float multiply_add_avx2(long rounds) {
  __m256 sum[kSums];
  for (__m256& s : sum) s = _mm256_setzero_ps();
  const __m256 half = _mm256_set1_ps(0.5f), one = _mm256_set1_ps(1);
  for (long i = 0; i < rounds; ++i)
#pragma GCC unroll 12
    for (__m256& s : sum) s = _mm256_fmadd_ps(s, half, one);
  float total = 0;
  for (const __m256& s : sum) total += _mm256_cvtss_f32(s);
  return total;
}

__attribute__((target("avx512f"))) float multiply_add_avx512(long rounds) {
  __m512 sum[kSums];
  for (__m512& s : sum) s = _mm512_setzero_ps();
  const __m512 half = _mm512_set1_ps(0.5f), one = _mm512_set1_ps(1);
  for (long i = 0; i < rounds; ++i)
#pragma GCC unroll 12
    for (__m512& s : sum) s = _mm512_fmadd_ps(s, half, one);
  float total = 0;
  for (const __m512& s : sum) total += _mm512_cvtss_f32(s);
  return total;
}

__attribute__((target("avx512f,avx512bf16"))) float multiply_add_bf16(long rounds) {
  __m512 sum[kSums];
  for (__m512& s : sum) s = _mm512_setzero_ps();
  const __m512bh zero = (__m512bh)_mm512_setzero_ps();
  for (long i = 0; i < rounds; ++i)
#pragma GCC unroll 12
    for (__m512& s : sum) s = _mm512_dpbf16_ps(s, zero, zero);
  float total = 0;
  for (const __m512& s : sum) total += _mm512_cvtss_f32(s);
  return total;
}

/// `floats`: multiply-adds of one instruction.
void measure_fma(const char* kind, const char* isa, int floats, float (*multiply_add)(long),
                 int threads) {
  const double seconds = best_seconds(threads, [&] {
    volatile float used = multiply_add(kRounds);
    (void)used;
  });
  const double flop = 2.0 * floats * kSums * static_cast<double>(kRounds) * threads;
  std::printf("%s %s %d %.1f\n", kind, isa, threads, 1e-9 * flop / seconds);
}

/// a = b + 3 c over arrays far larger than the caches; 12 bytes are counted for each element.
void measure_triad(bool streaming, int threads) {
  constexpr long kCount = 1L << 24;
  struct Free {
    void operator()(float* p) const { std::free(p); }
  };
  std::unique_ptr<float, Free> memory[3];
  float* array[3];
  for (int i = 0; i < 3; ++i) {
    memory[i].reset(static_cast<float*>(std::aligned_alloc(64, kCount * sizeof(float))));
    array[i] = memory[i].get();
#pragma omp parallel for num_threads(threads)
    for (long k = 0; k < kCount; ++k) array[i][k] = 1;
  }
  const double seconds = best_seconds(threads, [&] {
    const long share = kCount / threads, begin = omp_get_thread_num() * share;
    float* a = array[0];
    const float *b = array[1], *c = array[2];
    for (long k = begin; k < begin + share; k += 4) {
      const __m128 sum =
          _mm_add_ps(_mm_load_ps(b + k), _mm_mul_ps(_mm_set1_ps(3), _mm_load_ps(c + k)));
      if (streaming)
        _mm_stream_ps(a + k, sum);
      else
        _mm_store_ps(a + k, sum);
    }
  });
  std::printf("triad %s %d %.1f\n", streaming ? "streaming" : "plain", threads,
              1e-9 * 12 * kCount / seconds);
}

}  // namespace
}  // namespace doppio

int main() {
  using namespace doppio;
  std::printf("isa %s\n", isa_name(cpu_isa()));
  const int all = omp_get_max_threads();
  for (int threads = 1; threads <= all; threads += std::max(1, all - 1)) {
    if (cpu_isa() >= Isa::avx2) measure_fma("fma", "avx2", 8, multiply_add_avx2, threads);
    if (cpu_isa() >= Isa::avx512) measure_fma("fma", "avx512", 16, multiply_add_avx512, threads);
    if (cpu_has_bf16()) measure_fma("bf16", "avx512", 32, multiply_add_bf16, threads);
    measure_triad(false, threads);
    measure_triad(true, threads);
  }
}
