// RUN: peft-opt --nn-inline-hooks %s | FileCheck %s
// Another pass through the model: the same parameters, random numbers of its own, a point that is given, and no change that asks for passes.
module {
  // CHECK-LABEL: func.func @train(
  // CHECK: %[[FIRST:.*]] = nn.random "normal" like %arg0 : {{.*}} site 7 per
  // CHECK: %[[LOGITS:.*]] = nn.add %arg0, %[[FIRST]]
  // CHECK: %[[LOSS:.*]] = nn.reduce "sum" %[[LOGITS]]
  // CHECK: %[[GIVEN:.*]] = nn.neg %arg0
  // CHECK: %[[SECOND:.*]] = nn.random "normal" like %[[GIVEN]] : {{.*}} site {{[0-9]+}} per
  // CHECK: %[[AGAIN:.*]] = nn.add %[[GIVEN]], %[[SECOND]]
  // CHECK: %[[OTHER:.*]] = nn.reduce "sum" %[[AGAIN]]
  // CHECK: %[[BOTH:.*]] = nn.add %[[LOSS]], %[[OTHER]]
  // CHECK: return %[[BOTH]] :
  // CHECK-LABEL: func.func @predict(
  // CHECK-NOT: nn.neg
  peft.module @model kinds ["model"] inputs ["h"] dims {d = 4 : i64} {
  ^bb0(%arg0: !nn.tensor<example, [seq, 4], f32>):
    %0 = peft.point "h" %arg0 : !nn.tensor<example, [seq, 4], f32>
    %1 = nn.random "normal" like %0 : !nn.tensor<example, [seq, 4], f32> site 7 per "token" -> !nn.tensor<example, [seq, 4], f32>
    %2 = nn.add %0, %1 : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %3 = peft.point "logits" %2 : !nn.tensor<example, [seq, 4], f32>
    %4 = nn.reduce "sum" %3 axes [0, 1] keep false over_examples false : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [], f32>
    %5 = peft.point "loss" %4 : !nn.tensor<example, [], f32>
    peft.yield %5 : !nn.tensor<example, [], f32>
  }
  peft.attach 0 "m" to "model" sites ["model"]
  peft.instance @model attach 0 "m" {
    %0 = peft.read @model "h" : !nn.tensor<example, [seq, 4], f32>
    %1 = nn.neg %0 : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %2 = peft.pass 1 "loss" with ["h"](%1) : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [], f32>
    %3 = peft.read @model "loss" : !nn.tensor<example, [], f32>
    %4 = nn.add %3, %2 : (!nn.tensor<example, [], f32>, !nn.tensor<example, [], f32>) -> !nn.tensor<example, [], f32>
    peft.rewire @model "loss" %4 : !nn.tensor<example, [], f32>
  }
}
