#include "feature_kernels.hpp"

#include <cmath>
#include <type_traits>

#include "fixed_point_sums.hpp"

// This file is compiled once for each instruction set (Highway's foreach_target).
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "feature_kernels.cpp"
#include <hwy/foreach_target.h>
//
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace kronattn {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

template <class T>
using Lanes = hn::ScalableTag<T>;
template <class T>
using Vec = hn::Vec<Lanes<T>>;

// Registers: accumulators, the features of one step, and one vector beside. The features of a query block
// take 12 kB.
#if HWY_TARGET <= HWY_AVX3  // 32 registers
constexpr int vectors_together = 3, most_query_columns = 9;
constexpr int monomials_together = 3, most_key_columns = 9;
constexpr Index query_block = least_query_block;
#else  // 16
constexpr int vectors_together = 3, most_query_columns = 4;
constexpr int monomials_together = 2, most_key_columns = 6;
constexpr Index query_block = most_query_block;
#endif

/// The same vector; the compiler must hold it in a register, not load it again for each use: loads are what
/// the kernels run out of first.
template <class V>
HWY_INLINE V in_register(V vector) {
#if HWY_ARCH_X86
  asm("" : "+v"(vector.raw));
#endif
  return vector;
}

/// Where a block's features come from, and whether they are kept for what comes after.
enum class Features { formed, formed_and_stored, stored };

/// What a block of features is formed from.
template <class T>
struct BlockOf {
  const T* points;             // of coordinate 0
  const T* parents;            // of monomial `first_parent`
  Index first_parent;          //
  const std::int32_t* parent;  // of each monomial of the block
  const std::int32_t* axis;    //
  T* here;                     // the block's own features
  Index rows;                  // from one coordinate, or monomial, to the next
  Index count;                 // monomials

  const T* parent_of(Index a) const { return parents + (parent[a] - first_parent) * rows; }
  const T* axis_of(Index a) const { return points + axis[a] * rows; }
};

/// The block `range`, whose parents' features stand one level before its own.
template <class T>
BlockOf<T> block_of(const Monomials& monomials, Range range, Range parents, const T* points, T* here,
                    Index rows, Index level) {
  return {
      points, here - level, parents.begin, monomials.parents() + range.begin, monomials.axes() + range.begin,
      here,   rows,         range.size()};
}

/// use(from) with where the features come from: `there` already, or formed now, and needed `again` or not.
template <class Use>
void with_features(bool there, bool again, Use use) {
  if (there)
    use(std::integral_constant<Features, Features::stored>());
  else if (again)
    use(std::integral_constant<Features, Features::formed_and_stored>());
  else
    use(std::integral_constant<Features, Features::formed>());
}

/// The features of the roots, along the way from the constant: the same products as by way of their parents.
template <class T>
void form_roots(const Monomials& monomials, Range roots, const T* points, Index rows, Index vectors,
                T* here) {
  const Lanes<T> d;
  const Index lanes = static_cast<Index>(hn::Lanes(d));
  std::vector<Index> axes;
  for (Index a = roots.begin; a < roots.end; ++a, here += rows) {
    axes.clear();
    for (Index b = a; b > 0; b = monomials.parent(b)) axes.push_back(monomials.axis(b));
    for (Index v = 0; v < vectors; ++v) {
      Vec<T> feature = hn::Set(d, T{1});
      for (std::size_t m = axes.size(); m-- > 0;)
        feature = hn::Mul(feature, hn::Load(d, points + axes[m] * rows + v * lanes));
      hn::Store(feature, d, here + v * lanes);
    }
  }
}

/// A block's features alone.
template <class T>
void form_block(const BlockOf<T>& of, Index vectors) {
  const BlockOf<T> block = of;
  const Lanes<T> d;
  const Index lanes = static_cast<Index>(hn::Lanes(d));
  for (Index a = 0; a < block.count; ++a) {
    const T* parent = block.parent_of(a);
    const T* axis = block.axis_of(a);
    T* here = block.here + a * block.rows;
    for (Index row = 0; row < vectors * lanes; row += lanes)
      hn::Store(hn::Mul(hn::Load(d, parent + row), hn::Load(d, axis + row)), d, here + row);
  }
}

// ---- evaluate ---------------------------------------------------------------------------------------------

template <int columns_here, Features from, class T>
HWY_NOINLINE void evaluate_block(const BlockOf<T>& of, const T* sums, Index columns, double* moments,
                                 Index rows) {
  constexpr int vectors = vectors_together;
  const BlockOf<T> block = of;  // a local: nothing that is stored here can change it
  const Lanes<T> d;
  const Index lanes = static_cast<Index>(hn::Lanes(d));
  Vec<T> accumulators[columns_here][vectors];
  for (auto& column : accumulators)
    for (Vec<T>& sum : column) sum = hn::Zero(d);
  for (Index a = 0; a < block.count; ++a, sums += columns) {
    Vec<T> feature[vectors];
    T* here = block.here + a * block.rows;
    if constexpr (from == Features::stored) {
      for (int v = 0; v < vectors; ++v) feature[v] = hn::Load(d, here + v * lanes);
    } else {
      const T* parent = block.parent_of(a);
      const T* axis = block.axis_of(a);
      for (int v = 0; v < vectors; ++v)
        feature[v] = hn::Mul(hn::Load(d, parent + v * lanes), hn::Load(d, axis + v * lanes));
      if constexpr (from == Features::formed_and_stored)
        for (int v = 0; v < vectors; ++v) hn::Store(feature[v], d, here + v * lanes);
    }
    for (int c = 0; c < columns_here; ++c) {
      const Vec<T> sum = in_register(hn::Set(d, sums[c]));
      for (int v = 0; v < vectors; ++v) accumulators[c][v] = hn::MulAdd(feature[v], sum, accumulators[c][v]);
    }
  }
#pragma GCC unroll 16
  for (int c = 0; c < columns_here; ++c)
#pragma GCC unroll 16
    for (int v = 0; v < vectors; ++v) {
      double* to = moments + c * rows + v * lanes;
      if constexpr (sizeof(T) == sizeof(double)) {
        hn::Store(hn::Add(hn::Load(d, to), accumulators[c][v]), d, to);
      } else {
        const Lanes<double> wide;
        const hn::Rebind<float, Lanes<double>> half;
        const Index half_lanes = static_cast<Index>(hn::Lanes(wide));
        const auto low = hn::PromoteTo(wide, hn::LowerHalf(half, accumulators[c][v]));
        const auto high = hn::PromoteTo(wide, hn::UpperHalf(half, accumulators[c][v]));
        hn::Store(hn::Add(hn::Load(wide, to), low), wide, to);
        hn::Store(hn::Add(hn::Load(wide, to + half_lanes), high), wide, to + half_lanes);
      }
    }
}

template <Features from, int columns_here = most_query_columns, class T>
void evaluate_columns(Index count, const BlockOf<T>& block, const T* sums, Index columns, double* moments,
                      Index rows) {
  if constexpr (columns_here > 0) {
    if (count == columns_here)
      evaluate_block<columns_here, from>(block, sums, columns, moments, rows);
    else
      evaluate_columns<from, columns_here - 1>(count, block, sums, columns, moments, rows);
  }
}

/// kept += sum of |features| times magnitudes, over stored features.
template <class T>
void add_magnitudes(const BlockOf<T>& block, const T* magnitudes, double* kept) {
  double sums[vectors_together * HWY_MAX_BYTES / sizeof(T)] = {};
  for (Index a = 0; a < block.count; ++a) {
    const T* here = block.here + a * block.rows;
    for (Index i = 0; i < block.rows; ++i)
      sums[i] += std::abs(static_cast<double>(here[i])) * static_cast<double>(magnitudes[a]);
  }
  for (Index i = 0; i < block.rows; ++i) kept[i] += sums[i];
}

template <class T>
void evaluate_part(const Monomials& monomials, const Subtree& part, const CombinedSums<T>& combined,
                   const T* points, Range degrees, const Moments& moments, Buffer<T>& buffer) {
  const Index rows = vectors_together * static_cast<Index>(hn::Lanes(Lanes<T>()));
  const Index columns = combined.columns, level = query_block * rows;
  const bool with_magnitudes = combined.magnitudes.size() > 0;
  const Index last = std::min(degrees.end - 1, part.highest_degree());
  if (part.degree > last || part.highest_degree() < degrees.begin) return;
  if (const Index size = level * (last - part.degree + 1); buffer.size() < size) buffer.resize(size);
  walk(monomials, part, last, query_block, [&](Index m, Range range, Range parents) {
    const BlockOf<T> block =
        block_of(monomials, range, parents, points, buffer.data() + (m - part.degree) * level, rows, level);
    const bool root = m == part.degree;
    if (root) form_roots(monomials, range, points, rows, Index{vectors_together}, block.here);
    if (m < degrees.begin) {
      if (!root) form_block(block, Index{vectors_together});
      return;
    }
    for_each_block({0, columns}, most_query_columns, [&](Index first, Index count) {
      with_features(root || first > 0, m < last || count < columns || with_magnitudes, [&](auto from) {
        evaluate_columns<from()>(count, block, combined.sums.data() + range.begin * columns + first, columns,
                                 moments.sums + (m * columns + first) * moments.rows, moments.rows);
      });
    });
    if (with_magnitudes)
      add_magnitudes(block, combined.magnitudes.data() + range.begin, moments.kept + m * moments.rows);
  });
}

// ---- aggregate --------------------------------------------------------------------------------------------

/// Lane i is the sum over the lanes of vector i: neighbours first, then pairs of pairs. Loops here and below
/// are unrolled by name: else the compiler leaves the vectors in memory, a tenth of the kernel's time.
template <class T>
HWY_INLINE Vec<T> sums_of_lanes(const Vec<T>* vectors) {
  const Lanes<T> d;
  constexpr int lanes = static_cast<int>(hn::MaxLanes(Lanes<T>()));
  constexpr int halves = lanes / 2, quarters = sizeof(T) == 4 ? halves / 2 : halves, last = quarters / 2;
  Vec<T> sums[lanes];
#pragma GCC unroll 16
  for (int i = 0; i < lanes; ++i) sums[i] = vectors[i];
#pragma GCC unroll 8
  for (int i = 0; i < halves; ++i)
    sums[i] = hn::Add(hn::InterleaveLower(d, sums[2 * i], sums[2 * i + 1]),
                      hn::InterleaveUpper(d, sums[2 * i], sums[2 * i + 1]));
  if constexpr (sizeof(T) == 4) {
    const hn::RepartitionToWide<Lanes<T>> wide;
#pragma GCC unroll 4
    for (int i = 0; i < quarters; ++i) {
      const auto a = hn::BitCast(wide, sums[2 * i]), b = hn::BitCast(wide, sums[2 * i + 1]);
      sums[i] = hn::Add(hn::BitCast(d, hn::InterleaveLower(wide, a, b)),
                        hn::BitCast(d, hn::InterleaveUpper(wide, a, b)));
    }
  }
  if constexpr (lanes * sizeof(T) >= 64) {
#pragma GCC unroll 2
    for (int i = 0; i < last; ++i) {
      const Vec<T> a = sums[2 * i], b = sums[2 * i + 1];
      sums[i] = hn::Add(hn::OddEvenBlocks(b, a), hn::SwapAdjacentBlocks(hn::OddEvenBlocks(a, b)));
    }
  }
  if constexpr (lanes * sizeof(T) >= 32)
    sums[0] = hn::Add(hn::ConcatLowerLower(d, sums[1], sums[0]), hn::ConcatUpperUpper(d, sums[1], sums[0]));
  return sums[0];
}

/// products(a, c) of `monomials_here` monomials from a on and `columns_here` columns: sums over the tile.
template <int monomials_here, int columns_here, Features from, class T>
HWY_NOINLINE void aggregate_some(const BlockOf<T>& block, Index a, const T* weighted, Index columns,
                                 Index vectors, T* products) {
  constexpr int lanes = static_cast<int>(hn::MaxLanes(Lanes<T>()));
  constexpr int count = monomials_here * columns_here, padded = (count + lanes - 1) / lanes * lanes;
  const Lanes<T> d;
  const T* parent[monomials_here];
  const T* axis[monomials_here];
  for (int i = 0; i < monomials_here; ++i) {
    parent[i] = from == Features::stored ? block.here + (a + i) * block.rows : block.parent_of(a + i);
    axis[i] = block.axis_of(a + i);
  }
  T* here = block.here + a * block.rows;
  Vec<T> accumulators[padded];
#pragma GCC unroll 32
  for (int i = 0; i < padded; ++i) accumulators[i] = hn::Zero(d);
  for (Index row = 0; row < vectors * lanes; row += lanes, weighted += columns * lanes) {
    Vec<T> feature[monomials_here];
    for (int i = 0; i < monomials_here; ++i) {
      feature[i] = hn::Load(d, parent[i] + row);
      if constexpr (from != Features::stored) feature[i] = hn::Mul(feature[i], hn::Load(d, axis[i] + row));
      if constexpr (from == Features::formed_and_stored)
        hn::Store(feature[i], d, here + i * aggregate_tile_rows<T> + row);
    }
    for (int c = 0; c < columns_here; ++c) {
      const Vec<T> weight = in_register(hn::Load(d, weighted + c * lanes));
      for (int i = 0; i < monomials_here; ++i)
        accumulators[i * columns_here + c] =
            hn::MulAdd(feature[i], weight, accumulators[i * columns_here + c]);
    }
  }
  HWY_ALIGN T sums[padded];
#pragma GCC unroll 32
  for (int i = 0; i < padded; i += lanes) hn::Store(sums_of_lanes<T>(accumulators + i), d, sums + i);
  for (int i = 0; i < monomials_here; ++i)
    for (int c = 0; c < columns_here; ++c) products[(a + i) * columns + c] = sums[i * columns_here + c];
}

template <int columns_here, Features from, int monomials_here = monomials_together, class T>
void aggregate_monomials(Index count, const BlockOf<T>& block, Index a, const T* weighted, Index columns,
                         Index vectors, T* products) {
  if constexpr (monomials_here > 0) {
    if (count == monomials_here)
      aggregate_some<monomials_here, columns_here, from>(block, a, weighted, columns, vectors, products);
    else
      aggregate_monomials<columns_here, from, monomials_here - 1>(count, block, a, weighted, columns, vectors,
                                                                  products);
  }
}

template <Features from, int columns_here = most_key_columns, class T>
void aggregate_columns(Index count, const BlockOf<T>& block, const T* weighted, Index columns, Index vectors,
                       T* products) {
  if constexpr (columns_here > 0) {
    if (count != columns_here)
      return aggregate_columns<from, columns_here - 1>(count, block, weighted, columns, vectors, products);
    for_each_block({0, block.count}, monomials_together, [&](Index a, Index some) {
      aggregate_monomials<columns_here, from>(some, block, a, weighted, columns, vectors, products);
    });
  }
}

/// The split of FixedPointSums::add; the integers' bias is taken off when the sums are merged.
template <class T>
HWY_NOINLINE void add_products(const T* products, Index count, double to_high, std::uint64_t* high,
                               std::uint64_t* low) {
  const Lanes<double> d;
  const Lanes<std::uint64_t> integers;
  const Index lanes = static_cast<Index>(hn::Lanes(d));
  const auto bias = hn::Set(d, FixedPointSums::round_to_integer);
  const auto scale = hn::Set(d, to_high), low_scale = hn::Set(d, FixedPointSums::low_per_high);
  const auto add_lanes = [&](Index i, auto some) {
    Vec<double> term;
    if constexpr (sizeof(T) == sizeof(double))
      term = hn::Load(d, products + i);
    else
      term = hn::PromoteTo(d, hn::Load(hn::Rebind<float, Lanes<double>>(), products + i));
    const auto scaled = hn::Mul(term, scale);
    const auto as_integer = hn::Add(scaled, bias);
    const auto rest = hn::Sub(scaled, hn::Sub(as_integer, bias));
    const auto low_integer = hn::MulAdd(rest, low_scale, bias);
    const auto add = [&](std::uint64_t* words, Vec<double> term_words) {
      const auto more = some(hn::BitCast(integers, term_words));
      hn::StoreU(hn::Add(hn::LoadU(integers, words), more), integers, words);
    };
    add(high + i, as_integer);
    add(low + i, low_integer);
  };
  Index i = 0;
  for (; i + lanes <= count; i += lanes) add_lanes(i, [](Vec<std::uint64_t> words) { return words; });
  if (i == count) return;
  const auto ours = hn::FirstN(integers, static_cast<std::size_t>(count - i));
  add_lanes(i, [&](Vec<std::uint64_t> words) { return hn::IfThenElseZero(ours, words); });
}

template <class T>
void aggregate_part(const Monomials& monomials, const Subtree& part, Range degrees, const PackedKeys<T>& keys,
                    PartialSums& sums, Buffer<T>& buffer) {
  constexpr Index rows = aggregate_tile_rows<T>, level = key_block * rows;
  const Index columns = keys.columns(), lanes = static_cast<Index>(hn::Lanes(Lanes<T>()));
  const Index last = std::min(degrees.end - 1, part.highest_degree()), levels = last - part.degree + 1;
  if (levels <= 0 || part.highest_degree() < degrees.begin) return;
  const Index block_products = key_block * columns + 64;
  if (const Index size = level * levels + block_products; buffer.size() < size) buffer.resize(size);
  T* products = buffer.data() + level * levels;
  walk(monomials, part, last, key_block, [&](Index m, Range range, Range parents) {
    const BlockOf<T> block = block_of(monomials, range, parents, keys.points(),
                                      buffer.data() + (m - part.degree) * level, rows, level);
    const bool root = m == part.degree;
    if (root) form_roots(monomials, range, keys.points(), rows, keys.vectors(), block.here);
    if (m < degrees.begin) {
      if (!root) form_block(block, keys.vectors());
      return;
    }
    for_each_block({0, columns}, most_key_columns, [&](Index first, Index count) {
      with_features(root || first > 0, m < last || count < columns, [&](auto from) {
        aggregate_columns<from()>(count, block, keys.weighted() + first * lanes, columns, keys.vectors(),
                                  products + first);
      });
    });
    const Range of_degree = part.degrees[static_cast<std::size_t>(m - part.degree)];
    const Index first = (part.first_of(m) + range.begin - of_degree.begin) * columns;
    add_products(products, range.size() * columns, sums.to_high, sums.high.data() + first,
                 sums.low.data() + first);
  });
}

Index lanes_of_double() {
  return static_cast<Index>(hn::Lanes(Lanes<double>()));
}
Index vectors_of_a_group() {
  return vectors_together;
}
Index monomials_of_a_block() {
  return query_block;
}
void aggregate_double(const Monomials& monomials, const Subtree& part, Range degrees,
                      const PackedKeys<double>& keys, PartialSums& sums, Buffer<double>& buffer) {
  aggregate_part(monomials, part, degrees, keys, sums, buffer);
}
void aggregate_float(const Monomials& monomials, const Subtree& part, Range degrees,
                     const PackedKeys<float>& keys, PartialSums& sums, Buffer<float>& buffer) {
  aggregate_part(monomials, part, degrees, keys, sums, buffer);
}
void evaluate_double(const Monomials& monomials, const Subtree& part, const CombinedSums<double>& combined,
                     const double* points, Range degrees, const Moments& moments, Buffer<double>& buffer) {
  evaluate_part(monomials, part, combined, points, degrees, moments, buffer);
}
void evaluate_float(const Monomials& monomials, const Subtree& part, const CombinedSums<float>& combined,
                    const float* points, Range degrees, const Moments& moments, Buffer<float>& buffer) {
  evaluate_part(monomials, part, combined, points, degrees, moments, buffer);
}

}  // namespace HWY_NAMESPACE
}  // namespace kronattn
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace kronattn {

HWY_EXPORT(lanes_of_double);
HWY_EXPORT(vectors_of_a_group);
HWY_EXPORT(monomials_of_a_block);
HWY_EXPORT(aggregate_double);
HWY_EXPORT(aggregate_float);
HWY_EXPORT(evaluate_double);
HWY_EXPORT(evaluate_float);

template <>
Index vector_rows<double>() {
  return HWY_DYNAMIC_DISPATCH(lanes_of_double)();
}
template <>
Index vector_rows<float>() {
  return 2 * vector_rows<double>();
}
template <class T>
Index query_group_rows() {
  return HWY_DYNAMIC_DISPATCH(vectors_of_a_group)() * vector_rows<T>();
}
Index query_block_monomials() {
  return HWY_DYNAMIC_DISPATCH(monomials_of_a_block)();
}
template Index query_group_rows<double>();
template Index query_group_rows<float>();

template <>
void aggregate_features(const Monomials& monomials, const Subtree& part, Range degrees,
                        const PackedKeys<double>& keys, PartialSums& sums, Buffer<double>& buffer) {
  HWY_DYNAMIC_DISPATCH(aggregate_double)(monomials, part, degrees, keys, sums, buffer);
}
template <>
void aggregate_features(const Monomials& monomials, const Subtree& part, Range degrees,
                        const PackedKeys<float>& keys, PartialSums& sums, Buffer<float>& buffer) {
  HWY_DYNAMIC_DISPATCH(aggregate_float)(monomials, part, degrees, keys, sums, buffer);
}
template <>
void evaluate_features(const Monomials& monomials, const Subtree& part, const CombinedSums<double>& combined,
                       const double* points, Range degrees, const Moments& moments, Buffer<double>& buffer) {
  HWY_DYNAMIC_DISPATCH(evaluate_double)(monomials, part, combined, points, degrees, moments, buffer);
}
template <>
void evaluate_features(const Monomials& monomials, const Subtree& part, const CombinedSums<float>& combined,
                       const float* points, Range degrees, const Moments& moments, Buffer<float>& buffer) {
  HWY_DYNAMIC_DISPATCH(evaluate_float)(monomials, part, combined, points, degrees, moments, buffer);
}

}  // namespace kronattn
#endif
