// Checkpoints of any content: mutants of a real one, of its bytes and of what its header says, with the
// checksum put right, so that everything behind it is reached. Each must be refused by an exception or give a
// state that is one of this problem. In this process: what breaks ends the test, and the address sanitizer
// sees it all.
//
//   KRONATTN_FUZZ_SECONDS (10)    KRONATTN_FUZZ_SEED (1): the first mutant; a failure names its seed
#include <chrono>
#include <cstring>
#include <fstream>
#include <random>

#include "checkpoint_file.hpp"
#include "generate.hpp"
#include "measurement_record.hpp"
#include "mpi/mpi_main.hpp"
#include "mpi/scratch.hpp"
#include "solve_state.hpp"

namespace kronattn {
namespace {

using nlohmann::json;

double setting(const char* name, double otherwise) {
  const char* text = std::getenv(name);
  return text != nullptr ? std::atof(text) : otherwise;
}

/// A state with something in all of its fields.
SolveState some_state() {
  SolveState state;
  state.head = 1;
  state.raises = {2};
  state.keys_counted = true;
  state.round.raises = 1;
  state.round.keys = {RowSet({0, 512}), RowSet({100, 200})};
  state.round.done = RowSet({0, 384});
  const double query[] = {0.5, -0.25, 1};
  state.round.rows.emplace();
  for (Index row : {3, 7, 380}) {
    state.round.missing.add(row, query, 3);
    state.round.rows->add(row, query, 3);
  }
  state.round.done = RowSet({0, 2});
  state.figures.content = ContentSum({5, 7});
  return state;
}

class Mutations {
 public:
  explicit Mutations(std::uint64_t seed) : random_(seed) {}

  std::uint64_t below(std::uint64_t most) { return random_() % most; }

  /// One value of the header, anywhere, becomes another one.
  void change(json& header) {
    json* at = &header;
    if (below(4) > 0 && header.is_object() && header.contains("state")) {  // some number of the state
      const json leaves = header["state"].is_structured() ? header["state"].flatten() : json::object();
      if (leaves.empty()) return;
      at = &header["state"][json::json_pointer(
          std::next(leaves.begin(), static_cast<std::ptrdiff_t>(below(leaves.size()))).key())];
    } else {  // or anything
      while (at->is_structured() && !at->empty() && below(8) > 0)
        at = &*std::next(at->begin(), static_cast<std::ptrdiff_t>(below(at->size())));
    }
    switch (below(12)) {
      case 0:
        *at = json();
        break;
      case 1:
        *at = json::array();
        break;
      case 2:
        *at = json::object();
        break;
      case 3:
        *at = "text";
        break;
      case 4:
        *at = number();
        break;
      case 5:
        *at = std::ldexp(1.0, static_cast<int>(below(2200)) - 1100);
        break;
      case 6:
        *at = json::array({number(), number()});
        break;
      case 7:
        if (at->is_array() && !at->empty()) at->erase(below(at->size()));
        break;
      default:
        if (at->is_number_integer()) *at = at->get<std::int64_t>() + static_cast<std::int64_t>(below(5)) - 2;
        if (at->is_array()) at->push_back(number());
    }
  }

  /// Some bytes behind the magic word and before the checksum.
  void change(std::string& bytes) {
    for (std::uint64_t count = 1 + below(3); count > 0; --count) {
      const std::size_t place = 8 + below(bytes.size() - 16);
      if (below(4) == 0)
        bytes[place] = static_cast<char>(below(256));
      else
        bytes[place] = static_cast<char>(bytes[place] ^ (1 << below(8)));
    }
  }

 private:
  std::int64_t number() {
    constexpr std::int64_t numbers[] = {0, 1, 2, 3, 4, 384, 512, 300, 301, 600, 601, 700, 701, 1 << 20};
    const std::int64_t one = below(3) == 0 ? std::numeric_limits<std::int64_t>::max() >> below(63)
                                           : numbers[below(std::size(numbers))];
    return below(2) == 0 ? one : -one;
  }

