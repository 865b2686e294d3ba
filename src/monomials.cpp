#include "monomials.hpp"

#include <cmath>
#include <limits>
#include <stdexcept>

namespace kronattn {

double binomial(double n, double k) {
  long double product = 1;
  for (double i = 1; i <= k; ++i)
    product = product * static_cast<long double>(n - k + i) / static_cast<long double>(i);
  return static_cast<double>(product < 1e18L ? std::round(product) : product);
}

Monomials::Monomials(Index variables) : variables_(variables), degree_begin_{0, 1}, first_child_{1, 1} {
  parent_ = {0};
  axis_ = {0};
  power_ = {0};
}

Monomials Monomials::of_total_degree(Index variables, Index degree) {
  if (binomial(static_cast<double>(variables + degree), static_cast<double>(degree)) >
      std::numeric_limits<std::int32_t>::max() - 1)
    throw std::length_error("more monomials than 31 bits can number");
  Monomials monomials(variables);
  for (Index m = 1; m <= degree; ++m) monomials.add_degree([](Index, Index) { return true; });
  return monomials;
}

Monomials Monomials::chosen(Index variables, const MonomialChoice& choice, double most) {
  if (choice.threshold == 0) {
    if (binomial(static_cast<double>(variables + choice.degree), static_cast<double>(choice.degree)) > most)
      throw std::length_error("more monomials than there may be");
    return of_total_degree(variables, choice.degree);
  }
  Monomials monomials(variables);
  std::vector<double> weights = {1};
  const auto weight = [&](Index parent, Index axis) {
    const bool again = monomials.count() > 1 && parent != 0 && axis == monomials.axis(parent);
    const double power = again ? static_cast<double>(monomials.power(parent) + 1) : 1;
    return weights[static_cast<std::size_t>(parent)] * choice.axis_weights(axis) / power;
  };
  for (Index m = 1; m <= choice.degree; ++m) {
    monomials.add_degree([&](Index parent, Index axis) { return weight(parent, axis) >= choice.threshold; });
    for (Index a = static_cast<Index>(weights.size()); a < monomials.count(); ++a) {
      const double parent_weight = weights[static_cast<std::size_t>(monomials.parent(a))];
      weights.push_back(parent_weight * choice.axis_weights(monomials.axis(a)) /
                        static_cast<double>(monomials.power(a)));
    }
    if (static_cast<double>(monomials.count()) > most)
      throw std::length_error("more monomials than there may be");
  }
  return monomials;
}

void Monomials::append(Index parent, Index axis) {
  power_.push_back(
      axis == axis_[static_cast<std::size_t>(parent)] ? power_[static_cast<std::size_t>(parent)] + 1 : 1);
  parent_.push_back(static_cast<std::int32_t>(parent));
  axis_.push_back(static_cast<std::int32_t>(axis));
}

void Monomials::close_degree() {
  degree_begin_.push_back(count());
  first_child_.resize(parent_.size() + 1, static_cast<std::int32_t>(count()));
  first_child_[static_cast<std::size_t>(degree_begin_[degree_begin_.size() - 2])] =
      static_cast<std::int32_t>(count());
}

std::vector<Index> Monomials::exponents(Index a) const {
  std::vector<Index> exponents(static_cast<std::size_t>(variables_), 0);
  for (; a != 0; a = parent(a)) ++exponents[static_cast<std::size_t>(axis(a))];
  return exponents;
}

Vector multinomial_weights(const Monomials& monomials, const Vector& axis_weights) {
  Vector weights(monomials.count());
  weights(0) = 1;
  for (Index m = 1; m <= monomials.degree(); ++m) {
    const Range range = monomials.of_degree(m);
    for (Index a = range.begin; a < range.end; ++a)
      weights(a) = weights(monomials.parent(a)) * axis_weights(monomials.axis(a)) * static_cast<double>(m) /
                   static_cast<double>(monomials.power(a));
  }
  return weights;
}

}  // namespace kronattn
