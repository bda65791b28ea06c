// RUN: peft-opt --plan-hoist-steps %s | FileCheck %s
// Positions are made before the first layer; what depends on a layer, is wide, or is no step of the library's stays where it is.
!x = !plan.packed<example, [seq, 64], f32>
module {
  // CHECK: plan.program @decode
  // CHECK-NEXT: ^bb0
  // CHECK-NEXT: "param"
  // CHECK-NEXT: %[[DIM:.*]] = plan.step "aten" "dim"
  // CHECK-NEXT: %[[ONE:.*]] = plan.step "aten" "constant"
  // CHECK-NEXT: %[[LAST:.*]] = plan.step "aten" "sub"(%[[DIM]], %[[ONE]])
  // CHECK-NEXT: %[[SEEN:.*]] = plan.alias "expand_dims" %[[LAST]]
  // CHECK-NEXT: %[[REAL:.*]] = plan.step "aten" "cast"(%[[SEEN]])
  // CHECK-NEXT: %[[Y:.*]] = plan.step "gemm"
  // CHECK-NEXT: plan.step "aten" "exp"(%arg1)
  // CHECK-NEXT: plan.step "aten" "tanh"(%[[Y]])
  // CHECK-NEXT: plan.return
  plan.program @decode inputs ["ids", "x"] results ["w", "t", "r"] {
  ^bb0(%ids: !plan.packed<example, [seq], i64>, %x: !x):
    %w = plan.step "aten" "param"() with {frozen = true, name = "W"} : () -> !plan.packed<[64, 64], f32>
    %y = plan.step "gemm" "contract"(%x, %w) with {equation = "ay,zy->az", over_examples = false} : (!x, !plan.packed<[64, 64], f32>) -> !x
    %dim = plan.step "aten" "dim"(%ids) with {axis = 0 : i64} : (!plan.packed<example, [seq], i64>) -> !plan.packed<example, [], i64>
    %one = plan.step "aten" "constant"() with {value = 1 : i64} : () -> !plan.packed<[], i64>
    %last = plan.step "aten" "sub"(%dim, %one) with {} : (!plan.packed<example, [], i64>, !plan.packed<[], i64>) -> !plan.packed<example, [], i64>
    %wide = plan.step "aten" "exp"(%x) with {} : (!x) -> !x
    %t = plan.step "aten" "tanh"(%y) with {} : (!x) -> !x
    %seen = plan.alias "expand_dims" %last : (!plan.packed<example, [], i64>) -> !plan.packed<example, [1], i64>
    %r = plan.step "aten" "cast"(%seen) with {} : (!plan.packed<example, [1], i64>) -> !plan.packed<example, [1], f32>
    plan.return %wide, %t, %r : !x, !x, !plan.packed<example, [1], f32>
  }
  // What stands first already stays, and parameters behind it come before what reads them.
  // CHECK: plan.program @derived
  // CHECK: %[[V:.*]] = plan.step "aten" "param"() with {name = "v"}
  // CHECK: %[[TWO:.*]] = plan.step "aten" "constant"
  // CHECK: %[[S:.*]] = plan.step "aten" "param"() with {name = "s"}
  // CHECK-NEXT: plan.step "aten" "mul"(%[[S]], %[[TWO]])
  // CHECK: plan.step "aten" "mul"(%[[V]], %[[TWO]])
  // CHECK-NEXT: plan.step "gemm"
  plan.program @derived inputs ["x"] results ["y", "s", "v"] {
  ^bb0(%x: !x):
    %v = plan.step "aten" "param"() with {name = "v"} : () -> !plan.packed<[64], f32>
    %two = plan.step "aten" "constant"() with {value = 2.0 : f64} : () -> !plan.packed<[], f32>
    %s = plan.step "aten" "param"() with {name = "s"} : () -> !plan.packed<[64], f32>
    %twice = plan.step "aten" "mul"(%s, %two) with {} : (!plan.packed<[64], f32>, !plan.packed<[], f32>) -> !plan.packed<[64], f32>
    %w = plan.step "aten" "param"() with {frozen = true, name = "W"} : () -> !plan.packed<[64, 64], f32>
    %y = plan.step "gemm" "contract"(%x, %w) with {equation = "ay,zy->az", over_examples = false} : (!x, !plan.packed<[64, 64], f32>) -> !x
    %also = plan.step "aten" "mul"(%v, %two) with {} : (!plan.packed<[64], f32>, !plan.packed<[], f32>) -> !plan.packed<[64], f32>
    plan.return %y, %twice, %also : !x, !plan.packed<[64], f32>, !plan.packed<[64], f32>
  }
}
