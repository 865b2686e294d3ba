#include "checkpointing.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>

#include "instruction_set.hpp"
#include "measurement_record.hpp"
#include "result_file.hpp"
#include "run_lock.hpp"
#include "text.hpp"
#include "version.hpp"

namespace kronattn {

namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr double most_time = 0.02;  // of a run may go into checkpoints

const char* const endings[] = {".checkpoint1", ".checkpoint2"};

/// "" but for the name of the checkpoint's run.
std::string run_of(const std::string& path, const std::string& output) {
  const std::string begin = output + ".partial.";
  for (const std::string_view ending : endings)
    if (path.size() > begin.size() + ending.size() && path.ends_with(ending))
      return path.substr(begin.size(), path.size() - begin.size() - ending.size());
  return "";
}

}  // namespace

json maker_json() {
  json maker = program_json();
  maker["instruction set"] = instruction_set();
  return maker;
}

json identity_json(const Wishes& wishes, const ProblemDescription& problem) {
  const ProblemShape& shape = problem.shape;
  const char* const methods[] = {"auto", "polynomial", "exact"};
  return {{"epsilon", wishes.epsilon ? json(*wishes.epsilon) : json()},
          {"method", methods[static_cast<int>(wishes.method)]},
          {"degree", wishes.degree ? json(*wishes.degree) : json()},
          {"coordinates", wishes.change_coordinates ? "auto" : "off"},
          {"second moments", wishes.second_moments},
          {"precision", wishes.arithmetic ? name(*wishes.arithmetic) : "auto"},
          {"output precision", name(wishes.output_precision)},
          {"sums", wishes.sums ? json(wishes.sums->identity) : json()},
          {"scale", shape.scale},
          {"heads", problem.has_heads ? json(shape.heads) : json()},
          {"queries", shape.queries},
          {"keys", shape.keys},
          {"width", shape.width},
          {"value width", shape.value_width}};
}

json file_stamp(const std::string& path) {
  struct stat status {};
  if (stat(path.c_str(), &status) != 0) return {};
  return {
      {"bytes", status.st_size}, {"seconds", status.st_mtim.tv_sec}, {"nanoseconds", status.st_mtim.tv_nsec}};
}

std::string difference(const json& there, const json& here) {
  if (!there.is_object()) return "it does not say what it is of";
  for (const auto& [name, value] : here.items())
    if (!there.contains(name) || there[name] != value)
      return name + " is " + (there.contains(name) ? there[name].dump() : "missing") + " there and " +
             value.dump() + " here";
  return "";
}

