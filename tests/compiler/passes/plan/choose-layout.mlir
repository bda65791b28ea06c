// RUN: peft-opt --plan-open-programs --plan-form-products --plan-form-kernels --plan-lower-programs --plan-form-bands --plan-assign-buffers --plan-drop-places --plan-choose-layout --plan-name-kernels --plan-narrow-bands --plan-assign-buffers %s | FileCheck %s
// A product with a branch is one with a bordered weight: what is multiplied lies in one table, and so does what was the branch of another product of the same input.
module attributes {plan.layout = "bordered", plan.device = {bf16 = 989000 : i64, f32 = 67000 : i64, bandwidth = 3350 : i64, tokens = 4096 : i64, length = 512 : i64}} {
  nn.parameter @Wq "base" trainable false : !nn.tensor<[32, 16], f32>
  nn.parameter @Wk "base" trainable false : !nn.tensor<[16, 32], f32>
  nn.parameter @Aq "method" trainable true : !nn.tensor<[4, 16], f32>
  nn.parameter @Ak "method" trainable true : !nn.tensor<[4, 16], f32>
  nn.parameter @Bq "method" trainable true : !nn.tensor<[32, 4], f32>
  nn.parameter @Bk "method" trainable true : !nn.tensor<[32, 4], f32>

  nn.parameter @V1 "base" trainable false : !nn.tensor<[32, 16], f32>
  nn.parameter @V2 "base" trainable false : !nn.tensor<[32, 16], f32>
  nn.parameter @V3 "base" trainable false : !nn.tensor<[32, 16], f32>
  nn.parameter @V4 "base" trainable false : !nn.tensor<[32, 16], f32>
  nn.parameter @S "method" trainable true : !nn.tensor<[4, 16], f32>
  nn.parameter @T "method" trainable true : !nn.tensor<[4, 16], f32>
  nn.parameter @U "method" trainable true : !nn.tensor<[4, 16], f32>
  nn.parameter @Q "base" trainable false : !nn.tensor<[16, 16], f32>
  // CHECK-LABEL: plan.program @train_step
  // CHECK-NOT: plan.band
  // Borders come first: at the right of the weight for what is summed over its columns, below it for what is summed over its rows.
  // CHECK: %[[A:.*]] = plan.border %{{.*}} with %{{.*}} at [4, 0] turned [false] : {{.*}} -> !plan.packed<[8, 16], f32>
  // CHECK: %[[MQ:.*]] = plan.border %{{.*}} with %{{.*}} at [0, 16] turned [false] : {{.*}} -> !plan.packed<[32, 32], f32>
  // CHECK: %[[MK:.*]] = plan.border %{{.*}} with %{{.*}} at [20, 0] turned [true] : {{.*}} -> !plan.packed<[24, 32], f32>
  // CHECK: %[[X:.*]] = plan.kernel "rows" "rows_0"({{.*}}) sites [] slots {{\[}}[[SLOT:[0-9]+]]] {
  // CHECK: } : {{.*}} -> !plan.packed<example, [seq, 16], f32, pitch = 32, column = 0>
  // What both products have beside x is made of it at once.
  // CHECK: %[[H:.*]] = plan.step "gemm" "contract"(%[[X]], %[[A]]) slot [[SLOT]] with {{.*}} -> !plan.packed<example, [seq, 8], f32, pitch = 32, column = 16>
  // CHECK-NEXT: %[[HQ:.*]] = plan.window %[[H]] : {{.*}} -> !plan.packed<example, [seq, 4], f32, pitch = 32, column = 16>
  // Nobody reads the other part by itself.
  // CHECK-NEXT: %[[TQ:.*]] = plan.beside %[[X]], %[[H]] : {{.*}} -> !plan.packed<example, [seq, 24], f32, pitch = 32, column = 0>
  // CHECK: %[[VQ:.*]] = plan.window %[[MQ]] : {{.*}} -> !plan.packed<[32, 24], f32, pitch = 32, column = 0>
  // CHECK: plan.step "gemm" "contract"(%[[TQ]], %[[VQ]]) slot {{.*}} with {equation = "ay,zy->az", over_examples = false} {plan.layout_note = "bordered: {{.*}}, as `layout` says"}
  // CHECK: %[[TK:.*]] = plan.beside %[[X]], %[[H]] : {{.*}} -> !plan.packed<example, [seq, 24], f32, pitch = 32, column = 0>
  // CHECK: %[[VK:.*]] = plan.window %[[MK]] : {{.*}} -> !plan.packed<[24, 32], f32, pitch = 32, column = 0>
  // CHECK: plan.step "gemm" "contract"(%[[TK]], %[[VK]])
  // The gradient of a factor reads its part of what lies beside x.
  // CHECK: "contract"({{.*}}, %[[HQ]]) slot {{.*}} with {{.*}}over_examples = true
  func.func @train_step(%in: !nn.tensor<example, [seq, 16], f32> {nn.name = "in"}) -> (!nn.tensor<example, [seq, 32], f32> {nn.name = "y"}, !nn.tensor<[32, 4], f32> {nn.name = "grad"}) {
    %x = nn.exp %in : (!nn.tensor<example, [seq, 16], f32>) -> !nn.tensor<example, [seq, 16], f32>
    %wq = nn.param "Wq" : !nn.tensor<[32, 16], f32>
    %aq = nn.param "Aq" : !nn.tensor<[4, 16], f32>
    %bq = nn.param "Bq" : !nn.tensor<[32, 4], f32>
    %hq = nn.contract "ay,ry->ar" %x, %aq over_examples false : (!nn.tensor<example, [seq, 16], f32>, !nn.tensor<[4, 16], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %q0 = nn.contract "ay,zy->az" %x, %wq over_examples false : (!nn.tensor<example, [seq, 16], f32>, !nn.tensor<[32, 16], f32>) -> !nn.tensor<example, [seq, 32], f32>
    %q1 = nn.contract "ar,zr->az" %hq, %bq over_examples false : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<[32, 4], f32>) -> !nn.tensor<example, [seq, 32], f32>
    %q = nn.add %q0, %q1 : (!nn.tensor<example, [seq, 32], f32>, !nn.tensor<example, [seq, 32], f32>) -> !nn.tensor<example, [seq, 32], f32>
    %wk = nn.param "Wk" : !nn.tensor<[16, 32], f32>
    %ak = nn.param "Ak" : !nn.tensor<[4, 16], f32>
    %bk = nn.param "Bk" : !nn.tensor<[32, 4], f32>
    %hk = nn.contract "ay,ry->ar" %x, %ak over_examples false : (!nn.tensor<example, [seq, 16], f32>, !nn.tensor<[4, 16], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %k0 = nn.contract "ay,yz->az" %x, %wk over_examples false : (!nn.tensor<example, [seq, 16], f32>, !nn.tensor<[16, 32], f32>) -> !nn.tensor<example, [seq, 32], f32>
    %k1 = nn.contract "ar,zr->az" %hk, %bk over_examples false : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<[32, 4], f32>) -> !nn.tensor<example, [seq, 32], f32>
    %k = nn.add %k0, %k1 : (!nn.tensor<example, [seq, 32], f32>, !nn.tensor<example, [seq, 32], f32>) -> !nn.tensor<example, [seq, 32], f32>
    %y = nn.mul %q, %k : (!nn.tensor<example, [seq, 32], f32>, !nn.tensor<example, [seq, 32], f32>) -> !nn.tensor<example, [seq, 32], f32>
    %grad = nn.contract "az,ar->zr" %y, %hq over_examples true : (!nn.tensor<example, [seq, 32], f32>, !nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<[32, 4], f32>
    return %y, %grad : !nn.tensor<example, [seq, 32], f32>, !nn.tensor<[32, 4], f32>
  }

  // What a person gave lies where it was given.
  // Two stacks that begin with the same factor would lie in the same memory: the second one is not made.
  // CHECK-LABEL: plan.program @predict
  // CHECK: plan.border %{{.*}} with %{{.*}} at [4, 0] turned [false] : {{.*}} -> !plan.packed<[8, 16], f32>
  // CHECK-NOT: at [4, 0]
  // CHECK-COUNT-3: {equation = "ay,ry->ar"
  // CHECK-NOT: {equation = "ay,ry->ar"
  // CHECK: plan.return
  func.func @predict(%in: !nn.tensor<example, [seq, 16], f32> {nn.name = "in"}) -> (!nn.tensor<example, [seq, 32], f32> {nn.name = "y"}) {
    %x = nn.exp %in : (!nn.tensor<example, [seq, 16], f32>) -> !nn.tensor<example, [seq, 16], f32>
    %sq = nn.param "Q" : !nn.tensor<[16, 16], f32>
    %z = nn.contract "ay,by->ab" %x, %sq over_examples false : (!nn.tensor<example, [seq, 16], f32>, !nn.tensor<[16, 16], f32>) -> !nn.tensor<example, [seq, 16], f32>
    %b = nn.param "Bq" : !nn.tensor<[32, 4], f32>
    %s = nn.param "S" : !nn.tensor<[4, 16], f32>
    %t = nn.param "T" : !nn.tensor<[4, 16], f32>
    %u = nn.param "U" : !nn.tensor<[4, 16], f32>
    %v1 = nn.param "V1" : !nn.tensor<[32, 16], f32>
    %h1 = nn.contract "ay,ry->ar" %x, %s over_examples false : (!nn.tensor<example, [seq, 16], f32>, !nn.tensor<[4, 16], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %m1 = nn.contract "ay,zy->az" %x, %v1 over_examples false : (!nn.tensor<example, [seq, 16], f32>, !nn.tensor<[32, 16], f32>) -> !nn.tensor<example, [seq, 32], f32>
    %e1 = nn.contract "ar,zr->az" %h1, %b over_examples false : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<[32, 4], f32>) -> !nn.tensor<example, [seq, 32], f32>
    %y1 = nn.add %m1, %e1 : (!nn.tensor<example, [seq, 32], f32>, !nn.tensor<example, [seq, 32], f32>) -> !nn.tensor<example, [seq, 32], f32>
    %v2 = nn.param "V2" : !nn.tensor<[32, 16], f32>
    %h2 = nn.contract "ay,ry->ar" %x, %t over_examples false : (!nn.tensor<example, [seq, 16], f32>, !nn.tensor<[4, 16], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %m2 = nn.contract "ay,zy->az" %x, %v2 over_examples false : (!nn.tensor<example, [seq, 16], f32>, !nn.tensor<[32, 16], f32>) -> !nn.tensor<example, [seq, 32], f32>
    %e2 = nn.contract "ar,zr->az" %h2, %b over_examples false : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<[32, 4], f32>) -> !nn.tensor<example, [seq, 32], f32>
    %y2 = nn.add %m2, %e2 : (!nn.tensor<example, [seq, 32], f32>, !nn.tensor<example, [seq, 32], f32>) -> !nn.tensor<example, [seq, 32], f32>
    %v3 = nn.param "V3" : !nn.tensor<[32, 16], f32>
    %h3 = nn.contract "ay,ry->ar" %z, %s over_examples false : (!nn.tensor<example, [seq, 16], f32>, !nn.tensor<[4, 16], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %m3 = nn.contract "ay,zy->az" %z, %v3 over_examples false : (!nn.tensor<example, [seq, 16], f32>, !nn.tensor<[32, 16], f32>) -> !nn.tensor<example, [seq, 32], f32>
    %e3 = nn.contract "ar,zr->az" %h3, %b over_examples false : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<[32, 4], f32>) -> !nn.tensor<example, [seq, 32], f32>
    %y3 = nn.add %m3, %e3 : (!nn.tensor<example, [seq, 32], f32>, !nn.tensor<example, [seq, 32], f32>) -> !nn.tensor<example, [seq, 32], f32>
    %v4 = nn.param "V4" : !nn.tensor<[32, 16], f32>
    %h4 = nn.contract "ay,ry->ar" %z, %u over_examples false : (!nn.tensor<example, [seq, 16], f32>, !nn.tensor<[4, 16], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %m4 = nn.contract "ay,zy->az" %z, %v4 over_examples false : (!nn.tensor<example, [seq, 16], f32>, !nn.tensor<[32, 16], f32>) -> !nn.tensor<example, [seq, 32], f32>
    %e4 = nn.contract "ar,zr->az" %h4, %b over_examples false : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<[32, 4], f32>) -> !nn.tensor<example, [seq, 32], f32>
    %y4 = nn.add %m4, %e4 : (!nn.tensor<example, [seq, 32], f32>, !nn.tensor<example, [seq, 32], f32>) -> !nn.tensor<example, [seq, 32], f32>
    %p = nn.mul %y1, %y2 : (!nn.tensor<example, [seq, 32], f32>, !nn.tensor<example, [seq, 32], f32>) -> !nn.tensor<example, [seq, 32], f32>
    %q = nn.mul %y3, %y4 : (!nn.tensor<example, [seq, 32], f32>, !nn.tensor<example, [seq, 32], f32>) -> !nn.tensor<example, [seq, 32], f32>
    %y = nn.mul %p, %q : (!nn.tensor<example, [seq, 32], f32>, !nn.tensor<example, [seq, 32], f32>) -> !nn.tensor<example, [seq, 32], f32>
    return %y : !nn.tensor<example, [seq, 32], f32>
  }

  // CHECK-LABEL: plan.program @eval
  // CHECK: "contract"({{.*}}) slot {{.*}} with {branch = {{.*}}} {plan.layout_note = "added: its input is made by neither a kernel nor a product"}
  func.func @eval(%x: !nn.tensor<example, [seq, 16], f32> {nn.name = "in"}) -> (!nn.tensor<example, [seq, 32], f32> {nn.name = "y"}) {
    %wq = nn.param "Wq" : !nn.tensor<[32, 16], f32>
    %aq = nn.param "Aq" : !nn.tensor<[4, 16], f32>
    %bq = nn.param "Bq" : !nn.tensor<[32, 4], f32>
    %hq = nn.contract "ay,ry->ar" %x, %aq over_examples false : (!nn.tensor<example, [seq, 16], f32>, !nn.tensor<[4, 16], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %q0 = nn.contract "ay,zy->az" %x, %wq over_examples false : (!nn.tensor<example, [seq, 16], f32>, !nn.tensor<[32, 16], f32>) -> !nn.tensor<example, [seq, 32], f32>
    %q1 = nn.contract "ar,zr->az" %hq, %bq over_examples false : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<[32, 4], f32>) -> !nn.tensor<example, [seq, 32], f32>
    %q = nn.add %q0, %q1 : (!nn.tensor<example, [seq, 32], f32>, !nn.tensor<example, [seq, 32], f32>) -> !nn.tensor<example, [seq, 32], f32>
    return %q : !nn.tensor<example, [seq, 32], f32>
  }
}
