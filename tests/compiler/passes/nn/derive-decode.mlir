// RUN: peft-opt --nn-derive-decode --split-input-file %s | FileCheck %s
// What follows a text: the newest query beside keys that are kept; what is counted is counted again, what is only moved is not kept.

// CHECK-LABEL: func.func @decode(
// CHECK-SAME: %[[IDS:.*]]: !nn.tensor<example, [seq], i64> {nn.name = "ids"}, %[[KEPT:.*]]: !nn.tensor<example, [seq, 4], f32> {nn.name = "cache.0"}
// CHECK-SAME: -> (!nn.tensor<example, [1, 4], f32> {nn.name = "next"}, !nn.tensor<example, [seq, 4], f32> {nn.name = "cache.0"})
// CHECK: nn.iota %[[IDS]] axis 0
// CHECK: nn.dim %[[IDS]] axis 0
// CHECK: %[[LAST:.*]] = nn.slice %[[IDS]] axis 0 from <-1, 0> step 1
// CHECK: %[[X:.*]] = nn.gather %{{.*}}, %[[LAST]] {{.*}} -> !nn.tensor<example, [1, 4], f32>
// CHECK: %[[ALL:.*]] = nn.put_last %[[KEPT]], %[[X]] axis 0
// CHECK: %[[TURNED:.*]] = nn.transpose %[[ALL]] [1, 0]
// CHECK: nn.contract "qe,ek->qk" %[[X]], %[[TURNED]] {{.*}} -> !nn.tensor<example, [1, seq], f32>
// CHECK: return %{{.*}}, %[[ALL]]
// CHECK-LABEL: func.func @prefill(
// CHECK-SAME: %[[TEXT:.*]]: !nn.tensor<example, [seq], i64> {nn.name = "ids"}) -> (!nn.tensor<example, [seq, 4], f32> {nn.name = "cache.0"}, !nn.tensor<example, [1, 4], f32> {nn.name = "next"})
// CHECK: %[[WHOLE:.*]] = nn.gather %{{.*}}, %[[TEXT]]
// CHECK: nn.slice %[[WHOLE]] axis 0 from <-1, 0> step 1
// CHECK: return %[[WHOLE]],
// CHECK-NOT: @next
module {
  nn.parameter @W "base" trainable false : !nn.tensor<[9, 4], f32> {checkpoint = "W"}
  func.func @next(%ids: !nn.tensor<example, [seq], i64> {nn.name = "ids"}) -> (!nn.tensor<example, [seq, 4], f32> {nn.name = "next"}) {
    %w = nn.param "W" : !nn.tensor<[9, 4], f32>
    %x = nn.gather %w, %ids : (!nn.tensor<[9, 4], f32>, !nn.tensor<example, [seq], i64>) -> !nn.tensor<example, [seq, 4], f32>
    %t = nn.transpose %x [1, 0] : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [4, seq], f32>
    %s = nn.contract "qe,ek->qk" %x, %t over_examples false : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<example, [4, seq], f32>) -> !nn.tensor<example, [seq, seq], f32>
    %at = nn.iota %x axis 0 : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq], i64>
    %key = nn.expand_dims %at axis 0 : (!nn.tensor<example, [seq], i64>) -> !nn.tensor<example, [1, seq], i64>
    %query = nn.expand_dims %at axis 1 : (!nn.tensor<example, [seq], i64>) -> !nn.tensor<example, [seq, 1], i64>
    %seen = nn.le %key, %query : (!nn.tensor<example, [1, seq], i64>, !nn.tensor<example, [seq, 1], i64>) -> !nn.tensor<example, [seq, seq], i1>
    %zero = nn.constant(0.0) : !nn.tensor<[], f32>
    %p = nn.select %seen, %s, %zero : (!nn.tensor<example, [seq, seq], i1>, !nn.tensor<example, [seq, seq], f32>, !nn.tensor<[], f32>) -> !nn.tensor<example, [seq, seq], f32>
    %y = nn.contract "qk,ke->qe" %p, %x over_examples false : (!nn.tensor<example, [seq, seq], f32>, !nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    return %y : !nn.tensor<example, [seq, 4], f32>
  }
}

