// RUN: peft-opt --plan-split-sums %s | FileCheck %s
// RUN: peft-opt --plan-split-sums --plan-form-kernels %s | FileCheck %s --check-prefix=KERNELS
// The sum of all numbers of all rows is the sum over rows of each row's sum, and both are part of a kernel; other sums stay.
module {
  // CHECK: plan.program @train_step
  // CHECK: %[[ROW:.*]] = nn.reduce "sum" %{{.*}} axes [1, 2] keep true over_examples false {{.*}} -> !nn.tensor<example, [seq, 1, 1], f32>
  // CHECK: nn.reduce "sum" %[[ROW]] axes [0, 1, 2] keep false over_examples true {{.*}} -> !nn.tensor<[], f32>
  // CHECK: nn.reduce "max" %{{.*}} axes [0, 1, 2] keep false over_examples true
  // CHECK: nn.reduce "sum" %{{.*}} axes [0] keep false over_examples true
  // CHECK-NOT: nn.reduce
  //
  // KERNELS: plan.program @train_step
  // KERNELS: plan.kernel "rows"
  // KERNELS: nn.exp
  // KERNELS: nn.reduce "sum" {{.*}} axes [1, 2]
  // KERNELS: nn.reduce "sum" {{.*}} axes [0, 1, 2]
  // KERNELS: plan.yield
  plan.program @train_step inputs ["x"] results ["all", "most", "each"] {
  ^bb0(%x: !nn.tensor<example, [seq, 3, 4], f32>):
    %e = nn.exp %x : (!nn.tensor<example, [seq, 3, 4], f32>) -> !nn.tensor<example, [seq, 3, 4], f32>
    %all = nn.reduce "sum" %e axes [0, 1, 2] keep false over_examples true : (!nn.tensor<example, [seq, 3, 4], f32>) -> !nn.tensor<[], f32>
    %most = nn.reduce "max" %e axes [0, 1, 2] keep false over_examples true : (!nn.tensor<example, [seq, 3, 4], f32>) -> !nn.tensor<[], f32>
    %each = nn.reduce "sum" %e axes [0] keep false over_examples true : (!nn.tensor<example, [seq, 3, 4], f32>) -> !nn.tensor<[3, 4], f32>
    plan.return %all, %most, %each : !nn.tensor<[], f32>, !nn.tensor<[], f32>, !nn.tensor<[3, 4], f32>
  }
}
