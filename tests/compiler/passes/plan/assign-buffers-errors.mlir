// RUN: peft-opt --plan-assign-buffers --split-input-file --verify-diagnostics %s
// Bytes are a polynomial in examples, tokens and the sum of seq * seq; a cube of the length is none.
plan.program @cube inputs ["x"] results ["y"] {
^bb0(%x: !plan.packed<example, [seq, seq, seq], f32>):
  // expected-error@+1 {{has no size that a plan can say}}
  %t = plan.step "aten" "tanh"(%x) with {} : (!plan.packed<example, [seq, seq, seq], f32>) -> !plan.packed<example, [seq, seq, seq], f32>
  plan.return %t : !plan.packed<example, [seq, seq, seq], f32>
}
