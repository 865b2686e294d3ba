#include "subset_attention.hpp"

#include <cfloat>
#include <cmath>

namespace kronattn {

namespace {

constexpr double u = 0x1p-64;  // of long double
static_assert(LDBL_MANT_DIG >= 64, "the certificate counts roundings of 64 bits");

using Table = std::vector<long double>;

/// For every set: what stands for `group` may have it or not, from what has not; in place.
void admit_either(Table& table, std::size_t bit, std::size_t columns) {
  const std::size_t sets = table.size() / columns;
  for (std::size_t set = 0; set < sets; ++set)
    if ((set & bit) == 0)
      for (std::size_t c = 0; c < columns; ++c) table[set * columns + c] += table[(set | bit) * columns + c];
}

/// The tuples of two modes by the groups that all of them have: entrywise in the groups of the first kind,
/// the bits below those of the second, of which there are `apart`.
Table pairs_of(const Table& one, const Table& other, Index apart) {
  const std::size_t half = one.size() / 2;
  if (apart == 0) {
    Table product(one.size());
    for (std::size_t i = 0; i < product.size(); ++i) product[i] = one[i] * other[i];
    return product;
  }
  const auto begin = [half](const Table& table, bool has) {
    return table.begin() + (has ? static_cast<std::ptrdiff_t>(half) : 0);
  };
  const auto part = [&](const Table& table, bool has) {
    return Table(begin(table, has), begin(table, has) + static_cast<std::ptrdiff_t>(half));
  };
  const Table one0 = part(one, false), one1 = part(one, true), other0 = part(other, false),
              other1 = part(other, true);
  Table either = other0;
  for (std::size_t i = 0; i < half; ++i) either[i] += other1[i];
  Table result = pairs_of(one0, either, apart - 1);
  const Table rest = pairs_of(one1, other0, apart - 1), both = pairs_of(one1, other1, apart - 1);
  for (std::size_t i = 0; i < half; ++i) result[i] += rest[i];
  result.insert(result.end(), both.begin(), both.end());
  return result;
}

constexpr double exp_roundings = 8;

}  // namespace

SubsetKeySums::SubsetKeySums(const TwoValuedColumns& columns, Index rows, Index value_width)
    : columns_(columns),
      rows_(rows),
      value_columns_(value_width + 1),
      sums_((Index{1} << columns.count()) * value_columns_, static_cast<double>(rows)) {
  std::frexp(static_cast<double>(rows), &exponent_);
  exponent_ -= 80;
}

bool SubsetKeySums::absorb(const ConstTile& keys, const ConstTile& values, const Coordinates& coordinates,
                           Index mode) {
  Matrix scaled(values.rows(), value_columns_);
  coordinates.values[static_cast<std::size_t>(mode)].scale_into(values, scaled.leftCols(value_columns_ - 1));
  scaled.col(value_columns_ - 1).setOnes();
  const double* entries = scaled.data();
  for (Index i = 0; i < scaled.size() && !rounded_; ++i) {
    const double quanta = std::ldexp(entries[i], -exponent_);
    rounded_ = quanta != std::nearbyint(quanta);
  }
  for (Index j = 0; j < keys.rows(); ++j) {
    const std::optional<std::uint32_t> set =
        columns_.subset(static_cast<std::size_t>(mode) + 1, keys.data() + j * keys.outerStride());
    if (!set) return false;
    sums_.add(static_cast<Index>(*set) * value_columns_, scaled.row(j).data(), value_columns_);
  }
  return true;
}

long double SubsetKeySums::operator()(std::size_t subset, Index column) const {
  const std::int64_t* word =
      sums_.words().data() + 2 * (static_cast<Index>(subset) * value_columns_ + column);
  return std::ldexp(static_cast<long double>(word[0]) * 0x1p30L + static_cast<long double>(word[1]),
                    exponent_);
}

SubsetAttention::SubsetAttention(const TwoValuedColumns& columns, const std::vector<SubsetKeySums>& modes,
                                 bool rounded, const HeadMeasurement& head, const Coordinates& coordinates,
                                 Precision output_precision)
    : columns_(columns),
      units_(coordinates, output_precision),
      one_signed_(static_cast<std::size_t>(coordinates.value_min.size()), true) {
  for (const ModeMeasurement& mode : head.modes)
    for (Index c = 0; c < mode.value_min.size(); ++c)
      if (mode.value_min(c) < 0 && mode.value_max(c) > 0) one_signed_[static_cast<std::size_t>(c)] = false;
  const Index groups = columns.count(), apart = columns.negative_scores();
  const std::size_t sets = std::size_t{1} << groups, width = one_signed_.size() + 1;
  const auto g = static_cast<double>(groups);
  double roundings = 2 * g + 8;  // of the queries' steps, and slack
  for (std::size_t m = 0; m < modes.size(); ++m) {
    Table table(sets * width);
    for (std::size_t set = 0; set < sets; ++set)
      for (std::size_t c = 0; c < width; ++c) table[set * width + c] = modes[m](set, static_cast<Index>(c));
    for (Index l = 0; l < groups - apart; ++l) admit_either(table, std::size_t{1} << l, width);
    sums_ = m == 0 ? std::move(table) : pairs_of(sums_, table, apart);
    roundings += 2 + g + 1 + 2 * static_cast<double>(apart);
    eta_ += rounded ? static_cast<double>(modes[m].rows()) * 0x1p-80 * (1 + 1e-6) : 0;
  }
  for (Index l = 0; l < groups; ++l) {
    const long double score = columns.scores()[static_cast<std::size_t>(l)];
    const bool first_kind = l < groups - apart;
    const long double factor = first_kind ? std::expm1(score) : std::exp(score);
    roundings +=
        (1 + static_cast<double>(std::abs(score))) * columns.score_roundings(l) * (1 + 1e-9) + exp_roundings;
    const std::size_t bit = std::size_t{1} << l;
    for (std::size_t set = 0; set < sets; ++set)
      if ((set & bit) == 0)
        for (std::size_t c = 0; c < width; ++c) {
          long double &without = sums_[set * width + c], &with = sums_[(set | bit) * width + c];
          const long double has = with;
          with = without + factor * has;
          if (!first_kind) without += has;
        }
  }
  gamma_ = roundings * u < 0.01 ? roundings * u / (1 - roundings * u) : HUGE_VAL;
}

RowOutputs SubsetAttention::evaluate(const ConstTile& queries) const {
  RowOutputs outputs(queries.rows(), static_cast<Index>(one_signed_.size()));
  outputs.output.setZero();
  outputs.log_normalizer.setZero();
  for (Index i = 0; i < queries.rows(); ++i) {
    RowBound bound{HUGE_VAL, HUGE_VAL};
    if (const std::optional<std::uint32_t> set =
            columns_.subset(0, queries.data() + i * queries.outerStride()))
      bound = finish(*set, outputs.output.row(i).data(), outputs.log_normalizer(i));
    outputs.error_bound(i) = bound.output;
    outputs.log_error(i) = bound.log_normalizer;
  }
  return outputs;
}

RowBound SubsetAttention::finish(std::uint32_t subset, double* output, double& log_normalizer) const {
  const std::size_t width = one_signed_.size() + 1;
  const long double* sums = sums_.data() + subset * width;
  const long double normalizer = sums[width - 1];
  const bool usable = normalizer > 0 && std::isfinite(normalizer) && gamma_ + eta_ < 0.01;
  const double slack = (1 + 4 * gamma_) * own_rounding;  // sums as computed in the place of true ones
  RowBound bound;
  for (std::size_t c = 0; c + 1 < width; ++c) {
    const auto quotient = static_cast<double>(sums[c] / normalizer), size = std::abs(quotient);
    const double of_sum = one_signed_[c] ? gamma_ * size + eta_ : gamma_ + eta_;
    const double error =
        usable ? ((of_sum + size * gamma_) * slack + 2 * unit_roundoff * size) * own_rounding : HUGE_VAL;
    units_.column(static_cast<Index>(c)).finish(&quotient, &error, 1, output + c, &bound.output);
  }
  log_normalizer = usable ? static_cast<double>(std::log(normalizer)) : 0;
  bound.log_normalizer = usable ? 2 * gamma_ + 4 * unit_roundoff * (1 + std::abs(log_normalizer)) : HUGE_VAL;
  return bound;
}

double subset_flops(const ProblemShape& shape, const TwoValuedColumns& columns) {
  double entries = static_cast<double>(shape.queries);
  for (Index rows : shape.keys) entries += static_cast<double>(rows);
  entries *= static_cast<double>(shape.width + shape.value_width + 1);
  const auto g = static_cast<double>(columns.count()), apart = static_cast<double>(columns.negative_scores());
  const auto modes = static_cast<double>(shape.modes());
  const double sums = static_cast<double>(shape.value_width + 1) * std::exp2(g) *
                      (g * (modes + 1) + (modes - 1) * 4 * std::pow(1.5, apart));
  constexpr double flops_of_entry = 100, flops_of_sum = 100;  // a core takes a few nanoseconds for each
  return flops_of_entry * entries + flops_of_sum * sums;
}

double subset_memory(const ProblemShape& shape, const TwoValuedColumns& columns) {
  return 16 * std::exp2(static_cast<double>(columns.count())) *
         static_cast<double>((shape.value_width + 1) * (shape.modes() + 6));
}

}  // namespace kronattn
