// RUN: peft-opt --plan-stack-weights --split-input-file %s | FileCheck %s
// Two products that add to each other are one: what they multiply lies side by side, first what is made first, and behind it what multiplies their borders; weights lie below each other in one
// matrix, of which another program reads rows.
module {
  // CHECK: plan.program @train_step
  // CHECK: %[[S:.*]] = plan.border %[[W2:.*]] with %[[W1:[^,]*]], %[[B2:[^,]*]], %[[A2:[^,]*]], %[[B1:[^,]*]], %[[A1:.*]] at [16, 0, 0, 40, 32, 0, 16, 32, 40, 0] turned [false, false, false, false, false] {stacked = 1 : i64} : {{.*}} -> !plan.packed<[48, 64], bf16>
  // CHECK-NOT: plan.border
  // CHECK: %[[D2:.*]] = plan.kernel "rows"
  // CHECK: -> !plan.packed<example, [seq, 16], bf16, pitch = 64, column = 0>
  // CHECK: %[[G2:.*]] = plan.step "gemm" {{.*}} -> !plan.packed<example, [seq, 8], bf16, pitch = 64, column = 32>
  // CHECK: %[[D1:.*]] = plan.kernel "rows"
  // CHECK: -> !plan.packed<example, [seq, 16], bf16, pitch = 64, column = 16>
  // CHECK: %[[G1:.*]] = plan.step "gemm" {{.*}} -> !plan.packed<example, [seq, 8], bf16, pitch = 64, column = 40>
  // CHECK: %[[T:.*]] = plan.beside %[[D2]], %[[D1]], %[[G2]], %[[G1]] : {{.*}} -> !plan.packed<example, [seq, 48], bf16, pitch = 64, column = 0>
  // CHECK: %[[W:.*]] = plan.window %[[S]] : (!plan.packed<[48, 64], bf16>) -> !plan.packed<[48, 32], bf16, pitch = 64, column = 0>
  // CHECK: %[[Y:.*]] = plan.step "gemm" "contract"(%[[T]], %[[W]]) with
  // CHECK-NOT: "contract"
  // CHECK: plan.return %[[Y]]
  plan.program @train_step inputs ["in"] results ["y"] {
  ^bb0(%in: !plan.packed<example, [seq, 16], f32>):
    %W1 = plan.step "aten" "param"() with {frozen = true, name = "W1"} : () -> !plan.packed<[16, 32], bf16>
    %A1 = plan.step "aten" "param"() with {name = "A1"} : () -> !plan.packed<[8, 32], f32>
    %B1 = plan.step "aten" "param"() with {name = "B1"} : () -> !plan.packed<[16, 8], f32>
    %m1 = plan.border %W1 with %B1, %A1 at [0, 32, 16, 0] turned [false, false] : (!plan.packed<[16, 32], bf16>, !plan.packed<[16, 8], f32>, !plan.packed<[8, 32], f32>) -> !plan.packed<[24, 64], bf16>
    %W2 = plan.step "aten" "param"() with {frozen = true, name = "W2"} : () -> !plan.packed<[16, 32], bf16>
    %A2 = plan.step "aten" "param"() with {name = "A2"} : () -> !plan.packed<[8, 32], f32>
    %B2 = plan.step "aten" "param"() with {name = "B2"} : () -> !plan.packed<[16, 8], f32>
    %m2 = plan.border %W2 with %B2, %A2 at [0, 40, 16, 0] turned [false, false] : (!plan.packed<[16, 32], bf16>, !plan.packed<[16, 8], f32>, !plan.packed<[8, 32], f32>) -> !plan.packed<[24, 64], bf16>
    %d2 = plan.kernel "rows"(%in) sites [] {
    ^bb0(%r: !nn.tensor<example, [seq, 16], f32>):
      %1 = nn.exp %r : (!nn.tensor<example, [seq, 16], f32>) -> !nn.tensor<example, [seq, 16], f32>
      %2 = nn.cast %1 to bf16 : (!nn.tensor<example, [seq, 16], f32>) -> !nn.tensor<example, [seq, 16], bf16>
      plan.yield %2 : !nn.tensor<example, [seq, 16], bf16>
    } : (!plan.packed<example, [seq, 16], f32>) -> !plan.packed<example, [seq, 16], bf16, pitch = 64, column = 0>
    %b2 = plan.step "aten" "cast"(%B2) with {} : (!plan.packed<[16, 8], f32>) -> !plan.packed<[16, 8], bf16>
    %g2 = plan.step "gemm" "contract"(%d2, %b2) with {equation = "az,zy->ay", over_examples = false} : (!plan.packed<example, [seq, 16], bf16, pitch = 64, column = 0>, !plan.packed<[16, 8], bf16>) -> !plan.packed<example, [seq, 8], bf16, pitch = 64, column = 16>
    %d1 = plan.kernel "rows"(%in) sites [] {
    ^bb0(%r: !nn.tensor<example, [seq, 16], f32>):
      %1 = nn.exp %r : (!nn.tensor<example, [seq, 16], f32>) -> !nn.tensor<example, [seq, 16], f32>
      %2 = nn.cast %1 to bf16 : (!nn.tensor<example, [seq, 16], f32>) -> !nn.tensor<example, [seq, 16], bf16>
      plan.yield %2 : !nn.tensor<example, [seq, 16], bf16>
    } : (!plan.packed<example, [seq, 16], f32>) -> !plan.packed<example, [seq, 16], bf16, pitch = 64, column = 0>
    %b1 = plan.step "aten" "cast"(%B1) with {} : (!plan.packed<[16, 8], f32>) -> !plan.packed<[16, 8], bf16>
    %g1 = plan.step "gemm" "contract"(%d1, %b1) with {equation = "az,zy->ay", over_examples = false} : (!plan.packed<example, [seq, 16], bf16, pitch = 64, column = 0>, !plan.packed<[16, 8], bf16>) -> !plan.packed<example, [seq, 8], bf16, pitch = 64, column = 16>
    %t1 = plan.beside %d1, %g1 : (!plan.packed<example, [seq, 16], bf16, pitch = 64, column = 0>, !plan.packed<example, [seq, 8], bf16, pitch = 64, column = 16>) -> !plan.packed<example, [seq, 24], bf16, pitch = 64, column = 0>
    %w1 = plan.window %m1 : (!plan.packed<[24, 64], bf16>) -> !plan.packed<[24, 32], bf16, pitch = 64, column = 0>
    %one = plan.step "gemm" "contract"(%t1, %w1) with {equation = "az,zy->ay", over_examples = false} : (!plan.packed<example, [seq, 24], bf16, pitch = 64, column = 0>, !plan.packed<[24, 32], bf16, pitch = 64, column = 0>) -> !plan.packed<example, [seq, 32], bf16>
    %t2 = plan.beside %d2, %g2 : (!plan.packed<example, [seq, 16], bf16, pitch = 64, column = 0>, !plan.packed<example, [seq, 8], bf16, pitch = 64, column = 16>) -> !plan.packed<example, [seq, 24], bf16, pitch = 64, column = 0>
    %w2 = plan.window %m2 : (!plan.packed<[24, 64], bf16>) -> !plan.packed<[24, 32], bf16, pitch = 64, column = 0>
    %two = plan.step "gemm" "contract"(%t2, %w2, %one) with {equation = "az,zy->ay", over_examples = false} : (!plan.packed<example, [seq, 24], bf16, pitch = 64, column = 0>, !plan.packed<[24, 32], bf16, pitch = 64, column = 0>, !plan.packed<example, [seq, 32], bf16>) -> !plan.packed<example, [seq, 32], bf16>
    plan.return %two : !plan.packed<example, [seq, 32], bf16>
  }
  // CHECK: plan.program @eval
  // CHECK-DAG: %[[V2:.*]] = plan.step "aten" "param"() with {frozen = true, name = "W2"}
  // CHECK-DAG: %[[V1:.*]] = plan.step "aten" "param"() with {frozen = true, name = "W1"}
  // CHECK: %[[S:.*]] = plan.border %[[V2]] with %[[V1]], %{{.*}} at [16, 0, 16, 32] turned [false, false] {stacked = 1 : i64}
  // CHECK: plan.window %[[S]] {row = 16 : i64} : (!plan.packed<[48, 64], bf16>) -> !plan.packed<[16, 40], bf16, pitch = 64, column = 0>
  plan.program @eval inputs ["x"] results ["y"] {
  ^bb0(%x: !plan.packed<example, [seq, 40], bf16>):
    %W1 = plan.step "aten" "param"() with {frozen = true, name = "W1"} : () -> !plan.packed<[16, 32], bf16>
    %B1 = plan.step "aten" "param"() with {name = "B1"} : () -> !plan.packed<[16, 8], f32>
    %m = plan.border %W1 with %B1 at [0, 32] turned [false] : (!plan.packed<[16, 32], bf16>, !plan.packed<[16, 8], f32>) -> !plan.packed<[24, 64], bf16>
    %w = plan.window %m : (!plan.packed<[24, 64], bf16>) -> !plan.packed<[16, 40], bf16, pitch = 64, column = 0>
    %y = plan.step "gemm" "contract"(%x, %w) with {equation = "ay,zy->az", over_examples = false} : (!plan.packed<example, [seq, 40], bf16>, !plan.packed<[16, 40], bf16, pitch = 64, column = 0>) -> !plan.packed<example, [seq, 16], bf16>
    plan.return %y : !plan.packed<example, [seq, 16], bf16>
  }
}

