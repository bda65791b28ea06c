// RUN: peft-opt --plan-open-programs --plan-form-products --plan-form-kernels --plan-lower-programs --plan-form-bands %s | FileCheck %s
// RUN: peft-opt --plan-open-programs --plan-form-products --plan-form-kernels --plan-lower-programs --plan-form-bands --plan-assign-buffers %s | FileCheck %s --check-prefix=SLOTS
// Steps that do each row by itself stand together; the gradient of a weight, which needs all rows, waits behind them; parameters come first.
module {
  nn.parameter @W "base" trainable false : !nn.tensor<[4, 4], f32>
  nn.parameter @V "base" trainable false : !nn.tensor<[4, 8], f32>
  // CHECK: plan.program @train_step
  // CHECK: "param"
  // CHECK: "param"
  // CHECK-NOT: plan.band
  // CHECK: %[[H:.*]] = plan.step "gemm" "contract"({{.*}}) with {{.*}} {plan.band = [[BAND:.*]] : i64}
  // CHECK: %[[E:.*]] = plan.kernel "rows"(%[[H]]) sites [] attributes {plan.band = [[BAND]] : i64}
  // CHECK: %[[Y:.*]] = plan.step "gemm" "contract"(%[[E]], {{.*}}) with {{.*}} {plan.band = [[BAND]] : i64}
  // CHECK: plan.step "gemm" "contract"({{.*}}) with {equation = "az,ay->zy", over_examples = true}
  // CHECK-NOT: plan.band
  // CHECK: plan.return
  //
  // The kernel's operand and result are not needed behind the band, but other rows of them may be read while it writes: no slot is used twice.
  // SLOTS: plan.program @train_step
  // SLOTS: "contract"({{.*}}) slot 0 with
  // SLOTS: plan.kernel "rows"{{.*}} slots [1] attributes
  // SLOTS: "contract"({{.*}}) slot 2 with
  func.func @train_step(%x: !nn.tensor<example, [seq, 4], f32> {nn.name = "x"}) -> (!nn.tensor<example, [seq, 8], f32> {nn.name = "y"}, !nn.tensor<[4, 4], f32> {nn.name = "grad"}) {
    %w = nn.param "W" : !nn.tensor<[4, 4], f32>
    %h = nn.contract "ay,zy->az" %x, %w over_examples false : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<[4, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %grad = nn.contract "az,ay->zy" %h, %x over_examples true : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<[4, 4], f32>
    %e = nn.exp %h : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %v = nn.param "V" : !nn.tensor<[4, 8], f32>
    %y = nn.contract "ay,yz->az" %e, %v over_examples false : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<[4, 8], f32>) -> !nn.tensor<example, [seq, 8], f32>
    return %y, %grad : !nn.tensor<example, [seq, 8], f32>, !nn.tensor<[4, 4], f32>
  }
}
