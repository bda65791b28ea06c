// RUN: peft-opt --nn-inline-hooks %s | FileCheck %s
// What a method gives to a pass is what the methods before it left of the point: a later one's change comes once, in the pass as in the network.
module {
  // CHECK-LABEL: func.func @train(
  // CHECK-DAG: %[[CHANGED:.*]] = nn.exp %arg0
  // CHECK-DAG: %[[GIVEN:.*]] = nn.neg %arg0
  // CHECK-DAG: %[[AGAIN:.*]] = nn.exp %[[GIVEN]]
  // CHECK-DAG: %[[LOSS:.*]] = nn.reduce "sum" %[[CHANGED]]
  // CHECK-DAG: %[[OTHER:.*]] = nn.reduce "sum" %[[AGAIN]]
  // CHECK: %[[BOTH:.*]] = nn.add %[[LOSS]], %[[OTHER]]
  // CHECK: return %[[BOTH]] :
  peft.module @model kinds ["model"] inputs ["h"] dims {d = 4 : i64} {
  ^bb0(%arg0: !nn.tensor<example, [seq, 4], f32>):
    %0 = peft.point "h" %arg0 : !nn.tensor<example, [seq, 4], f32>
    %1 = peft.point "logits" %0 : !nn.tensor<example, [seq, 4], f32>
    %2 = nn.reduce "sum" %1 axes [0, 1] keep false over_examples false : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [], f32>
    %3 = peft.point "loss" %2 : !nn.tensor<example, [], f32>
    peft.yield %3 : !nn.tensor<example, [], f32>
  }
  peft.attach 0 "first" to "model" sites ["model"]
  peft.attach 1 "later" to "model" sites ["model"]
  peft.instance @model attach 0 "first" {
    %0 = peft.read @model "h" : !nn.tensor<example, [seq, 4], f32>
    %1 = nn.neg %0 : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %2 = peft.pass 1 "loss" with ["h"](%1) : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [], f32>
    %3 = peft.read @model "loss" : !nn.tensor<example, [], f32>
    %4 = nn.add %3, %2 : (!nn.tensor<example, [], f32>, !nn.tensor<example, [], f32>) -> !nn.tensor<example, [], f32>
    peft.rewire @model "loss" %4 : !nn.tensor<example, [], f32>
  }
  peft.instance @model attach 1 "later" {
    %0 = peft.read @model "h" : !nn.tensor<example, [seq, 4], f32>
    %1 = nn.exp %0 : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    peft.rewire @model "h" %1 : !nn.tensor<example, [seq, 4], f32>
  }
}
