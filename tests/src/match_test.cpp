#include "match.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace kronattn {
namespace {

/// Whether x and `more` of these tokens sum to 0, by trying all.
bool matches(Index x, const std::vector<Index>& tokens, Index modulus, Index more) {
  if (more == 0) return x % modulus == 0;
  for (Index y : tokens)
    if (matches(x + y, tokens, modulus, more - 1)) return true;
  return false;
}

TEST(MatchTokens, HaveTheMatchesTheySay) {
  for (Index relation : {2, 3, 4})
    for (Index modulus : {2, 3, 4, 7, 50, 997})
      for (Index rows : {1, 2, 30}) {
        const MatchTokens tokens(relation, rows, modulus, 5);
        const std::vector<Index> x = tokens.tokens({0, rows});
        const Vector truth = tokens.matches({0, rows});
        for (Index i = 0; i < rows; ++i)
          EXPECT_EQ(truth(i), matches(x[static_cast<std::size_t>(i)], x, modulus, relation - 1) ? 1 : 0)
              << "relation " << relation << " modulus " << modulus << " rows " << rows << " token " << i;
      }
}

TEST(MatchTokens, AboutEverySecondHasAMatch) {
  for (Index relation : {2, 3, 4})
    for (Index modulus : {50, 997, 20011}) {
      const Vector truth = MatchTokens(relation, 3000, modulus, 1).matches({0, 3000});
      EXPECT_NEAR(truth.mean(), 0.5, 0.2) << "relation " << relation << " modulus " << modulus;
    }
}

TEST(MatchTokens, HaveNoPairsThatSumToZeroWhereTriplesAreAskedFor) {
  for (Index modulus : {3, 4, 50, 997})
    for (std::uint64_t seed = 1; seed <= 5; ++seed) {
      const std::vector<Index> x = MatchTokens(3, 200, modulus, seed).tokens({0, 200});
      for (Index one : x)
        for (Index other : x) ASSERT_NE((one + other) % modulus, 0);
    }
}

TEST(MatchTokens, AreTheSameRowByRow) {
  const MatchTokens tokens(3, 5000, 50, 1);
  const std::vector<Index> all = tokens.tokens({0, 5000}), some = tokens.tokens({1000, 2100});
  EXPECT_TRUE(std::equal(some.begin(), some.end(), all.begin() + 1000));
  EXPECT_NE(all, MatchTokens(3, 5000, 50, 2).tokens({0, 5000}));
}

TEST(SumsOfResidues, AreThoseOfAllTuples) {
  EXPECT_EQ(sums_of_residues({1, 3}, 5, 1), (std::vector<bool>{false, true, false, true, false}));
  EXPECT_EQ(sums_of_residues({1, 3}, 5, 2), (std::vector<bool>{false, true, true, false, true}));
  EXPECT_EQ(sums_of_residues({2}, 6, 3), (std::vector<bool>{true, false, false, false, false, false}));
}

/// Scores of a query with a tuple of keys: S cos(sum of phases), S - ln 4 or 0.
TEST(MatchInstance, ScoresAreCosinesOfSums) {
  for (Index order : {2, 3, 4, 5})
    for (Index modulus : {2, 7, 997}) {
      const Index rows = 6;
      const MatchInstance instance(order, MatchTokens(order, rows, modulus, 1));
      const std::vector<Index> x = MatchTokens(order, rows, modulus, 1).tokens({0, rows});
      double sharpness = 0;
      for (const auto& [name, value] : instance.parameters())
        if (name == "sharpness") sharpness = value;
      const Matrix queries = instance.queries({0, rows});
      std::vector<Matrix> keys;
      for (Index mode = 0; mode < order - 1; ++mode) keys.push_back(instance.keys(mode, {0, rows + 1}));
      std::vector<Index> tuple(keys.size(), 0);
      for (bool more = true; more;) {
        for (Index i = 0; i < rows; ++i) {
          Matrix product = queries.row(i);
          Index sum = x[static_cast<std::size_t>(i)], blanks = 0;
          for (std::size_t mode = 0; mode < keys.size(); ++mode) {
            product = product.cwiseProduct(keys[mode].row(tuple[mode]));
            if (tuple[mode] == rows)
              ++blanks;
            else
              sum += x[static_cast<std::size_t>(tuple[mode])];
          }
          const double angle = 2 * M_PI * static_cast<double>(sum % modulus) / static_cast<double>(modulus);
          const double expected = blanks == 0           ? sharpness * std::cos(angle)
                                  : blanks == order - 1 ? sharpness - std::log(4)
                                                        : 0;
          ASSERT_NEAR(instance.shape().scale * product.sum(), expected, 1e-12 * sharpness);
        }
        more = false;
        for (Index& j : tuple) {
          if (++j <= rows) {
            more = true;
            break;
          }
          j = 0;
        }
      }
    }
}

TEST(MatchInstance, TheBlankComesLastAndIsWorthNothing) {
  const MatchInstance instance(3, MatchTokens(3, 10, 7, 1));
  EXPECT_EQ(instance.keys(0, {10, 11}).leftCols(3).cwiseAbs().maxCoeff(), 0);
  EXPECT_EQ(instance.keys(0, {0, 10}).rightCols(1).cwiseAbs().maxCoeff(), 0);
  EXPECT_EQ(instance.keys(1, {8, 11}), instance.keys(0, {0, 11}).bottomRows(3));
  EXPECT_EQ(instance.values(0, {0, 11}).sum(), 10);
  EXPECT_EQ(instance.values(1, {10, 11})(0, 0), 0);
}

}  // namespace
}  // namespace kronattn
