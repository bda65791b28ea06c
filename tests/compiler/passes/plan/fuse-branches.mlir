// RUN: peft-opt --plan-fuse-branches --split-input-file %s | FileCheck %s
// A product of few columns whose input a kernel makes of a batch's rows is that kernel's: of a matrix as it lies, and of one that lies turned from now on.
module attributes {plan.device = {bandwidth = 3350 : i64, bf16 = 989000 : i64, f32 = 67000 : i64, length = 512 : i64, tokens = 8192 : i64}} {
  // CHECK: plan.program @train_step
  // CHECK: %[[A:.*]] = plan.border %{{.*}} at [] turned [] : (!plan.packed<[16, 128], f32>) -> !plan.packed<[16, 128], bf16>
  // CHECK: %[[B:.*]] = plan.border %{{.*}} at [] turned [] {weightTurned} : (!plan.packed<[128, 8], f32>) -> !plan.packed<[8, 128], bf16>
  // CHECK: %[[K:.*]]:3 = plan.kernel "rows"(%arg0, %[[A]], %[[B]]) sites []
  // CHECK-SAME: plan.branch_note = ["to 16 columns fused: +0.2 us in its input's kernel, +3.6 us by itself", "to 8 columns fused: +0.1 us in its input's kernel, +3.6 us by itself"]
  // CHECK: ^bb0(%[[X:.*]]: !nn.tensor<example, [seq, 128], f32>, %[[OFA:.*]]: !nn.tensor<[16, 128], bf16>, %[[OFB:.*]]: !nn.tensor<[8, 128], bf16>):
  // CHECK: %[[E:.*]] = nn.exp %[[X]]
  // CHECK: %[[XK:.*]] = nn.cast %[[E]] to bf16
  // CHECK: %[[WA:.*]] = nn.cast %[[OFA]] to f32
  // CHECK: %[[H:.*]] = nn.contract "ay,zy->az" %[[E]], %[[WA]] over_examples false
  // CHECK: %[[TWO:.*]] = nn.constant(2.000000e+00 : f64)
  // CHECK: %[[S:.*]] = nn.mul %[[H]], %[[TWO]]
  // CHECK: %[[HK:.*]] = nn.cast %[[S]] to bf16
  // CHECK: %[[WB:.*]] = nn.cast %[[OFB]] to f32
  // CHECK: %[[G:.*]] = nn.contract "ay,zy->az" %[[E]], %[[WB]] over_examples false
  // CHECK: plan.yield %[[XK]], %[[HK]], %{{.*}} :
  // CHECK: (!plan.packed<example, [seq, 128], f32>, !plan.packed<[16, 128], bf16>, !plan.packed<[8, 128], bf16>) -> (!plan.packed<example, [seq, 128], bf16, pitch = 192, column = 0>, !plan.packed<example, [seq, 16], bf16, pitch = 192, column = 128>, !plan.packed<example, [seq, 8], bf16>)
  // CHECK-NOT: "contract"
  // CHECK: plan.return %[[K]]#0, %[[K]]#1, %[[K]]#2
  plan.program @train_step inputs ["x"] results ["y", "h", "g"] {
  ^bb0(%x: !plan.packed<example, [seq, 128], f32>):
    %a = plan.step "aten" "param"() with {name = "A"} : () -> !plan.packed<[16, 128], f32>
    %ah = plan.border %a at [] turned [] : (!plan.packed<[16, 128], f32>) -> !plan.packed<[16, 128], bf16>
    %b = plan.step "aten" "param"() with {name = "B"} : () -> !plan.packed<[128, 8], f32>
    %bh = plan.border %b at [] turned [] : (!plan.packed<[128, 8], f32>) -> !plan.packed<[128, 8], bf16>
    %y = plan.kernel "rows"(%x) sites [] {
    ^bb0(%r: !nn.tensor<example, [seq, 128], f32>):
      %1 = nn.exp %r : (!nn.tensor<example, [seq, 128], f32>) -> !nn.tensor<example, [seq, 128], f32>
      %2 = nn.cast %1 to bf16 : (!nn.tensor<example, [seq, 128], f32>) -> !nn.tensor<example, [seq, 128], bf16>
      plan.yield %2 : !nn.tensor<example, [seq, 128], bf16>
    } : (!plan.packed<example, [seq, 128], f32>) -> !plan.packed<example, [seq, 128], bf16, pitch = 192, column = 0>
    %h = plan.step "gemm" "contract"(%y, %ah) with {alpha = 2.0 : f64, equation = "ay,zy->az", over_examples = false} : (!plan.packed<example, [seq, 128], bf16, pitch = 192, column = 0>, !plan.packed<[16, 128], bf16>) -> !plan.packed<example, [seq, 16], bf16, pitch = 192, column = 128>
    %g = plan.step "gemm" "contract"(%y, %bh) with {equation = "az,zy->ay", over_examples = false} : (!plan.packed<example, [seq, 128], bf16, pitch = 192, column = 0>, !plan.packed<[128, 8], bf16>) -> !plan.packed<example, [seq, 8], bf16>
    plan.return %y, %h, %g : !plan.packed<example, [seq, 128], bf16, pitch = 192, column = 0>, !plan.packed<example, [seq, 16], bf16, pitch = 192, column = 128>, !plan.packed<example, [seq, 8], bf16>
  }
}

