#include "memory_problem.hpp"

#include <algorithm>
#include <cmath>

#include "redistribute.hpp"
#include "text.hpp"
#include "tiles.hpp"

namespace kronattn {

namespace {

/// What a share says of itself, before it is known what the others say.
void check_share(const AttentionInput& input) {
  if (input.keys.empty())
    throw std::runtime_error("attention: there are no keys; need a matrix for each mode");
  if (input.keys.size() != input.values.size())
    throw std::runtime_error("attention: " + std::to_string(input.keys.size()) + " matrices of keys and " +
                             std::to_string(input.values.size()) + " of values; need one each per mode");
  if (input.scale && !std::isfinite(*input.scale))
    throw std::runtime_error("attention: the scale is " + short_number(*input.scale) +
                             "; need a finite number");
}

void need_columns(const Matrix& rows, Part part, Index columns, int rank) {
  if (rows.rows() > 0 && rows.cols() != columns)
    throw std::runtime_error("attention: " + part_name(part) + " has " + std::to_string(rows.cols()) +
                             " columns on rank " + std::to_string(rank) + ", others have " +
                             std::to_string(columns) + "; the widths must agree");
}

/// A share against the widths of the whole.
void check_widths(const AttentionInput& input, const ProblemShape& shape, int rank) {
  need_columns(input.queries, {Part::queries}, shape.width, rank);
  for (std::size_t m = 0; m < input.keys.size(); ++m) {
    const Part keys{Part::keys, static_cast<Index>(m)}, values{Part::values, static_cast<Index>(m)};
    need_columns(input.keys[m], keys, shape.width, rank);
    need_columns(input.values[m], values, shape.value_width, rank);
    if (input.keys[m].rows() != input.values[m].rows())
      throw std::runtime_error("attention: " + part_name(values) + " has " +
                               std::to_string(input.values[m].rows()) + " rows on rank " +
                               std::to_string(rank) + ", " + part_name(keys) + " has " +
                               std::to_string(input.keys[m].rows()) + "; need a value for each key");
  }
}

/// The most columns that any rank has. Collective.
Index columns_over_ranks(const Communicator& comm, const std::vector<const Matrix*>& matrices) {
  Index columns = 0;
  for (const Matrix* matrix : matrices)
    if (matrix->rows() > 0) columns = std::max<Index>(columns, matrix->cols());
  return static_cast<Index>(comm.max(static_cast<double>(columns)));
}

/// Modes, widths and scale of the whole; row counts are still to come. Collective.
ProblemShape agree_on_shape(const Communicator& comm, const AttentionInput& input) {
  comm.together([&] { check_share(input); });
  comm.need_same(static_cast<double>(input.keys.size()), "attention: the number of modes");
  std::vector<const Matrix*> points = {&input.queries}, values;
  for (const Matrix& keys : input.keys) points.push_back(&keys);
  for (const Matrix& columns : input.values) values.push_back(&columns);
  ProblemShape shape;
  shape.width = columns_over_ranks(comm, points);
  shape.value_width = columns_over_ranks(comm, values);
  comm.together([&] { check_widths(input, shape, comm.rank()); });
  if (shape.width == 0 || shape.value_width == 0)
    throw AgreedFailure("attention: keys and values need at least one row and one column each");
  shape.scale = input.scale.value_or(1.0 / static_cast<double>(shape.width));
  comm.need_same(shape.scale, "attention: the scale");
  return shape;
}

/// The rows of a part that a solve reads on this rank: its share in whole tiles, for each size of tile that
/// some step cuts the part into. The shares differ by a few rows at either end.
Range rows_read(const Communicator& comm, Part part, Index rows, Index order) {
  Range all = share_of_rows(rows, key_tile_rows, comm.size(), comm.rank());
  if (part.kind != Part::queries) return all;
  for (Index tile_rows : {query_tile_rows, exact_query_tile_rows(order)}) {
    const Range mine = share_of_rows(rows, tile_rows, comm.size(), comm.rank());
    if (mine.size() == 0) continue;
    all = all.size() == 0 ? mine : Range{std::min(all.begin, mine.begin), std::max(all.end, mine.end)};
  }
  return all;
}

}  // namespace

MemoryProblem::MemoryProblem(const Communicator& comm, const AttentionInput& input)
    : shape_(agree_on_shape(comm, input)) {
  const RowPlacement queries(comm, input.queries.rows());
  shape_.queries = queries.total;
  own_queries_ = queries.mine;
  std::vector<Range> own_keys;
  for (const Matrix& keys : input.keys) {
    const RowPlacement placement(comm, keys.rows());
    shape_.keys.push_back(placement.total);
    own_keys.push_back(placement.mine);
    if (placement.total == 0)
      throw AgreedFailure("attention: K" + std::to_string(shape_.keys.size()) +
                          " has no rows on any rank; need at least one key");
  }
  queries_ = hold(comm, input.queries, own_queries_, {Part::queries});
  for (std::size_t m = 0; m < own_keys.size(); ++m) {
    keys_.push_back(hold(comm, input.keys[m], own_keys[m], {Part::keys, static_cast<Index>(m)}));
    values_.push_back(hold(comm, input.values[m], own_keys[m], {Part::values, static_cast<Index>(m)}));
  }
}

MemoryProblem::Held MemoryProblem::hold(const Communicator& comm, const Matrix& own, Range own_rows,
                                        Part part) const {
  const Range wanted = rows_read(comm, part, Problem::rows(part), shape_.order());
  return {wanted, redistribute(comm, own.data(), columns(part), own_rows, wanted)};
}

Matrix MemoryProblem::read(Part part, Index, Range rows) {
  const auto mode = static_cast<std::size_t>(part.mode);
  const Held& held = part.kind == Part::queries ? queries_
                     : part.kind == Part::keys  ? keys_[mode]
                                                : values_[mode];
  if (rows.size() == 0) return Matrix(0, columns(part));
  if (rows.begin < held.rows.begin || rows.end > held.rows.end)
    throw std::logic_error("rows " + std::to_string(rows.begin) + " to " + std::to_string(rows.end) + " of " +
                           part_name(part) + " are not on this rank, which holds " +
                           std::to_string(held.rows.begin) + " to " + std::to_string(held.rows.end));
  return held.data.middleRows(rows.begin - held.rows.begin, rows.size());
}

std::string MemoryProblem::entry_name(Part part, Index, Index row, Index column) const {
  return "attention: " + part_name(part) + "[" + std::to_string(row) + "," + std::to_string(column) + "]";
}

}  // namespace kronattn
