// Families of hostile problems, for tests of bounds.
#pragma once

#include <algorithm>
#include <map>

#include "problems.hpp"

namespace kronattn::testing {

/// A family of problems: how its entries come about.
using Family = std::function<Problem(std::uint64_t seed, const std::vector<Index>& keys, Index width)>;

inline Problem with_law(std::uint64_t seed, const std::vector<Index>& keys, Index width,
                        const std::function<double()>& law) {
  return testing::random_problem(keys, 12, width, 1 + static_cast<Index>(seed % 3), law);
}

inline std::map<std::string, Family> families() {
  std::map<std::string, Family> all;
  all["uniform"] = [](auto seed, auto& keys, Index d) {
    return with_law(seed, keys, d, Uniform(seed, -1.2, 1.2));
  };
  all["gaussian"] = [](auto seed, auto& keys, Index d) {
    std::mt19937_64 generator(seed);
    std::normal_distribution<double> normal(0, 0.6);
    return with_law(seed, keys, d, [&] { return normal(generator); });
  };
  all["shifted"] = [](auto seed, auto& keys, Index d) {
    return with_law(seed, keys, d, Uniform(seed, 0.5, 1.1));
  };
  all["one-signed"] = [](auto seed, auto& keys, Index d) {
    return with_law(seed, keys, d, Uniform(seed, 0, 1.4));
  };
  all["all rows equal"] = [](auto seed, auto& keys, Index d) {
    Problem problem = with_law(seed, keys, d, Uniform(seed, -1, 1));
    for (Matrix& mode : problem.keys) mode.rowwise() = Matrix(mode.row(0)).row(0);
    problem.queries.rowwise() = Matrix(problem.queries.row(0)).row(0);
    return problem;
  };
  all["a few huge rows"] = [](auto seed, auto& keys, Index d) {
    Problem problem = with_law(seed, keys, d, Uniform(seed, -0.3, 0.3));
    for (Matrix& mode : problem.keys) mode.row(mode.rows() / 2) *= 9;
    problem.queries.row(3) *= 5;
    return problem;
  };
  all["tiny entries"] = [](auto seed, auto& keys, Index d) {
    Problem problem = with_law(seed, keys, d, Uniform(seed, -1e-200, 1e-200));
    for (Matrix& mode : problem.values) mode *= 1e200;
    return problem;
  };
  all["modes scaled by 1e40"] = [](auto seed, auto& keys, Index d) {
    Problem problem = with_law(seed, keys, d, Uniform(seed, -1, 1));
    problem.queries *= 1e-40;
    problem.keys.back() *= 1e40;
    return problem;
  };
  all["columns scaled by 1e100"] = [](auto seed, auto& keys, Index d) {
    Problem problem = with_law(seed, keys, d, Uniform(seed, 0.2, 1));
    problem.queries.col(0) *= 1e-100;
    problem.keys.front().col(0) *= 1e100;
    return problem;
  };
  all["values with outliers"] = [](auto seed, auto& keys, Index d) {
    Problem problem = with_law(seed, keys, d, Uniform(seed, -1, 1));
    for (Matrix& mode : problem.values) mode.row(mode.rows() - 1) *= 1e6;
    return problem;
  };
  all["values far from zero"] = [](auto seed, auto& keys, Index d) {
    Problem problem = with_law(seed, keys, d, Uniform(seed, -1, 1));
    for (Matrix& mode : problem.values) mode.array() += 1e8;
    return problem;
  };
  all["negative scale"] = [](auto seed, auto& keys, Index d) {
    Problem problem = with_law(seed, keys, d, Uniform(seed, -1, 1));
    problem.scale *= -1.7;
    return problem;
  };
  all["ill-conditioned coordinates"] = [](auto seed, auto& keys, Index d) {
    Problem problem = with_law(seed, keys, d, Uniform(seed, -1, 1));
    problem.keys[0].col(1) = problem.keys[0].col(0) + 1e-7 * problem.keys[0].col(1);
    problem.queries.col(1) = -problem.queries.col(0) + 1e-5 * problem.queries.col(1);
    return problem;
  };
  all["near rank-deficient"] = [](auto seed, auto& keys, Index d) {
    Problem problem = with_law(seed, keys, d, Uniform(seed, -1, 1));
    for (Matrix* side : {&problem.queries, &problem.keys[0]})
      for (Index l = 1; l < d; ++l) side->col(l) = side->col(0) * l + 1e-11 * side->col(l);
    return problem;
  };
  all["far off centre"] = [](auto seed, auto& keys, Index d) {
    Problem problem = with_law(seed, keys, d, Uniform(seed, -1, 1));
    problem.keys[0].array() += 5;
    return problem;
  };
  all["uneven coordinates"] = [](auto seed, auto& keys, Index d) {
    Problem problem = with_law(seed, keys, d, Uniform(seed, -1.5, 1.5));
    for (Index l = 0; l < d; ++l) {
      problem.queries.col(l) /= static_cast<double>((l + 1) * (l + 1));
      for (Matrix& mode : problem.keys) mode.col(l) /= static_cast<double>((l + 1) * (l + 1));
    }
    return problem;
  };
  return all;
}

inline double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2),
                   values.end());
  return values[values.size() / 2];
}

}  // namespace kronattn::testing
