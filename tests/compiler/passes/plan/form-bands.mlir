// RUN: peft-opt --plan-open-programs --plan-form-products --plan-form-kernels --plan-lower-programs --plan-form-bands %s | FileCheck %s
// RUN: peft-opt --plan-open-programs --plan-form-products --plan-form-kernels --plan-lower-programs --plan-form-bands --plan-assign-buffers %s | FileCheck %s --check-prefix=SLOTS
// Steps that do each row by itself stand together; the gradient of a weight, which needs all rows, waits behind them; parameters come first.
module {
  nn.parameter @W "base" trainable false : !nn.tensor<[4, 4], f32>
  nn.parameter @U "base" trainable false : !nn.tensor<[4, 500000], f32>
  nn.parameter @T "base" trainable false : !nn.tensor<[4, 1000000], f32>
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
  // What only the band reads is each thread's own, 96 rows of it.
  // SLOTS: plan.program @train_step {{.*}} slots [#plan.size<c = 0, e = 0, t = 16, q = 0>, #plan.size<c = 0, e = 0, t = 0, q = 0, p = 1536>, #plan.size<c = 0, e = 0, t = 32, q = 0>, {{.*}}] bands [96] {
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

  // A step on all rows that needs nothing of the band's stands before it.
  // CHECK: plan.program @eval
  // CHECK: plan.step "aten" "reduce"
  // CHECK: plan.step "gemm" "contract"({{.*}}) with {{.*}} {plan.band = 0 : i64}
  // CHECK: plan.kernel "rows"{{.*}} attributes {plan.band = 0 : i64}
  // CHECK: plan.step "gemm" "contract"({{.*}}) with {{.*}} {plan.band = 0 : i64}
  //
  // A thread's product writes where its operand lay, once that is read; wide rows are taken fewer at a time: 48 MiB hold 12 of them.
  // SLOTS: plan.program @eval {{.*}} slots [{{.*}}p = {{[0-9]+}}>{{.*}}] bands [12] {
  func.func @eval(%x: !nn.tensor<example, [seq, 4], f32> {nn.name = "x"}) -> (!nn.tensor<example, [seq, 4], f32> {nn.name = "y"}, !nn.tensor<example, [4], f32> {nn.name = "s"}) {
    %w = nn.param "U" : !nn.tensor<[4, 500000], f32>
    %h = nn.contract "ay,yz->az" %x, %w over_examples false : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<[4, 500000], f32>) -> !nn.tensor<example, [seq, 500000], f32>
    %s = nn.reduce "sum" %x axes [0] keep false over_examples false : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [4], f32>
    %e = nn.exp %h : (!nn.tensor<example, [seq, 500000], f32>) -> !nn.tensor<example, [seq, 500000], f32>
    %y = nn.contract "az,yz->ay" %e, %w over_examples false : (!nn.tensor<example, [seq, 500000], f32>, !nn.tensor<[4, 500000], f32>) -> !nn.tensor<example, [seq, 4], f32>
    return %y, %s : !nn.tensor<example, [seq, 4], f32>, !nn.tensor<example, [4], f32>
  }

  // A sum over a band's rows is there behind it, so what reads it is another band; and a thread takes a whole stretch of rows at least,
  // though 48 MiB hold 12 of these.
  // CHECK: plan.program @predict
  // CHECK: plan.step "gemm" "contract"({{.*}}) with {{.*}} {plan.band = 0 : i64}
  // CHECK: %[[SUM:.*]]:2 = plan.kernel "rows"{{.*}} attributes {plan.band = 0 : i64}
  // CHECK: plan.step "gemm" "contract"(%[[SUM]]#1, {{.*}}) with {{.*}} {plan.band = 0 : i64}
  // CHECK: %[[NEXT:.*]] = plan.kernel "rows"({{.*}}%[[SUM]]#0{{.*}} attributes {plan.band = 1 : i64}
  // CHECK: plan.step "gemm" "contract"(%[[NEXT]], {{.*}}) with {{.*}} {plan.band = 1 : i64}
  // SLOTS: plan.program @predict {{.*}} bands [24, 12] {
  func.func @predict(%x: !nn.tensor<example, [seq, 4], f32> {nn.name = "x"}) -> (!nn.tensor<example, [seq, 4], f32> {nn.name = "y"}, !nn.tensor<example, [seq, 4], f32> {nn.name = "z"}) {
    %u = nn.param "T" : !nn.tensor<[4, 1000000], f32>
    %h = nn.contract "ay,yz->az" %x, %u over_examples false : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<[4, 1000000], f32>) -> !nn.tensor<example, [seq, 1000000], f32>
    %e = nn.exp %h : (!nn.tensor<example, [seq, 1000000], f32>) -> !nn.tensor<example, [seq, 1000000], f32>
    %s = nn.reduce "sum" %e axes [0] keep false over_examples true : (!nn.tensor<example, [seq, 1000000], f32>) -> !nn.tensor<[1000000], f32>
    %y = nn.contract "az,yz->ay" %e, %u over_examples false : (!nn.tensor<example, [seq, 1000000], f32>, !nn.tensor<[4, 1000000], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %g = nn.mul %e, %s : (!nn.tensor<example, [seq, 1000000], f32>, !nn.tensor<[1000000], f32>) -> !nn.tensor<example, [seq, 1000000], f32>
    %z = nn.contract "az,yz->ay" %g, %u over_examples false : (!nn.tensor<example, [seq, 1000000], f32>, !nn.tensor<[4, 1000000], f32>) -> !nn.tensor<example, [seq, 4], f32>
    return %y, %z : !nn.tensor<example, [seq, 4], f32>, !nn.tensor<example, [seq, 4], f32>
  }
}
