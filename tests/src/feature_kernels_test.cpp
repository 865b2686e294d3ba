// Both kernels against the plain features, over widths, columns, tails, index sets and parts.
#include "feature_kernels.hpp"

#include <gtest/gtest.h>

#include "features.hpp"
#include "fixed_point_sums.hpp"
#include "instruction_sets.hpp"
#include "problems.hpp"

namespace kronattn {
namespace {

/// Sets of total degree, and one with holes.
std::vector<Monomials> index_sets() {
  std::vector<Monomials> sets;
  for (const auto& [width, degree] :
       std::vector<std::pair<Index, Index>>{{1, 7}, {2, 4}, {5, 0}, {8, 5}, {40, 2}})
    sets.push_back(Monomials::of_total_degree(width, degree));
  Monomials uneven(5);  // exponent of axis l at most 5 - l
  for (Index m = 1; m <= 6; ++m)
    uneven.add_degree([&](Index parent, Index axis) {
      return uneven.exponents(parent)[static_cast<std::size_t>(axis)] + 1 <= 5 - axis;
    });
  sets.push_back(uneven);
  return sets;
}

constexpr Index column_counts[] = {1, 4, 9, 10, 23};

TEST(Subtrees, HoldEveryMonomialOnceInTheOrderOfTheirDegree) {
  for (const Monomials& monomials : index_sets())
    for (Index most : {3, 50, 100000}) {
      std::vector<Index> next, blocks(static_cast<std::size_t>(monomials.degree()) + 1, 0);
      std::vector<double> counts;
      for (Index m = 0; m <= monomials.degree(); ++m) {
        next.push_back(monomials.of_degree(m).begin);
        counts.push_back(static_cast<double>(monomials.of_degree(m).size()));
      }
      for (const Subtree& part : subtrees(monomials, most)) {
        EXPECT_LE(part.count, most);
        walk(monomials, part, monomials.degree(), 7, [&](Index m, Range range, Range parents) {
          EXPECT_EQ(range.begin, next[static_cast<std::size_t>(m)]);
          EXPECT_LE(range.size(), 7);
          next[static_cast<std::size_t>(m)] = range.end;
          ++blocks[static_cast<std::size_t>(m)];
          if (m == part.degree) return;
          for (Index a = range.begin; a < range.end; ++a) {
            EXPECT_GE(monomials.parent(a), parents.begin);
            EXPECT_LT(monomials.parent(a), parents.end);
          }
        });
      }
      const std::vector<double> at_most = most_blocks(counts, 7, most);
      for (Index m = 0; m <= monomials.degree(); ++m) {
        EXPECT_EQ(next[static_cast<std::size_t>(m)], monomials.of_degree(m).end);
        EXPECT_LE(static_cast<double>(blocks[static_cast<std::size_t>(m)]),
                  at_most[static_cast<std::size_t>(m)]);
      }
    }
}

template <class T>
void check_aggregate(double tolerance) {
  testing::Uniform uniform(3, -1, 1);
  for (const Monomials& monomials : index_sets())
    for (Index columns : column_counts)
      for (Index rows : {Index{1}, Index{61}, aggregate_tile_rows<T>}) {
        const Index from_degree = std::min<Index>(rows % 3, monomials.degree());
        const Index end = std::max(from_degree + 1, monomials.degree() + 1 - rows % 2);
        const Matrix keys = testing::random_matrix(monomials.variables(), rows, uniform);
        const Matrix weighted = testing::random_matrix(columns, rows, uniform);
        Matrix plain = Matrix::Zero(monomials.count(), columns);
        for (Index j = 0; j < rows; ++j)
          plain += features(monomials, keys.col(j)) * weighted.col(j).transpose();
        PackedKeys<T> packed(monomials.variables(), columns);
        packed.pack(
            testing::random_matrix(monomials.variables(), aggregate_tile_rows<T>, uniform),
            testing::random_matrix(columns, aggregate_tile_rows<T>, uniform));  // leaves other rows behind
        packed.pack(keys, weighted);
        FixedPointSums sums(monomials.count() * columns, 2 * static_cast<double>(rows));
        Buffer<T> buffer;
        for (const Subtree& part : subtrees(monomials, 100)) {
          PartialSums partial(part.count * columns, sums.to_high());
          for (partial.terms = 0; partial.terms < 2; ++partial.terms)
            aggregate_features(monomials, part, {from_degree, end}, packed, partial, buffer);
          const auto first_of = [&](Index m) {
            return columns * part.first_of(std::clamp(m, part.degree, part.highest_degree() + 1));
          };
          EXPECT_TRUE((partial.high.head(first_of(from_degree)) == 0).all());
          EXPECT_TRUE((partial.high.tail(partial.high.size() - first_of(end)) == 0).all());
          for (Index m = std::max(from_degree, part.degree); m <= std::min(part.highest_degree(), end - 1);
               ++m) {
            const Range range = part.degrees[static_cast<std::size_t>(m - part.degree)];
            sums.merge(range.begin * columns, partial.high.data() + part.first_of(m) * columns,
                       partial.low.data() + part.first_of(m) * columns, range.size() * columns,
                       partial.terms);
          }
        }
        for (Index a = 0; a < monomials.count(); ++a)
          for (Index c = 0; c < columns; ++c)
            ASSERT_NEAR(sums[a * columns + c],
                        a < monomials.of_degree(from_degree).begin || a >= monomials.of_degree(end - 1).end
                            ? 0
                            : 2 * plain(a, c),
                        tolerance * static_cast<double>(rows))
                << "monomial " << a << " column " << c << " of " << columns << " rows " << rows;
      }
}

TEST(InstructionSets, AreWhatKernelsUse) {
  std::vector<Index> lanes;
  testing::with_each_instruction_set([&] {
    const std::string name = instruction_set();
    const Index expected = name.starts_with("AVX3") ? 8 : name == "AVX2" ? 4 : 2;
    EXPECT_EQ(vector_rows<double>(), expected) << name;
    EXPECT_EQ(instruction_set(), name);
    EXPECT_EQ(vector_rows<double>(), expected) << name << ", asked for again";
    lanes.push_back(expected);
  });
  EXPECT_TRUE(std::ranges::is_sorted(lanes, std::greater<>()));  // the best one first
}

TEST(AggregateFeatures, AreThePlainSums) {
  testing::with_each_instruction_set([] {
    check_aggregate<double>(1e-15);
    check_aggregate<float>(1e-6);
  });
}

template <class T>
void check_evaluate(double tolerance) {
  testing::Uniform uniform(4, -1, 1);
  const Index rows = query_group_rows<T>();
  for (const Monomials& monomials : index_sets())
    for (Index columns : column_counts)
      for (Index degree : {monomials.degree(), monomials.degree() / 2}) {
        const Index from_degree = std::min<Index>(columns % 3, degree);
        const Index stride = 2 * rows;  // of the moments
        const bool magnitudes = columns == 4;
        CombinedSums<T> combined{columns, Buffer<T>(monomials.count() * columns), Buffer<T>()};
        for (T& sum : combined.sums) sum = static_cast<T>(uniform());
        if (magnitudes) combined.magnitudes = Buffer<T>::Constant(monomials.count(), T{0.5});
        Buffer<T> points(monomials.variables() * rows), buffer;
        for (T& point : points) point = static_cast<T>(uniform());
        Buffer<double> moments = Buffer<double>::Zero((degree + 1) * columns * stride);
        Buffer<double> kept = Buffer<double>::Zero((degree + 1) * stride);
        for (const Subtree& part : subtrees(monomials, 60))
          evaluate_features(monomials, part, combined, points.data(), {from_degree, degree + 1},
                            {moments.data() + rows, kept.data() + rows, stride}, buffer);
        const auto none = [&](const Buffer<double>& all, Index above) {
          for (Index j = 0; j < all.size(); ++j)
            if ((j % stride < rows || j < above * stride) && all(j) != 0) return false;
          return true;
        };
        EXPECT_TRUE(none(moments, from_degree * columns));
        EXPECT_TRUE(none(kept, from_degree));
        for (Index i = 0; i < rows; ++i) {
          Vector point(monomials.variables());
          for (Index l = 0; l < point.size(); ++l) point(l) = static_cast<double>(points(l * rows + i));
          const Vector all = features(monomials, point);
          for (Index m = from_degree; m <= degree; ++m) {
            const Range range = monomials.of_degree(m);
            for (Index c = 0; c < columns; ++c) {
              double sum = 0;
              for (Index a = range.begin; a < range.end; ++a)
                sum += all(a) * static_cast<double>(combined.sums(a * columns + c));
              ASSERT_NEAR(moments((m * columns + c) * stride + rows + i), sum, tolerance)
                  << "degree " << m << " column " << c << " of " << columns << " row " << i;
            }
            if (magnitudes) {
              ASSERT_NEAR(kept(m * stride + rows + i),
                          all.segment(range.begin, range.size()).cwiseAbs().sum() / 2, tolerance);
            }
          }
        }
      }
}

TEST(EvaluateFeatures, AreThePlainMoments) {
  testing::with_each_instruction_set([] {
    check_evaluate<double>(1e-13);
    check_evaluate<float>(1e-4);
  });
}

TEST(EvaluateFeatures, ARowsBitsDependNeitherOnItsNeighboursNorOnTheirDegree) {
  testing::Uniform uniform(5, -1, 1);
  const Monomials monomials = Monomials::of_total_degree(6, 6);
  const Index rows = query_group_rows<double>(), columns = 3;
  CombinedSums<double> combined{columns, Buffer<double>(monomials.count() * columns), Buffer<double>()};
  for (double& sum : combined.sums) sum = uniform();
  Buffer<double> points(6 * rows), buffer;
  for (double& point : points) point = uniform();
  const auto moments_of = [&](Index row, Index degree) {
    Buffer<double> moments = Buffer<double>::Zero((degree + 1) * columns * rows);
    for (const Subtree& part : subtrees(monomials, 300))
      evaluate_features(monomials, part, combined, points.data(), {0, degree + 1},
                        {moments.data(), nullptr, rows}, buffer);
    std::vector<double> low;
    for (Index j = 0; j < 4 * columns; ++j) low.push_back(moments(j * rows + row));
    return low;
  };
  const std::vector<double> alone = moments_of(rows - 1, 3);
  for (Index l = 0; l < 6; ++l) {
    const double mine = points(l * rows + rows - 1);
    for (Index i = 1; i < rows; ++i) points(l * rows + i) = uniform();
    points(l * rows) = mine;
  }
  EXPECT_EQ(moments_of(0, 6), alone);
}

}  // namespace
}  // namespace kronattn