  std::mt19937_64 random_;
};

class Checkpoints : public ::testing::Test {
 protected:
  Checkpoints() {
    Instance instance;
    instance.shape = {2, 700, {600, 300}, 3, 2, 1.0 / 3};
    problem_.emplace(instance);
    PhaseSeconds seconds;
    header_ = {{"state", to_json(some_state())},
               {"measurement", to_json(measure_problem(comm_, *problem_, {}, seconds))}};
  }

  /// Whether it was believed; throws where it was refused.
  bool read(const std::string& path) {
    CheckpointReader reader(path);
    std::vector<std::int64_t> words(reader.words());
    reader.read(words);
    const SolveState state = solve_state(reader.header().at("state"), problem_->shape());
    const ProblemShape& shape = problem_->shape();
    const auto within = [](const RowSet& set, Index rows) {
      return set.ranges().empty() || (set.ranges().front().begin >= 0 && set.ranges().back().end <= rows);
    };
    bool fits = within(state.round.done, state.round.rows ? state.round.rows->count() : shape.queries);
    for (std::size_t m = 0; m < shape.keys.size(); ++m) fits &= within(state.round.keys.at(m), shape.keys[m]);
    for (Index head = 0; head < shape.heads; ++head)
      fits &= within(state.written(head, shape.queries), shape.queries);
    if (!fits) throw std::logic_error("rows that are not of this problem were believed");
    return recorded_measurement(comm_, *problem_, {}, reader.header().at("measurement")).has_value();
  }

  std::string written(const json& header) {
    CheckpointWriter writer(scratch_ / "c", header, 3);
    const std::int64_t words[] = {1, -1, 1 << 20};
    writer.write(words);
    writer.commit();
    std::ifstream file(scratch_ / "c", std::ios::binary);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  }

  Communicator comm_;
  Scratch scratch_{comm_};
  std::optional<GeneratedProblem> problem_;
  json header_;
};

TEST_F(Checkpoints, OfAnyContentAreReadOrRefused) {
  const std::string good = written(header_);
  ASSERT_TRUE(read(scratch_ / "c"));
  const auto end =
      std::chrono::steady_clock::now() + std::chrono::duration<double>(setting("KRONATTN_FUZZ_SECONDS", 10));
  auto seed = static_cast<std::uint64_t>(setting("KRONATTN_FUZZ_SEED", 1));
  Index believed = 0, measured_anew = 0, refused = 0;
  for (; std::chrono::steady_clock::now() < end; ++seed) {
    SCOPED_TRACE(seed);
    Mutations mutations(seed);
    std::string bytes;
    if (mutations.below(3) > 0) {
      json header = header_;
      for (std::uint64_t count = 1 + mutations.below(3); count > 0; --count) mutations.change(header);
      bytes = written(header);
    } else {
      bytes = good;
      mutations.change(bytes);
      const std::uint64_t sum = checksum(bytes.data(), bytes.size() - 8, 0);
      std::memcpy(bytes.data() + bytes.size() - 8, &sum, 8);
    }
    std::ofstream(scratch_ / "mutant", std::ios::binary | std::ios::trunc) << bytes;
    try {
      read(scratch_ / "mutant") ? ++believed : ++measured_anew;
    } catch (const std::logic_error& error) {
      // Also what at() says of an index; what json says is none of it.
      ADD_FAILURE() << error.what();
    } catch (const std::exception&) {
      ++refused;
    }
  }
  std::printf("%td mutants: %td believed, %td of another problem, %td refused\n",
              believed + measured_anew + refused, believed, measured_anew, refused);
  EXPECT_GT(believed, 0);
  EXPECT_GT(measured_anew, 0);
  EXPECT_GT(refused, 0);
}

}  // namespace
}  // namespace kronattn
