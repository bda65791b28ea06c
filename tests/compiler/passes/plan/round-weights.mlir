// RUN: peft-opt --plan-round-weights %s | FileCheck %s
// What products of bf16 read in f32 is rounded once, before everything else: a parameter's matrix into one that is kept, what is given in each run.
module {
  // CHECK: plan.program @train_step
  // CHECK: %[[W:.*]] = plan.step "aten" "param"() with {frozen = true, name = "W"}
  // CHECK: %[[KEPT:.*]] = plan.border %[[W]] at [] turned [] : (!plan.packed<[4, 4], f32>) -> !plan.packed<[4, 4], bf16>
  // CHECK: %[[A:.*]] = plan.step "aten" "param"() with {name = "A"}
  // CHECK: %[[MADE:.*]] = plan.border %[[A]] at [] turned [] : (!plan.packed<[2, 4], f32>) -> !plan.packed<[2, 4], bf16>
  // CHECK: "contract"(%arg0, %[[KEPT]])
  // CHECK: "contract"(%arg0, %[[MADE]])
  // CHECK: "contract"(%{{.*}}, %[[MADE]])
  // A product of f32 reads it as it is, and so does a gradient, whose factors are both bf16.
  // CHECK: "contract"(%arg1, %[[W]])
  // CHECK: "contract"(%arg0, %arg0)
  plan.program @train_step inputs ["x", "z"] results ["y", "h", "g", "v", "gradient"] {
  ^bb0(%x: !plan.packed<example, [seq, 4], bf16>, %z: !plan.packed<example, [seq, 4], f32>):
    %w = plan.step "aten" "param"() with {frozen = true, name = "W"} : () -> !plan.packed<[4, 4], f32>
    %y = plan.step "gemm" "contract"(%x, %w) with {equation = "ay,zy->az", over_examples = false} : (!plan.packed<example, [seq, 4], bf16>, !plan.packed<[4, 4], f32>) -> !plan.packed<example, [seq, 4], bf16>
    %a = plan.step "aten" "param"() with {name = "A"} : () -> !plan.packed<[2, 4], f32>
    %h = plan.step "gemm" "contract"(%x, %a) with {equation = "ay,zy->az", over_examples = false} : (!plan.packed<example, [seq, 4], bf16>, !plan.packed<[2, 4], f32>) -> !plan.packed<example, [seq, 2], bf16>
    %g = plan.step "gemm" "contract"(%h, %a) with {equation = "az,zy->ay", over_examples = false} : (!plan.packed<example, [seq, 2], bf16>, !plan.packed<[2, 4], f32>) -> !plan.packed<example, [seq, 4], bf16>
    %v = plan.step "gemm" "contract"(%z, %w) with {equation = "ay,zy->az", over_examples = false} : (!plan.packed<example, [seq, 4], f32>, !plan.packed<[4, 4], f32>) -> !plan.packed<example, [seq, 4], f32>
    %d = plan.step "gemm" "contract"(%x, %x) with {equation = "ay,az->yz", over_examples = true} : (!plan.packed<example, [seq, 4], bf16>, !plan.packed<example, [seq, 4], bf16>) -> !plan.packed<[4, 4], f32>
    plan.return %y, %h, %g, %v, %d : !plan.packed<example, [seq, 4], bf16>, !plan.packed<example, [seq, 2], bf16>, !plan.packed<example, [seq, 4], bf16>, !plan.packed<example, [seq, 4], f32>, !plan.packed<[4, 4], f32>
  }
}