// -----
// Not where the program says so.
module attributes {plan.sums = "apart"} {
  // CHECK: plan.program @train_step
  // CHECK-NOT: stacked
  // CHECK: "contract"({{[^,]*, [^,]*}}) with {{.*}} -> !plan.packed<example, [seq, 32], bf16>
  // CHECK: "contract"({{[^,]*, [^,]*, [^,]*}}) with {{.*}} -> !plan.packed<example, [seq, 32], bf16>
  plan.program @train_step inputs ["in"] results ["y"] {
  ^bb0(%in: !plan.packed<example, [seq, 16], f32>):
    %W1 = plan.step "aten" "param"() with {frozen = true, name = "W1"} : () -> !plan.packed<[16, 32], bf16>
    %A1 = plan.step "aten" "param"() with {name = "A1"} : () -> !plan.packed<[8, 32], f32>
    %B1 = plan.step "aten" "param"() with {name = "B1"} : () -> !plan.packed<[16, 8], f32>
    %m1 = plan.border %W1 with %B1, %A1 at [0, 32, 16, 0] turned [false, false] : (!plan.packed<[16, 32], bf16>, !plan.packed<[16, 8], f32>, !plan.packed<[8, 32], f32>) -> !plan.packed<[24, 64], bf16>
    %W2 = plan.step "aten" "param"() with {frozen = true, name = "W2"} : () -> !plan.packed<[16, 32], bf16>
    %A2 = plan.step "aten" "param"() with {name = "A2"} : () -> !plan.packed<[8, 32], f32>
    %B2 = plan.step "aten" "param"() with {name = "B2"} : () -> !plan.packed<[16, 8], f32>
    %m2 = plan.border %W2 with %B2, %A2 at [0, 40, 16, 0] turned [false, false] : (!plan.packed<[16, 32], bf16>, !plan.packed<[16, 8], f32>, !plan.packed<[8, 32], f32>) -> !plan.packed<[24, 64], bf16>
    %d1 = plan.kernel "rows"(%in) sites [] {
    ^bb0(%r: !nn.tensor<example, [seq, 16], f32>):
      %1 = nn.exp %r : (!nn.tensor<example, [seq, 16], f32>) -> !nn.tensor<example, [seq, 16], f32>
      %2 = nn.cast %1 to bf16 : (!nn.tensor<example, [seq, 16], f32>) -> !nn.tensor<example, [seq, 16], bf16>
      plan.yield %2 : !nn.tensor<example, [seq, 16], bf16>
    } : (!plan.packed<example, [seq, 16], f32>) -> !plan.packed<example, [seq, 16], bf16, pitch = 64, column = 0>
    %b1 = plan.step "aten" "cast"(%B1) with {} : (!plan.packed<[16, 8], f32>) -> !plan.packed<[16, 8], bf16>
    %g1 = plan.step "gemm" "contract"(%d1, %b1) with {equation = "az,zy->ay", over_examples = false} : (!plan.packed<example, [seq, 16], bf16, pitch = 64, column = 0>, !plan.packed<[16, 8], bf16>) -> !plan.packed<example, [seq, 8], bf16, pitch = 64, column = 16>
    %d2 = plan.kernel "rows"(%in) sites [] {
    ^bb0(%r: !nn.tensor<example, [seq, 16], f32>):
      %1 = nn.exp %r : (!nn.tensor<example, [seq, 16], f32>) -> !nn.tensor<example, [seq, 16], f32>
      %2 = nn.cast %1 to bf16 : (!nn.tensor<example, [seq, 16], f32>) -> !nn.tensor<example, [seq, 16], bf16>
      plan.yield %2 : !nn.tensor<example, [seq, 16], bf16>
    } : (!plan.packed<example, [seq, 16], f32>) -> !plan.packed<example, [seq, 16], bf16, pitch = 64, column = 0>
    %b2 = plan.step "aten" "cast"(%B2) with {} : (!plan.packed<[16, 8], f32>) -> !plan.packed<[16, 8], bf16>
    %g2 = plan.step "gemm" "contract"(%d2, %b2) with {equation = "az,zy->ay", over_examples = false} : (!plan.packed<example, [seq, 16], bf16, pitch = 64, column = 0>, !plan.packed<[16, 8], bf16>) -> !plan.packed<example, [seq, 8], bf16, pitch = 64, column = 16>
    %t1 = plan.beside %d1, %g1 : (!plan.packed<example, [seq, 16], bf16, pitch = 64, column = 0>, !plan.packed<example, [seq, 8], bf16, pitch = 64, column = 16>) -> !plan.packed<example, [seq, 24], bf16, pitch = 64, column = 0>
    %w1 = plan.window %m1 : (!plan.packed<[24, 64], bf16>) -> !plan.packed<[24, 32], bf16, pitch = 64, column = 0>
    %one = plan.step "gemm" "contract"(%t1, %w1) with {equation = "az,zy->ay", over_examples = false} : (!plan.packed<example, [seq, 24], bf16, pitch = 64, column = 0>, !plan.packed<[24, 32], bf16, pitch = 64, column = 0>) -> !plan.packed<example, [seq, 32], bf16>
    %t2 = plan.beside %d2, %g2 : (!plan.packed<example, [seq, 16], bf16, pitch = 64, column = 0>, !plan.packed<example, [seq, 8], bf16, pitch = 64, column = 16>) -> !plan.packed<example, [seq, 24], bf16, pitch = 64, column = 0>
    %w2 = plan.window %m2 : (!plan.packed<[24, 64], bf16>) -> !plan.packed<[24, 32], bf16, pitch = 64, column = 0>
    %two = plan.step "gemm" "contract"(%t2, %w2, %one) with {equation = "az,zy->ay", over_examples = false} : (!plan.packed<example, [seq, 24], bf16, pitch = 64, column = 0>, !plan.packed<[24, 32], bf16, pitch = 64, column = 0>, !plan.packed<example, [seq, 32], bf16>) -> !plan.packed<example, [seq, 32], bf16>
    plan.return %two : !plan.packed<example, [seq, 32], bf16>
  }
}

