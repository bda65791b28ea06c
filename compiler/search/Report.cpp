// Report: see the header.
#include "compiler/search/Report.h"
#include <algorithm>
#include <cmath>
#include <map>

namespace peftc::search {
namespace {

using State = TrialRecord::State;
using nlohmann::ordered_json;

std::string number(double value, const char *format = "%.10g") {
  char text[48];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

/// As a table's cell: in quotes where it must be.
std::string cell(const std::string &text) {
  if (text.find_first_of(",\"\n") == std::string::npos)
    return text;
  std::string quoted = "\"";
  for (char c : text)
    quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

std::string escaped(const std::string &text) {
  std::string out;
  for (char c : text)
    out += c == '&' ? "&amp;" : c == '<' ? "&lt;" : c == '>' ? "&gt;" : c == '"' ? "&quot;" : std::string(1, c);
  return out;
}

/// From numbers to places on a picture.
struct Axis {
  double low = 0, high = 1, from = 0, to = 1;
  Axis(const std::vector<double> &values, double from, double to) : from(from), to(to) {
    auto [least, most] = std::minmax_element(values.begin(), values.end());
    low = *least, high = *most;
    const double margin = high > low ? 0.06 * (high - low) : std::max(1.0, std::abs(high)) * 0.06;
    low -= margin, high += margin;
  }
  double at(double value) const { return from + (to - from) * (value - low) / (high - low); }
};

class Picture {
public:
  Picture(const Space &space, const std::vector<TrialRecord> &trials) : space(space), two(space.objectives.size() > 1) {
    for (const TrialRecord &trial : trials)
      if (trial.state == State::Complete)
        all.push_back(&trial);
  }

  std::string draw() {
    out = "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 720 480\" font-family=\"sans-serif\" font-size=\"13\">\n<rect width=\"720\" height=\"480\" fill=\"white\"/>\n";
    if (!all.empty())
      points();
    return out + "</svg>\n";
  }

private:
  double x(const TrialRecord &trial) const { return two ? trial.values[1] : static_cast<double>(trial.number); }

  void points() {
    std::vector<double> xs, ys;
    for (const TrialRecord *trial : all)
      xs.push_back(x(*trial)), ys.push_back(trial->values[0]);
    const Axis across(xs, 70, 700), up(ys, 430, 20);
    frame(across, up);
    std::vector<const TrialRecord *> front;
    for (const TrialRecord *trial : all) {
      if (trial->front)
        front.push_back(trial);
      out += "<circle cx=\"" + number(across.at(x(*trial)), "%.1f") + "\" cy=\"" + number(up.at(trial->values[0]), "%.1f") + "\" r=\"4\" fill=\"" + (trial->front ? "#c0392b" : "#9aa5b1") + "\"><title>trial " +
             std::to_string(trial->number) + ": " + escaped(choicesText(space, *trial)) + "</title></circle>\n";
    }
    std::sort(front.begin(), front.end(), [&](auto *a, auto *b) { return x(*a) < x(*b); });
    std::string line;
    for (const TrialRecord *trial : front)
      line += number(across.at(x(*trial)), "%.1f") + "," + number(up.at(trial->values[0]), "%.1f") + " ";
    if (two && front.size() > 1)
      out += "<polyline points=\"" + line + "\" fill=\"none\" stroke=\"#c0392b\"/>\n";
  }
  void frame(const Axis &across, const Axis &up) {
    out += "<path d=\"M70 20V430H700\" fill=\"none\" stroke=\"black\"/>\n";
    for (int i = 0; i <= 4; ++i) {
      const double vx = across.low + (across.high - across.low) * i / 4, vy = up.low + (up.high - up.low) * i / 4;
      out += "<text x=\"" + number(across.at(vx), "%.1f") + "\" y=\"448\" text-anchor=\"middle\">" + number(vx, "%.4g") + "</text>\n";
      out += "<text x=\"64\" y=\"" + number(up.at(vy) + 4, "%.1f") + "\" text-anchor=\"end\">" + number(vy, "%.4g") + "</text>\n";
    }
    out += "<text x=\"385\" y=\"472\" text-anchor=\"middle\">" + escaped(two ? space.objectives[1].name : "trial") + "</text>\n";
    out += "<text x=\"18\" y=\"225\" text-anchor=\"middle\" transform=\"rotate(-90 18 225)\">" + escaped(space.objectives[0].name) + "</text>\n";
  }

  const Space &space;
  const bool two;
  std::vector<const TrialRecord *> all;
  std::string out;
};

} // namespace

std::string choicesText(const Space &space, const TrialRecord &trial) {
  std::map<std::string, std::string> values;
  for (const MadeChoice &choice : trial.choices)
    values[choice.name] = choice.value;
  std::string text, open; // `open`: the subset whose elements are being listed
  for (const OpenChoice &choice : space.choices) {
    auto value = values.find(choice.name);
    if (value == values.end())
      continue;
    if (choice.kind == OpenChoice::Kind::Element) {
      const size_t bracket = choice.name.rfind('[');
      const std::string of = choice.name.substr(0, bracket), index = choice.name.substr(bracket + 1, choice.name.rfind(']') - bracket - 1);
      if (open != of)
        text += (text.empty() ? "" : "  ") + of + "=";
      if (value->second == "yes")
        text += (open == of && text.back() != '=' ? "," : "") + index;
      open = of;
      continue;
    }
    text += text.empty() ? "" : "  ";
    text += choice.kind == OpenChoice::Kind::Maybe ? (value->second == "yes" ? "" : "no ") + choice.name : choice.name + "=" + value->second;
  }
  return text;
}

std::string csv(const Space &space, const std::vector<TrialRecord> &trials) {
  std::string out = "trial,state,front";
  for (const Objective &objective : space.objectives)
    out += "," + cell(objective.name);
  out += ",seconds";
  for (const OpenChoice &choice : space.choices)
    out += "," + cell(choice.name);
  out += ",error\n";
  for (const TrialRecord &trial : trials) {
    out += std::to_string(trial.number) + "," + nameOf(trial.state) + "," + (trial.front ? "yes" : "no");
    for (size_t i = 0; i < space.objectives.size(); ++i)
      out += "," + (i < trial.values.size() ? number(trial.values[i]) : "");
    out += "," + number(trial.seconds, "%.1f");
    for (const OpenChoice &choice : space.choices) {
      auto made = std::find_if(trial.choices.begin(), trial.choices.end(), [&](const MadeChoice &one) { return one.name == choice.name; });
      out += "," + (made == trial.choices.end() ? "" : cell(made->value));
    }
    out += "," + cell(trial.error) + "\n";
  }
  return out;
}

std::string svg(const Space &space, const std::vector<TrialRecord> &trials) { return Picture(space, trials).draw(); }

ordered_json trialJson(const Space &space, const TrialRecord &trial) {
  ordered_json choices = ordered_json::object(), values = ordered_json::object();
  for (const MadeChoice &choice : trial.choices)
    choices[choice.name] = choice.value;
  for (size_t i = 0; i < trial.values.size(); ++i)
    values[space.objectives[i].name] = trial.values[i];
  ordered_json out = {{"trial", trial.number}, {"state", nameOf(trial.state)}, {"choices", choices}, {"values", values}, {"seconds", trial.seconds}};
  if (!trial.error.empty())
    out["error"] = trial.error;
  return out;
}

ordered_json spaceJson(const Space &space) {
  static const char *const kinds[] = {"value", "maybe", "element"};
  ordered_json choices = ordered_json::array(), objectives = ordered_json::array();
  for (const OpenChoice &choice : space.choices) {
    ordered_json one = {{"name", choice.name}, {"kind", kinds[static_cast<size_t>(choice.kind)]}, {"values", choice.values}};
    one["within"] = choice.within.empty() ? ordered_json() : ordered_json(choice.within);
    choices.push_back(one);
  }
  for (const Objective &objective : space.objectives)
    objectives.push_back({{"name", objective.name}, {"direction", objective.maximize ? "maximize" : "minimize"}});
  return {{"choices", choices}, {"objectives", objectives}, {"strategy", {{"name", space.strategy.name}, {"trials", space.strategy.trials}, {"seed", space.strategy.seed}}}};
}

const TrialRecord *bestOf(const Space &space, const std::vector<TrialRecord> &trials) {
  const TrialRecord *best = nullptr;
  const auto better = [&](const TrialRecord &a, const TrialRecord &b) {
    for (size_t i = 0; i < space.objectives.size(); ++i)
      if (a.values[i] != b.values[i])
        return (a.values[i] < b.values[i]) != space.objectives[i].maximize;
    return false;
  };
  for (const TrialRecord &trial : trials)
    if (trial.front && trial.state == State::Complete && (!best || better(trial, *best)))
      best = &trial;
  return best;
}

} // namespace peftc::search
