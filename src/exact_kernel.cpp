#include "exact_kernel.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <type_traits>
#include <vector>

#include "exponential.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "exact_kernel.cpp"
#include <hwy/aligned_allocator.h>
#include <hwy/foreach_target.h>  // compiles this file once for each instruction set
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace kronattn::HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;
template <class T>
using Tag = hn::ScalableTag<T>;
template <class T>
using V = hn::Vec<Tag<T>>;

template <class T>
HWY_INLINE Index lanes_of() {
  return static_cast<Index>(hn::Lanes(Tag<T>()));
}

/// exponential() of exponential.hpp, step by step, with fused steps where there are any.
template <class T>
HWY_INLINE V<T> vector_exponential(V<T> argument) {
  using Steps = ExponentialSteps<T>;
  const Tag<T> tag;
  const hn::RebindToUnsigned<Tag<T>> bits;
  const V<T> to_integer = hn::Set(tag, Steps::to_integer);
  const V<T> x = hn::Max(hn::Set(tag, Steps::lowest), argument);
  const V<T> shifted = hn::MulAdd(x, hn::Set(tag, Steps::log2e), to_integer);
  const V<T> m = hn::Sub(shifted, to_integer);
  const V<T> r =
      hn::NegMulAdd(m, hn::Set(tag, Steps::ln2_low), hn::NegMulAdd(m, hn::Set(tag, Steps::ln2_high), x));
  V<T> p = hn::Set(tag, Steps::taylor[0]);
  for (std::size_t k = 1; k < std::size(Steps::taylor); ++k)
    p = hn::MulAdd(p, r, hn::Set(tag, Steps::taylor[k]));
  const auto exponent = hn::ShiftLeft<Steps::mantissa_bits>(hn::BitCast(bits, shifted));
  return hn::BitCast(tag, hn::Add(hn::BitCast(bits, p), exponent));
}

/// Scores of one vector of queries, `points` (d, lanes), and `Keys` keys (Keys, d): (Keys, lanes).
template <int Keys, class T>
HWY_INLINE V<T> score(const T* HWY_RESTRICT points, const T* HWY_RESTRICT keys, Index d,
                      T* HWY_RESTRICT scores, V<T> largest) {
  const Tag<T> tag;
  const Index lanes = lanes_of<T>();
  V<T> sums[Keys];
  const V<T> first = hn::Load(tag, points);
  for (int j = 0; j < Keys; ++j) sums[j] = hn::Mul(first, hn::Set(tag, keys[j * d]));
  for (Index l = 1; l < d; ++l) {
    const V<T> coordinate = hn::Load(tag, points + l * lanes);
    for (int j = 0; j < Keys; ++j) sums[j] = hn::MulAdd(coordinate, hn::Set(tag, keys[j * d + l]), sums[j]);
  }
  for (int j = 0; j < Keys; ++j) {
    hn::Store(sums[j], tag, scores + j * lanes);
    largest = hn::Max(largest, sums[j]);
  }
  return largest;
}

HWY_INLINE void add_to(double* HWY_RESTRICT sums, V<double> block) {
  const Tag<double> tag;
  hn::Store(hn::Add(hn::Load(tag, sums), block), tag, sums);
}

HWY_INLINE V<double> lower(V<float> numbers) {
  return hn::PromoteTo(Tag<double>(), hn::LowerHalf(hn::Half<Tag<float>>(), numbers));
}
HWY_INLINE V<double> upper(V<float> numbers) {
  return hn::PromoteTo(Tag<double>(), hn::UpperHalf(hn::Half<Tag<float>>(), numbers));
}
HWY_INLINE void add_to(double* HWY_RESTRICT sums, V<float> block) {
  add_to(sums, lower(block));
  add_to(sums + lanes_of<double>(), upper(block));
}

/// sums (Columns, lanes) += sum over j of weights (b, lanes) times `values`, (b, Columns) of rows of `stride`
/// numbers.
template <int Columns, class T>
HWY_INLINE void weigh(const T* HWY_RESTRICT weights, const T* HWY_RESTRICT values, Index stride, Index b,
                      double* HWY_RESTRICT sums) {
  const Tag<T> tag;
  const Index lanes = lanes_of<T>();
  V<T> accumulated[Columns];
  for (int c = 0; c < Columns; ++c) accumulated[c] = hn::Zero(tag);
  for (Index j = 0; j < b; ++j, values += stride) {
    const V<T> weight = hn::Load(tag, weights + j * lanes);
    for (int c = 0; c < Columns; ++c)
      accumulated[c] = hn::MulAdd(weight, hn::Set(tag, values[c]), accumulated[c]);
  }
  for (int c = 0; c < Columns; ++c) add_to(sums + c * lanes, accumulated[c]);
}

