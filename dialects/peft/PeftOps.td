// Ops of the `peft` dialect.
#ifndef PEFT_PEFT_OPS
#define PEFT_PEFT_OPS
include "PeftDialect.td"
include "mlir/IR/BuiltinAttributes.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/IR/RegionKindInterface.td"
include "mlir/Interfaces/ControlFlowInterfaces.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

class PEFT_Op<string mnemonic, list<Trait> traits = []> : Op<PEFT_Dialect, mnemonic, traits>;
/// Names a module of the tree: `verifySymbolUses` finds it.
defvar PEFT_Names = DeclareOpInterfaceMethods<SymbolUserOpInterface>;

def PEFT_ModuleOp : PEFT_Op<"module", [Symbol, SingleBlock, IsolatedFromAbove]> {
  let summary = "a node of the network's tree, with what it computes";
  let description = [{
    `sym_name` is the path from the root (`layers.0.attention.q`), `model` for the root itself. `kinds`: what it is a site of.
    `dims`: the lengths that a method may name. The region's arguments are the module's inputs, named by `inputs`; it ends in
    `peft.yield` of the module's value.
    - module_c1: one name in `inputs` for each argument of the region.
    - module_c2: the region ends in `peft.yield`.
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, StrArrayAttr:$kinds, StrArrayAttr:$inputs, DictionaryAttr:$dims,
                       OptionalAttr<I64Attr>:$index);
  let regions = (region SizedRegion<1>:$forward);
  let assemblyFormat = "$sym_name `kinds` $kinds `inputs` $inputs `dims` $dims (`index` $index^)? attr-dict-with-keyword $forward";
  let hasVerifier = 1;
}
def PEFT_YieldOp : PEFT_Op<"yield", [Terminator, ReturnLike, HasParent<"ModuleOp">]> {
  let summary = "the value of a module";
  let arguments = (ins Variadic<AnyType>:$values);
  let assemblyFormat = "($values^ `:` type($values))? attr-dict";
}
def PEFT_PointOp : PEFT_Op<"point", [AllTypesMatch<["value", "result"]>, HasParent<"ModuleOp">]> {
  let summary = "a named value of a module: where attaches may rewire";
  let arguments = (ins StrAttr:$name, AnyType:$value);
  let results = (outs AnyType:$result);
  let assemblyFormat = "$name $value attr-dict `:` type($value)";
}
def PEFT_CallOp : PEFT_Op<"call", [PEFT_Names, HasParent<"ModuleOp">]> {
  let summary = "a child module on values";
  let description = [{
    - call_c1: there is such a module.
    - call_c2: it has as many inputs as are given.
  }];
  let arguments = (ins SymbolNameAttr:$callee, Variadic<AnyType>:$args);
  let results = (outs AnyType:$result);
  let assemblyFormat = "$callee `(` $args `)` attr-dict `:` functional-type($args, $result)";
}
def PEFT_ResultOp : PEFT_Op<"result", [HasParent<"ModuleOp">]> {
  let summary = "a named result of the whole model (a metric)";
  let arguments = (ins StrAttr:$name, AnyType:$value);
  let assemblyFormat = "$name $value attr-dict `:` type($value)";
}
def PEFT_AttachOp : PEFT_Op<"attach"> {
  let summary = "a statement `attach … to …` of the program";
  let description = [{
    `index` counts the attaches in textual order; `name` is what its parameters are called by (`lora` in
    `layers.0.attention.q.lora.A`). `sites` are paths once the selector is resolved.
  }];
  let arguments = (ins I64Attr:$index, StrAttr:$name, StrAttr:$selector, StrArrayAttr:$sites);
  let assemblyFormat = "$index $name `to` $selector `sites` $sites attr-dict";
}
def PEFT_InstanceOp : PEFT_Op<"instance", [SingleBlock, NoTerminator, IsolatedFromAbove, PEFT_Names]> {
  let summary = "what an attach does at one site";
  let description = [{
    Instances stand in the order in which they apply at a site: textual order of the attaches.
    - instance_c1: there is such a site.
  }];
  let arguments = (ins SymbolNameAttr:$site, I64Attr:$attach, StrAttr:$name);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "$site `attach` $attach $name attr-dict-with-keyword $body";
}
def PEFT_ReadOp : PEFT_Op<"read", [PEFT_Names]> {
  let summary = "a point of a site as left by earlier attaches";
  let description = "- read_c1: the site has such a point.";
  let arguments = (ins SymbolNameAttr:$site, StrAttr:$point);
  let results = (outs AnyType:$result);
  let assemblyFormat = "$site $point attr-dict `:` type($result)";
}
def PEFT_BaseOp : PEFT_Op<"base", [PEFT_Names]> {
  let summary = "a site, as left by earlier attaches, on another input";
  let description = "- base_c1: there is such a site, with as many inputs as are given.";
  let arguments = (ins SymbolNameAttr:$site, Variadic<AnyType>:$args);
  let results = (outs AnyType:$result);
  let assemblyFormat = "$site `(` $args `)` attr-dict `:` functional-type($args, $result)";
}
def PEFT_PassOp : PEFT_Op<"pass", [PEFT_Names]> {
  let summary = "a point of the model in another pass through it, with samples of its own and the same parameters";
  let description = [{
    `number` tells passes apart; one number is one pass. In it the points of the model that `changed` names have the values given here, and rewirings
    that ask for passes themselves are left out.
    - pass_c1: the model has such points.
    - pass_c2: there are as many values as names.
  }];
  let arguments = (ins I64Attr:$number, StrAttr:$point, StrArrayAttr:$changed, Variadic<AnyType>:$values);
  let results = (outs AnyType:$result);
  let assemblyFormat = "$number $point `with` $changed `(` $values `)` attr-dict `:` functional-type($values, $result)";
}
def PEFT_RewireOp : PEFT_Op<"rewire", [PEFT_Names, HasParent<"InstanceOp">]> {
  let summary = "from here on the point of that site is this value";
  let description = "- rewire_c1: the site has such a point.";
  let arguments = (ins SymbolNameAttr:$site, StrAttr:$point, AnyType:$value);
  let assemblyFormat = "$site $point $value attr-dict `:` type($value)";
}
def PEFT_LossOp : PEFT_Op<"loss", [HasParent<"InstanceOp">]> {
  let summary = "a term added to the loss";
  let arguments = (ins AnyType:$value);
  let assemblyFormat = "$value attr-dict `:` type($value)";
}
#endif
