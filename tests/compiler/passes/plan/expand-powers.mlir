// RUN: peft-opt --plan-open-programs --plan-expand-powers %s | FileCheck %s
// RUN: peft-opt --plan-open-programs --plan-form-products --plan-expand-powers --plan-form-kernels --plan-lower-programs %s | FileCheck %s --check-prefix=KERNELS
// A small whole exponent becomes products; any other one stays.
module {
  // CHECK: plan.program @eval
  // CHECK: %[[SQUARE:.*]] = nn.mul %[[X:.*]], %[[X]] :
  // CHECK: %[[CUBE:.*]] = nn.mul %[[SQUARE]], %[[X]] :
  // CHECK: %[[LAST:.*]] = nn.mul %[[X]], %[[CUBE]] :
  // CHECK: nn.pow
  // CHECK: nn.pow
  // CHECK-NOT: nn.pow
  //
  // KERNELS: plan.program @eval
  // KERNELS-COUNT-2: plan.step "aten" "pow"{{.*}}plan.why_alone = "its exponent is none of the whole numbers that become products"
  // KERNELS: plan.kernel "rows"
  // KERNELS: nn.mul
  // KERNELS: nn.exp
  func.func @eval(%x: !nn.tensor<example, [seq, 40], f32> {nn.name = "x"}) -> (!nn.tensor<example, [seq, 40], f32> {nn.name = "y"}, !nn.tensor<example, [seq, 40], f32> {nn.name = "root"}, !nn.tensor<example, [seq, 40], f32> {nn.name = "far"}) {
    %three = nn.constant(3.000000e+00) : !nn.tensor<[], f32>
    %one = nn.constant(1.000000e+00) : !nn.tensor<[], f32>
    %half = nn.constant(5.000000e-01) : !nn.tensor<[], f32>
    %many = nn.constant(1.700000e+01) : !nn.tensor<[], f32>
    %cube = nn.pow %x, %three : (!nn.tensor<example, [seq, 40], f32>, !nn.tensor<[], f32>) -> !nn.tensor<example, [seq, 40], f32>
    %same = nn.pow %x, %one : (!nn.tensor<example, [seq, 40], f32>, !nn.tensor<[], f32>) -> !nn.tensor<example, [seq, 40], f32>
    %product = nn.mul %same, %cube : (!nn.tensor<example, [seq, 40], f32>, !nn.tensor<example, [seq, 40], f32>) -> !nn.tensor<example, [seq, 40], f32>
    %y = nn.exp %product : (!nn.tensor<example, [seq, 40], f32>) -> !nn.tensor<example, [seq, 40], f32>
    %root = nn.pow %x, %half : (!nn.tensor<example, [seq, 40], f32>, !nn.tensor<[], f32>) -> !nn.tensor<example, [seq, 40], f32>
    %far = nn.pow %x, %many : (!nn.tensor<example, [seq, 40], f32>, !nn.tensor<[], f32>) -> !nn.tensor<example, [seq, 40], f32>
    return %y, %root, %far : !nn.tensor<example, [seq, 40], f32>, !nn.tensor<example, [seq, 40], f32>, !nn.tensor<example, [seq, 40], f32>
  }
}