// -----
// Nor where somebody reads a weight with what is below it by itself.
module {
  // CHECK: plan.program @train_step
  // CHECK-NOT: stacked
  // CHECK: "contract"({{[^,]*, [^,]*}}) with {{.*}} -> !plan.packed<example, [seq, 32], bf16>
  // CHECK: "contract"({{[^,]*, [^,]*, [^,]*}}) with {{.*}} -> !plan.packed<example, [seq, 32], bf16>
  plan.program @train_step inputs ["in"] results ["y"] {
  ^bb0(%in: !plan.packed<example, [seq, 16], f32>):
    %W1 = plan.step "aten" "param"() with {frozen = true, name = "W1"} : () -> !plan.packed<[16, 32], bf16>
    %A1 = plan.step "aten" "param"() with {name = "A1"} : () -> !plan.packed<[8, 32], f32>
    %B1 = plan.step "aten" "param"() with {name = "B1"} : () -> !plan.packed<[16, 8], f32>
    %m1 = plan.border %W1 with %B1, %A1 at [0, 32, 16, 0] turned [false, false] : (!plan.packed<[16, 32], bf16>, !plan.packed<[16, 8], f32>, !plan.packed<[8, 32], f32>) -> !plan.packed<[24, 64], bf16>
    %W2 = plan.step "aten" "param"() with {frozen = true, name = "W2"} : () -> !plan.packed<[16, 32], bf16>
    %A2 = plan.step "aten" "param"() with {name = "A2"} : () -> !plan.packed<[8, 32], f32>
    %B2 = plan.step "aten" "param"() with {name = "B2"} : () -> !plan.packed<[16, 8], f32>
    %m2 = plan.border %W2 with %B2, %A2 at [0, 40, 16, 0] turned [false, false] : (!plan.packed<[16, 32], bf16>, !plan.packed<[16, 8], f32>, !plan.packed<[8, 32], f32>) -> !plan.packed<[24, 64], bf16>
    %d1 = plan.kernel "rows"(%in) sites [] {
    ^bb0(%r: !nn.tensor<example, [seq, 16], f32>):
      %1 = nn.exp %r : (!nn.tensor<example, [seq, 16], f32>) -> !nn.tensor<example, [seq, 16], f32>
      %2 = nn.cast %1 to bf16 : (!nn.tensor<example, [seq, 16], f32>) -> !nn.tensor<example, [seq, 16], bf16>
      plan.yield %2 : !nn.tensor<example, [seq, 16], bf16>
    } : (!plan.packed<example, [seq, 16], f32>) -> !plan.packed<example, [seq, 16], bf16, pitch = 64, column = 0>
    %b1 = plan.step "aten" "cast"(%B1) with {} : (!plan.packed<[16, 8], f32>) -> !plan.packed<[16, 8], bf16>
    %g1 = plan.step "gemm" "contract"(%d1, %b1) with {equation = "az,zy->ay", over_examples = false} : (!plan.packed<example, [seq, 16], bf16, pitch = 64, column = 0>, !plan.packed<[16, 8], bf16>) -> !plan.packed<example, [seq, 8], bf16, pitch = 64, column = 16>
    %d2 = plan.kernel "rows"(%in) sites [] {
    ^bb0(%r: !nn.tensor<example, [seq, 16], f32>):
      %1 = nn.exp %r : (!nn.tensor<example, [seq, 16], f32>) -> !nn.tensor<example, [seq, 16], f32>
      %2 = nn.cast %1 to bf16 : (!nn.tensor<example, [seq, 16], f32>) -> !nn.tensor<example, [seq, 16], bf16>
      plan.yield %2 : !nn.tensor<example, [seq, 16], bf16>
    } : (!plan.packed<example, [seq, 16], f32>) -> !plan.packed<example, [seq, 16], bf16, pitch = 64, column = 0>
    %b2 = plan.step "aten" "cast"(%B2) with {} : (!plan.packed<[16, 8], f32>) -> !plan.packed<[16, 8], bf16>
    %g2 = plan.step "gemm" "contract"(%d2, %b2) with {equation = "az,zy->ay", over_examples = false} : (!plan.packed<example, [seq, 16], bf16, pitch = 64, column = 0>, !plan.packed<[16, 8], bf16>) -> !plan.packed<example, [seq, 8], bf16, pitch = 64, column = 16>
    %t1 = plan.beside %d1, %g1 : (!plan.packed<example, [seq, 16], bf16, pitch = 64, column = 0>, !plan.packed<example, [seq, 8], bf16, pitch = 64, column = 16>) -> !plan.packed<example, [seq, 24], bf16, pitch = 64, column = 0>
    %w1 = plan.window %m1 : (!plan.packed<[24, 64], bf16>) -> !plan.packed<[24, 32], bf16, pitch = 64, column = 0>
    %one = plan.step "gemm" "contract"(%t1, %w1) with {equation = "az,zy->ay", over_examples = false} : (!plan.packed<example, [seq, 24], bf16, pitch = 64, column = 0>, !plan.packed<[24, 32], bf16, pitch = 64, column = 0>) -> !plan.packed<example, [seq, 32], bf16>
    %t2 = plan.beside %d2, %g2 : (!plan.packed<example, [seq, 16], bf16, pitch = 64, column = 0>, !plan.packed<example, [seq, 8], bf16, pitch = 64, column = 16>) -> !plan.packed<example, [seq, 24], bf16, pitch = 64, column = 0>
    %w2 = plan.window %m2 : (!plan.packed<[24, 64], bf16>) -> !plan.packed<[24, 32], bf16, pitch = 64, column = 0>
    %two = plan.step "gemm" "contract"(%t2, %w2, %one) with {equation = "az,zy->ay", over_examples = false} : (!plan.packed<example, [seq, 24], bf16, pitch = 64, column = 0>, !plan.packed<[24, 32], bf16, pitch = 64, column = 0>, !plan.packed<example, [seq, 32], bf16>) -> !plan.packed<example, [seq, 32], bf16>
    plan.return %two : !plan.packed<example, [seq, 32], bf16>
  }
  plan.program @eval inputs ["x"] results ["y"] {
  ^bb0(%x: !plan.packed<example, [seq, 40], bf16>):
    %W1 = plan.step "aten" "param"() with {frozen = true, name = "W1"} : () -> !plan.packed<[16, 32], bf16>
    %B1 = plan.step "aten" "param"() with {name = "B1"} : () -> !plan.packed<[16, 8], f32>
    %m = plan.border %W1 with %B1 at [0, 32] turned [false] : (!plan.packed<[16, 32], bf16>, !plan.packed<[16, 8], f32>) -> !plan.packed<[24, 64], bf16>
    %w = plan.window %m : (!plan.packed<[24, 64], bf16>) -> !plan.packed<[24, 40], bf16, pitch = 64, column = 0>
    %y = plan.step "gemm" "contract"(%x, %w) with {equation = "ay,zy->az", over_examples = false} : (!plan.packed<example, [seq, 40], bf16>, !plan.packed<[24, 40], bf16, pitch = 64, column = 0>) -> !plan.packed<example, [seq, 24], bf16>
    plan.return %y : !plan.packed<example, [seq, 24], bf16>
  }
}