/// Weights in float, all else in double.
template <int Columns>
HWY_INLINE void weigh(const float* HWY_RESTRICT weights, const double* HWY_RESTRICT values, Index stride,
                      Index b, double* HWY_RESTRICT sums) {
  const Tag<double> tag;
  const Index lanes = lanes_of<float>();
  V<double> first[Columns], second[Columns];
  for (int c = 0; c < Columns; ++c) first[c] = second[c] = hn::Zero(tag);
  for (Index j = 0; j < b; ++j, values += stride) {
    const V<float> weight = hn::Load(Tag<float>(), weights + j * lanes);
    const V<double> one = lower(weight), other = upper(weight);
    for (int c = 0; c < Columns; ++c) {
      const V<double> value = hn::Set(tag, values[c]);
      first[c] = hn::MulAdd(one, value, first[c]);
      second[c] = hn::MulAdd(other, value, second[c]);
    }
  }
  for (int c = 0; c < Columns; ++c) {
    add_to(sums + c * lanes, first[c]);
    add_to(sums + c * lanes + lanes_of<double>(), second[c]);
  }
}

/// Columns whose sums are kept in registers together.
template <class T, class U>
constexpr int most_columns = std::is_same_v<T, U> ? 12 : 6;

template <int Columns, class T, class U>
HWY_INLINE void weigh_some(Index columns, const T* weights, const U* values, Index stride, Index b,
                           double* sums) {
  if (columns >= Columns) return weigh<Columns>(weights, values, stride, b, sums);
  if constexpr (Columns > 1) weigh_some<Columns - 1>(columns, weights, values, stride, b, sums);
}

template <class T, class U>
void sum_tile_of(const double* queries, Index query_stride, Index rows, const T* keys, const U* values,
                 Index b, Index d, Index columns, double* maximum, double* sums) {
  const Tag<T> tag;
  const Index lanes = lanes_of<T>();
  const Index block = std::is_same_v<U, float> ? single_block : b;
  const auto buffer = hwy::AllocateAligned<T>(static_cast<std::size_t>(lanes * (d + b + 1)));
  const auto totals = hwy::AllocateAligned<double>(static_cast<std::size_t>(lanes * columns));
  T *points = buffer.get(), *scores = points + d * lanes, *maxima = scores + b * lanes;
  for (Index begin = 0; begin < rows; begin += lanes) {
    const Index count = std::min(lanes, rows - begin);
    for (Index i = 0; i < lanes; ++i)  // lanes without a query take the last one's
      for (Index l = 0; l < d; ++l)
        points[l * lanes + i] = static_cast<T>(queries[(begin + std::min(i, count - 1)) * query_stride + l]);
    constexpr int keys_together = 8;
    V<T> largest = hn::Set(tag, -std::numeric_limits<T>::infinity());
    Index j = 0;
    for (; j + keys_together <= b; j += keys_together)
      largest = score<keys_together>(points, keys + j * d, d, scores + j * lanes, largest);
    for (; j < b; ++j) largest = score<1>(points, keys + j * d, d, scores + j * lanes, largest);
    for (j = 0; j < b; ++j) {
      T* place = scores + j * lanes;
      hn::Store(vector_exponential<T>(hn::Sub(hn::Load(tag, place), largest)), tag, place);
    }
    std::fill_n(totals.get(), lanes * columns, 0.0);
    for (Index c = 0; c < columns; c += most_columns<T, U>)
      for (j = 0; j < b; j += block)
        weigh_some<most_columns<T, U>>(columns - c, scores + j * lanes, values + j * columns + c, columns,
                                       std::min(block, b - j), totals.get() + c * lanes);
    hn::Store(largest, tag, maxima);
    for (Index i = 0; i < count; ++i) {
      maximum[begin + i] = maxima[i];
      for (Index c = 0; c < columns; ++c) sums[(begin + i) * columns + c] = totals[c * lanes + i];
    }
  }
}