std::vector<std::string> leftovers(const std::string& output) {
  std::vector<std::string> paths;
  const fs::path folder = fs::path(output).parent_path();
  const std::string begin = fs::path(output).filename().string() + ".partial.";
  std::error_code failed;
  for (const auto& entry : fs::directory_iterator(folder.empty() ? "." : folder, failed)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with(begin) && name != begin + "lock")
      paths.push_back(output + name.substr(begin.size() - 9));
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

/// A checkpoint that fits, of some run.
struct Checkpointing::Found {
  std::string path, run;
  json header;
};

Checkpointing::Checkpointing(const Communicator& comm, std::string output, const ProblemFile& problem,
                             const Wishes& wishes, double interval, std::function<std::string()> stop,
                             Note note)
    : comm_(comm),
      output_(std::move(output)),
      problem_path_(problem.name()),
      run_(comm.broadcast(comm.root() ? run_name() : "", 0)),
      problem_(problem.description()),
      output_precision_(wishes.output_precision),
      identity_(identity_json(wishes, problem_)),
      stamp_(comm.root() ? file_stamp(problem_path_) : json()),
      interval_(interval),
      note_(std::move(note)),
      control_(std::move(stop), [this] { return result_ != nullptr && clock_.seconds() >= due_; }),
      due_(interval) {}

/// Rank 0: the checkpoints of this version and these options, the newest first.
std::vector<Checkpointing::Found> Checkpointing::candidates(std::string& foreign) const {
  std::vector<Found> found;
  for (const std::string& path : leftovers(output_)) {
    const std::string run = run_of(path, output_);
    if (run.empty()) continue;
    try {
      json header = CheckpointReader(path).header();
      std::string why = difference(header.at("program"), maker_json());
      if (why.empty()) why = difference(header.at("identity"), identity_);
      if (why.empty())
        found.push_back({path, run, std::move(header)});
      else
        foreign = path + " belongs to another run: " + why;
    } catch (const std::exception& error) {
      note_(std::string(error.what()) + "; it is passed over");
    }
  }
  std::sort(found.begin(), found.end(), [](const Found& one, const Found& other) {
    return one.header.value("saved", 0.0) > other.header.value("saved", 0.0);
  });
  return found;
}

/// Collective. Whether the rows that the checkpoint speaks of are in its run's partial result, unchanged.
bool Checkpointing::rows_are_there(const Found& found, const ProblemFile& problem) const {
  const ProblemShape& shape = problem.shape();
  ContentSum seen;
  bool readable = true;
  try {
    const SolveState state = solve_state(found.header.at("state"), shape);
    const PartialResult rows(partial(found.run), problem.description(), output_precision_);
    for (Index head = 0; head <= state.head; ++head)
      for (Range range : rows.share(state.written(head, shape.queries), comm_))
        seen.merge(rows.checksum(head, range, rows.read(head, range)));
  } catch (const std::exception&) {
    readable = false;
  }
  const json sums = seen.of_all(comm_).halves();
  return comm_.min(readable ? 1 : 0) > 0 && found.header.contains("rows") && found.header["rows"] == sums;
}

std::optional<ProblemMeasurement> Checkpointing::resume(ProblemFile& problem, const CoordinateWishes& wishes,
                                                        const std::function<ProblemMeasurement()>& measure) {
  // All ranks get the headers that fit, so that they decide alike.
  std::string text, foreign;
  std::vector<Found> found;
  comm_.together([&] {
    if (!comm_.root()) return;
    json list = json::array();
    for (Found& one : candidates(foreign))
      list.push_back({{"path", one.path},
                      {"run", one.run},
                      {"same file", one.header.value("stamp", json()) == stamp_},
                      {"header", std::move(one.header)}});
    const std::vector<std::uint8_t> bytes = json::to_cbor(list);
    text.assign(bytes.begin(), bytes.end());
  });
  text = comm_.broadcast(text, 0);
  const json list = json::from_cbor(text);

  std::optional<ProblemMeasurement> measurement;
  bool other_content = false;
  for (const json& one : list) {
    const Found candidate{one["path"], one["run"], one["header"]};
    if (!rows_are_there(candidate, problem)) {
      if (comm_.root())
        note_(candidate.path + ": its rows are not in " + partial(candidate.run) + "; it is passed over");
      continue;
    }
    const json record = candidate.header.value("measurement", json());
    std::optional<ProblemMeasurement> recorded;
    if (one["same file"]) recorded = recorded_measurement(comm_, problem, wishes, record);
    if (recorded) {
      measurement = std::move(recorded);
    } else {
      if (!measurement) measurement = measure();
      if (record.value("identity", std::uint64_t{0}) != measurement->identity) {
        other_content = true;
        continue;
      }
    }
    resumed_ = solve_state(candidate.header["state"], problem.shape());
    resumed_run_ = candidate.run;
    ancestors_ = candidate.header.value("ancestors", std::vector<std::string>());
    comm_.together([&] {
      if (comm_.root()) reader_.emplace(candidate.path);
    });
    if (comm_.root()) note_("going on from " + candidate.path);
    return measurement;
  }
  foreign = comm_.broadcast(foreign, 0);
  if (foreign.empty() && other_content)
    foreign = list[0]["path"].get<std::string>() +
              " belongs to another problem: its entries are not those of " + problem_path_;
  if (!foreign.empty())
    throw AgreedFailure(foreign + "; remove it, or leave --resume out to start over beside it");
  if (comm_.root()) note_("there is no checkpoint of " + output_ + " to go on from; the run starts over");
  return measurement;
}

void Checkpointing::read_sums(const KeySumWords& modes) {
  if (!reader_) return;
  std::uint64_t words = 0;
  for (const std::span<std::int64_t> mode : modes) words += mode.size();
  if (words != reader_->words())
    throw TornCheckpoint("the checkpoint has other key sums than this run; start over without --resume");
  for (const std::span<std::int64_t> mode : modes) reader_->read(mode);
  reader_.reset();
}

void Checkpointing::read_numbers(std::uint64_t count, std::vector<SomeNumbers>& mine) {
  constexpr std::uint64_t chunk = std::uint64_t{1} << 17;
  comm_.together([&] {
    if (comm_.root() && (!reader_ || reader_->words() != count))
      throw TornCheckpoint(
          "the checkpoint has other rows in flight than it says; start over without --resume");
  });
  std::vector<double> numbers;
  for (std::uint64_t begin = 0; begin < count; begin += chunk) {
    numbers.assign(std::min(chunk, count - begin), 0.0);
    comm_.together([&] {
      if (comm_.root()) reader_->read({reinterpret_cast<std::int64_t*>(numbers.data()), numbers.size()});
    });
    comm_.broadcast(numbers.data(), static_cast<Index>(numbers.size()), 0);
    for (SomeNumbers& some : mine)
      for (std::uint64_t i = std::max(begin, some.begin);
           i < std::min(begin + numbers.size(), some.begin + some.numbers.size()); ++i)
        some.numbers[i - some.begin] = numbers[i - begin];
  }
  reader_.reset();
}

void Checkpointing::begin(const ProblemMeasurement& measurement, ResultWriter& result) {
  if (comm_.root()) measurement_ = to_json(measurement);
  result_ = &result;
  if (!resumed_) return;
  comm_.together([&] {
    const PartialResult rows(partial(resumed_run_), problem_, output_precision_);
    for (Index head = 0; head <= resumed_->head; ++head)
      for (Range range : rows.share(resumed_->written(head, problem_.shape.queries), comm_))
        result.write(head, range, rows.read(head, range));
  });
}

/// Collective: brings the words together and writes all. Says why it could not be done, on all ranks.
std::string Checkpointing::write(const json& header, const SharedWords& words) {
  std::optional<CheckpointWriter> file;
  try {
    comm_.together([&] {
      if (comm_.root()) file.emplace(partial(run_) + endings[saves_ % 2], header, words.count);
    });
    const std::string trouble =
        put_words(comm_, words, [&](std::span<const std::int64_t> some) { file->write(some); });
    if (!trouble.empty()) return trouble;
    comm_.together([&] {
      if (comm_.root()) file->commit();
    });
  } catch (const AgreedFailure& failure) {
    return failure.what();
  }
  return "";
}

void Checkpointing::save(const SolveState& state, const SharedWords& words) {
  const Stopwatch watch;
  result_->flush();
  json header;
  std::vector<std::string> ancestors = ancestors_;
  if (!resumed_run_.empty()) ancestors.push_back(resumed_run_);
  const json rows = result_->rows_written().of_all(comm_).halves();
  if (comm_.root()) {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    header = {{"program", maker_json()},
              {"identity", identity_},
              {"stamp", stamp_},
              {"saved", std::chrono::duration<double>(now).count()},
              {"ancestors", ancestors},
              {"measurement", measurement_},
              {"rows", rows},
              {"state", to_json(state)}};
  }
  const std::string trouble = write(header, words);
  if (trouble.empty()) {
    result_->keep_unfinished();
    if (saves_++ == 0) remove_files(ancestors_);  // the resumed one stays, in case this one is lost
  } else if (comm_.root() && trouble != trouble_) {
    note_("no checkpoint could be saved: " + trouble);
  }
  trouble_ = trouble;
  const double cost = watch.seconds();
  seconds_ += cost;
  due_ = clock_.seconds() + (interval_ > 0 ? std::max(interval_, cost / most_time) : 0);
}

std::string Checkpointing::farewell() const {
  if (!trouble_.empty() && saves_ == 0) return "nothing could be saved: " + trouble_;
  if (saves_ > 0 || !resumed_run_.empty()) return "run the same command with --resume to go on";
  return "nothing was done yet that could be saved; run the same command with --resume to start again";
}

void Checkpointing::remove_files(const std::vector<std::string>& runs) const {
  if (!comm_.root()) return;
  const std::vector<std::string> there = leftovers(output_);
  for (const std::string& run : runs) {
    // Open MPI keeps a file NAME-<job>-<process>.lock beside one that several hosts write, and a killed run
    // leaves it.
    for (const std::string& path : there)
      if (path.starts_with(partial(run) + "-") && path.ends_with(".lock")) unlink(path.c_str());
    for (const char* ending : endings)
      for (const char* more : {"", ".new"}) unlink((partial(run) + ending + more).c_str());
    unlink(partial(run).c_str());
    for (const std::string& file : also_) unlink((file + ".partial." + run).c_str());
  }
}

void Checkpointing::finish() {
  remove_files({run_});
  if (resumed_run_.empty()) return;
  remove_files(ancestors_);
  remove_files({resumed_run_});
}

void Checkpointing::discard() {
  remove_files({run_});
}

}  // namespace kronattn
