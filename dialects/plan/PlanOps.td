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
    pieces of its arena, absent until buffers are assigned; `bands` the most rows that a thread takes through each band at a time. Of a `streamed` program each
    result is taken by the step that makes it: nothing keeps it until the end.
    - program_c1: one name an argument
    - program_c2: one name a result
    - program_c3: with `slots`, a step has a slot unless it reads a parameter or updates an input; the slot exists and holds the step's result
    - program_c4: with `slots`, no value is read after another one was written to its slot, but for those that lie beside it in one table; a streamed program's results are read where they are made
    - program_c5: a step writes the slot of its own operand only if their types are equal and it is elementwise, or a gemm that adds to it
    - program_c6: within a band (`plan.band`) values that share a slot have one type, since its steps do different rows at the same time
    - program_c7: a slot of threads (`p`) is nothing else, and has a thread's rows of values [rows, …] that only the steps of one band make and read
  }];
  let arguments = (ins SymbolNameAttr:$name, StrArrayAttr:$input_names, StrArrayAttr:$result_names, OptionalAttr<ArrayAttr>:$slots, OptionalAttr<DenseI64ArrayAttr>:$bands,
                       UnitAttr:$streamed);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "$name `inputs` $input_names `results` $result_names (`slots` $slots^)? (`bands` $bands^)? (`streamed` $streamed^)? attr-dict-with-keyword $body";
  let hasVerifier = 1;
  let hasRegionVerifier = 1;
}
def Plan_StepOp : Plan_Op<"step"> {
  let summary = "one thing done";
  let description = [{
    `kind` says who does it, `op` what (a name of Vocabulary.def), `how` its attributes.
    - step_c1: `kind` and `op` are in Vocabulary.def
    - step_c3: an `update` writes over its first operand, an input of the program that has its result's type and that nothing else reads
    - step_c2: a `gemm` is a contract: two factors, two more where there is a branch, and maybe a sum; a `random` step a random op
  }];
  let arguments = (ins StrAttr:$kind, StrAttr:$op, Variadic<Plan_Packed>:$inputs, OptionalAttr<I64Attr>:$slot,
                       DictionaryAttr:$how);
  let results = (outs Plan_Packed:$result);
  let assemblyFormat = "$kind $op `(` $inputs `)` (`slot` $slot^)? `with` $how attr-dict `:` functional-type($inputs, $result)";
  let hasVerifier = 1;
}
def Plan_ProductOp : Plan_Op<"product", [Pure, AttrSizedOperandSegments]> {
  let summary = "a contract that is one matrix product on the packed batch; another of little depth and a value may be added to it";
  let description = [{
    `nn` values; plan-lower-programs makes it a `gemm` step, whose operands are in this order. `and`: a branch, two factors of a product of the same rows and columns, which
    the step sums in the same pass (a matrix [x | h] times [W; B]). `plus`: a sum, of the result's type; its bytes become the result's if nobody else reads them.

    product_c1: a branch is two operands and an equation, and the product is not one over examples.
  }];
  let arguments = (ins AnyType:$x, AnyType:$y, Variadic<AnyType>:$branch, Optional<AnyType>:$sum, StrAttr:$equation, OptionalAttr<StrAttr>:$branch_equation, BoolAttr:$over_examples);
  let results = (outs AnyType:$result);
  let assemblyFormat = "$equation $x `,` $y (`and` $branch_equation^ $branch)? (`plus` $sum^)? `over_examples` $over_examples attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}
def Plan_KernelOp : Plan_Op<"kernel", [SingleBlock, IsolatedFromAbove, Pure]> {
  let summary = "a row program: generated code that computes its results a row (or a tile of rows) at a time";
  let description = [{
    The body says what, as ops on one example's values; `space` says over what: `rows` (all values are rows of the same count), `tiles` (matrices [rows, keys]
    an example and head, with the products that make and read them) or `flat` (vectors of a flat program). Nothing inside has a place in memory. In the body a `random` op's `site` is an index into
    `sites`, so that the layers of a network share one function. `symbol` names it.
    - kernel_c1: the body takes what the op takes and yields what it gives
    - kernel_c2: with `slots`, one a result
  }];
  let arguments = (ins Variadic<AnyType>:$inputs, StrAttr:$space, DenseI64ArrayAttr:$sites, OptionalAttr<StrAttr>:$symbol,
                       OptionalAttr<DenseI64ArrayAttr>:$slots);
  let results = (outs Variadic<AnyType>:$results);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "$space ($symbol^)? `(` $inputs `)` `sites` $sites (`slots` $slots^)? attr-dict-with-keyword $body `:` functional-type($inputs, $results)";
  let hasVerifier = 1;
}
def Plan_YieldOp : Plan_Op<"yield", [Terminator, ReturnLike, HasParent<"KernelOp">, Pure]> {
  let summary = "the results of a kernel";
  let arguments = (ins Variadic<AnyType>:$values);
  let assemblyFormat = "$values attr-dict `:` type($values)";
}
def Plan_AttentionOp : Plan_Op<"attention"> {
  let summary = "softmax attention of each head of each example, or its way back (`backward`), by a library";
  let description = [{
    Forward: q, k and v to the context and lse, the logarithm of each row's sum. Backward: the context's gradient, q, k, v, the context and lse to the gradients of q, k and v.
    A query row has its place at row + keys - rows. It sees the keys from `left` before that to `right` behind it; where one is absent, all. `scale` is what products of q and k
    are multiplied by. Heads of k and v serve as many of q in succession. With `dropout` that share of what a row looks at is dropped, by numbers that the library draws for the
    run's step and the `site`; forward gives, and backward takes, what it drew them by.
    - attention_c1: so many operands and results; a rate between 0 and 1 has a site; q and what is like it have the rows and heads of q, k and v and what is like them those of k; all have one head size, and are bf16
    - attention_c2: lse, a number of f32 for each row and head, is in the library's own order: only a way back reads it
    - attention_c3: with `slots`, one a result
  }];
  let arguments = (ins Variadic<Plan_Packed>:$inputs, UnitAttr:$backward, F64Attr:$scale, OptionalAttr<I64Attr>:$left, OptionalAttr<I64Attr>:$right, OptionalAttr<F64Attr>:$dropout,
                       OptionalAttr<I64Attr>:$site, OptionalAttr<DenseI64ArrayAttr>:$slots);
  let results = (outs Variadic<Plan_Packed>:$results);
  let assemblyFormat = "(`backward` $backward^)? `(` $inputs `)` `scale` $scale (`left` $left^)? (`right` $right^)? (`dropout` $dropout^)? (`site` $site^)? (`slots` $slots^)? attr-dict `:` functional-type($inputs, $results)";
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// Of a way back.
    ::mlir::Value contextGradient() { return getInputs()[0]; }
    ::mlir::Value q() { return getInputs()[getBackward()]; }
    ::mlir::Value k() { return getInputs()[getBackward() + 1]; }
    ::mlir::Value v() { return getInputs()[getBackward() + 2]; }
    ::mlir::Value context() { return getBackward() ? getInputs()[4] : getResults()[0]; }
    ::mlir::Value lse() { return getBackward() ? getInputs()[5] : getResults()[1]; }
    /// What random numbers were drawn by: two whole numbers of the run.
    static PackedType drawnType(::mlir::MLIRContext *context) { return PackedType::get(context, false, {Dim{2, 0}}, ::mlir::IntegerType::get(context, 64)); }
  }];
}
def Plan_AliasOp : Plan_Op<"alias"> {
  let summary = "the same bytes in another shape";
  let description = [{
    - alias_c1: both have the same element type, level and number of elements, and in a table the same rows in the same columns
  }];
  let arguments = (ins StrAttr:$op, Plan_Packed:$source);
  let results = (outs Plan_Packed:$result);
  let assemblyFormat = "$op $source attr-dict `:` functional-type($source, $result)";
  let hasVerifier = 1;
}
def Plan_BesideOp : Plan_Op<"beside"> {
  let summary = "values that lie in one table, as one";
  let description = [{
    Nothing is done: the rows of `host`, and beside them those of the guests, have been written where they are. `[x | h]` of a product with a bordered weight.
    - beside_c1: all have the host's element type, level, rows and pitch; each begins where the one before ends, the host at column 0; the result has all columns
  }];
  let arguments = (ins Plan_Packed:$host, Variadic<Plan_Packed>:$guests);
  let results = (outs Plan_Packed:$result);
  let assemblyFormat = "$host `,` $guests attr-dict `:` functional-type(operands, $result)";
  let hasVerifier = 1;
}
def Plan_BorderOp : Plan_Op<"border"> {
  let summary = "a parameter's matrix with others at its right and below it, kept from run to run";
  let description = [{
    `[[W, right], [below, 0]]`. W is a parameter: a frozen one is copied once; another one and what stands in the border are written anew in each run, while parameters may
    change. `places` has a row and a column for each part. Values of the run. `turned`: which parts are written transposed.
    `weightTurned`: W is, which is alone and not frozen. The first `stacked` parts are frozen parameters as well, which lie below W: copied once like it.
    - border_c1: W is a parameter; every part lies in the border; all are matrices of the run; one that is turned is trained and has none
  }];
  let arguments = (ins Plan_Packed:$weight, Variadic<Plan_Packed>:$parts, DenseI64ArrayAttr:$places, DenseBoolArrayAttr:$turned, UnitAttr:$weightTurned, DefaultValuedAttr<I64Attr, "0">:$stacked);
  let results = (outs Plan_Packed:$result);
  let assemblyFormat = "$weight (`with` $parts^)? `at` $places `turned` $turned attr-dict `:` functional-type(operands, $result)";
  let hasVerifier = 1;
}
def Plan_WindowOp : Plan_Op<"window"> {
  let summary = "rows of a matrix, as far as some column, or some columns of rows that lie in a table";
  let description = [{
    Of a matrix: from `row` on.
    - window_c1: of a matrix of the run without a pitch of its own; the result's pitch is the source's columns; or of rows in a table, columns that are there, at the same pitch
  }];
  let arguments = (ins Plan_Packed:$source, DefaultValuedAttr<I64Attr, "0">:$row);
  let results = (outs Plan_Packed:$result);
  let assemblyFormat = "$source attr-dict `:` functional-type($source, $result)";
  let hasVerifier = 1;
}
def Plan_ReturnOp : Plan_Op<"return", [Terminator, ReturnLike, HasParent<"ProgramOp">]> {
  let summary = "the results of a program";
  let arguments = (ins Variadic<AnyType>:$values);
  let assemblyFormat = "($values^ `:` type($values))? attr-dict";
}
#endif
