// Problems whose answer is known: each query's output is near 1 or near 0, and which of them is proven.
//
// The lower bounds of the papers rest on such problems: who computes attention to any useful error decides
// for every query whether a tuple of keys goes with it. Rows are a function of the instance and the row
// number alone.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "types.hpp"

namespace kronattn {

class PlantedInstance {
 public:
  virtual ~PlantedInstance() = default;

  /// One head; d_v = 1.
  virtual ProblemShape shape() const = 0;

  /// Rows of Q, of K_m and of V_m: (rows, d), (rows, d), (rows, 1). `mode` counts from 0.
  virtual Matrix queries(Range rows) const = 0;
  virtual Matrix keys(Index mode, Range rows) const = 0;
  virtual Matrix values(Index mode, Range rows) const = 0;

  /// What queries are decided to be, (rows): 1 where the output is at least yes_at_least(), 0 where it is at
  /// most no_at_most().
  virtual Vector truth(Range rows) const = 0;

  /// What it is about, the integers that queries and keys were made from: a name and (rows) numbers for each
  /// query; an empty name where there is nothing to be said.
  virtual std::pair<std::string, Vector> tokens(Range) const { return {}; }

  /// Proven for exact attention.
  virtual double yes_at_least() const = 0;
  virtual double no_at_most() const = 0;

  /// Where an output decides: their geometric middle where they are small, else one half.
  virtual double decide_above() const { return 0.5; }

  virtual std::string name() const = 0;

  /// The largest entry of queries and keys: the papers' B.
  virtual double bound() const = 0;

  /// All other parameters, for whoever checks.
  virtual std::vector<std::pair<std::string, double>> parameters() const = 0;
};

}  // namespace kronattn
