// PeftFolder: see the header.
#include "runtime/checkpoint/PeftFolder.h"
#include "runtime/bundle/Errors.h"
#include "runtime/bundle/Json.h"
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <regex>
#include <set>

namespace peftrt {
namespace {

using nlohmann::json;
using Misfits = std::vector<std::string>;

/// Fields of every such folder that say where it comes from, and nothing about numbers.
const std::set<std::string> kOrigin = {"auto_mapping", "base_model_name_or_path", "inference_mode", "peft_version", "revision"};

bool isOff(const json &value) {
  return value.is_null() || value == false || (value.is_number() && value == 0) || ((value.is_object() || value.is_array() || value.is_string()) && (value.empty() || value == ""));
}

/// 16 and 16.0 are one number.
bool same(const json &a, const json &b) {
  if (a.is_number() && b.is_number()) {
    const double x = a.get<double>(), y = b.get<double>();
    return x == y || std::abs(x - y) <= 1e-9 * std::max(std::abs(x), std::abs(y));
  }
  return a == b || (isOff(a) && isOff(b) && !a.is_number() && !b.is_number());
}

json fieldOf(const json &config, const std::string &name) { return config.contains(name) ? config.at(name) : json(); }

/// A regular expression of the folder's; anyone may have written it.
bool matches(const std::string &pattern, const std::string &text, Misfits &misfits) {
  try {
    return std::regex_match(text, std::regex(pattern, std::regex::ECMAScript));
  } catch (const std::regex_error &) {
    misfits.push_back("`" + pattern + "` is no regular expression that is understood here");
    return true;
  }
}

bool endsAs(const std::string &module, const std::string &name) {
  return module == name || (module.size() > name.size() && module.compare(module.size() - name.size(), name.size(), name) == 0 && module[module.size() - name.size() - 1] == '.');
}

/// A field that differs from module to module: the first pattern that ends a module's name decides, else the field itself.
void checkExceptions(const json &config, const json &fact, Misfits &misfits) {
  const std::string name = fact.at("name"), except = fact.at("except");
  const json patterns = fieldOf(config, except);
  std::set<std::string> used;
  for (const auto &[module, expected] : fact.at("of").items()) {
    json value = fieldOf(config, name);
    if (patterns.is_object())
      for (const auto &[pattern, exception] : patterns.items())
        if (matches("(.*\\.)?(" + pattern + ")", module, misfits)) {
          value = exception;
          used.insert(pattern);
          break;
        }
    if (!same(value, expected))
      misfits.push_back("`" + name + "` of `" + module + "` is " + value.dump() + ", the program's is " + expected.dump());
  }
  if (!patterns.is_null() && !patterns.is_object())
    misfits.push_back("`" + except + "` is no table");
  else if (!patterns.is_null())
    for (const auto &[pattern, exception] : patterns.items())
      if (!used.count(pattern))
        misfits.push_back("`" + except + "` names `" + pattern + "`, which is no module that the program attaches to");
}

/// A list of ends of names, or one regular expression, or a word for everything: the tensors say then which they are.
void checkModules(const json &value, const json &fact, const std::set<std::string> &all, Misfits &misfits) {
  const std::string name = fact.at("name");
  const auto listed = fact.at("modules").get<std::set<std::string>>();
  if (value == "all-linear" || (isOff(value) && listed.empty()))
    return;
  if (!value.is_string() && !value.is_array()) {
    misfits.push_back("`" + name + "` is " + value.dump() + ", the program attaches to " + std::to_string(listed.size()) + " modules");
    return;
  }
  const json entries = value.is_string() ? json::array({value}) : value;
  std::set<std::string> used;
  for (const std::string &module : all) {
    bool found = false;
    for (const json &entry : entries)
      if (entry.is_string() && (value.is_string() ? matches(entry, module, misfits) : endsAs(module, entry))) {
        found = true;
        used.insert(entry);
      }
    if (found != (listed.count(module) > 0))
      misfits.push_back("`" + name + "` " + (found ? "has" : "lacks") + " `" + module + "`, which the program " + (found ? "does not list there" : "attaches to"));
  }
  for (const json &entry : entries)
    if (entry.is_string() && !used.count(entry))
      misfits.push_back("`" + name + "` names `" + entry.get<std::string>() + "`, which is no module that the program attaches to");
}

void checkField(const json &config, const json &fact, const std::set<std::string> &all, Misfits &misfits) {
  const std::string name = fact.at("name");
  const json value = fieldOf(config, name);
  if (fact.contains("modules"))
    return checkModules(value, fact, all, misfits);
  if (fact.contains("except"))
    return checkExceptions(config, fact, misfits);
  if (fact.contains("is") && !same(value, fact.at("is")))
    misfits.push_back("`" + name + "` is " + (config.contains(name) ? value.dump() : "missing") + ", the program's is " + fact.at("is").dump());
  if (fact.contains("in") && std::none_of(fact.at("in").begin(), fact.at("in").end(), [&](const json &choice) { return same(value, choice); }))
    misfits.push_back("`" + name + "` is " + value.dump() + ", the program takes " + fact.at("in").dump());
}

json readConfig(const std::string &path) {
  const json config = parseJson(MappedFile::open(path)->text());
  if (!config.is_object())
    throw RuntimeError("R0122", "`" + path + "` is not a JSON object", "the folder is damaged");
  return config;
}

void throwMisfits(const std::string &folder, const Misfits &misfits) {
  std::string list;
  for (size_t i = 0; i < misfits.size() && i < 20; ++i)
    list += "\n  " + misfits[i];
  if (misfits.size() > 20)
    list += "\n  … and " + std::to_string(misfits.size() - 20) + " more";
  throw RuntimeError("R0122", "`" + folder + "` does not fit this trainer:" + list, "say in the spec what the folder was trained with, and compile it again");
}

} // namespace

void requireInterop(const json &manifest, bool both) {
  const json interop = manifest.value("interop", json::object());
  if (interop.empty())
    throw RuntimeError("R0123", "the trainer does not know how it appears in files of Hugging Face PEFT", "compile the spec again with this version of peftc");
  if (interop.contains("refused"))
    throw RuntimeError("R0123", "the program cannot be said in files of Hugging Face PEFT: " + interop.at("refused").get<std::string>(), "RUN/adapter.safetensors holds the parameters by name");
  if (both && interop.contains("one_way"))
    throw RuntimeError("R0123", "nothing can be read back from files of Hugging Face PEFT: " + interop.at("one_way").get<std::string>(), "attach the method in a form whose parameters the files hold");
}

json peftConfigOf(const json &manifest, const std::string &model) {
  const json &interop = manifest.at("interop");
  json config = {{"base_model_name_or_path", model}, {"inference_mode", true}, {"revision", nullptr}, {"auto_mapping", nullptr}};
  config.update(interop.at("task"));
  for (const json &fact : interop.at("fields")) {
    const std::string name = fact.at("name");
    config[name] = fact.contains("list") ? fact.at("list") : fact.contains("trained") ? fact.at("trained") : fact.contains("in") ? fact.at("in").at(0) : fact.at("is");
    if (fact.contains("trained") && fact.at("trained").empty())
      config[name] = nullptr;
    if (!fact.contains("except"))
      continue;
    json exceptions = json::object();
    for (const auto &[module, value] : fact.at("of").items())
      if (value != fact.at("is"))
        exceptions[module] = value;
    config[fact.at("except").get<std::string>()] = exceptions;
  }
  return config;
}

Misfits misfitsOf(const json &config, const json &interop) {
  Misfits misfits;
  std::set<std::string> known = kOrigin, all;
  for (const json &fact : interop.at("fields")) {
    known.insert(fact.at("name").get<std::string>());
    if (fact.contains("except"))
      known.insert(fact.at("except").get<std::string>());
    if (fact.contains("modules"))
      all.merge(fact.at("modules").get<std::set<std::string>>());
  }
  const auto ignores = interop.at("ignores").get<std::set<std::string>>();
  for (const json &fact : interop.at("fields"))
    if (!ignores.count(fact.at("name").get<std::string>()))
      checkField(config, fact, all, misfits);
  for (const auto &[name, value] : interop.at("task").items()) {
    known.insert(name);
    if (const json theirs = fieldOf(config, name); !theirs.is_null() && theirs != value)
      misfits.push_back("`" + name + "` is " + theirs.dump() + ", the program's is " + value.dump());
  }
  for (const auto &[name, value] : config.items())
    if (!known.count(name) && !ignores.count(name) && !isOff(value))
      misfits.push_back("`" + name + "` is " + value.dump() + ", of which the program says nothing");
  return misfits;
}

std::map<std::string, at::Tensor> readPeftFolder(const std::string &folder, const json &manifest, const std::map<std::string, std::vector<int64_t>> &shapes) {
  namespace fs = std::filesystem;
  const std::string weights = folder + "/adapter_model.safetensors";
  if (!fs::exists(weights) && fs::exists(folder + "/adapter_model.bin"))
    throw RuntimeError("R0122", "`" + folder + "` holds its tensors as adapter_model.bin, which only Python can read", "load it in peft, and save it again: it writes adapter_model.safetensors");
  Misfits misfits = misfitsOf(readConfig(folder + "/adapter_config.json"), manifest.at("interop"));
  const SafetensorsFile file(weights);
  std::map<std::string, at::Tensor> tensors;
  for (const auto &[key, shape] : shapes) {
    const auto found = file.tensors().find(key);
    if (found == file.tensors().end())
      misfits.push_back("tensor `" + key + "` is missing");
    else if (found->second.shape != shape)
      misfits.push_back("tensor `" + key + "` is " + shapeText(found->second.shape) + ", the program's is " + shapeText(shape));
    else
      tensors[key] = file.load(key);
  }
  for (const auto &[key, stored] : file.tensors())
    if (!shapes.count(key))
      misfits.push_back("tensor `" + key + "` is none of the program's");
  if (!misfits.empty())
    throwMisfits(folder, misfits);
  return tensors;
}

} // namespace peftrt
