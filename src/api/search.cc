// SPDX-License-Identifier: Apache-2.0
#include "quamba2/search.h"

#include <algorithm>
#include <cmath>

#include "api/job_text.h"
#include "api/loss_meter.h"
#include "api/mixer.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "io/part_files.h"
#include "quamba2/error.h"
#include "quant/search.h"

namespace quamba2 {
namespace {

struct Speeds {
  double prefill = 0, decode = 0;  // tokens a second
};

// Files of a search in its work directory; nothing is kept without one.
class Notebook {
 public:
  Notebook(const SearchOptions& options, const Model& model) : directory_(options.quantize.work_directory) {
    if (directory_.empty()) return;
    PartFiles(directory_, job_of(options, model), options.quantize.resume);
    if (!path_exists(path("losses.json"))) return;
    const Json kept = Json::parse(read_file(path("losses.json"), 64 << 20), path("losses.json"));
    if (const Json* losses = kept.find("losses")) losses_ = *losses;
    if (const Json* speeds = kept.find("speeds")) speeds_ = *speeds;
  }

  std::string model_path(const std::string& choice) const { return directory_.empty() ? "" : path(choice); }
  const Json* loss(const std::string& genome) const { return losses_.find(genome); }
  const Json* speed(const std::string& choice) const { return speeds_.find(choice); }
  void keep_loss(const std::string& genome, double loss) { losses_.set(genome, loss), write(); }
  void keep_speed(const std::string& choice, const Speeds& s) {
    Json pair(Json::Array{});
    pair.push_back(s.prefill), pair.push_back(s.decode);
    speeds_.set(choice, std::move(pair));
    write();
  }

 private:
  // What losses depend on; the budget and the search's settings may change.
  static std::string job_of(const SearchOptions& o, const Model& model) {
    std::string out = job_text(o.quantize, model, true) + "search " + fingerprint(o.text) + " " +
                      std::to_string(o.windows.window) + " " + std::to_string(o.windows.max_windows);
    for (const std::string& c : o.choices) out += " " + c;
    return out;
  }

  std::string path(const std::string& name) const { return join_path(directory_, name); }
  void write() const {
    if (directory_.empty()) return;
    Json all;
    all.set("losses", losses_);
    all.set("speeds", speeds_);
    write_file(path("losses.json"), all.dump(-1) + "\n");
  }

  std::string directory_;
  Json losses_{Json::Object{}}, speeds_{Json::Object{}};
};

class Experiment {
 public:
  Experiment(const Model& model, const SearchOptions& options)
      : source_(model), options_(options), notebook_(options, model), mixer_(quantize_all()) {
    for (size_t c = 0; c < options.choices.size(); ++c) speeds_.push_back(measure_speed(c));
  }

  SearchReport run() {
    LossMeter meter(source_.data(), options_.text, options_.windows, options_.quantize);
    const SearchSpace space = make_space();
    const SearchSettings settings{limit_of(options_), options_.population, options_.generations,
                                  options_.quantize.seed};
    ProgressScope progress("searching", most_evaluations(space, settings));
    const auto evaluate = [&](const Genome& genome) {
      const std::string name = text_of(genome);
      const Json* kept = notebook_.loss(name);
      const double loss = kept ? kept->as_double("loss") : meter.mean_kl(mixer_.mix(genome));
      if (!kept) notebook_.keep_loss(name, loss);
      log(LogLevel::kInfo, name + " KL " + std::to_string(loss));
      progress.advance();
      return loss;
    };
    const std::vector<Candidate> all = search_lists(space, settings, evaluate);
    SearchReport report{source_.name(), options_, {}, {}, {}, static_cast<int64_t>(all.size())};
    report.options.text.clear();
    report.options.quantize.calibration_text.clear();
    report.best = point(best_within(all, settings.limit));
    for (size_t c = 0; c < options_.choices.size(); ++c) {
      const Genome uniform(static_cast<size_t>(mixer_.layers()), static_cast<uint8_t>(c));
      for (const Candidate& candidate : all) {
        if (candidate.genome == uniform) report.uniform.push_back(point(candidate));
      }
    }
    for (const Candidate& candidate : pareto_front(all)) report.front.push_back(point(candidate));
    return report;
  }

 private:
  // In costs of the space: bytes, or seconds a token.
  static double limit_of(const SearchOptions& o) { return o.budget == Budget::kSize ? o.limit : 1 / o.limit; }

  static std::string text_of(const Genome& genome) {
    std::string out;
    for (uint8_t g : genome) out += static_cast<char>('0' + g);
    return out;
  }

