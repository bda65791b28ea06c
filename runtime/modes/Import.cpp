// Import: a folder of Hugging Face PEFT becomes a run, as if it had been trained here.
//
// The program `import` makes the parameters of the folder's tensors. The run has an adapter and no checkpoint to resume from.
// Errs   R0122 the folder does not fit the program; R0123 the program has no such files; R0118 the run exists
#include "runtime/bundle/Errors.h"
#include "runtime/checkpoint/PeftFolder.h"
#include "runtime/modes/Modes.h"
#include "runtime/modes/Output.h"
#include <ATen/ATen.h>
#include <cstdio>
#include <filesystem>
#include <sstream>

namespace peftrt {
namespace {

using nlohmann::json;

/// The inputs of the program `import`: the tensors that a folder must have.
std::map<std::string, std::vector<int64_t>> shapesOf(const Bundle &bundle) {
  std::map<std::string, std::vector<int64_t>> shapes;
  for (const json &program : bundle.programs.value().at("programs"))
    if (program.at("name") == "import")
      for (const json &input : program.at("inputs"))
        shapes[input.at("name")] = program.at("values").at(input.at("value").get<size_t>()).at("dims").get<std::vector<int64_t>>();
  return shapes;
}

/// `a,b,c`: the names of the head's rows.
json labelsOf(const Arguments &arguments) {
  json labels = json::array();
  std::istringstream names(arguments.get("labels"));
  for (std::string name; std::getline(names, name, ',');)
    labels.push_back(name);
  return labels;
}

void checkLabels(const json &labels, const json &manifest) {
  for (const RowField &field : rowFieldsOf(manifest))
    if ((field.encoder == Encoder::Class || field.encoder == Encoder::Classes) && static_cast<int64_t>(labels.size()) > field.classes)
      throw RuntimeError("R0138", "--labels names " + std::to_string(labels.size()) + " labels, the model has " + std::to_string(field.classes) + " classes", "");
}

/// The parameters among the results of `import`. `P in key` is what another tensor holds of P.
std::map<std::string, at::Tensor> parametersOf(const Results &results, const std::string &folder) {
  std::map<std::string, at::Tensor> parameters;
  for (const auto &[name, value] : results)
    if (name.find(" in ") == std::string::npos)
      parameters[name] = value.to(at::kFloat).clone();
  for (const auto &[name, value] : results)
    if (const size_t in = name.find(" in "); in != std::string::npos && !at::equal(value.to(at::kFloat), parameters.at(name.substr(0, in))))
      throw RuntimeError("R0122", "`" + folder + "` has `" + name.substr(0, in) + "` twice, and `" + name.substr(in + 4) + "` holds other numbers", "the network has one tensor in both places");
  return parameters;
}

int importAdapter(Bundle bundle, const Arguments &arguments, const Surroundings &surroundings) {
  const std::string folder = arguments.word();
  if (folder.empty())
    throw UsageError{"import needs the folder of an adapter", "import DIR --out RUN"};
  RunFolder run(arguments.need("out"));
  requireInterop(bundle.manifest, true);
  if (run.exists() && !(arguments.has("overwrite") && run.isOurs()))
    throw RuntimeError("R0118", "`" + run.path() + "` exists", run.isOurs() ? "give another --out, or --overwrite" : "give another --out");
  const json labels = labelsOf(arguments);
  checkLabels(labels, bundle.manifest);
  const auto tensors = readPeftFolder(folder, bundle.manifest, shapesOf(bundle));
  const auto session = openLoadedSession(std::move(bundle), sessionOptionsOf(arguments, surroundings));
  session->labels = Labels::fromJson(labels);
  RandomState random;
  const std::map<std::string, at::Tensor> parameters = parametersOf(session->executor->run("import", Batch{}, tensors, random), folder);
  session->restore(parameters, folder);
  json record = session->runRecord();
  record["imported"] = std::filesystem::absolute(folder).string();
  run.create(record);
  run.writeBest(session->saved(), session->adapterMetadata());
  if (arguments.has("json"))
    printJson({{"out", run.path()}, {"parameters", parameters.size()}});
  else
    std::fprintf(stderr, "imported %zu parameters: %s\n", parameters.size(), run.path().c_str());
  return 0;
}

} // namespace

Mode importMode() {
  ModeSpec spec{"import", "read a folder of Hugging Face PEFT into a run", "DIR", {
      {"out", "RUN", "folder of the run"},
      {"labels", "A,B,C", "names of the classes, in the order of the head's rows"},
      {"overwrite", "", "replace the run in --out"},
      {"json", "", "print a JSON report"}}};
  for (const auto &option : sessionOptions())
    spec.options.push_back(option);
  return {spec, importAdapter};
}

} // namespace peftrt