// -----
// A weight without a border is stacked too, and a product of it alone reads its rows.
module {
  // CHECK: plan.program @train_step
  // CHECK: %[[S:.*]] = plan.border %{{.*}} with {{.*}} at [16, 0, 16, 32, 32, 0] turned [false, false, false] {stacked = 1 : i64} : {{.*}} -> !plan.packed<[40, 64], bf16>
  // CHECK: -> !plan.packed<example, [seq, 16], bf16, pitch = 64, column = 0>
  // CHECK: -> !plan.packed<example, [seq, 16], bf16, pitch = 64, column = 16>
  // CHECK: -> !plan.packed<example, [seq, 8], bf16, pitch = 64, column = 32>
  // CHECK: %[[T:.*]] = plan.beside %{{.*}}, %{{.*}}, %{{.*}} : {{.*}} -> !plan.packed<example, [seq, 40], bf16, pitch = 64, column = 0>
  // CHECK: %[[W:.*]] = plan.window %[[S]] : (!plan.packed<[40, 64], bf16>) -> !plan.packed<[40, 32], bf16, pitch = 64, column = 0>
  // CHECK: %[[Y:.*]] = plan.step "gemm" "contract"(%[[T]], %[[W]]) with
  // CHECK: %[[V:.*]] = plan.window %[[S]] : (!plan.packed<[40, 64], bf16>) -> !plan.packed<[16, 32], bf16, pitch = 64, column = 0>
  // CHECK: "contract"(%[[Y]], %[[V]])
  plan.program @train_step inputs ["in"] results ["y"] {
  ^bb0(%in: !plan.packed<example, [seq, 16], f32>):
    %W1 = plan.step "aten" "param"() with {frozen = true, name = "W1"} : () -> !plan.packed<[16, 32], bf16>
    %A1 = plan.step "aten" "param"() with {name = "A1"} : () -> !plan.packed<[8, 32], f32>
    %B1 = plan.step "aten" "param"() with {name = "B1"} : () -> !plan.packed<[16, 8], f32>
    %m1 = plan.border %W1 with %B1, %A1 at [0, 32, 16, 0] turned [false, false] : (!plan.packed<[16, 32], bf16>, !plan.packed<[16, 8], f32>, !plan.packed<[8, 32], f32>) -> !plan.packed<[24, 64], bf16>
    %W2 = plan.step "aten" "param"() with {frozen = true, name = "W2"} : () -> !plan.packed<[16, 32], bf16>
    %d2 = plan.kernel "rows"(%in) sites [] {
    ^bb0(%r: !nn.tensor<example, [seq, 16], f32>):
      %1 = nn.exp %r : (!nn.tensor<example, [seq, 16], f32>) -> !nn.tensor<example, [seq, 16], f32>
      %2 = nn.cast %1 to bf16 : (!nn.tensor<example, [seq, 16], f32>) -> !nn.tensor<example, [seq, 16], bf16>
      plan.yield %2 : !nn.tensor<example, [seq, 16], bf16>
    } : (!plan.packed<example, [seq, 16], f32>) -> !plan.packed<example, [seq, 16], bf16>
    %d1 = plan.kernel "rows"(%in) sites [] {
    ^bb0(%r: !nn.tensor<example, [seq, 16], f32>):
      %1 = nn.exp %r : (!nn.tensor<example, [seq, 16], f32>) -> !nn.tensor<example, [seq, 16], f32>
      %2 = nn.cast %1 to bf16 : (!nn.tensor<example, [seq, 16], f32>) -> !nn.tensor<example, [seq, 16], bf16>
      plan.yield %2 : !nn.tensor<example, [seq, 16], bf16>
    } : (!plan.packed<example, [seq, 16], f32>) -> !plan.packed<example, [seq, 16], bf16, pitch = 64, column = 0>
    %b1 = plan.step "aten" "cast"(%B1) with {} : (!plan.packed<[16, 8], f32>) -> !plan.packed<[16, 8], bf16>
    %g1 = plan.step "gemm" "contract"(%d1, %b1) with {equation = "az,zy->ay", over_examples = false} : (!plan.packed<example, [seq, 16], bf16, pitch = 64, column = 0>, !plan.packed<[16, 8], bf16>) -> !plan.packed<example, [seq, 8], bf16, pitch = 64, column = 16>
    %t1 = plan.beside %d1, %g1 : (!plan.packed<example, [seq, 16], bf16, pitch = 64, column = 0>, !plan.packed<example, [seq, 8], bf16, pitch = 64, column = 16>) -> !plan.packed<example, [seq, 24], bf16, pitch = 64, column = 0>
    %w1 = plan.window %m1 : (!plan.packed<[24, 64], bf16>) -> !plan.packed<[24, 32], bf16, pitch = 64, column = 0>
    %one = plan.step "gemm" "contract"(%t1, %w1) with {equation = "az,zy->ay", over_examples = false} : (!plan.packed<example, [seq, 24], bf16, pitch = 64, column = 0>, !plan.packed<[24, 32], bf16, pitch = 64, column = 0>) -> !plan.packed<example, [seq, 32], bf16>
    %two = plan.step "gemm" "contract"(%d2, %W2, %one) with {equation = "az,zy->ay", over_examples = false} : (!plan.packed<example, [seq, 16], bf16>, !plan.packed<[16, 32], bf16>, !plan.packed<example, [seq, 32], bf16>) -> !plan.packed<example, [seq, 32], bf16>
    %again = plan.step "gemm" "contract"(%two, %W2) with {equation = "ay,zy->az", over_examples = false} : (!plan.packed<example, [seq, 32], bf16>, !plan.packed<[16, 32], bf16>) -> !plan.packed<example, [seq, 16], bf16>
    plan.return %again : !plan.packed<example, [seq, 16], bf16>
  }
}

