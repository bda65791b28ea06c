// RUN: peft-opt --plan-open-programs --plan-form-products --plan-lower-programs %s | FileCheck %s
// A step for each op: products that are one matrix product are `gemm`s, what only names the same blocks anew an alias.
module {
  nn.parameter @W "base" trainable false : !nn.tensor<[4, 4], f32>
  // CHECK: func.func @f
  // CHECK: plan.program @f inputs ["x"] results ["y", "r"] {
  // CHECK: ^bb0(%[[X:.*]]: !plan.packed<example, [seq, 4], f32>):
  // CHECK: %[[W:.*]] = plan.step "aten" "param"() with {frozen = true, name = "W"}
  // CHECK: %[[Y:.*]] = plan.step "gemm" "contract"(%[[X]], %[[W]]) with {equation = "ay,zy->az", over_examples = false}
  // CHECK: %[[H:.*]] = plan.alias {{.*}}%[[Y]]{{.*}} -> !plan.packed<example, [seq, 2, 2], f32>
  // Scores of an example's tokens with each other are no single matrix product of the batch.
  // CHECK: %[[S:.*]] = plan.step "aten" "contract"(%[[H]], %[[H]])
  // CHECK: %[[R:.*]] = plan.step "random" "random"
  // CHECK: plan.return %[[S]], %[[R]]
  func.func @f(%x: !nn.tensor<example, [seq, 4], f32> {nn.name = "x"}) -> (!nn.tensor<example, [2, seq, seq], f32> {nn.name = "y"}, !nn.tensor<[4], f32> {nn.name = "r"}) {
    %w = nn.param "W" : !nn.tensor<[4, 4], f32>
    %y = nn.contract "ay,zy->az" %x, %w over_examples false : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<[4, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %h = nn.split %y axis 1 into [2, 2] : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 2, 2], f32>
    %s = nn.contract "ahd,bhd->hab" %h, %h over_examples false : (!nn.tensor<example, [seq, 2, 2], f32>, !nn.tensor<example, [seq, 2, 2], f32>) -> !nn.tensor<example, [2, seq, seq], f32>
    %r = nn.random "uniform" site 1 per "pass" -> !nn.tensor<[4], f32>
    return %s, %r : !nn.tensor<example, [2, seq, seq], f32>, !nn.tensor<[4], f32>
  }

  // The gradient of a weight is one product, too; a slice from the end starts at a length; what the type says is no attribute.
  // CHECK: plan.program @g inputs ["x", "ids"] results ["grad", "tail", "last", "n", "t"] {
  // CHECK: plan.step "gemm" "contract"({{.*}}) with {equation = "az,ay->zy", over_examples = true}
  // CHECK: plan.step "aten" "slice"({{.*}}) with {axis = 0 : i64, start = #plan.dim<1, 0>, step = 1 : i64} : {{.*}} -> !plan.packed<example, [seq-1, 4], f32>
  // CHECK: %[[ONE:.*]] = plan.step "aten" "slice"({{.*}}) with {axis = 0 : i64, start = #plan.dim<-1, 1>, step = 1 : i64}
  // CHECK: plan.alias "squeeze" %[[ONE]] :
  // CHECK: %[[F:.*]] = plan.step "aten" "cast"({{.*}}) with {} :
  // CHECK: plan.alias "expand_dims" %[[F]] :
  // Rows become columns: other bytes, so no alias.
  // CHECK: plan.step "aten" "transpose"
  func.func @g(%x: !nn.tensor<example, [seq, 4], f32> {nn.name = "x"}, %ids: !nn.tensor<example, [seq], i64> {nn.name = "ids"}) -> (!nn.tensor<[4, 4], f32> {nn.name = "grad"}, !nn.tensor<example, [seq-1, 4], f32> {nn.name = "tail"}, !nn.tensor<example, [4], f32> {nn.name = "last"}, !nn.tensor<example, [1, seq], f32> {nn.name = "n"}, !nn.tensor<example, [4, seq], f32> {nn.name = "t"}) {
    %grad = nn.contract "az,ay->zy" %x, %x over_examples true : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<[4, 4], f32>
    %tail = nn.slice %x axis 0 from <1, 0> step 1 : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq-1, 4], f32>
    %one = nn.slice %x axis 0 from <-1, 0> to <0, 1> step 1 : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [1, 4], f32>
    %last = nn.squeeze %one axis 0 : (!nn.tensor<example, [1, 4], f32>) -> !nn.tensor<example, [4], f32>
    %f = nn.cast %ids to f32 : (!nn.tensor<example, [seq], i64>) -> !nn.tensor<example, [seq], f32>
    %n = nn.expand_dims %f axis 0 : (!nn.tensor<example, [seq], f32>) -> !nn.tensor<example, [1, seq], f32>
    %t = nn.transpose %x [1, 0] : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [4, seq], f32>
    return %grad, %tail, %last, %n, %t : !nn.tensor<[4, 4], f32>, !nn.tensor<example, [seq-1, 4], f32>, !nn.tensor<example, [4], f32>, !nn.tensor<example, [1, seq], f32>, !nn.tensor<example, [4, seq], f32>
  }
}
