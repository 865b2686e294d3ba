#include "generate.hpp"

#include <cmath>
#include <functional>

#include "output_file.hpp"
#include "tiles.hpp"
#include "version.hpp"

namespace kronattn {

namespace {

/// Blocks of rows that are generated and written together, at most.
constexpr Index most_blocks_per_write = 16;

/// What a planted file says beside the problem: a column of the queries.
struct Answer {
  std::string name;
  std::function<Vector(Range)> column;
};

std::vector<Answer> answers(const PlantedInstance& planted) {
  std::vector<Answer> columns = {{"truth", [&](Range rows) { return planted.truth(rows); }}};
  const std::string tokens = planted.tokens({0, 0}).first;
  if (!tokens.empty()) columns.push_back({tokens, [&](Range rows) { return planted.tokens(rows).second; }});
  return columns;
}

std::vector<Attribute> attributes(const Instance& instance) {
  std::vector<Attribute> all = {{"kronattn_version", std::string(version)}};
  if (!instance.planted) return all;
  const PlantedInstance& planted = *instance.planted;
  all.emplace_back("instance", planted.name());
  all.emplace_back("order", static_cast<double>(instance.shape.order()));
  all.emplace_back("seed", static_cast<double>(instance.seed));
  all.emplace_back("bound", planted.bound());
  all.emplace_back("yes_at_least", planted.yes_at_least());
  all.emplace_back("no_at_most", planted.no_at_most());
  all.emplace_back("decide_above", planted.decide_above());
  for (const auto& [name, number] : planted.parameters()) all.emplace_back(name, number);
  return all;
}

}  // namespace

Matrix GeneratedProblem::block(Part part, Index head, Index number) const {
  const ProblemShape& shape = instance_.shape;
  const Index rows = tile_range(number, Problem::rows(part), random_block_rows).size();
  // Each dataset draws from generators of its own: 0 is Q, 2m+1 and 2m+2 are the keys and values of mode m.
  const Index dataset = part.kind == Part::queries ? 0 : 2 * part.mode + (part.kind == Part::keys ? 1 : 2);
  Matrix data;
  if (part.kind != Part::values) {
    data = random_block(instance_.distribution, instance_.bound, instance_.seed, dataset, head, number, rows,
                        shape.width);
  } else if (instance_.signal_values) {
    const Matrix keys = block({Part::keys, part.mode}, head, number);
    data.resize(rows, shape.value_width);
    for (Index c = 0; c < shape.value_width; ++c) data.col(c) = keys.col(c % shape.width) / instance_.bound;
  } else {
    data = random_block(Distribution::uniform, 1, instance_.seed, dataset, head, number, rows,
                        shape.value_width);
  }
  if (instance_.precision == Precision::single_precision) {
    const double bound = part.kind == Part::values ? 1 : instance_.bound;
    auto largest = static_cast<float>(bound);
    if (largest > bound) largest = std::nextafter(largest, 0.0f);  // entries stay within the bound
    data = data.cast<float>().cwiseMin(largest).cwiseMax(-largest).cast<double>().eval();
  }
  return data;
}

Matrix GeneratedProblem::read(Part part, Index head, Range rows) {
  if (instance_.planted) {
    const PlantedInstance& planted = *instance_.planted;
    return part.kind == Part::queries ? planted.queries(rows)
           : part.kind == Part::keys  ? planted.keys(part.mode, rows)
                                      : planted.values(part.mode, rows);
  }
  Matrix data(rows.size(), columns(part));
  for (Index number = rows.begin / random_block_rows; number * random_block_rows < rows.end; ++number) {
    const Range whole = tile_range(number, Problem::rows(part), random_block_rows);
    const Range wanted{std::max(rows.begin, whole.begin), std::min(rows.end, whole.end)};
    data.middleRows(wanted.begin - rows.begin, wanted.size()) =
        block(part, head, number).middleRows(wanted.begin - whole.begin, wanted.size());
  }
  return data;
}

std::string GeneratedProblem::entry_name(Part part, Index, Index row, Index column) const {
  return part_name(part) + "[" + std::to_string(row) + "," + std::to_string(column) + "]";
}

void generate(const Communicator& comm, const Instance& instance, const std::string& path, bool overwrite,
              Progress& progress, const RankMemory& memory) {
  GeneratedProblem problem(instance);
  std::vector<Part> parts = {{Part::queries}};
  for (Index m = 0; m < instance.shape.modes(); ++m) {
    parts.push_back({Part::keys, m});
    parts.push_back({Part::values, m});
  }
  std::vector<DatasetPlan> datasets;
  for (Part part : parts) {
    std::vector<Index> shape = {problem.rows(part), problem.columns(part)};
    if (instance.has_heads) shape.insert(shape.begin(), instance.shape.heads);
    datasets.push_back({part_name(part), shape, instance.precision, instance.has_heads});
  }
  const std::vector<Answer> columns = instance.planted ? answers(*instance.planted) : std::vector<Answer>();
  for (const Answer& answer : columns) datasets.push_back({answer.name, {instance.shape.queries}});
  // A block as it is drawn, cut out, rounded and written.
  const double block = 8.0 * sizeof(double) * random_block_rows *
                       static_cast<double>(std::max(instance.shape.width, instance.shape.value_width));
  memory.need(comm, path + ": generating the problem", block);
  const Index rows_per_write =
      random_block_rows * static_cast<Index>(std::clamp(memory.left(comm, 0) / block, 1.0,
                                                        static_cast<double>(most_blocks_per_write)));
  OutputFile file(comm, path, datasets, overwrite);
  const auto my_rows = [&](Part part) {
    return share_of_rows(problem.rows(part), random_block_rows, comm.size(), comm.rank());
  };
  Index rows_of_all = 0;
  for (Part part : parts) rows_of_all += instance.shape.heads * my_rows(part).size();
  progress.begin("generate", rows_of_all);
  comm.together([&] {
    for (Index head = 0; head < instance.shape.heads; ++head)
      for (std::size_t dataset = 0; dataset < parts.size(); ++dataset) {
        const Range mine = my_rows(parts[dataset]);
        for (Index begin = mine.begin; begin < mine.end; begin += rows_per_write) {
          const Range rows{begin, std::min(mine.end, begin + rows_per_write)};
          file.write(dataset, head, rows, problem.read(parts[dataset], head, rows).data());
          progress.advance(rows.size());
        }
      }
    for (std::size_t answer = 0; answer < columns.size(); ++answer) {
      const Range mine = my_rows({Part::queries});
      const Vector column = columns[answer].column(mine);
      file.write(parts.size() + answer, 0, mine, column.data());
    }
  });
  progress.begin("check what is written", 0);
  file.check_written();
  file.commit(attributes(instance));
}

}  // namespace kronattn
