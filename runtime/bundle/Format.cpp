// Format: see Format.h.
#include "runtime/bundle/Format.h"
#include "runtime/bundle/Errors.h"
#include <algorithm>

namespace peftrt {
namespace {

using nlohmann::json;

const char *nameOf(ValueType type) {
  switch (type) {
  case ValueType::f32:
    return "f32";
  case ValueType::bf16:
    return "bf16";
  case ValueType::i64:
    return "i64";
  default:
    return "i1";
  }
}

ValueType typeOf(const std::string &name) {
  for (const ValueType type : {ValueType::f32, ValueType::bf16, ValueType::i64, ValueType::i1})
    if (name == nameOf(type))
      return type;
  failBundle("a value has dtype `" + name + "`");
}

Value valueOf(const json &text) {
  Value value;
  value.type = typeOf(text.at("dtype"));
  const std::string per = text.at("per");
  if (per != "example" && per != "run")
    failBundle("a value is per `" + per + "`");
  value.perExample = per == "example";
  for (const json &dim : text.at("dims"))
    value.dims.push_back(dimOf(dim));
  if (!value.perExample && value.ragged())
    failBundle("a value of the run has a length that differs between examples");
  return value;
}

json jsonOf(const Value &value) {
  json dims = json::array();
  for (const Dim &dim : value.dims)
    dims.push_back(toJson(dim));
  return {{"dtype", nameOf(value.type)}, {"per", value.perExample ? "example" : "run"}, {"dims", dims}};
}

std::vector<NamedValue> namedOf(const json &list) {
  std::vector<NamedValue> named;
  for (const json &entry : list)
    named.push_back({entry.at("name"), entry.at("value")});
  return named;
}

json jsonOf(const std::vector<NamedValue> &named) {
  json list = json::array();
  for (const NamedValue &entry : named)
    list.push_back({{"name", entry.name}, {"value", entry.value}});
  return list;
}

Op opOf(const json &text) {
  Op op;
  op.op = text.at("op");
  op.in = text.at("in").get<std::vector<int64_t>>();
  op.out = text.at("out").get<std::vector<int64_t>>();
  if (text.contains("attrs"))
    op.attrs = text["attrs"];
  op.loc = text.value("loc", "");
  return op;
}

json jsonOf(const Op &op) { return {{"op", op.op}, {"in", op.in}, {"out", op.out}, {"attrs", op.attrs}, {"loc", op.loc}}; }

/// Every index names a value, and a value is used only after it is made.
void verify(const Program &program) {
  std::vector<bool> made(program.values.size(), false);
  const auto check = [&](int64_t value, bool needed, const std::string &where) {
    if (value < 0 || value >= static_cast<int64_t>(made.size()))
      failBundle("`" + program.name + "`: " + where + " names value " + std::to_string(value) + " of " + std::to_string(made.size()));
    if (needed && !made[value])
      failBundle("`" + program.name + "`: " + where + " reads value " + std::to_string(value) + " before it is made");
  };
  for (const NamedValue &input : program.inputs) {
    check(input.value, false, "input " + input.name);
    made[input.value] = true;
  }
  for (const Op &op : program.ops) {
    for (const int64_t value : op.in)
      check(value, true, op.op);
    if (op.out.empty() || (op.out.size() != 1 && op.op != "kernel" && op.op != "attention" && op.op != "attention_backward"))
      failBundle("`" + program.name + "`: " + op.op + " has " + std::to_string(op.out.size()) + " results");
    for (const int64_t value : op.out) {
      check(value, false, op.op);
      made[value] = true;
    }
  }
  for (const NamedValue &result : program.results)
    check(result.value, true, "result " + result.name);
}

Program programOf(const json &text, const char *ops) {
  Program program;
  program.name = text.at("name");
  program.flat = text.value("flat", program.name.rfind("optimizer.", 0) == 0);
  program.inputs = namedOf(text.value("inputs", json::array()));
  for (const json &value : text.at("values"))
    program.values.push_back(valueOf(value));
  for (const json &op : text.at(ops))
    program.ops.push_back(opOf(op));
  program.results = namedOf(text.at("results"));
  verify(program);
  return program;
}

json jsonOf(const Program &program, const char *ops) {
  json values = json::array(), list = json::array();
  for (const Value &value : program.values)
    values.push_back(jsonOf(value));
  for (const Op &op : program.ops)
    list.push_back(jsonOf(op));
  json text = {{"name", program.name}, {"inputs", jsonOf(program.inputs)}, {"values", values}, {ops, list}, {"results", jsonOf(program.results)}};
  if (program.flat)
    text["flat"] = true;
  return text;
}

PlanProgram planProgramOf(const json &text) {
  PlanProgram plan;
  plan.body = programOf(text, "steps");
  for (const json &slot : text.at("slots"))
    plan.slots.push_back({slot.value("c", int64_t{0}), slot.value("e", int64_t{0}), slot.value("t", int64_t{0}), slot.value("q", int64_t{0}), slot.value("p", int64_t{0}),
                          slot.value("ts", std::vector<int64_t>{}), slot.value("qs", std::vector<int64_t>{})});
  plan.streamed = text.value("streamed", false);
  plan.bands = text.value("bands", std::vector<int64_t>{});
  const int64_t slots = plan.slots.size(), values = plan.body.values.size();
  for (const json &value : text.at("values")) {
    plan.places.push_back({value.value("slot", int64_t{-1}), value.value("alias", int64_t{-1}), value.value("pitch", int64_t{0}), value.value("column", int64_t{0})});
    if (plan.places.back().slot >= slots || plan.places.back().alias >= values)
      failBundle("`" + plan.body.name + "`: a value lies in a slot or value that there is not");
  }
  for (const json &step : text.at("steps"))
    plan.kinds.push_back(step.value("kind", "aten"));
  return plan;
}

template <typename Result, typename Parse> std::vector<Result> parseAll(const json &section, const char *what, Parse parse) {
  try {
    std::vector<Result> programs;
    for (const json &program : section.at("programs"))
      programs.push_back(parse(program));
    return programs;
  } catch (const json::exception &error) {
    failBundle(std::string(what) + " lacks something or has it in another form: " + error.what());
  }
}

} // namespace

int64_t widthOf(ValueType type) {
  switch (type) {
  case ValueType::f32:
    return 4;
  case ValueType::bf16:
    return 2;
  case ValueType::i64:
    return 8;
  default:
    return 1;
  }
}

bool Value::ragged() const {
  return std::any_of(dims.begin(), dims.end(), [](const Dim &dim) { return dim.ragged(); });
}

Dim dimOf(const json &value) {
  if (!value.is_object())
    return {value.get<int64_t>(), 0};
  const Dim dim{value.value("c", int64_t{0}), value.value("k", int64_t{0}), sequenceOf(value.value("s", "seq"))};
  return dim.ragged() ? dim : Dim{dim.c, 0};
}

std::string nameOfSequence(int64_t sequence) { return sequence == 0 ? "seq" : "seq" + std::to_string(sequence); }

int64_t sequenceOf(const json &name) {
  constexpr int64_t kMost = 8; // nothing has as many, and sizes grow with their square
  const std::string text = name.get<std::string>();
  for (int64_t sequence = 0; sequence < kMost; ++sequence)
    if (text == nameOfSequence(sequence))
      return sequence;
  failBundle("a length depends on `" + text + "`");
}

json toJson(const Dim &dim) {
  if (!dim.ragged())
    return dim.c;
  return {{"c", dim.c}, {"k", dim.k}, {"s", nameOfSequence(dim.sequence)}};
}

std::vector<Program> programsOf(const json &section) {
  return parseAll<Program>(section, "programs.json", [](const json &text) { return programOf(text, "ops"); });
}

std::vector<PlanProgram> planOf(const json &section) { return parseAll<PlanProgram>(section, "plan.json", planProgramOf); }

json toJson(const std::vector<Program> &programs) {
  json list = json::array();
  for (const Program &program : programs)
    list.push_back(jsonOf(program, "ops"));
  return {{"programs", list}};
}

json toJson(const std::vector<PlanProgram> &programs) {
  json list = json::array();
  for (const PlanProgram &plan : programs) {
    json text = jsonOf(plan.body, "steps");
    for (size_t index = 0; index < plan.places.size(); ++index) {
      text["values"][index]["slot"] = plan.places[index].slot;
      if (plan.places[index].alias >= 0)
        text["values"][index]["alias"] = plan.places[index].alias;
      if (plan.places[index].pitch != 0)
        text["values"][index]["pitch"] = plan.places[index].pitch, text["values"][index]["column"] = plan.places[index].column;
    }
    for (size_t index = 0; index < plan.kinds.size(); ++index)
      text["steps"][index]["kind"] = plan.kinds[index];
    text["slots"] = json::array();
    for (const SlotSize &slot : plan.slots) {
      text["slots"].push_back({{"c", slot.c}, {"e", slot.e}, {"t", slot.t}, {"q", slot.q}, {"p", slot.p}});
      for (const auto &[name, list] : {std::pair("ts", slot.ts), {"qs", slot.qs}})
        if (!list.empty())
          text["slots"].back()[name] = list;
    }
    if (plan.streamed)
      text["streamed"] = true;
    text["bands"] = plan.bands;
    list.push_back(text);
  }
  return {{"programs", list}};
}

std::string fnv64(const std::string &bytes) {
  uint64_t hash = 0xCBF29CE484222325ull;
  for (const char byte : bytes)
    hash = (hash ^ static_cast<unsigned char>(byte)) * 0x100000001B3ull;
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(hash));
  return text;
}

} // namespace peftrt