// -----
// Products of one table with weights that follow each other in a stack are one, of which each is some columns; but not where one of them would be kept for another's sake.
module {
  // CHECK: plan.program @train_step
  // CHECK: plan.program @near
  // CHECK: %[[S:.*]] = plan.border
  // CHECK: %[[W:.*]] = plan.window %[[S]] : (!plan.packed<[32, 32], bf16>) -> !plan.packed<[32, 32], bf16, pitch = 32, column = 0>
  // CHECK-NEXT: %[[Y:.*]] = plan.step "gemm" "contract"(%arg0, %[[W]]) with {{.*}} -> !plan.packed<example, [seq, 32], bf16, pitch = 64, column = 0>
  // CHECK-DAG: %[[ONE:.*]] = plan.window %[[Y]] : {{.*}} -> !plan.packed<example, [seq, 16], bf16, pitch = 64, column = 0>
  // CHECK-DAG: %[[TWO:.*]] = plan.window %[[Y]] : {{.*}} -> !plan.packed<example, [seq, 16], bf16, pitch = 64, column = 16>
  // CHECK: %[[B:.*]] = plan.step "gemm" "contract"(%[[TWO]], %{{.*}})
  // CHECK: %[[A:.*]] = plan.step "gemm" "contract"(%[[ONE]], %{{.*}})
  // CHECK: plan.return %[[A]], %[[B]]
  // CHECK: plan.program @far
  // CHECK: "contract"(%arg0, %{{.*}}) with {{.*}} -> !plan.packed<example, [seq, 16], bf16>
  // CHECK: "contract"(%arg0, %{{.*}}) with {{.*}} -> !plan.packed<example, [seq, 16], bf16>
  plan.program @train_step inputs ["in"] results ["y"] {
  ^bb0(%in: !plan.packed<example, [seq, 16], f32>):
    %W1 = plan.step "aten" "param"() with {frozen = true, name = "W1"} : () -> !plan.packed<[16, 32], bf16>
    %W2 = plan.step "aten" "param"() with {frozen = true, name = "W2"} : () -> !plan.packed<[16, 32], bf16>
    %d1 = plan.kernel "rows"(%in) sites [] {
    ^bb0(%r: !nn.tensor<example, [seq, 16], f32>):
      %1 = nn.exp %r : (!nn.tensor<example, [seq, 16], f32>) -> !nn.tensor<example, [seq, 16], f32>
      %2 = nn.cast %1 to bf16 : (!nn.tensor<example, [seq, 16], f32>) -> !nn.tensor<example, [seq, 16], bf16>
      plan.yield %2 : !nn.tensor<example, [seq, 16], bf16>
    } : (!plan.packed<example, [seq, 16], f32>) -> !plan.packed<example, [seq, 16], bf16>
    %d2 = plan.kernel "rows"(%in) sites [] {
    ^bb0(%r: !nn.tensor<example, [seq, 16], f32>):
      %1 = nn.exp %r : (!nn.tensor<example, [seq, 16], f32>) -> !nn.tensor<example, [seq, 16], f32>
      %2 = nn.cast %1 to bf16 : (!nn.tensor<example, [seq, 16], f32>) -> !nn.tensor<example, [seq, 16], bf16>
      plan.yield %2 : !nn.tensor<example, [seq, 16], bf16>
    } : (!plan.packed<example, [seq, 16], f32>) -> !plan.packed<example, [seq, 16], bf16>
    %one = plan.step "gemm" "contract"(%d1, %W1) with {equation = "az,zy->ay", over_examples = false} : (!plan.packed<example, [seq, 16], bf16>, !plan.packed<[16, 32], bf16>) -> !plan.packed<example, [seq, 32], bf16>
    %two = plan.step "gemm" "contract"(%d2, %W2, %one) with {equation = "az,zy->ay", over_examples = false} : (!plan.packed<example, [seq, 16], bf16>, !plan.packed<[16, 32], bf16>, !plan.packed<example, [seq, 32], bf16>) -> !plan.packed<example, [seq, 32], bf16>
    plan.return %two : !plan.packed<example, [seq, 32], bf16>
  }
  plan.program @near inputs ["x"] results ["a", "b"] {
  ^bb0(%x: !plan.packed<example, [seq, 32], bf16>):
    %W1 = plan.step "aten" "param"() with {frozen = true, name = "W1"} : () -> !plan.packed<[16, 32], bf16>
    %W2 = plan.step "aten" "param"() with {frozen = true, name = "W2"} : () -> !plan.packed<[16, 32], bf16>
    %V = plan.step "aten" "param"() with {frozen = true, name = "V"} : () -> !plan.packed<[8, 16], bf16>
    %y2 = plan.step "gemm" "contract"(%x, %W2) with {equation = "ay,zy->az", over_examples = false} : (!plan.packed<example, [seq, 32], bf16>, !plan.packed<[16, 32], bf16>) -> !plan.packed<example, [seq, 16], bf16>
    %b = plan.step "gemm" "contract"(%y2, %V) with {equation = "ay,zy->az", over_examples = false} : (!plan.packed<example, [seq, 16], bf16>, !plan.packed<[8, 16], bf16>) -> !plan.packed<example, [seq, 8], bf16>
    %y1 = plan.step "gemm" "contract"(%x, %W1) with {equation = "ay,zy->az", over_examples = false} : (!plan.packed<example, [seq, 32], bf16>, !plan.packed<[16, 32], bf16>) -> !plan.packed<example, [seq, 16], bf16>
    %a = plan.step "gemm" "contract"(%y1, %V) with {equation = "ay,zy->az", over_examples = false} : (!plan.packed<example, [seq, 16], bf16>, !plan.packed<[8, 16], bf16>) -> !plan.packed<example, [seq, 8], bf16>
    plan.return %a, %b : !plan.packed<example, [seq, 8], bf16>, !plan.packed<example, [seq, 8], bf16>
  }
  plan.program @far inputs ["x"] results ["a", "b"] {
  ^bb0(%x: !plan.packed<example, [seq, 32], bf16>):
    %W1 = plan.step "aten" "param"() with {frozen = true, name = "W1"} : () -> !plan.packed<[16, 32], bf16>
    %W2 = plan.step "aten" "param"() with {frozen = true, name = "W2"} : () -> !plan.packed<[16, 32], bf16>
    %V = plan.step "aten" "param"() with {frozen = true, name = "V"} : () -> !plan.packed<[8, 16], bf16>
    %y2 = plan.step "gemm" "contract"(%x, %W2) with {equation = "ay,zy->az", over_examples = false} : (!plan.packed<example, [seq, 32], bf16>, !plan.packed<[16, 32], bf16>) -> !plan.packed<example, [seq, 16], bf16>
    %b = plan.step "gemm" "contract"(%y2, %V) with {equation = "ay,zy->az", over_examples = false} : (!plan.packed<example, [seq, 16], bf16>, !plan.packed<[8, 16], bf16>) -> !plan.packed<example, [seq, 8], bf16>
    %y1 = plan.step "gemm" "contract"(%x, %W1) with {equation = "ay,zy->az", over_examples = false} : (!plan.packed<example, [seq, 32], bf16>, !plan.packed<[16, 32], bf16>) -> !plan.packed<example, [seq, 16], bf16>
    %c0 = plan.step "aten" "constant"() with {value = 0.0 : f64} : () -> !plan.packed<[], f32>
    %c1 = plan.step "aten" "constant"() with {value = 1.0 : f64} : () -> !plan.packed<[], f32>
    %c2 = plan.step "aten" "constant"() with {value = 2.0 : f64} : () -> !plan.packed<[], f32>
    %c3 = plan.step "aten" "constant"() with {value = 3.0 : f64} : () -> !plan.packed<[], f32>
    %c4 = plan.step "aten" "constant"() with {value = 4.0 : f64} : () -> !plan.packed<[], f32>
    %c5 = plan.step "aten" "constant"() with {value = 5.0 : f64} : () -> !plan.packed<[], f32>
    %c6 = plan.step "aten" "constant"() with {value = 6.0 : f64} : () -> !plan.packed<[], f32>
    %c7 = plan.step "aten" "constant"() with {value = 7.0 : f64} : () -> !plan.packed<[], f32>
    %c8 = plan.step "aten" "constant"() with {value = 8.0 : f64} : () -> !plan.packed<[], f32>
    %c9 = plan.step "aten" "constant"() with {value = 9.0 : f64} : () -> !plan.packed<[], f32>
    %c10 = plan.step "aten" "constant"() with {value = 10.0 : f64} : () -> !plan.packed<[], f32>
    %c11 = plan.step "aten" "constant"() with {value = 11.0 : f64} : () -> !plan.packed<[], f32>
    %c12 = plan.step "aten" "constant"() with {value = 12.0 : f64} : () -> !plan.packed<[], f32>
    %c13 = plan.step "aten" "constant"() with {value = 13.0 : f64} : () -> !plan.packed<[], f32>
    %c14 = plan.step "aten" "constant"() with {value = 14.0 : f64} : () -> !plan.packed<[], f32>
    %c15 = plan.step "aten" "constant"() with {value = 15.0 : f64} : () -> !plan.packed<[], f32>
    %c16 = plan.step "aten" "constant"() with {value = 16.0 : f64} : () -> !plan.packed<[], f32>
    %c17 = plan.step "aten" "constant"() with {value = 17.0 : f64} : () -> !plan.packed<[], f32>
    %c18 = plan.step "aten" "constant"() with {value = 18.0 : f64} : () -> !plan.packed<[], f32>
    %c19 = plan.step "aten" "constant"() with {value = 19.0 : f64} : () -> !plan.packed<[], f32>
    %c20 = plan.step "aten" "constant"() with {value = 20.0 : f64} : () -> !plan.packed<[], f32>
    %c21 = plan.step "aten" "constant"() with {value = 21.0 : f64} : () -> !plan.packed<[], f32>
    %c22 = plan.step "aten" "constant"() with {value = 22.0 : f64} : () -> !plan.packed<[], f32>
    %c23 = plan.step "aten" "constant"() with {value = 23.0 : f64} : () -> !plan.packed<[], f32>
    %c24 = plan.step "aten" "constant"() with {value = 24.0 : f64} : () -> !plan.packed<[], f32>
    %c25 = plan.step "aten" "constant"() with {value = 25.0 : f64} : () -> !plan.packed<[], f32>
    %c26 = plan.step "aten" "constant"() with {value = 26.0 : f64} : () -> !plan.packed<[], f32>
    %c27 = plan.step "aten" "constant"() with {value = 27.0 : f64} : () -> !plan.packed<[], f32>
    %c28 = plan.step "aten" "constant"() with {value = 28.0 : f64} : () -> !plan.packed<[], f32>
    %c29 = plan.step "aten" "constant"() with {value = 29.0 : f64} : () -> !plan.packed<[], f32>
    %c30 = plan.step "aten" "constant"() with {value = 30.0 : f64} : () -> !plan.packed<[], f32>
    %c31 = plan.step "aten" "constant"() with {value = 31.0 : f64} : () -> !plan.packed<[], f32>
    %c32 = plan.step "aten" "constant"() with {value = 32.0 : f64} : () -> !plan.packed<[], f32>
    %c33 = plan.step "aten" "constant"() with {value = 33.0 : f64} : () -> !plan.packed<[], f32>
    %c34 = plan.step "aten" "constant"() with {value = 34.0 : f64} : () -> !plan.packed<[], f32>
    %c35 = plan.step "aten" "constant"() with {value = 35.0 : f64} : () -> !plan.packed<[], f32>
    %c36 = plan.step "aten" "constant"() with {value = 36.0 : f64} : () -> !plan.packed<[], f32>
    %c37 = plan.step "aten" "constant"() with {value = 37.0 : f64} : () -> !plan.packed<[], f32>
    %c38 = plan.step "aten" "constant"() with {value = 38.0 : f64} : () -> !plan.packed<[], f32>
    %c39 = plan.step "aten" "constant"() with {value = 39.0 : f64} : () -> !plan.packed<[], f32>
    %c40 = plan.step "aten" "constant"() with {value = 40.0 : f64} : () -> !plan.packed<[], f32>
    %c41 = plan.step "aten" "constant"() with {value = 41.0 : f64} : () -> !plan.packed<[], f32>
    %c42 = plan.step "aten" "constant"() with {value = 42.0 : f64} : () -> !plan.packed<[], f32>
    %c43 = plan.step "aten" "constant"() with {value = 43.0 : f64} : () -> !plan.packed<[], f32>
    %c44 = plan.step "aten" "constant"() with {value = 44.0 : f64} : () -> !plan.packed<[], f32>
    %c45 = plan.step "aten" "constant"() with {value = 45.0 : f64} : () -> !plan.packed<[], f32>
    %c46 = plan.step "aten" "constant"() with {value = 46.0 : f64} : () -> !plan.packed<[], f32>
    %c47 = plan.step "aten" "constant"() with {value = 47.0 : f64} : () -> !plan.packed<[], f32>
    %c48 = plan.step "aten" "constant"() with {value = 48.0 : f64} : () -> !plan.packed<[], f32>
    %c49 = plan.step "aten" "constant"() with {value = 49.0 : f64} : () -> !plan.packed<[], f32>
    %c50 = plan.step "aten" "constant"() with {value = 50.0 : f64} : () -> !plan.packed<[], f32>
    %c51 = plan.step "aten" "constant"() with {value = 51.0 : f64} : () -> !plan.packed<[], f32>
    %c52 = plan.step "aten" "constant"() with {value = 52.0 : f64} : () -> !plan.packed<[], f32>
    %c53 = plan.step "aten" "constant"() with {value = 53.0 : f64} : () -> !plan.packed<[], f32>
    %c54 = plan.step "aten" "constant"() with {value = 54.0 : f64} : () -> !plan.packed<[], f32>
    %c55 = plan.step "aten" "constant"() with {value = 55.0 : f64} : () -> !plan.packed<[], f32>
    %c56 = plan.step "aten" "constant"() with {value = 56.0 : f64} : () -> !plan.packed<[], f32>
    %c57 = plan.step "aten" "constant"() with {value = 57.0 : f64} : () -> !plan.packed<[], f32>
    %c58 = plan.step "aten" "constant"() with {value = 58.0 : f64} : () -> !plan.packed<[], f32>
    %c59 = plan.step "aten" "constant"() with {value = 59.0 : f64} : () -> !plan.packed<[], f32>
    %c60 = plan.step "aten" "constant"() with {value = 60.0 : f64} : () -> !plan.packed<[], f32>
    %c61 = plan.step "aten" "constant"() with {value = 61.0 : f64} : () -> !plan.packed<[], f32>
    %c62 = plan.step "aten" "constant"() with {value = 62.0 : f64} : () -> !plan.packed<[], f32>
    %c63 = plan.step "aten" "constant"() with {value = 63.0 : f64} : () -> !plan.packed<[], f32>
    %c64 = plan.step "aten" "constant"() with {value = 64.0 : f64} : () -> !plan.packed<[], f32>
    %c65 = plan.step "aten" "constant"() with {value = 65.0 : f64} : () -> !plan.packed<[], f32>
    %c66 = plan.step "aten" "constant"() with {value = 66.0 : f64} : () -> !plan.packed<[], f32>
    %c67 = plan.step "aten" "constant"() with {value = 67.0 : f64} : () -> !plan.packed<[], f32>
    %c68 = plan.step "aten" "constant"() with {value = 68.0 : f64} : () -> !plan.packed<[], f32>
    %c69 = plan.step "aten" "constant"() with {value = 69.0 : f64} : () -> !plan.packed<[], f32>
    %a = plan.step "gemm" "contract"(%y1, %V) with {equation = "ay,zy->az", over_examples = false} : (!plan.packed<example, [seq, 16], bf16>, !plan.packed<[8, 16], bf16>) -> !plan.packed<example, [seq, 8], bf16>
    plan.return %a, %b : !plan.packed<example, [seq, 8], bf16>, !plan.packed<example, [seq, 8], bf16>
  }
}
