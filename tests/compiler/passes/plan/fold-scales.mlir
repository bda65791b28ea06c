// RUN: peft-opt --plan-fold-scales %s | FileCheck %s
// A product that only a kernel reads, which does nothing but multiply it by a number, has that number; what does more, or is read twice, stays.
!x = !plan.packed<example, [seq, 64], bf16>
!h = !plan.packed<example, [seq, 8], bf16>
!row = !nn.tensor<example, [seq, 8], bf16>
!wide = !nn.tensor<example, [seq, 8], f32>
module {
  // CHECK-LABEL: plan.program @once
  // CHECK: %[[H:.*]] = plan.step "gemm" "contract"{{.*}} with {alpha = 2.500000e-01 : f64, equation = "ay,zy->az"
  // CHECK-NOT: plan.kernel
  // CHECK: plan.return %[[H]]
  plan.program @once inputs ["x"] results ["h"] {
  ^bb0(%x: !x):
    %a = plan.step "aten" "param"() with {name = "a"} : () -> !plan.packed<[8, 64], bf16>
    %h = plan.step "gemm" "contract"(%x, %a) with {equation = "ay,zy->az", over_examples = false} : (!x, !plan.packed<[8, 64], bf16>) -> !h
    %s = plan.kernel "rows" "scaled"(%h) sites [] {
    ^bb0(%row: !row):
      %quarter = nn.constant(2.5e-1 : f64) : !nn.tensor<[], f32>
      %wide = nn.cast %row to f32 : (!row) -> !wide
      %product = nn.mul %quarter, %wide : (!nn.tensor<[], f32>, !wide) -> !wide
      %narrow = nn.cast %product to bf16 : (!wide) -> !row
      plan.yield %narrow : !row
    } : (!h) -> !h
    plan.return %s : !h
  }

  // CHECK-LABEL: plan.program @stays
  // CHECK-NOT: alpha
  // CHECK: plan.kernel "rows" "squared"
  // CHECK: plan.kernel "rows" "scaled"
  plan.program @stays inputs ["x"] results ["h", "t", "u"] {
  ^bb0(%x: !x):
    %a = plan.step "aten" "param"() with {name = "a"} : () -> !plan.packed<[8, 64], bf16>
    %h = plan.step "gemm" "contract"(%x, %a) with {equation = "ay,zy->az", over_examples = false} : (!x, !plan.packed<[8, 64], bf16>) -> !h
    %q = plan.kernel "rows" "squared"(%h) sites [] {
    ^bb0(%row: !row):
      %wide = nn.cast %row to f32 : (!row) -> !wide
      %product = nn.mul %wide, %wide : (!wide, !wide) -> !wide
      %narrow = nn.cast %product to bf16 : (!wide) -> !row
      plan.yield %narrow : !row
    } : (!h) -> !h
    %t = plan.step "gemm" "contract"(%x, %a) with {equation = "ay,zy->az", over_examples = false} : (!x, !plan.packed<[8, 64], bf16>) -> !h
    %s = plan.kernel "rows" "scaled"(%t) sites [] {
    ^bb0(%row: !row):
      %quarter = nn.constant(2.5e-1 : f64) : !nn.tensor<[], f32>
      %wide = nn.cast %row to f32 : (!row) -> !wide
      %product = nn.mul %quarter, %wide : (!nn.tensor<[], f32>, !wide) -> !wide
      %narrow = nn.cast %product to bf16 : (!wide) -> !row
      plan.yield %narrow : !row
    } : (!h) -> !h
    plan.return %q, %t, %s : !h, !h, !h
  }
}
