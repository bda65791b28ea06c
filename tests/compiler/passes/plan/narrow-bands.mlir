// RUN: peft-opt --plan-narrow-bands --plan-assign-buffers %s | FileCheck %s
// Of a CPU's band a device keeps what makes and reads its widest rows, where all of them at once would be many; what stands between two steps ends a band.
!x = !plan.packed<example, [seq, 64], bf16>
!wide = !plan.packed<example, [seq, 32768], bf16>
!row = !nn.tensor<example, [seq, 32768], f32>
!table = !plan.packed<[32768, 64], bf16>
module attributes {plan.device = {bf16 = 989000 : i64, f32 = 67000 : i64, bandwidth = 3350 : i64, tokens = 65536 : i64}} {
  // 512 MiB of 128 kB (two rows of 64 kB at a time), by blocks: 3840 rows.
  // CHECK-LABEL: plan.program @train_step
  // CHECK-SAME: p = 251658240
  // CHECK-SAME: bands [3840]
  // CHECK: "gemm" "contract"(%{{.*}}, %{{.*}}) slot {{[0-9]+}} with {equation = "az,zy->ay"
  // CHECK-NOT: plan.band
  // CHECK-SAME: -> !plan.packed<example, [seq, 64], bf16>
  // CHECK: equation = "ay,zy->az", over_examples = false} {plan.band = 0 : i64}
  // CHECK: plan.kernel "rows" "squared"({{.*}} attributes {plan.band = 0 : i64}
  // CHECK: equation = "az,zy->ay", over_examples = false} {plan.band = 0 : i64}
  plan.program @train_step inputs ["x"] results ["y"] {
  ^bb0(%x: !x):
    %w = plan.step "aten" "param"() with {name = "w"} : () -> !table
    %s = plan.step "aten" "param"() with {name = "s"} : () -> !plan.packed<[64, 64], bf16>
    %h = plan.step "gemm" "contract"(%x, %s) with {equation = "az,zy->ay", over_examples = false} {plan.band = 7 : i64} : (!x, !plan.packed<[64, 64], bf16>) -> !x
    %l = plan.step "gemm" "contract"(%h, %w) with {equation = "ay,zy->az", over_examples = false} {plan.band = 7 : i64} : (!x, !table) -> !wide
    %d = plan.kernel "rows" "squared"(%l) sites [] attributes {plan.band = 7 : i64} {
    ^bb0(%row: !row):
      %square = nn.mul %row, %row : (!row, !row) -> !row
      plan.yield %square : !row
    } : (!wide) -> !wide
    %g = plan.step "gemm" "contract"(%d, %w) with {equation = "az,zy->ay", over_examples = false} {plan.band = 7 : i64} : (!wide, !table) -> !x
    plan.return %g : !x
  }

  // What a program returns is there for all rows; a step that stands between ends the band.
  // CHECK-LABEL: plan.program @predict
  // CHECK-NOT: plan.band
  plan.program @predict inputs ["x"] results ["l"] {
  ^bb0(%x: !x):
    %w = plan.step "aten" "param"() with {name = "w"} : () -> !table
    %l = plan.step "gemm" "contract"(%x, %w) with {equation = "ay,zy->az", over_examples = false} {plan.band = 0 : i64} : (!x, !table) -> !wide
    %e = plan.step "aten" "exp"(%l) with {} : (!wide) -> !wide
    %g = plan.step "gemm" "contract"(%e, %w) with {equation = "az,zy->ay", over_examples = false} {plan.band = 0 : i64} : (!wide, !table) -> !x
    plan.return %e : !wide
  }
}