  std::vector<ModelData> quantize_all() {
    std::vector<ModelData> out;
    for (const std::string& choice : options_.choices) {
      const std::string kept = notebook_.model_path(choice);
      if (!kept.empty() && path_exists(kept)) {
        out.push_back(std::move(Model::from_pretrained(kept).data()));
        continue;
      }
      log(LogLevel::kInfo, "all layers in " + choice);
      Model model = Model::from_pretrained(source_.data().directory);
      QuantizeOptions o = options_.quantize;
      o.recipe = "w4ax";
      o.layers.assign(static_cast<size_t>(model.layers()), choice);
      if (!kept.empty()) o.work_directory = kept + ".partial";
      quantize(model, o);
      if (!kept.empty()) {
        model.save(kept, true);
        model = Model::from_pretrained(kept);
        remove_work(o.work_directory);
      }
      out.push_back(std::move(model.data()));
    }
    return out;
  }

  Speeds measure_speed(size_t choice) {
    if (const Json* kept = notebook_.speed(options_.choices[choice])) {
      const Json::Array& pair = kept->as_array("speeds");
      return {pair.at(0).as_double("speeds"), pair.at(1).as_double("speeds")};
    }
    const Genome uniform(static_cast<size_t>(mixer_.layers()), static_cast<uint8_t>(choice));
    const Model model = Model::from_data(std::make_unique<ModelData>(mixer_.mix(uniform)));
    EngineOptions engine_options;
    engine_options.threads = options_.quantize.threads;
    engine_options.tokenizer = options_.quantize.tokenizer;
    Engine engine(model, engine_options);
    BenchOptions bench_options;
    bench_options.prompts = {256};
    bench_options.generations = {64};
    const BenchReport report = bench(engine, bench_options);
    const auto best = [&](size_t row) {  // the run that was disturbed least
      const std::vector<double>& samples = report.rows.at(row).samples;
      return *std::max_element(samples.begin(), samples.end());
    };
    const Speeds speeds{best(0), best(1)};
    notebook_.keep_speed(options_.choices[choice], speeds);
    return speeds;
  }

  // A layer's share of the time of a uniform model: layers of one model are alike, and what they have in common with
  // embedding and head is in every list.
  SearchSpace make_space() const {
    SearchSpace space{static_cast<int>(options_.choices.size()), {}};
    const auto layers = static_cast<double>(mixer_.layers());
    for (int64_t l = 0; l < mixer_.layers(); ++l) {
      std::vector<double> costs;
      for (size_t c = 0; c < options_.choices.size(); ++c) {
        switch (options_.budget) {
          case Budget::kSize: costs.push_back(mixer_.bytes(l, c) + mixer_.bytes(mixer_.layers(), 0) / layers); break;
          case Budget::kPrefill: costs.push_back(1 / (speeds_[c].prefill * layers)); break;
          case Budget::kDecode: costs.push_back(1 / (speeds_[c].decode * layers)); break;
        }
      }
      space.costs.push_back(std::move(costs));
    }
    return space;
  }

  std::string name_of(const Genome& genome) const {
    std::string out;
    for (size_t c = 0; c < options_.choices.size(); ++c) {
      const auto n = std::count(genome.begin(), genome.end(), static_cast<uint8_t>(c));
      if (n > 0) out += (out.empty() ? "" : ", ") + std::to_string(n) + " " + options_.choices[c];
    }
    return out;
  }

  SearchPoint point(const Candidate& candidate) const {
    SearchPoint out;
    out.name = name_of(candidate.genome);
    out.mean_kl = candidate.loss;
    out.weight_bytes = mixer_.bytes(mixer_.layers(), 0);
    double prefill = 0, decode = 0;
    for (size_t l = 0; l < candidate.genome.size(); ++l) {
      const size_t c = candidate.genome[l];
      out.layers.push_back(options_.choices[c]);
      out.weight_bytes += mixer_.bytes(static_cast<int64_t>(l), c);
      prefill += 1 / speeds_[c].prefill;
      decode += 1 / speeds_[c].decode;
    }
    out.prefill = static_cast<double>(mixer_.layers()) / prefill;
    out.decode = static_cast<double>(mixer_.layers()) / decode;
    return out;
  }

  const Model& source_;
  const SearchOptions& options_;
  Notebook notebook_;
  Mixer mixer_;
  std::vector<Speeds> speeds_;
};

void check(const SearchOptions& o) {
  const auto fail = [](const std::string& what, const std::string& why, const std::string& todo) {
    throw Error(ErrorCode::kUsage, what, "search", why, todo);
  };
  if (o.choices.size() < 2) fail("too few choices", "there is nothing to choose from", "give two or three recipes");
  for (size_t i = 0; i < o.choices.size(); ++i) {
    if (std::count(o.choices.begin(), o.choices.end(), o.choices[i]) > 1)
      fail("choice given twice", o.choices[i], "give each recipe once");
  }
  if (!std::isfinite(o.limit) || o.limit <= 0)
    fail("no budget", "the limit is not above zero", "give a size, or a speed");
  if (o.population < 2 || o.generations < 0)
    fail("population or generations out of range", "at least two lists and no negative number of generations", "");
  if (o.text.empty()) fail("no text", "the lists are judged by KL divergence on text", "pass --text FILE");
}

}  // namespace

SearchReport search(const Model& model, const SearchOptions& options) {
  check(options);
  return Experiment(model, options).run();
}

}  // namespace quamba2