// -----
// By itself stays what the program says (`plan.branches`), and says so.
module attributes {plan.branches = "apart", plan.device = {bandwidth = 3350 : i64, bf16 = 989000 : i64, f32 = 67000 : i64, length = 512 : i64, tokens = 8192 : i64}} {
  // CHECK: plan.program @train_step
  // CHECK: "contract"(%{{.*}}, %{{.*}}) with {{.*}} {plan.branch_note = ["to 16 columns apart: +0.2 us in its input's kernel, +3.6 us by itself"]}
  plan.program @train_step inputs ["x"] results ["h"] {
  ^bb0(%x: !plan.packed<example, [seq, 128], f32>):
    %a = plan.step "aten" "param"() with {name = "A"} : () -> !plan.packed<[16, 128], f32>
    %ah = plan.border %a at [] turned [] : (!plan.packed<[16, 128], f32>) -> !plan.packed<[16, 128], bf16>
    %y = plan.kernel "rows"(%x) sites [] {
    ^bb0(%r: !nn.tensor<example, [seq, 128], f32>):
      %1 = nn.exp %r : (!nn.tensor<example, [seq, 128], f32>) -> !nn.tensor<example, [seq, 128], f32>
      %2 = nn.cast %1 to bf16 : (!nn.tensor<example, [seq, 128], f32>) -> !nn.tensor<example, [seq, 128], bf16>
      plan.yield %2 : !nn.tensor<example, [seq, 128], bf16>
    } : (!plan.packed<example, [seq, 128], f32>) -> !plan.packed<example, [seq, 128], bf16>
    %h = plan.step "gemm" "contract"(%y, %ah) with {equation = "ay,zy->az", over_examples = false} : (!plan.packed<example, [seq, 128], bf16>, !plan.packed<[16, 128], bf16>) -> !plan.packed<example, [seq, 16], bf16>
    plan.return %h : !plan.packed<example, [seq, 16], bf16>
  }
}

