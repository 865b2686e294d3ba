// The kernels of the polynomial method beside what the machine could do: one thread, processor time.
//
//   aggregate, evaluate   useful flops, 2 rows r (d_v + 1), as a share of the multiply-and-add peak, which is
//                         measured before and after each, in the same run and with the same vectors
//   gemm_...              the same as a plain program has it: features of b rows written out, each its parent
//   times a
//                         coordinate, then one matrix product by Eigen, or by OpenBLAS where libopenblas.so.0
//                         is there
//   peak, copy            that peak, and the bandwidth of a copy that no cache holds
//
// kernels [--benchmark_filter=...] [--benchmark_format=json]: Google Benchmark's options.
#include <benchmark/benchmark.h>
#include <dlfcn.h>
#include <time.h>

#include <cstring>
#include <random>

#include "feature_kernels.hpp"
#include "fixed_point_sums.hpp"
#include "instruction_set.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "benchmarks/kernels.cpp"
#include <hwy/foreach_target.h>
//
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace kronattn {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

/// Flops of `rounds` rounds of independent multiply-and-adds, as many as hide their latency.
template <class T>
double multiply_and_add(int rounds) {
  const hn::ScalableTag<T> d;
  constexpr int chains = 12;
  const auto factor = hn::Set(d, T(1.0001)), term = hn::Set(d, T(1e-9));
  hn::Vec<decltype(d)> sums[chains];
#pragma GCC unroll 12
  for (int i = 0; i < chains; ++i) sums[i] = hn::Set(d, static_cast<T>(i + 1));
  for (int round = 0; round < rounds; ++round)
#pragma GCC unroll 12
    for (int i = 0; i < chains; ++i) {
      sums[i] = hn::MulAdd(sums[i], factor, term);
#if HWY_ARCH_X86
      asm volatile("" : "+v"(sums[i].raw));  // not two at once, nor none
#endif
    }
  auto all = sums[0];
#pragma GCC unroll 12
  for (int i = 1; i < chains; ++i) all = hn::Add(all, sums[i]);
  benchmark::DoNotOptimize(all);
  return 2.0 * chains * rounds * static_cast<double>(hn::Lanes(d));
}
double multiply_and_add_double(int rounds) {
  return multiply_and_add<double>(rounds);
}
double multiply_and_add_float(int rounds) {
  return multiply_and_add<float>(rounds);
}

}  // namespace HWY_NAMESPACE
}  // namespace kronattn
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace kronattn {

HWY_EXPORT(multiply_and_add_double);
HWY_EXPORT(multiply_and_add_float);

namespace {

double thread_seconds() {
  timespec time;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

/// Flops a second.
template <class T>
double peak() {
  const double start = thread_seconds();
  const double flops = sizeof(T) == sizeof(double) ? HWY_DYNAMIC_DISPATCH(multiply_and_add_double)(1000000)
                                                   : HWY_DYNAMIC_DISPATCH(multiply_and_add_float)(1000000);
  return flops / (thread_seconds() - start);
}

/// A problem of the kernels' own size: a few tiles, all monomials of a total degree.
template <class T>
struct Work {
  Work(Index width, Index degree, Index value_width)
      : monomials(Monomials::of_total_degree(width, degree)),
        columns(value_width + 1),
        parts(subtrees(monomials, monomials_of_a_part(columns))),
        points(width * query_group_rows<T>() * groups) {
    std::mt19937_64 generator(1);
    std::uniform_real_distribution<double> uniform(-1, 1);
    const auto fill = [&](auto&& numbers) {
      for (auto& number : numbers) number = static_cast<std::decay_t<decltype(number)>>(uniform(generator));
    };
    Matrix tile(width, aggregate_tile_rows<T>), weighted(columns, aggregate_tile_rows<T>);
    for (Index i = 0; i < tiles; ++i) {
      fill(tile.reshaped());
      fill(weighted.reshaped());
      keys.emplace_back(width, columns).pack(tile, weighted);
    }
    combined.columns = columns;
    combined.sums.resize(monomials.count() * columns);
    fill(combined.sums);
    fill(points);
    moments.setZero((degree + 1) * columns * query_group_rows<T>() * groups);
  }

  static constexpr Index tiles = 8, groups = 16;
  Monomials monomials;
  Index columns;
  std::vector<Subtree> parts;
  std::vector<PackedKeys<T>> keys;
  CombinedSums<T> combined;
  Buffer<T> points, buffer;
  Buffer<double> moments;
};

/// Runs `once`, of `flops`, as often as Google Benchmark asks, between two looks at the peak.
template <class T, class Once>
void measure(benchmark::State& state, double flops, Once once) {
  const double before = peak<T>(), start = thread_seconds();
  for (auto _ : state) once();
  const double rate = flops * static_cast<double>(state.iterations()) / (thread_seconds() - start);
  state.counters["Gflop/s"] = rate / 1e9;
  state.counters["of_peak"] = 2 * rate / (before + peak<T>());
}

template <class T>
void aggregate(benchmark::State& state) {
  Work<T> work(state.range(0), state.range(1), state.range(2));
  const FixedPointSums sums(1, 1e9);
  const double rows = static_cast<double>(Work<T>::tiles * aggregate_tile_rows<T>);
  measure<T>(state, 2 * rows * static_cast<double>(work.monomials.count() * work.columns), [&] {
    for (const Subtree& part : work.parts) {
      PartialSums partial(part.count * work.columns, sums.to_high());
      for (const PackedKeys<T>& keys : work.keys)
        aggregate_features(work.monomials, part, {0, state.range(1) + 1}, keys, partial, work.buffer);
      benchmark::DoNotOptimize(partial.high.data());
    }
  });
}

template <class T>
void evaluate(benchmark::State& state) {
  Work<T> work(state.range(0), state.range(1), state.range(2));
  const Index rows = query_group_rows<T>(), degree = state.range(1);
  const Index moments = (degree + 1) * work.columns * rows;
  const double all = static_cast<double>(Work<T>::groups * rows);
  measure<T>(state, 2 * all * static_cast<double>(work.monomials.count() * work.columns), [&] {
    for (const Subtree& part : work.parts)
      for (Index group = 0; group < Work<T>::groups; ++group)
        evaluate_features(work.monomials, part, work.combined,
                          work.points.data() + group * work.monomials.variables() * rows, {0, degree + 1},
                          {work.moments.data() + group * moments, nullptr, rows}, work.buffer);
  });
}

enum class Library { eigen, openblas };

template <class T>
using RowMajor = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

/// OpenBLAS on one thread, if it is installed: cblas_dgemm or cblas_sgemm.
template <class T>
class OpenBlas {
 public:
  OpenBlas() {
    void* library = dlopen("libopenblas.so.0", RTLD_NOW);
    if (library == nullptr) return;
    if (void* threads = dlsym(library, "openblas_set_num_threads"))
      reinterpret_cast<void (*)(int)>(threads)(1);
    gemm_ =
        reinterpret_cast<Gemm>(dlsym(library, sizeof(T) == sizeof(double) ? "cblas_dgemm" : "cblas_sgemm"));
  }
  explicit operator bool() const { return gemm_ != nullptr; }

  /// c (m, n) += a (m, k) b (k, n), or a' b with a (k, m).
  void operator()(bool transposed, const RowMajor<T>& a, const RowMajor<T>& b, RowMajor<T>& c) const {
    constexpr int row_major = 101, as_it_is = 111, transpose = 112;
    const auto size = [](Index rows) { return static_cast<int>(rows); };
    gemm_(row_major, transposed ? transpose : as_it_is, as_it_is, size(c.rows()), size(c.cols()),
          size(b.rows()), 1, a.data(), size(a.cols()), b.data(), size(b.cols()), 1, c.data(), size(c.cols()));
  }

 private:
  using Gemm = void (*)(int, int, int, int, int, int, T, const T*, int, const T*, int, T, T*, int);
  Gemm gemm_ = nullptr;
};

/// The features of b rows, (r, b), and what they are multiplied with: of keys weighted values (b, columns),
/// summed to (r, columns); of queries the sums, to (b, columns).
template <class T, Library library, bool queries>
void gemm(benchmark::State& state) {
  const Monomials monomials = Monomials::of_total_degree(state.range(0), state.range(1));
  const Index r = monomials.count(), columns = state.range(2) + 1, b = state.range(3);
  const RowMajor<T> points = RowMajor<T>::Random(monomials.variables(), b);
  const RowMajor<T> factor = RowMajor<T>::Random(queries ? r : b, columns);
  RowMajor<T> features(r, b), sums = RowMajor<T>::Zero(queries ? b : r, columns);
  const OpenBlas<T> openblas;
  if (library == Library::openblas && !openblas)
    return state.SkipWithError("libopenblas.so.0 is not installed");
  measure<T>(state, 2 * static_cast<double>(b * r * columns), [&] {
    features.row(0).setOnes();
    for (Index a = 1; a < r; ++a)
      features.row(a) = features.row(monomials.parent(a)).cwiseProduct(points.row(monomials.axis(a)));
    if (library == Library::openblas)
      openblas(queries, features, factor, sums);
    else if (queries)
      sums.noalias() += features.transpose() * factor;
    else
      sums.noalias() += features * factor;
    benchmark::DoNotOptimize(sums.data());
  });
}

void gemm_sizes(benchmark::internal::Benchmark* one) {
  one->ArgNames({"d", "g", "d_v", "b"});
  for (const auto& size :
       std::vector<std::vector<std::int64_t>>{{4, 8, 4}, {8, 4, 8}, {8, 6, 8}, {16, 4, 16}, {64, 3, 64}})
    for (std::int64_t rows : {256, 1024}) one->Args({size[0], size[1], size[2], rows});
}

void sizes(benchmark::internal::Benchmark* one) {
  one->ArgNames({"d", "g", "d_v"});
  for (const auto& size : std::vector<std::vector<std::int64_t>>{
           {4, 8, 4}, {8, 4, 8}, {8, 5, 8}, {8, 6, 8}, {16, 4, 16}, {64, 3, 64}, {20, 6, 20}})
    one->Args(size);
}

void peak_rate(benchmark::State& state) {
  double rate = 0;
  for (auto _ : state) rate = std::max(rate, peak<double>());
  state.counters["Gflop/s"] = rate / 1e9;
  state.SetLabel(instruction_set());
}

void copy(benchmark::State& state) {
  const std::vector<double> from(std::size_t{1} << 24, 1.0);
  std::vector<double> to(from.size());
  for (auto _ : state) {
    std::memcpy(to.data(), from.data(), from.size() * sizeof(double));
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(2 * static_cast<std::int64_t>(from.size() * sizeof(double)) * state.iterations());
}

BENCHMARK(peak_rate);
BENCHMARK(copy);
BENCHMARK(aggregate<double>)->Apply(sizes);
BENCHMARK(evaluate<double>)->Apply(sizes);
BENCHMARK(aggregate<float>)->Apply(sizes);
BENCHMARK(evaluate<float>)->Apply(sizes);
BENCHMARK(gemm<double, Library::eigen, false>)->Name("gemm_aggregate<double, Eigen>")->Apply(gemm_sizes);
BENCHMARK(gemm<double, Library::eigen, true>)->Name("gemm_evaluate<double, Eigen>")->Apply(gemm_sizes);
BENCHMARK(gemm<double, Library::openblas, false>)
    ->Name("gemm_aggregate<double, OpenBLAS>")
    ->Apply(gemm_sizes);
BENCHMARK(gemm<double, Library::openblas, true>)->Name("gemm_evaluate<double, OpenBLAS>")->Apply(gemm_sizes);
BENCHMARK(gemm<float, Library::openblas, false>)->Name("gemm_aggregate<float, OpenBLAS>")->Apply(gemm_sizes);
BENCHMARK(gemm<float, Library::openblas, true>)->Name("gemm_evaluate<float, OpenBLAS>")->Apply(gemm_sizes);

}  // namespace
}  // namespace kronattn

BENCHMARK_MAIN();
#endif
