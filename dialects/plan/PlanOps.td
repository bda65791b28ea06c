// Ops of the `plan` dialect.
#ifndef PEFT_PLAN_OPS
#define PEFT_PLAN_OPS
include "PlanDialect.td"
include "mlir/IR/BuiltinAttributes.td"
include "mlir/Interfaces/ControlFlowInterfaces.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

class Plan_Op<string mnemonic, list<Trait> traits = []> : Op<Plan_Dialect, mnemonic, traits>;

def Plan_ProgramOp : Plan_Op<"program", [SingleBlock, IsolatedFromAbove]> {
  let summary = "one program of the bundle";
  let description = [{
    Arguments are inputs, what `plan.return` takes are results, both named. It is no symbol: it has the name of the function that it runs. `slots` are the sizes of the
    pieces of its arena, absent until buffers are assigned.
    - program_c1: one name an argument
    - program_c2: one name a result
    - program_c3: with `slots`, a step has a slot unless it reads a parameter; the slot exists and holds the step's result
    - program_c4: with `slots`, no value is read after another one was written to its slot
    - program_c5: a step writes the slot of its own operand only if it is elementwise and their types are equal
  }];
  let arguments = (ins SymbolNameAttr:$name, StrArrayAttr:$input_names, StrArrayAttr:$result_names, OptionalAttr<ArrayAttr>:$slots);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "$name `inputs` $input_names `results` $result_names (`slots` $slots^)? attr-dict-with-keyword $body";
  let hasVerifier = 1;
  let hasRegionVerifier = 1;
}
def Plan_StepOp : Plan_Op<"step"> {
  let summary = "one thing done";
  let description = [{
    `kind` says who does it, `op` what (a name of Vocabulary.def), `how` its attributes.
    - step_c1: `kind` and `op` are in Vocabulary.def
    - step_c2: a `gemm` is a contract, a `random` step a random op
  }];
  let arguments = (ins StrAttr:$kind, StrAttr:$op, Variadic<Plan_Packed>:$inputs, OptionalAttr<I64Attr>:$slot,
                       DictionaryAttr:$how);
  let results = (outs Plan_Packed:$result);
  let assemblyFormat = "$kind $op `(` $inputs `)` (`slot` $slot^)? `with` $how attr-dict `:` functional-type($inputs, $result)";
  let hasVerifier = 1;
}
def Plan_AliasOp : Plan_Op<"alias"> {
  let summary = "the same bytes in another shape";
  let description = [{
    - alias_c1: both have the same element type, level and number of elements
  }];
  let arguments = (ins StrAttr:$op, Plan_Packed:$source);
  let results = (outs Plan_Packed:$result);
  let assemblyFormat = "$op $source attr-dict `:` functional-type($source, $result)";
  let hasVerifier = 1;
}
def Plan_ReturnOp : Plan_Op<"return", [Terminator, ReturnLike, HasParent<"ProgramOp">]> {
  let summary = "the results of a program";
  let arguments = (ins Variadic<Plan_Packed>:$values);
  let assemblyFormat = "($values^ `:` type($values))? attr-dict";
}
#endif
