#include "match.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "monomials.hpp"
#include "random_rows.hpp"
#include "tiles.hpp"

namespace kronattn {

namespace {

/// Datasets that no head has: of what tokens are drawn from, and of the tokens.
constexpr Index residue_draws = 1 << 20, token_draws = residue_draws + 1;
constexpr int drawn_sets = 16;

/// a: how many residues tokens take.
Index residue_count(Index relation, Index rows, Index modulus) {
  Index count = 1;
  if (relation == 2)
    count = std::max<Index>(1, modulus / 2);
  else
    while (binomial(static_cast<double>(count + relation - 2), static_cast<double>(relation - 1)) <
           static_cast<double>(modulus) * std::numbers::ln2)
      ++count;
  return std::min(count, rows);
}

/// At most `count` residues in a random order. With `lonely`, no two of them sum to 0, but that each third
/// one brings its negative along where `some_pairs`.
std::vector<Index> draw_residues(Index count, Index modulus, bool lonely, bool some_pairs,
                                 std::mt19937_64& generator) {
  std::vector<Index> all(static_cast<std::size_t>(modulus));
  for (Index x = 0; x < modulus; ++x) all[static_cast<std::size_t>(x)] = x;
  for (Index x = modulus - 1; x > 0; --x)
    std::swap(all[static_cast<std::size_t>(x)],
              all[static_cast<std::size_t>(uniform_index(x + 1, generator))]);
  std::vector<Index> chosen;
  std::vector<bool> taken(static_cast<std::size_t>(modulus), false);
  Index drawn = 0;
  for (Index x : all) {
    const Index negative = (modulus - x) % modulus;
    if (static_cast<Index>(chosen.size()) == count) break;
    if (lonely &&
        (negative == x || taken[static_cast<std::size_t>(x)] || taken[static_cast<std::size_t>(negative)]))
      continue;
    taken[static_cast<std::size_t>(x)] = true;
    chosen.push_back(x);
    if (some_pairs && drawn++ % 3 == 0 && static_cast<Index>(chosen.size()) < count) {
      taken[static_cast<std::size_t>(negative)] = true;
      chosen.push_back(negative);
    }
  }
  return chosen;
}

}  // namespace

std::vector<bool> sums_of_residues(const std::vector<Index>& residues, Index modulus, Index terms) {
  std::vector<bool> sums(static_cast<std::size_t>(modulus), false);
  for (Index x : residues) sums[static_cast<std::size_t>(x)] = true;
  for (Index term = 2; term <= terms; ++term) {
    std::vector<bool> longer(sums.size(), false);
    for (Index sum = 0; sum < modulus; ++sum)
      if (sums[static_cast<std::size_t>(sum)])
        for (Index x : residues) longer[static_cast<std::size_t>((sum + x) % modulus)] = true;
    sums = std::move(longer);
  }
  return sums;
}

MatchTokens::MatchTokens(Index relation, Index rows, Index modulus, std::uint64_t seed)
    : relation_(relation), rows_(rows), modulus_(modulus), seed_(seed) {
  std::mt19937_64 generator = block_generator(seed, residue_draws, 0, 0);
  const Index count = residue_count(relation, rows, modulus);
  double best = HUGE_VAL;
  for (int draw = 0; draw < drawn_sets && best > 0; ++draw) {
    const Index drawn = std::max<Index>(1, count - draw % 2);
    const std::vector<Index> residues =
        draw_residues(drawn, modulus, modulus >= 3, relation == 2 && modulus >= 3, generator);
    const std::vector<bool> sums = sums_of_residues(residues, modulus, relation - 1);
    std::vector<bool> has_match(sums.size());
    for (Index x = 0; x < modulus; ++x)
      has_match[static_cast<std::size_t>(x)] = sums[static_cast<std::size_t>((modulus - x) % modulus)];
    const auto matches = static_cast<double>(std::count_if(
        residues.begin(), residues.end(), [&](Index x) { return has_match[static_cast<std::size_t>(x)]; }));
    const double off = std::abs(matches / static_cast<double>(residues.size()) - 0.5);
    if (off >= best) continue;
    best = off;
    residues_ = residues;
    has_match_ = has_match;
  }
}

std::vector<Index> MatchTokens::tokens(Range rows) const {
  const auto count = static_cast<Index>(residues_.size());
  std::vector<Index> tokens(static_cast<std::size_t>(rows.size()));
  for (Index number = rows.begin / random_block_rows; number * random_block_rows < rows.end; ++number) {
    const Range range = tile_range(number, rows_, random_block_rows);
    std::mt19937_64 generator = block_generator(seed_, token_draws, 0, number);
    for (Index i = range.begin; i < std::min(rows.end, range.end); ++i) {
      const Index drawn = uniform_index(count, generator);
      if (i >= rows.begin)
        tokens[static_cast<std::size_t>(i - rows.begin)] =
            residues_[static_cast<std::size_t>(i < count ? i : drawn)];
    }
  }
  return tokens;
}

Vector MatchTokens::matches(Range rows) const {
  const std::vector<Index> tokens = this->tokens(rows);
  Vector matches(rows.size());
  for (Index i = 0; i < rows.size(); ++i)
    matches(i) = has_match_[static_cast<std::size_t>(tokens[static_cast<std::size_t>(i)])] ? 1 : 0;
  return matches;
}

MatchInstance::MatchInstance(Index order, MatchTokens tokens) : order_(order), tokens_(std::move(tokens)) {
  const auto k = static_cast<double>(order), d = k + 1;
  const double half = std::sin(std::numbers::pi / static_cast<double>(tokens_.modulus()));
  const double gap = std::min(1.0, 2 * half * half);  // 1 - cos(2 pi/M)
  sharpness_ = (std::log(16) + (k - 1) * std::log(static_cast<double>(tokens_.rows() + 1))) / gap;
  kappa_ = std::pow(d * sharpness_ * std::exp2(k - 1) / k, 1 / k);
  blank_ = std::pow(d * (sharpness_ - std::log(4)), 1 / k);
}

ProblemShape MatchInstance::shape() const {
  ProblemShape shape;
  shape.queries = tokens_.rows();
  shape.keys.assign(static_cast<std::size_t>(order_ - 1), tokens_.rows() + 1);
  shape.width = order_ + 1;
  shape.value_width = 1;
  shape.scale = 1 / static_cast<double>(shape.width);
  return shape;
}

void MatchInstance::add_waves(const std::vector<Index>& tokens, Matrix& data) const {
  const auto modulus = static_cast<double>(tokens_.modulus());
  for (std::size_t i = 0; i < tokens.size(); ++i)
    for (Index t = 0; t < order_; ++t) {
      const double phase =
          2 * static_cast<double>(tokens[i]) / modulus - static_cast<double>(t) / static_cast<double>(order_);
      data(static_cast<Index>(i), t) = kappa_ * std::cos(std::numbers::pi * phase);
    }
}

Matrix MatchInstance::queries(Range rows) const {
  Matrix data(rows.size(), order_ + 1);
  add_waves(tokens_.tokens(rows), data);
  for (Index t = 1; t < order_; t += 2) data.col(t) = -data.col(t);
  data.col(order_).setConstant(blank_);
  return data;
}

Matrix MatchInstance::keys(Index, Range rows) const {
  Matrix data = Matrix::Zero(rows.size(), order_ + 1);
  const Range real{std::min(rows.begin, tokens_.rows()), std::min(rows.end, tokens_.rows())};
  add_waves(tokens_.tokens(real), data);
  if (rows.end > tokens_.rows() && rows.size() > 0) data(rows.size() - 1, order_) = blank_;
  return data;
}

Matrix MatchInstance::values(Index, Range rows) const {
  Matrix data(rows.size(), 1);
  for (Index j = 0; j < rows.size(); ++j) data(j, 0) = rows.begin + j < tokens_.rows() ? 1 : 0;
  return data;
}

std::pair<std::string, Vector> MatchInstance::tokens(Range rows) const {
  const std::vector<Index> tokens = tokens_.tokens(rows);
  Vector numbers(rows.size());
  for (Index i = 0; i < rows.size(); ++i)
    numbers(i) = static_cast<double>(tokens[static_cast<std::size_t>(i)]);
  return {"tokens", numbers};
}

double MatchInstance::bound() const {
  return std::max(kappa_, blank_);
}

std::vector<std::pair<std::string, double>> MatchInstance::parameters() const {
  return {{"n", static_cast<double>(tokens_.rows())},
          {"modulus", static_cast<double>(tokens_.modulus())},
          {"relation", static_cast<double>(tokens_.relation())},
          {"sharpness", sharpness_},
          {"kappa", kappa_},
          {"kappa_blank", blank_}};
}

}  // namespace kronattn
