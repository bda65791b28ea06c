// RUN: peft-opt --plan-open-programs --plan-expand-argmax %s | FileCheck %s
// RUN: peft-opt --plan-open-programs --plan-form-products --plan-expand-argmax --plan-form-kernels --plan-lower-programs %s | FileCheck %s --check-prefix=KERNELS
// The place of a row's maximum is the least one at which the row is not less than its maximum; along another axis it stays an op of its own.
module {
  // CHECK: plan.program @eval
  // CHECK: %[[LINE:.*]] = nn.broadcast {{.*}} -> !nn.tensor<[40], f32>
  // CHECK: %[[IOTA:.*]] = nn.iota %[[LINE]] axis 0
  // CHECK: %[[PLACES:.*]] = nn.cast %[[IOTA]] to f32
  // CHECK: %[[MAX:.*]] = nn.reduce "max" %[[X:.*]] axes [1] keep true
  // CHECK: %[[HIT:.*]] = nn.ge %[[X]], %[[MAX]]
  // CHECK: %[[CHOSEN:.*]] = nn.select %[[HIT]], %[[PLACES]], {{.*}}
  // CHECK: %[[FIRST:.*]] = nn.reduce "min" %[[CHOSEN]] axes [1] keep false
  // CHECK: nn.cast %[[FIRST]] to i64
  // CHECK: nn.argmax {{.*}} axis 0
  //
  // KERNELS: plan.program @eval
  // KERNELS: plan.kernel "rows"
  // KERNELS: nn.reduce "max"
  // KERNELS: nn.reduce "min"
  func.func @eval(%x: !nn.tensor<example, [seq, 40], f32> {nn.name = "x"}) -> (!nn.tensor<example, [seq], i64> {nn.name = "row"}, !nn.tensor<example, [40], i64> {nn.name = "column"}) {
    %y = nn.exp %x : (!nn.tensor<example, [seq, 40], f32>) -> !nn.tensor<example, [seq, 40], f32>
    %row = nn.argmax %y axis 1 : (!nn.tensor<example, [seq, 40], f32>) -> !nn.tensor<example, [seq], i64>
    %column = nn.argmax %y axis 0 : (!nn.tensor<example, [seq, 40], f32>) -> !nn.tensor<example, [40], i64>
    return %row, %column : !nn.tensor<example, [seq], i64>, !nn.tensor<example, [40], i64>
  }
}
