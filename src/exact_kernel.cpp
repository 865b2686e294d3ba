#include "exact_kernel.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>
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
using Doubles = hn::ScalableTag<double>;
using Bits = hn::RebindToUnsigned<Doubles>;
using V = hn::Vec<Doubles>;

/// exponential() of exponential.hpp, step by step, with fused steps where there are any.
HWY_INLINE V vector_exponential(V argument) {
  using Steps = ExponentialSteps;
  const Doubles tag;
  const Bits bits;
  const V to_integer = hn::Set(tag, Steps::to_integer);
  const V x = hn::Max(hn::Set(tag, Steps::lowest), argument);
  const V shifted = hn::MulAdd(x, hn::Set(tag, Steps::log2e), to_integer);
  const V m = hn::Sub(shifted, to_integer);
  const V r =
      hn::NegMulAdd(m, hn::Set(tag, Steps::ln2_low), hn::NegMulAdd(m, hn::Set(tag, Steps::ln2_high), x));
  V p = hn::Set(tag, Steps::taylor[0]);
  for (std::size_t k = 1; k < std::size(Steps::taylor); ++k)
    p = hn::MulAdd(p, r, hn::Set(tag, Steps::taylor[k]));
  const auto exponent = hn::ShiftLeft<52>(hn::BitCast(bits, shifted));
  return hn::BitCast(tag, hn::Add(hn::BitCast(bits, p), exponent));
}

/// Scores of one vector of queries, `points` (d, lanes), and `Keys` keys (Keys, d): (Keys, lanes).
template <int Keys>
HWY_INLINE V score(const double* HWY_RESTRICT points, const double* HWY_RESTRICT keys, Index d,
                   double* HWY_RESTRICT scores, V largest) {
  const Doubles tag;
  const auto lanes = static_cast<Index>(hn::Lanes(tag));
  V sums[Keys];
  const V first = hn::Load(tag, points);
  for (int j = 0; j < Keys; ++j) sums[j] = hn::Mul(first, hn::Set(tag, keys[j * d]));
  for (Index l = 1; l < d; ++l) {
    const V coordinate = hn::Load(tag, points + l * lanes);
    for (int j = 0; j < Keys; ++j) sums[j] = hn::MulAdd(coordinate, hn::Set(tag, keys[j * d + l]), sums[j]);
  }
  for (int j = 0; j < Keys; ++j) {
    hn::Store(sums[j], tag, scores + j * lanes);
    largest = hn::Max(largest, sums[j]);
  }
  return largest;
}

/// sums (Columns, lanes) = sum over j of weights (b, lanes) times `values`, (b, Columns) of rows of `stride`
/// numbers.
template <int Columns>
HWY_INLINE void weigh(const double* HWY_RESTRICT weights, const double* HWY_RESTRICT values, Index stride,
                      Index b, double* HWY_RESTRICT sums) {
  const Doubles tag;
  const auto lanes = static_cast<Index>(hn::Lanes(tag));
  V accumulated[Columns];
  for (int c = 0; c < Columns; ++c) accumulated[c] = hn::Zero(tag);
  for (Index j = 0; j < b; ++j, values += stride) {
    const V weight = hn::Load(tag, weights + j * lanes);
    for (int c = 0; c < Columns; ++c)
      accumulated[c] = hn::MulAdd(weight, hn::Set(tag, values[c]), accumulated[c]);
  }
  for (int c = 0; c < Columns; ++c) hn::Store(accumulated[c], tag, sums + c * lanes);
}

/// Columns whose sums are kept in registers together.
constexpr int most_columns = 12;

template <int Columns = most_columns>
HWY_INLINE void weigh_some(Index columns, const double* weights, const double* values, Index stride, Index b,
                           double* sums) {
  if (columns >= Columns) return weigh<Columns>(weights, values, stride, b, sums);
  if constexpr (Columns > 1) weigh_some<Columns - 1>(columns, weights, values, stride, b, sums);
}