// -----
// Rows in front are part of what is kept; what is joined behind is joined again.
// CHECK-LABEL: func.func @decode(
// CHECK-SAME: !nn.tensor<example, [seq], i64> {nn.name = "ids"}, %[[KEPT:.*]]: !nn.tensor<example, [seq+2, 4], f32> {nn.name = "cache.0"}
// CHECK: nn.put_last %[[KEPT]], %{{.*}} axis 0 : (!nn.tensor<example, [seq+2, 4], f32>, !nn.tensor<example, [1, 4], f32>)
module {
  nn.parameter @W "base" trainable false : !nn.tensor<[9, 4], f32> {checkpoint = "W"}
  nn.parameter @P "method" trainable true : !nn.tensor<[2, 4], f32> {attach = 0 : i64}
  func.func @next(%ids: !nn.tensor<example, [seq], i64> {nn.name = "ids"}) -> (!nn.tensor<example, [seq, 4], f32> {nn.name = "next"}) {
    %w = nn.param "W" : !nn.tensor<[9, 4], f32>
    %p = nn.param "P" : !nn.tensor<[2, 4], f32>
    %x = nn.gather %w, %ids : (!nn.tensor<[9, 4], f32>, !nn.tensor<example, [seq], i64>) -> !nn.tensor<example, [seq, 4], f32>
    %k = nn.concat %p, %x axis 0 : (!nn.tensor<[2, 4], f32>, !nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq+2, 4], f32>
    %s = nn.contract "qe,ke->qk" %x, %k over_examples false : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<example, [seq+2, 4], f32>) -> !nn.tensor<example, [seq, seq+2], f32>
    %y = nn.contract "qk,ke->qe" %s, %k over_examples false : (!nn.tensor<example, [seq, seq+2], f32>, !nn.tensor<example, [seq+2, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    return %y : !nn.tensor<example, [seq, 4], f32>
  }
}

// -----
// What has no such form stays, and it is said why.
// CHECK: nn.uncached = "it turns the text (nn.roll at spec.peft:7:9)"
// CHECK: func.func @next
// CHECK-NOT: @decode
module {
  nn.parameter @W "base" trainable false : !nn.tensor<[9, 4], f32> {checkpoint = "W"}
  func.func @next(%ids: !nn.tensor<example, [seq], i64> {nn.name = "ids"}) -> (!nn.tensor<example, [seq, 4], f32> {nn.name = "next"}) {
    %w = nn.param "W" : !nn.tensor<[9, 4], f32>
    %x = nn.gather %w, %ids : (!nn.tensor<[9, 4], f32>, !nn.tensor<example, [seq], i64>) -> !nn.tensor<example, [seq, 4], f32>
    %y = nn.roll %x axis 0 by 1 : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 4], f32> loc("spec.peft":7:9)
    return %y : !nn.tensor<example, [seq, 4], f32>
  }
}

// -----
// What is written looks at another sequence: what comes of that is kept as it is.
// CHECK-LABEL: func.func @decode(
// CHECK-SAME: !nn.tensor<example, [seq], i64> {nn.name = "ids"}, %{{.*}}: !nn.tensor<example, [seq1], i64> {nn.name = "answer"}, %[[KEPT:.*]]: !nn.tensor<example, [seq, 4], f32> {nn.name = "cache.0"})
// CHECK-SAME: -> (!nn.tensor<example, [1, 4], f32> {nn.name = "next"})
// CHECK: %[[Q:.*]] = nn.gather {{.*}} -> !nn.tensor<example, [1, 4], f32>
// CHECK: %[[S:.*]] = nn.contract "qe,ke->qk" %[[Q]], %[[KEPT]] {{.*}} -> !nn.tensor<example, [1, seq], f32>
// CHECK: nn.contract "qk,ke->qe" %[[S]], %[[KEPT]]
// CHECK-LABEL: func.func @prefill(
// CHECK-SAME: -> (!nn.tensor<example, [seq, 4], f32> {nn.name = "cache.0"}, !nn.tensor<example, [1, 4], f32> {nn.name = "next"})
module {
  nn.parameter @W "base" trainable false : !nn.tensor<[9, 4], f32> {checkpoint = "W"}
  nn.parameter @K "base" trainable false : !nn.tensor<[4, 4], f32> {checkpoint = "K"}
  func.func @next(%ids: !nn.tensor<example, [seq], i64> {nn.name = "ids"}, %answer: !nn.tensor<example, [seq1], i64> {nn.name = "answer"}) -> (!nn.tensor<example, [seq1, 4], f32> {nn.name = "next"}) {
    %w = nn.param "W" : !nn.tensor<[9, 4], f32>
    %m = nn.param "K" : !nn.tensor<[4, 4], f32>
    %x = nn.gather %w, %ids : (!nn.tensor<[9, 4], f32>, !nn.tensor<example, [seq], i64>) -> !nn.tensor<example, [seq, 4], f32>
    %k = nn.contract "sd,ed->se" %x, %m over_examples false : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<[4, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %q = nn.gather %w, %answer : (!nn.tensor<[9, 4], f32>, !nn.tensor<example, [seq1], i64>) -> !nn.tensor<example, [seq1, 4], f32>
    %s = nn.contract "qe,ke->qk" %q, %k over_examples false : (!nn.tensor<example, [seq1, 4], f32>, !nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq1, seq], f32>
    %y = nn.contract "qk,ke->qe" %s, %k over_examples false : (!nn.tensor<example, [seq1, seq], f32>, !nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq1, 4], f32>
    return %y : !nn.tensor<example, [seq1, 4], f32>
  }
}