// -----
// Nor is anything done where a matrix that would lie turned is read as it lies too, where rows are few, where a row is no multiple of 64 numbers or the product has too many columns.
module attributes {plan.device = {bandwidth = 3350 : i64, bf16 = 989000 : i64, f32 = 67000 : i64, length = 512 : i64, tokens = 8192 : i64}} {
  // CHECK: plan.program @other
  // CHECK: weightTurned
  // CHECK-NOT: weightTurned
  // CHECK: "contract"
  // CHECK: plan.program @train_step
  // CHECK-COUNT-5: "contract"
  plan.program @other inputs ["x"] results ["h"] {
  ^bb0(%x: !plan.packed<example, [seq, 128], f32>):
    %c = plan.step "aten" "param"() with {name = "C"} : () -> !plan.packed<[128, 8], f32>
    %ch = plan.border %c at [] turned [] : (!plan.packed<[128, 8], f32>) -> !plan.packed<[128, 8], bf16>
    %b = plan.step "aten" "param"() with {name = "B"} : () -> !plan.packed<[128, 8], f32>
    %bh = plan.border %b at [] turned [] : (!plan.packed<[128, 8], f32>) -> !plan.packed<[128, 8], bf16>
    %y = plan.kernel "rows"(%x) sites [] {
    ^bb0(%r: !nn.tensor<example, [seq, 128], f32>):
      %1 = nn.exp %r : (!nn.tensor<example, [seq, 128], f32>) -> !nn.tensor<example, [seq, 128], f32>
      %2 = nn.cast %1 to bf16 : (!nn.tensor<example, [seq, 128], f32>) -> !nn.tensor<example, [seq, 128], bf16>
      plan.yield %2 : !nn.tensor<example, [seq, 128], bf16>
    } : (!plan.packed<example, [seq, 128], f32>) -> !plan.packed<example, [seq, 128], bf16>
    %g = plan.step "gemm" "contract"(%y, %ch) with {equation = "az,zy->ay", over_examples = false} : (!plan.packed<example, [seq, 128], bf16>, !plan.packed<[128, 8], bf16>) -> !plan.packed<example, [seq, 8], bf16>
    %h = plan.step "gemm" "contract"(%g, %bh) with {equation = "ay,zy->az", over_examples = false} : (!plan.packed<example, [seq, 8], bf16>, !plan.packed<[128, 8], bf16>) -> !plan.packed<example, [seq, 128], bf16>
    plan.return %h : !plan.packed<example, [seq, 128], bf16>
  }
  plan.program @train_step inputs ["x", "z"] results ["g", "few", "odd", "wide"] {
  ^bb0(%x: !plan.packed<example, [seq, 128], f32>, %z: !plan.packed<example, [seq, 96], f32>):
    %b = plan.step "aten" "param"() with {name = "B"} : () -> !plan.packed<[128, 8], f32>
    %bh = plan.border %b at [] turned [] : (!plan.packed<[128, 8], f32>) -> !plan.packed<[128, 8], bf16>
    %a = plan.step "aten" "param"() with {name = "A"} : () -> !plan.packed<[16, 96], f32>
    %ah = plan.border %a at [] turned [] : (!plan.packed<[16, 96], f32>) -> !plan.packed<[16, 96], bf16>
    %w = plan.step "aten" "param"() with {name = "W"} : () -> !plan.packed<[128, 128], f32>
    %wh = plan.border %w at [] turned [] : (!plan.packed<[128, 128], f32>) -> !plan.packed<[128, 128], bf16>
    %y = plan.kernel "rows"(%x) sites [] {
    ^bb0(%r: !nn.tensor<example, [seq, 128], f32>):
      %1 = nn.exp %r : (!nn.tensor<example, [seq, 128], f32>) -> !nn.tensor<example, [seq, 128], f32>
      %2 = nn.cast %1 to bf16 : (!nn.tensor<example, [seq, 128], f32>) -> !nn.tensor<example, [seq, 128], bf16>
      plan.yield %2 : !nn.tensor<example, [seq, 128], bf16>
    } : (!plan.packed<example, [seq, 128], f32>) -> !plan.packed<example, [seq, 128], bf16>
    %u = plan.kernel "rows"(%z) sites [] {
    ^bb0(%r: !nn.tensor<example, [seq, 96], f32>):
      %1 = nn.exp %r : (!nn.tensor<example, [seq, 96], f32>) -> !nn.tensor<example, [seq, 96], f32>
      %2 = nn.cast %1 to bf16 : (!nn.tensor<example, [seq, 96], f32>) -> !nn.tensor<example, [seq, 96], bf16>
      plan.yield %2 : !nn.tensor<example, [seq, 96], bf16>
    } : (!plan.packed<example, [seq, 96], f32>) -> !plan.packed<example, [seq, 96], bf16>
    %g = plan.step "gemm" "contract"(%y, %bh) with {equation = "az,zy->ay", over_examples = false} : (!plan.packed<example, [seq, 128], bf16>, !plan.packed<[128, 8], bf16>) -> !plan.packed<example, [seq, 8], bf16>
    %again = plan.step "gemm" "contract"(%g, %bh) with {equation = "ay,zy->az", over_examples = false} : (!plan.packed<example, [seq, 8], bf16>, !plan.packed<[128, 8], bf16>) -> !plan.packed<example, [seq, 128], bf16>
    %one = plan.step "aten" "reduce"(%y) with {axes = array<i64: 0>, keep = true, kind = "sum", over_examples = false} : (!plan.packed<example, [seq, 128], bf16>) -> !plan.packed<example, [1, 128], bf16>
    %row = plan.kernel "rows"(%one) sites [] {
    ^bb0(%r: !nn.tensor<example, [1, 128], bf16>):
      %0 = nn.cast %r to f32 : (!nn.tensor<example, [1, 128], bf16>) -> !nn.tensor<example, [1, 128], f32>
      %1 = nn.exp %0 : (!nn.tensor<example, [1, 128], f32>) -> !nn.tensor<example, [1, 128], f32>
      %2 = nn.cast %1 to bf16 : (!nn.tensor<example, [1, 128], f32>) -> !nn.tensor<example, [1, 128], bf16>
      plan.yield %2 : !nn.tensor<example, [1, 128], bf16>
    } : (!plan.packed<example, [1, 128], bf16>) -> !plan.packed<example, [1, 128], bf16>
    %few = plan.step "gemm" "contract"(%row, %bh) with {equation = "az,zy->ay", over_examples = false} : (!plan.packed<example, [1, 128], bf16>, !plan.packed<[128, 8], bf16>) -> !plan.packed<example, [1, 8], bf16>
    %odd = plan.step "gemm" "contract"(%u, %ah) with {equation = "ay,zy->az", over_examples = false} : (!plan.packed<example, [seq, 96], bf16>, !plan.packed<[16, 96], bf16>) -> !plan.packed<example, [seq, 16], bf16>
    %wide = plan.step "gemm" "contract"(%y, %wh) with {equation = "ay,zy->az", over_examples = false} : (!plan.packed<example, [seq, 128], bf16>, !plan.packed<[128, 128], bf16>) -> !plan.packed<example, [seq, 128], bf16>
    plan.return %again, %few, %odd, %wide : !plan.packed<example, [seq, 128], bf16>, !plan.packed<example, [1, 8], bf16>, !plan.packed<example, [seq, 16], bf16>, !plan.packed<example, [seq, 128], bf16>
  }
}
