// RUN: peft-opt --nn-inline-hooks %s | FileCheck %s
// A text that was cut has its own tokens' places, put together as it was; what stands between has places far below.
module {
  // CHECK-LABEL: func.func @predict(
  // CHECK: %[[FIRST:.*]] = nn.iota %arg0 axis 0
  // CHECK: %[[FRONT:.*]] = nn.slice %[[FIRST]] axis 0 from <0, 0> to <1, 0> step 1
  // CHECK: %[[SECOND:.*]] = nn.iota %arg0 axis 0
  // CHECK: %[[BACK:.*]] = nn.slice %[[SECOND]] axis 0 from <1, 0> step 1
  // CHECK: %[[APART:.*]] = nn.constant(-1073741824 : i64)
  // CHECK: %[[BETWEEN:.*]] = nn.add %{{.*}}, %[[APART]]
  // CHECK: %[[PLACES:.*]] = nn.concat %[[FRONT]], %[[BETWEEN]], %[[BACK]] axis 0 : {{.*}} -> !nn.tensor<example, [seq+2], i64>
  // CHECK: return %[[PLACES]]
  peft.module @model kinds ["model"] inputs ["h", "p"] dims {d = 4 : i64} {
  ^bb0(%h: !nn.tensor<example, [seq, 4], f32>, %p: !nn.tensor<example, [2, 4], f32>):
    %0 = nn.slice %h axis 0 from <0, 0> to <1, 0> step 1 : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [1, 4], f32>
    %1 = nn.slice %h axis 0 from <1, 0> step 1 : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq-1, 4], f32>
    %2 = nn.concat %0, %p, %1 axis 0 : (!nn.tensor<example, [1, 4], f32>, !nn.tensor<example, [2, 4], f32>, !nn.tensor<example, [seq-1, 4], f32>) -> !nn.tensor<example, [seq+2, 4], f32>
    %3 = nn.origin %2, %h : (!nn.tensor<example, [seq+2, 4], f32>, !nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq+2], i64>
    %4 = peft.point "logits" %3 : !nn.tensor<example, [seq+2], i64>
    %5 = nn.reduce "sum" %2 axes [0, 1] keep false over_examples false : (!nn.tensor<example, [seq+2, 4], f32>) -> !nn.tensor<example, [], f32>
    %6 = peft.point "loss" %5 : !nn.tensor<example, [], f32>
    peft.yield %6 : !nn.tensor<example, [], f32>
  }
}
