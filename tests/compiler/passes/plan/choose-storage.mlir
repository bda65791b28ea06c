// RUN: peft-opt --plan-open-programs --plan-form-products --plan-form-kernels --plan-choose-storage %s | FileCheck %s
// With `precision = bf16` tokens' vectors between products and kernels are bf16; what a result, a row's number or another op needs stays f32.
module attributes {plan.bf16} {
  nn.parameter @W "base" trainable false : !nn.tensor<[4, 4], f32>
  // CHECK: plan.program @predict
  // The input is given in f32, and weights stay f32: a product rounds them.
  // CHECK: %[[H:.*]] = plan.product "ay,zy->az" %{{.*}}, %[[W:.*]] over_examples false : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<[4, 4], f32>) -> !nn.tensor<example, [seq, 4], bf16>
  // The kernel computes in f32, and rounds what it writes; a row's sum stays f32.
  // CHECK: %[[K:.*]]:2 = plan.kernel "rows"(%[[H]])
  // CHECK: ^bb0(%[[ARG:.*]]: !nn.tensor<example, [seq, 4], bf16>):
  // CHECK: %[[WIDE:.*]] = nn.cast %[[ARG]] to f32
  // CHECK: %[[E:.*]] = nn.exp %[[WIDE]]
  // CHECK: nn.cast %[[E]] to bf16
  // CHECK: plan.yield
  // CHECK-SAME: !nn.tensor<example, [seq, 4], bf16>
  // A product that adds gives what its sum is; what is returned is f32, and so is what it is added to.
  // CHECK: plan.product "ay,zy->az" %[[K]]#{{[01]}}, %[[W]] over_examples false : (!nn.tensor<example, [seq, 4], bf16>, !nn.tensor<[4, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
  // CHECK: plan.product "ay,zy->az" %[[K]]#{{[01]}}, %[[W]] plus {{.*}} -> !nn.tensor<example, [seq, 4], f32>
  func.func @predict(%x: !nn.tensor<example, [seq, 4], f32> {nn.name = "x"}) -> (!nn.tensor<example, [seq, 4], f32> {nn.name = "y"}, !nn.tensor<example, [seq, 1], f32> {nn.name = "s"}) {
    %w = nn.param "W" : !nn.tensor<[4, 4], f32>
    %h = nn.contract "ay,zy->az" %x, %w over_examples false : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<[4, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %e = nn.exp %h : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %s = nn.reduce "sum" %e axes [1] keep true over_examples false : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 1], f32>
    %a = nn.contract "ay,zy->az" %e, %w over_examples false : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<[4, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %b = nn.contract "ay,zy->az" %e, %w over_examples false : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<[4, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %y = nn.add %a, %b : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    return %y, %s : !nn.tensor<example, [seq, 4], f32>, !nn.tensor<example, [seq, 1], f32>
  }

  // A gradient that a kernel sums over rows is bf16 where it lies; the sum is made in f32, and stays so.
  // CHECK: plan.program @train_step
  // CHECK: %[[G:.*]] = plan.product {{.*}} -> !nn.tensor<example, [seq, 4], bf16>
  // CHECK: plan.kernel "rows"(%[[G]])
  // CHECK: %[[WIDE:.*]] = nn.cast %{{.*}} to f32
  // CHECK: nn.reduce "sum" %[[WIDE]] axes [0] {{.*}} -> !nn.tensor<[4], f32>
  // CHECK: plan.product "az,ay->zy" %[[G]], {{.*}} -> !nn.tensor<[4, 4], f32>
  func.func @train_step(%x: !nn.tensor<example, [seq, 4], f32> {nn.name = "x"}) -> (!nn.tensor<[4, 4], f32> {nn.name = "grad.W"}, !nn.tensor<[4], f32> {nn.name = "grad.b"}) {
    %w = nn.param "W" : !nn.tensor<[4, 4], f32>
    %g = nn.contract "ay,zy->az" %x, %w over_examples false : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<[4, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %s = nn.reduce "sum" %g axes [0] keep false over_examples true : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<[4], f32>
    %p = nn.contract "az,ay->zy" %g, %x over_examples true : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<[4, 4], f32>
    return %p, %s : !nn.tensor<[4, 4], f32>, !nn.tensor<[4], f32>
  }

  // What is kept from run to run is bf16 with its new entries, where these may be; it is returned as it lies.
  // CHECK: plan.program @decode
  // CHECK: %[[ALL:.*]] = nn.put_last %{{.*}}, %{{.*}} axis 0 {{.*}} : (!nn.tensor<example, [seq, 4], bf16>, !nn.tensor<example, [1, 4], bf16>) -> !nn.tensor<example, [seq, 4], bf16>
  // CHECK: plan.product "ay,zy->az" %[[ALL]], %{{.*}} over_examples false : (!nn.tensor<example, [seq, 4], bf16>, !nn.tensor<[4, 4], f32>)
  // CHECK: plan.return %{{.*}}, %[[ALL]]
  func.func @decode(%x: !nn.tensor<example, [1, 4], f32> {nn.name = "x"}, %kept: !nn.tensor<example, [seq, 4], f32> {nn.name = "cache.0"}) -> (!nn.tensor<example, [seq, 4], f32> {nn.name = "y"}, !nn.tensor<example, [seq, 4], f32> {nn.name = "cache.0"}) {
    %w = nn.param "W" : !nn.tensor<[4, 4], f32>
    %new = nn.exp %x : (!nn.tensor<example, [1, 4], f32>) -> !nn.tensor<example, [1, 4], f32>
    %all = nn.put_last %kept, %new axis 0 : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<example, [1, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %y = nn.contract "ay,zy->az" %all, %w over_examples false : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<[4, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    return %y, %all : !nn.tensor<example, [seq, 4], f32>, !nn.tensor<example, [seq, 4], f32>
  }

  // What a prompt leaves to be kept is so from the beginning; what else is returned stays f32.
  // CHECK: plan.program @prefill
  // CHECK: plan.kernel "rows"
  // CHECK: plan.return %{{.*}}, %{{.*}} : !nn.tensor<example, [seq, 4], bf16>, !nn.tensor<example, [seq, 4], f32>
  func.func @prefill(%x: !nn.tensor<example, [seq, 4], f32> {nn.name = "x"}) -> (!nn.tensor<example, [seq, 4], f32> {nn.name = "cache.0"}, !nn.tensor<example, [seq, 4], f32> {nn.name = "y"}) {
    %w = nn.param "W" : !nn.tensor<[4, 4], f32>
    %new = nn.exp %x : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %y = nn.contract "ay,zy->az" %new, %w over_examples false : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<[4, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    return %new, %y : !nn.tensor<example, [seq, 4], f32>, !nn.tensor<example, [seq, 4], f32>
  }
}