void SumTile(const double* queries, Index query_stride, Index rows, const double* keys, const double* values,
             Index b, Index d, Index columns, double* maximum, double* sums) {
  const Doubles tag;
  const auto lanes = static_cast<Index>(hn::Lanes(tag));
  const auto buffer = hwy::AllocateAligned<double>(static_cast<std::size_t>(lanes * (d + b + columns + 1)));
  double *points = buffer.get(), *scores = points + d * lanes, *totals = scores + b * lanes,
         *maxima = totals + columns * lanes;
  for (Index begin = 0; begin < rows; begin += lanes) {
    const Index count = std::min(lanes, rows - begin);
    for (Index i = 0; i < lanes; ++i)  // lanes without a query take the last one's
      for (Index l = 0; l < d; ++l)
        points[l * lanes + i] = queries[(begin + std::min(i, count - 1)) * query_stride + l];
    constexpr int keys_together = 8;
    V largest = hn::Set(tag, -HUGE_VAL);
    Index j = 0;
    for (; j + keys_together <= b; j += keys_together)
      largest = score<keys_together>(points, keys + j * d, d, scores + j * lanes, largest);
    for (; j < b; ++j) largest = score<1>(points, keys + j * d, d, scores + j * lanes, largest);
    for (j = 0; j < b; ++j) {
      double* place = scores + j * lanes;
      hn::Store(vector_exponential(hn::Sub(hn::Load(tag, place), largest)), tag, place);
    }
    for (Index c = 0; c < columns; c += most_columns)
      weigh_some(columns - c, scores, values + c, columns, b, totals + c * lanes);
    hn::Store(largest, tag, maxima);
    for (Index i = 0; i < count; ++i) {
      maximum[begin + i] = maxima[i];
      for (Index c = 0; c < columns; ++c) sums[(begin + i) * columns + c] = totals[c * lanes + i];
    }
  }
}

void Exponentials(double* numbers, Index count) {
  const Doubles tag;
  const auto lanes = static_cast<Index>(hn::Lanes(tag));
  Index i = 0;
  for (; i + lanes <= count; i += lanes)
    hn::StoreU(vector_exponential(hn::LoadU(tag, numbers + i)), tag, numbers + i);
  HWY_ALIGN double rest[HWY_MAX_BYTES / sizeof(double)] = {};
  std::copy(numbers + i, numbers + count, rest);
  hn::Store(vector_exponential(hn::Load(tag, rest)), tag, rest);
  std::copy(rest, rest + (count - i), numbers + i);
}

}  // namespace
}  // namespace kronattn::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace kronattn {

HWY_EXPORT(SumTile);
HWY_EXPORT(Exponentials);

void sum_tile(const double* queries, Index query_stride, Index rows, const double* keys, const double* values,
              Index b, Index d, Index columns, double* maximum, double* sums) {
  HWY_DYNAMIC_DISPATCH(SumTile)
  (queries, query_stride, rows, keys, values, b, d, columns, maximum, sums);
}

void exponentials(double* numbers, Index count) {
  HWY_DYNAMIC_DISPATCH(Exponentials)(numbers, count);
}

void sum_tile_plainly(const double* queries, Index query_stride, Index rows, const double* keys,
                      const double* values, Index b, Index d, Index columns, double* maximum, double* sums) {
  std::vector<double> scores(static_cast<std::size_t>(b));
  for (Index i = 0; i < rows; ++i) {
    for (Index j = 0; j < b; ++j) {
      double& score = scores[static_cast<std::size_t>(j)] = 0;
      for (Index l = 0; l < d; ++l) score += queries[i * query_stride + l] * keys[j * d + l];
    }
    maximum[i] = *std::max_element(scores.begin(), scores.end());
    double* row = sums + i * columns;
    std::fill_n(row, columns, 0.0);
    for (Index j = 0; j < b; ++j) {
      const double weight = exponential(scores[static_cast<std::size_t>(j)] - maximum[i]);
      for (Index c = 0; c < columns; ++c) row[c] += weight * values[j * columns + c];
    }
  }
}

}  // namespace kronattn
#endif
