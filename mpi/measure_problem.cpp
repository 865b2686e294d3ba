#include "measure_problem.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "checksum.hpp"
#include "tiles.hpp"

namespace kronattn {

namespace {

constexpr Index bytes_per_read = Index{8} << 20;

/// Checks that rows are finite and adds their tiles to the content sum.
void inspect(const Problem& problem, Part part, Index head, Range rows, const Matrix& data,
             ContentSum& content) {
  for (Index i = 0; i < data.rows(); ++i)
    for (Index c = 0; c < data.cols(); ++c)
      if (!std::isfinite(data(i, c)))
        throw std::runtime_error(problem.entry_name(part, head, rows.begin + i, c) + " is " +
                                 (std::isnan(data(i, c)) ? "nan"
                                  : data(i, c) > 0       ? "inf"
                                                         : "-inf") +
                                 "; entries must be finite");
  content.add(part, head, rows, data);
}

/// This rank's rows of the queries and of all modes.
Index my_rows(const Communicator& comm, const ProblemShape& shape) {
  Index rows = share_of_rows(shape.queries, key_tile_rows, comm.size(), comm.rank()).size();
  for (Index keys : shape.keys) rows += share_of_rows(keys, key_tile_rows, comm.size(), comm.rank()).size();
  return shape.heads * rows;
}

/// Collective.
void merge(const Communicator& comm, ModeMeasurement& mode) {
  mode.rows = comm.sum(std::int64_t{mode.rows});
  comm.max(mode.key_max.data(), mode.key_max.size());
  mode.key_norm = comm.max(mode.key_norm);
  comm.sum(mode.key_sums.digits());
  comm.min(mode.value_min.data(), mode.value_min.size());
  comm.max(mode.value_max.data(), mode.value_max.size());
}

/// Collective.
void merge(const Communicator& comm, QueryMeasurement& queries) {
  comm.max(queries.largest.data(), queries.largest.size());
  queries.score_bound = comm.max(queries.score_bound);
  queries.box_bound = comm.max(queries.box_bound);
  queries.smallest_mean = comm.min(queries.smallest_mean);
}

}  // namespace

std::string ProblemMeasurement::fingerprint() const {
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(identity));
  return text;
}

std::vector<Range> my_blocks(const Communicator& comm, Index rows, Index columns, Index tile_rows) {
  const Range mine = share_of_rows(rows, tile_rows, comm.size(), comm.rank());
  const Index tiles = std::max<Index>(1, bytes_per_read / (tile_rows * columns * Index{sizeof(double)}));
  std::vector<Range> blocks;
  for (Index begin = mine.begin; begin < mine.end; begin += tiles * tile_rows)
    blocks.push_back({begin, std::min(mine.end, begin + tiles * tile_rows)});
  return blocks;
}

ProblemMeasurement measure_problem(const Communicator& comm, Problem& problem, PhaseSeconds& seconds,
                                   Progress& progress) {
  const ProblemShape& shape = problem.shape();
  ProblemMeasurement measurement;
  measurement.heads.resize(static_cast<std::size_t>(shape.heads));
  ContentSum content;
  const auto read = [&](Part part, Index head, Range rows) {
    const Timed timed(seconds.read);
    return problem.read(part, head, rows);
  };

  progress.begin("measure", my_rows(comm, shape));
  comm.together([&] {
    for (Index head = 0; head < shape.heads; ++head)
      for (Index m = 0; m < shape.modes(); ++m) {
        const Part keys{Part::keys, m}, values{Part::values, m};
        ModeMeasurement mode(shape.width, shape.value_width);
        for (Range rows :
             my_blocks(comm, problem.rows(keys), shape.width + shape.value_width, key_tile_rows)) {
          const Matrix key_rows = read(keys, head, rows), value_rows = read(values, head, rows);
          const Timed timed(seconds.measure);
          inspect(problem, keys, head, rows, key_rows, content);
          inspect(problem, values, head, rows, value_rows, content);
          mode.absorb(key_rows, value_rows, shape.order());
          progress.advance(rows.size());
        }
        measurement.heads[static_cast<std::size_t>(head)].modes.push_back(std::move(mode));
      }
  });
  for (HeadMeasurement& head : measurement.heads)
    for (ModeMeasurement& mode : head.modes) merge(comm, mode);

  comm.together([&] {
    for (Index head = 0; head < shape.heads; ++head) {
      HeadMeasurement& measured = measurement.heads[static_cast<std::size_t>(head)];
      const ScoreBounds bounds(measured.modes, shape);
      measured.queries = QueryMeasurement(shape.width);
      for (Range rows : my_blocks(comm, shape.queries, shape.width, key_tile_rows)) {
        const Matrix query_rows = read({Part::queries}, head, rows);
        const Timed timed(seconds.measure);
        inspect(problem, {Part::queries}, head, rows, query_rows, content);
        measured.queries.absorb(query_rows, bounds, shape.order());
        progress.advance(rows.size());
      }
    }
  });
  for (HeadMeasurement& head : measurement.heads) merge(comm, head.queries);

  long double promise = 1;
  for (Index m = 0; m < shape.modes(); ++m) {
    double largest = 0;
    for (const HeadMeasurement& head : measurement.heads)
      largest = std::max(largest, largest_value(head.modes[static_cast<std::size_t>(m)]));
    promise *= largest;
  }
  measurement.promise = static_cast<double>(promise);
  measurement.content = content.over_ranks(comm);
  std::vector<std::int64_t> lengths = {shape.heads, shape.queries, shape.width, shape.value_width};
  lengths.insert(lengths.end(), shape.keys.begin(), shape.keys.end());
  measurement.identity = checksum(lengths.data(), lengths.size() * sizeof(std::int64_t), measurement.content);
  return measurement;
}

}  // namespace kronattn
