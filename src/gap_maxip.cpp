#include "gap_maxip.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "random_rows.hpp"
#include "tiles.hpp"

namespace kronattn {

namespace {

/// The generator that draws what all rows share is that of a dataset no family has.
constexpr Index shared_draws = 1 << 20;

}  // namespace

PlantedFamilies::PlantedFamilies(Index order, Index rows, Index dimension, std::uint64_t seed)
    : order_(order), rows_(rows), dimension_(dimension), seed_(seed) {
  std::mt19937_64 generator = block_generator(seed, shared_draws, 0, 0);
  coordinates_.resize(static_cast<std::size_t>(dimension));
  std::iota(coordinates_.begin(), coordinates_.end(), 0);
  for (Index l = dimension - 1; l > 0; --l)
    std::swap(coordinates_[static_cast<std::size_t>(l)],
              coordinates_[static_cast<std::size_t>(uniform_index(l + 1, generator))]);
  const Index without_decoy = 1 + uniform_index(order - 1, generator);
  for (Index family = 0; family < order; ++family) {
    const Index planted = uniform_index(rows, generator);
    const Index decoy = (planted + 1 + uniform_index(rows - 1, generator)) % rows;
    planted_row_.push_back(planted);
    decoy_row_.push_back(family == without_decoy ? -1 : decoy);
  }
}

std::vector<PlantedFamilies::Role> PlantedFamilies::block(Index family, Index number, Matrix& vectors) const {
  const Range range = tile_range(number, rows_, random_block_rows);
  std::mt19937_64 generator = block_generator(seed_, family, 0, number);
  std::vector<Role> roles(static_cast<std::size_t>(range.size()));
  vectors = Matrix::Zero(range.size(), dimension_);
  for (Index i = 0; i < range.size(); ++i) {
    const double coin = uniform_number(generator);
    Role role = Role::background;
    if (family == 0 && coin < 0.5) role = coin < 0.25 ? Role::planted : Role::decoy;
    if (range.begin + i == planted_row_[static_cast<std::size_t>(family)]) role = Role::planted;
    if (range.begin + i == decoy_row_[static_cast<std::size_t>(family)]) role = Role::decoy;
    roles[static_cast<std::size_t>(i)] = role;
    if (role == Role::background) {
      do {
        for (Index l = 0; l < dimension_; ++l) vectors(i, l) = uniform_number(generator) < density ? 1 : 0;
      } while (vectors.row(i).sum() > static_cast<double>(product_no()));
    } else {
      const Index begin = role == Role::planted ? 0 : dimension_ - product_yes();
      for (Index l = begin; l < begin + product_yes(); ++l)
        vectors(i, coordinates_[static_cast<std::size_t>(l)]) = 1;
    }
  }
  return roles;
}

Matrix PlantedFamilies::vectors(Index family, Range rows) const {
  Matrix data(rows.size(), dimension_), whole;
  for (Index number = rows.begin / random_block_rows; number * random_block_rows < rows.end; ++number) {
    const Range range = tile_range(number, rows_, random_block_rows);
    const Range wanted{std::max(rows.begin, range.begin), std::min(rows.end, range.end)};
    block(family, number, whole);
    data.middleRows(wanted.begin - rows.begin, wanted.size()) =
        whole.middleRows(wanted.begin - range.begin, wanted.size());
  }
  return data;
}

Vector PlantedFamilies::planted_queries(Range rows) const {
  Vector planted(rows.size());
  Matrix whole;
  for (Index number = rows.begin / random_block_rows; number * random_block_rows < rows.end; ++number) {
    const Range range = tile_range(number, rows_, random_block_rows);
    const std::vector<Role> roles = block(0, number, whole);
    for (Index i = std::max(rows.begin, range.begin); i < std::min(rows.end, range.end); ++i)
      planted(i - rows.begin) = roles[static_cast<std::size_t>(i - range.begin)] == Role::planted ? 1 : 0;
  }
  return planted;
}

GapMaxip::GapMaxip(PlantedFamilies families, Reduction reduction)
    : families_(std::move(families)), reduction_(reduction) {
  const auto k = static_cast<double>(families_.order());
  const auto n = static_cast<double>(families_.rows());
  const auto d0 = static_cast<double>(families_.dimension());
  const auto no = static_cast<double>(families_.product_no());
  const double gap = static_cast<double>(families_.product_yes()) - no;
  log_tuples_ = (k - 1) * std::log(n);
  const double growth = reduction == Reduction::strengthened ? 2 * std::log(margin) + log_tuples_
                                                             : (k + 1) * std::log(2) + log_tuples_;
  power_ = 2 * d0 * growth / gap;
  kappa_ = std::pow(power_, 1 / k);
  if (reduction == Reduction::strengthened) {
    const double dummies = std::log(std::exp2(k - 1) - 1) + log_tuples_;  // ln W
    mu_ = (no + (std::log(margin) + log_tuples_ - dummies) / unit()) / d0;
  }
}

ProblemShape GapMaxip::shape() const {
  ProblemShape shape;
  shape.queries = families_.rows();
  shape.keys.assign(static_cast<std::size_t>(families_.order() - 1), 2 * families_.rows());
  shape.width = 2 * families_.dimension();
  shape.value_width = 1;
  shape.scale = 1 / static_cast<double>(shape.width);
  return shape;
}

Matrix GapMaxip::queries(Range rows) const {
  Matrix data(rows.size(), 2 * families_.dimension());
  data.leftCols(families_.dimension()) = kappa_ * families_.vectors(0, rows);
  data.rightCols(families_.dimension()).setConstant(kappa_);
  return data;
}

Matrix GapMaxip::keys(Index mode, Range rows) const {
  const Index n = families_.rows(), d0 = families_.dimension();
  const bool original = reduction_ == Reduction::original;
  const Index vectors = std::max<Index>(0, std::min(rows.end, n) - rows.begin);
  Matrix data = Matrix::Zero(rows.size(), 2 * d0);
  if (vectors > 0)
    data.topLeftCorner(vectors, d0) =
        kappa_ * families_.vectors(mode + 1, {rows.begin, rows.begin + vectors});
  if (original)
    data.bottomRightCorner(rows.size() - vectors, d0).setConstant(kappa_);
  else
    data.topRightCorner(vectors, d0).setConstant(mode == 0 ? -mu_ * kappa_ : kappa_);
  return data;
}

Matrix GapMaxip::values(Index, Range rows) const {
  Matrix data(rows.size(), 1);
  for (Index j = 0; j < rows.size(); ++j) data(j, 0) = rows.begin + j < families_.rows() ? 1 : 0;
  return data;
}

double GapMaxip::log_yes() const {
  if (reduction_ == Reduction::strengthened) return std::log(margin / (1 + margin));
  return unit() * static_cast<double>(families_.product_yes() - families_.dimension()) -
         static_cast<double>(families_.order()) * std::log(2) - log_tuples_;
}

double GapMaxip::log_no() const {
  if (reduction_ == Reduction::strengthened) return -std::log(1 + margin);
  return unit() * static_cast<double>(families_.product_no() - families_.dimension());
}

double GapMaxip::yes_at_least() const {
  return std::exp(log_yes());
}

double GapMaxip::no_at_most() const {
  return std::exp(log_no());
}

double GapMaxip::decide_above() const {
  return reduction_ == Reduction::strengthened ? 0.5 : std::exp((log_yes() + log_no()) / 2);
}

std::string GapMaxip::name() const {
  return reduction_ == Reduction::strengthened ? "gap-maxip" : "gap-maxip-original";
}

std::vector<std::pair<std::string, double>> GapMaxip::parameters() const {
  const auto yes = static_cast<double>(families_.product_yes()),
             no = static_cast<double>(families_.product_no());
  std::vector<std::pair<std::string, double>> all = {{"n", static_cast<double>(families_.rows())},
                                                     {"d0", static_cast<double>(families_.dimension())},
                                                     {"t", yes},
                                                     {"gap_epsilon", 1 - no / yes},
                                                     {"density", PlantedFamilies::density},
                                                     {"kappa", kappa_}};
  if (reduction_ == Reduction::strengthened) {
    all.emplace_back("rho", margin);
    all.emplace_back("mu", mu_);
    all.emplace_back("theta", mu_ * static_cast<double>(families_.dimension()));
  }
  return all;
}

}  // namespace kronattn
