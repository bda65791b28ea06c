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
