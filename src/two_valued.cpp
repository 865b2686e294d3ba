#include "two_valued.hpp"

#include <algorithm>
#include <cmath>
#include <map>

namespace kronattn {

NonzeroRange::NonzeroRange(Index width)
    : low(Vector::Constant(width, HUGE_VAL)), high(Vector::Constant(width, -HUGE_VAL)) {}

void NonzeroRange::absorb(const ConstColumnTile& rows) {
  if (!one_value()) return;
  for (Index l = 0; l < rows.cols(); ++l)
    for (double entry : rows.col(l)) {
      low(l) = entry != 0 ? std::min(low(l), entry) : low(l);
      high(l) = entry != 0 ? std::max(high(l), entry) : high(l);
    }
  settle();
}

void NonzeroRange::merge(const NonzeroRange& other) {
  low = low.cwiseMin(other.low);
  high = high.cwiseMax(other.high);
  settle();
}

void NonzeroRange::settle() {
  if (one_value()) return;
  low.setConstant(-HUGE_VAL);
  high.setConstant(HUGE_VAL);
}

ColumnGroups alike_columns(const HeadSample& sample) {
  std::vector<const Matrix*> matrices = {&sample.queries};
  for (const Matrix& keys : sample.keys) matrices.push_back(&keys);
  for (const Matrix* rows : matrices) {
    NonzeroRange range(rows->cols());
    range.absorb(*rows);
    if (!range.one_value()) return {};
  }
  ColumnGroups groups;
  std::map<std::vector<bool>, std::size_t> group_of;
  for (Index l = 0; l < sample.queries.cols(); ++l) {
    std::vector<bool> pattern;
    bool shows = true;
    for (const Matrix* rows : matrices) {
      bool any = false;
      for (Index i = 0; i < rows->rows(); ++i) {
        pattern.push_back((*rows)(i, l) != 0);
        any = any || pattern.back();
      }
      shows = shows && any;
    }
    const auto [place, fresh] =
        shows ? group_of.try_emplace(pattern, groups.size()) : std::pair(group_of.end(), true);
    if (fresh)
      groups.push_back({l});
    else
      groups[place->second].push_back(l);
  }
  return groups;
}

std::optional<TwoValuedColumns> TwoValuedColumns::of(const ColumnGroups& groups,
                                                     const std::vector<const NonzeroRange*>& ranges,
                                                     double scale) {
  TwoValuedColumns columns;
  for (const NonzeroRange* range : ranges) {
    if (!range->one_value()) return std::nullopt;
    Vector values(range->low.size());
    for (Index l = 0; l < values.size(); ++l) values(l) = range->value(l);
    columns.values_.push_back(std::move(values));
  }
  if (groups.empty()) return std::nullopt;
  long double all = 0;
  for (const std::vector<Index>& group : groups) {
    long double score = 0, absolute = 0;
    std::vector<Index> used;
    for (Index l : group) {
      long double term = scale;
      for (const Vector& values : columns.values_) term *= values(l);
      if (term == 0 && std::all_of(columns.values_.begin(), columns.values_.end(),
                                   [&](const Vector& values) { return values(l) != 0; }))
        return std::nullopt;  // a product that underflows
      if (term == 0) continue;
      used.push_back(l);
      score += term;
      absolute += std::abs(term);
    }
    if (used.empty()) continue;
    all += absolute;
    if (!(absolute <= 2 * std::abs(score) && all <= largest_score)) return std::nullopt;
    const auto place = score < 0
                           ? static_cast<std::ptrdiff_t>(columns.groups_.size())
                           : static_cast<std::ptrdiff_t>(columns.groups_.size()) - columns.negative_scores();
    columns.groups_.insert(columns.groups_.begin() + place, std::move(used));
    columns.scores_.insert(columns.scores_.begin() + place, score);
  }
  if (columns.count() > most_groups) return std::nullopt;
  return columns;
}

std::optional<std::uint32_t> TwoValuedColumns::subset(std::size_t matrix, const double* row) const {
  const Vector& values = values_[matrix];
  std::uint32_t subset = 0;
  for (std::size_t group = 0; group < groups_.size(); ++group) {
    const bool in = row[groups_[group].front()] != 0;
    for (Index l : groups_[group])
      if (row[l] != (in ? values(l) : 0)) return std::nullopt;
    if (in) subset |= std::uint32_t{1} << group;
  }
  return subset;
}

double TwoValuedColumns::score_roundings(Index group) const {
  // scale times a value of each matrix, and a sum of terms of at most twice its size.
  const auto columns = static_cast<double>(groups_[static_cast<std::size_t>(group)].size());
  return 2 * (static_cast<double>(values_.size()) + columns);
}

}  // namespace kronattn
