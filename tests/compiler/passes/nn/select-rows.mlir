// RUN: peft-opt --nn-select-rows --split-input-file %s | FileCheck %s
// All logits are read for the loss: the last ones are another product of one row, and what is no wider than what it is made of stays whole.

// CHECK-LABEL: func.func @predict(
// CHECK: %[[W:.*]] = nn.param "W"
// CHECK: %[[H:.*]] = nn.exp %{{.*}} -> !nn.tensor<example, [seq, 4], f32>
// CHECK: nn.contract "ak,zk->az" %[[H]], %[[W]]
// CHECK: %[[LAST:.*]] = nn.slice %[[H]] axis 0 from <-1, 0> step 1 {{.*}} -> !nn.tensor<example, [1, 4], f32>
// CHECK: %[[NEXT:.*]] = nn.contract "ak,zk->az" %[[LAST]], %[[W]] {{.*}} -> !nn.tensor<example, [1, 9], f32>
// CHECK: return %{{.*}}, %[[NEXT]]
module {
  nn.parameter @W "base" trainable false : !nn.tensor<[9, 4], f32> {checkpoint = "W"}
  func.func @predict(%ids: !nn.tensor<example, [seq], i64> {nn.name = "ids"}) -> (!nn.tensor<example, [], f32> {nn.name = "loss"}, !nn.tensor<example, [1, 9], f32> {nn.name = "next"}) attributes {nn.mode = "infer"} {
    %w = nn.param "W" : !nn.tensor<[9, 4], f32>
    %x = nn.gather %w, %ids : (!nn.tensor<[9, 4], f32>, !nn.tensor<example, [seq], i64>) -> !nn.tensor<example, [seq, 4], f32>
    %h = nn.exp %x : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %l = nn.contract "ak,zk->az" %h, %w over_examples false : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<[9, 4], f32>) -> !nn.tensor<example, [seq, 9], f32>
    %s = nn.reduce "sum" %l axes [0, 1] keep false over_examples false : (!nn.tensor<example, [seq, 9], f32>) -> !nn.tensor<example, [], f32>
    %n = nn.slice %l axis 0 from <-1, 0> step 1 : (!nn.tensor<example, [seq, 9], f32>) -> !nn.tensor<example, [1, 9], f32>
    return %s, %n : !nn.tensor<example, [], f32>, !nn.tensor<example, [1, 9], f32>
  }
}

// -----
// Nothing else reads it: the last token is all that is looked up. Where the slice says the place from the front, too.
// CHECK-LABEL: func.func @next(
// CHECK-SAME: %[[IDS:.*]]: !nn.tensor<example, [seq], i64>
// CHECK: %[[ONE:.*]] = nn.slice %[[IDS]] axis 0 from <-1, 0> step 1 {{.*}} -> !nn.tensor<example, [1], i64>
// CHECK: nn.gather %{{.*}}, %[[ONE]]
// CHECK: nn.exp %{{.*}} -> !nn.tensor<example, [1, 4], f32>
// CHECK-NOT: [seq, 4]
module {
  nn.parameter @W "base" trainable false : !nn.tensor<[9, 4], f32> {checkpoint = "W"}
  func.func @next(%ids: !nn.tensor<example, [seq], i64> {nn.name = "ids"}) -> (!nn.tensor<example, [1, 4], f32> {nn.name = "next"}) attributes {nn.mode = "infer"} {
    %w = nn.param "W" : !nn.tensor<[9, 4], f32>
    %x = nn.gather %w, %ids : (!nn.tensor<[9, 4], f32>, !nn.tensor<example, [seq], i64>) -> !nn.tensor<example, [seq, 4], f32>
    %h = nn.exp %x : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %n = nn.slice %h axis 0 from <-1, 1> step 1 : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [1, 4], f32>
    return %n : !nn.tensor<example, [1, 4], f32>
  }
}

// -----
// What turns the text has no last entry of its own; in training nothing is done twice.
// CHECK-LABEL: func.func @predict(
// CHECK: %[[TURNED:.*]] = nn.roll
// CHECK: nn.slice %[[TURNED]]
// CHECK-LABEL: func.func @train(
// CHECK: %[[ALL:.*]] = nn.exp
// CHECK: nn.slice %[[ALL]]
module {
  func.func @predict(%x: !nn.tensor<example, [seq, 4], f32> {nn.name = "x"}) -> (!nn.tensor<example, [1, 4], f32> {nn.name = "next"}) attributes {nn.mode = "infer"} {
    %h = nn.roll %x axis 0 by 1 : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %n = nn.slice %h axis 0 from <-1, 0> step 1 : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [1, 4], f32>
    return %n : !nn.tensor<example, [1, 4], f32>
  }
  func.func @train(%x: !nn.tensor<example, [seq, 4], f32> {nn.name = "x"}) -> (!nn.tensor<example, [1, 4], f32> {nn.name = "loss"}) attributes {nn.mode = "train"} {
    %h = nn.exp %x : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %n = nn.slice %h axis 0 from <-1, 0> step 1 : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [1, 4], f32>
    return %n : !nn.tensor<example, [1, 4], f32>
  }
}
