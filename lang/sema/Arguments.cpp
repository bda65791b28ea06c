// Arguments: see the header.
#include "lang/sema/Arguments.h"
#include "lang/sema/Literals.h"
#include <algorithm>
#include <map>
#include <sstream>

namespace peftc::sema {
using namespace ast;
using diag::Kind;

Signature signatureOf(const Declaration &decl) {
  Signature signature{decl.name.text, {}, false, false, false};
  for (const Parameter &param : decl.params)
    if (!(param.type && param.type->name == "config")) // a checkpoint's, not the user's, to give
      signature.formals.push_back({param.name.text, !param.defaultValue, false, param.range, param.type.get()});
  return signature;
}

Signature signatureOf(const Builtin &builtin) {
  static const std::string rest = "…";
  Signature signature{builtin.name, {}, false, false, false};
  std::istringstream words(builtin.arguments);
  for (std::string word; words >> word;) {
    if (word == "**") {
      signature.anyNamed = true;
    } else if (word.ends_with(rest)) {
      std::string formal = word.substr(0, word.size() - rest.size());
      const bool optional = formal.ends_with('?');
      formal.resize(formal.size() - (optional ? 1 : 0));
      signature.formals.push_back({formal, !optional, false, {}, nullptr});
      signature.anyPositional = true;
    } else if (word.ends_with('?') || word.ends_with(':')) {
      signature.formals.push_back({word.substr(0, word.size() - 1), false, word.ends_with(':'), {}, nullptr});
    } else {
      signature.formals.push_back({word, true, false, {}, nullptr});
    }
  }
  signature.inOrder = std::any_of(signature.formals.begin(), signature.formals.end(), [](auto &formal) { return formal.name == "like"; });
  return signature;
}

namespace {
std::string counted(size_t count) { return count == 0 ? "no arguments" : count == 1 ? "one argument" : std::to_string(count) + " arguments"; }

std::string listed(const std::vector<std::string> &names) {
  std::string list;
  for (const std::string &name : names)
    list += (list.empty() ? "" : ", ") + name;
  return list;
}

void suggestName(diag::Builder report, const std::string &what, const Ident &written, const std::vector<std::string> &known) {
  if (auto better = diag::suggest(written.text, known)) {
    report.help("there is `" + *better + "`");
    report.fixit(written.range, *better);
  } else if (!known.empty()) {
    report.note("`" + what + "` has " + listed(known));
  }
}

class Matching {
public:
  Matching(const Signature &signature, const Visible &scope, diag::Engine &diags) : signature(signature), scope(scope), diags(diags) {}

  void take(const Argument &arg) {
    if (!arg.name)
      return takePositional(arg);
    const std::string &name = arg.name->text;
    for (const Signature::Formal &formal : signature.formals)
      if (formal.name == name)
        return note(formal, arg.name->range, *arg.value);
    if (signature.anyNamed)
      return;
    misnamed = true;
    std::vector<std::string> names;
    for (const Signature::Formal &formal : signature.formals)
      names.push_back(formal.name);
    suggestName(diags.report(Kind::E0209, arg.name->range, {signature.what, name}), signature.what, *arg.name, names);
  }

  void missing(Range place) {
    if (misnamed) // most likely it is the one meant
      return;
    bool later = false;
    for (size_t i = signature.formals.size(); i-- > 0;) {
      const Signature::Formal &formal = signature.formals[i];
      if (given.count(formal.name)) {
        later = later || !formal.byNameOnly;
        continue;
      }
      if (!formal.required && !(signature.inOrder && later && !formal.byNameOnly))
        continue;
      auto report = diags.report(Kind::E0210, place, {signature.what, formal.name});
      if (formal.range.valid())
        report.label(formal.range, "asked for here, without a default");
    }
  }

private:
  void takePositional(const Argument &arg) {
    while (next < signature.formals.size() && signature.formals[next].byNameOnly)
      ++next;
    if (next < signature.formals.size()) {
      const Signature::Formal &formal = signature.formals[next];
      if (given.count(formal.name) && signature.anyPositional)
        return;
      note(formal, arg.range, *arg.value);
      if (!signature.anyPositional || next + 1 < signature.formals.size())
        ++next;
      return;
    }
    if (!signature.anyPositional && !signature.anyNamed && !misnamed) {
      misnamed = true; // said once
      size_t most = std::count_if(signature.formals.begin(), signature.formals.end(), [](auto &formal) { return !formal.byNameOnly; });
      diags.report(Kind::E0211, arg.range, {signature.what, counted(most)});
    }
  }
  void note(const Signature::Formal &formal, Range range, const Expr &value) {
    auto [it, first] = given.insert({formal.name, range});
    if (!first)
      diags.report(Kind::E0206, range, {formal.name}).label(it->second, "first said here");
    auto *call = value.as<CallExpr>();
    auto *name = (call ? *call->callee : value).as<NameExpr>();
    if (formal.type)
      checkLiteral(formal.name, *formal.type, value, name && scope.hasLocal(name->name) ? nullptr : &scope.declared(), diags);
  }

  const Signature &signature;
  const Visible &scope;
  diag::Engine &diags;
  std::map<std::string, Range> given;
  size_t next = 0;
  bool misnamed = false;
};
} // namespace

void checkArguments(const Signature &signature, const std::vector<Argument> &args, Range place, const Visible &scope, diag::Engine &diags) {
  Matching matching(signature, scope, diags);
  for (const Argument &arg : args)
    matching.take(arg);
  matching.missing(place);
}

void checkFields(const std::string &what, const std::vector<std::string> &known, const std::vector<Field> &fields,
                 diag::Engine &diags) {
  std::map<std::string, Range> given;
  for (const Field &field : fields) {
    auto [it, first] = given.insert({field.name.text, field.name.range});
    if (!first)
      diags.report(Kind::E0206, field.name.range, {field.name.text}).label(it->second, "first said here");
    if (first && std::find(known.begin(), known.end(), field.name.text) == known.end())
      suggestName(diags.report(Kind::E0357, field.name.range, {what, field.name.text}), what, field.name, known);
  }
}

} // namespace peftc::sema