template <class T>
void exponentials_of(T* numbers, Index count) {
  const Tag<T> tag;
  const Index lanes = lanes_of<T>();
  Index i = 0;
  for (; i + lanes <= count; i += lanes)
    hn::StoreU(vector_exponential<T>(hn::LoadU(tag, numbers + i)), tag, numbers + i);
  HWY_ALIGN T rest[HWY_MAX_BYTES / sizeof(T)] = {};
  std::copy(numbers + i, numbers + count, rest);
  hn::Store(vector_exponential<T>(hn::Load(tag, rest)), tag, rest);
  std::copy(rest, rest + (count - i), numbers + i);
}

void SumTileDouble(const double* queries, Index query_stride, Index rows, const double* keys,
                   const double* values, Index b, Index d, Index columns, double* maximum, double* sums) {
  sum_tile_of(queries, query_stride, rows, keys, values, b, d, columns, maximum, sums);
}
void SumTileFloat(const double* queries, Index query_stride, Index rows, const float* keys,
                  const float* values, Index b, Index d, Index columns, double* maximum, double* sums) {
  sum_tile_of(queries, query_stride, rows, keys, values, b, d, columns, maximum, sums);
}
void SumTileMixed(const double* queries, Index query_stride, Index rows, const float* keys,
                  const double* values, Index b, Index d, Index columns, double* maximum, double* sums) {
  sum_tile_of(queries, query_stride, rows, keys, values, b, d, columns, maximum, sums);
}
void ExponentialsDouble(double* numbers, Index count) {
  exponentials_of(numbers, count);
}
void ExponentialsFloat(float* numbers, Index count) {
  exponentials_of(numbers, count);
}

}  // namespace
}  // namespace kronattn::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace kronattn {

HWY_EXPORT(SumTileDouble);
HWY_EXPORT(SumTileFloat);
HWY_EXPORT(SumTileMixed);
HWY_EXPORT(ExponentialsDouble);
HWY_EXPORT(ExponentialsFloat);

template <>
void sum_tile(const double* queries, Index query_stride, Index rows, const double* keys, const double* values,
              Index b, Index d, Index columns, double* maximum, double* sums) {
  HWY_DYNAMIC_DISPATCH(SumTileDouble)
  (queries, query_stride, rows, keys, values, b, d, columns, maximum, sums);
}
template <>
void sum_tile(const double* queries, Index query_stride, Index rows, const float* keys, const float* values,
              Index b, Index d, Index columns, double* maximum, double* sums) {
  HWY_DYNAMIC_DISPATCH(SumTileFloat)
  (queries, query_stride, rows, keys, values, b, d, columns, maximum, sums);
}

template <>
void sum_tile(const double* queries, Index query_stride, Index rows, const float* keys, const double* values,
              Index b, Index d, Index columns, double* maximum, double* sums) {
  HWY_DYNAMIC_DISPATCH(SumTileMixed)
  (queries, query_stride, rows, keys, values, b, d, columns, maximum, sums);
}

template <>
void exponentials(double* numbers, Index count) {
  HWY_DYNAMIC_DISPATCH(ExponentialsDouble)(numbers, count);
}
template <>
void exponentials(float* numbers, Index count) {
  HWY_DYNAMIC_DISPATCH(ExponentialsFloat)(numbers, count);
}

template <class T, class U>
void sum_tile_plainly(const double* queries, Index query_stride, Index rows, const T* keys, const U* values,
                      Index b, Index d, Index columns, double* maximum, double* sums) {
  std::vector<T> scores(static_cast<std::size_t>(b));
  for (Index i = 0; i < rows; ++i) {
    for (Index j = 0; j < b; ++j) {
      T& score = scores[static_cast<std::size_t>(j)] = 0;
      for (Index l = 0; l < d; ++l) score += static_cast<T>(queries[i * query_stride + l]) * keys[j * d + l];
    }
    const T largest = *std::max_element(scores.begin(), scores.end());
    maximum[i] = largest;
    double* row = sums + i * columns;
    std::fill_n(row, columns, 0.0);
    for (Index j = 0; j < b; ++j) {
      const double weight = exponential(scores[static_cast<std::size_t>(j)] - largest);
      for (Index c = 0; c < columns; ++c) row[c] += weight * values[j * columns + c];
    }
  }
}
template void sum_tile_plainly(const double*, Index, Index, const double*, const double*, Index, Index, Index,
                               double*, double*);
template void sum_tile_plainly(const double*, Index, Index, const float*, const float*, Index, Index, Index,
                               double*, double*);
template void sum_tile_plainly(const double*, Index, Index, const float*, const double*, Index, Index, Index,
                               double*, double*);

}  // namespace kronattn
#endif
