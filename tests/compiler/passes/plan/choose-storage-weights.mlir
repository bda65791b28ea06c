// RUN: peft-opt --plan-open-programs --plan-form-products --plan-form-kernels --plan-choose-storage %s | FileCheck %s
// A frozen weight that the checkpoint has as bf16 stays so where nothing but products of bf16 reads it, in every program that runs again.
module attributes {plan.bf16} {
  // CHECK: nn.parameter @A {{.*}} {peft.bf16, plan.bf16}
  nn.parameter @A "base" trainable false : !nn.tensor<[4, 4], f32> {peft.bf16}
  // The checkpoint has it as f32: products round it.
  // CHECK: nn.parameter @B "base" trainable false : !nn.tensor<[4, 4], f32>{{$}}
  nn.parameter @B "base" trainable false : !nn.tensor<[4, 4], f32>
  // Another program takes it as a number.
  // CHECK: nn.parameter @C {{.*}} {peft.bf16}
  nn.parameter @C "base" trainable false : !nn.tensor<[4, 4], f32> {peft.bf16}
  // It is trained.
  // CHECK: nn.parameter @D {{.*}} {peft.bf16}
  nn.parameter @D "base" trainable true : !nn.tensor<[4, 4], f32> {peft.bf16}
  // It is multiplied with what is given in f32.
  // CHECK: nn.parameter @E {{.*}} {peft.bf16}
  nn.parameter @E "base" trainable false : !nn.tensor<[4, 4], f32> {peft.bf16}

  // CHECK: plan.program @predict
  // CHECK-DAG: %[[A:.*]] = nn.param "A" : !nn.tensor<[4, 4], bf16>
  // CHECK-DAG: %[[B:.*]] = nn.param "B" : !nn.tensor<[4, 4], f32>
  // CHECK-DAG: %[[C:.*]] = nn.param "C" : !nn.tensor<[4, 4], f32>
  // CHECK-DAG: %[[D:.*]] = nn.param "D" : !nn.tensor<[4, 4], f32>
  // CHECK-DAG: %[[E:.*]] = nn.param "E" : !nn.tensor<[4, 4], f32>
  // CHECK: plan.product {{.*}}, %[[A]] {{.*}} : (!nn.tensor<example, [seq, 4], bf16>, !nn.tensor<[4, 4], bf16>)
  func.func @predict(%x: !nn.tensor<example, [seq, 4], f32> {nn.name = "x"}) -> (!nn.tensor<example, [seq, 4], f32> {nn.name = "y"}) {
    %a = nn.param "A" : !nn.tensor<[4, 4], f32>
    %b = nn.param "B" : !nn.tensor<[4, 4], f32>
    %c = nn.param "C" : !nn.tensor<[4, 4], f32>
    %d = nn.param "D" : !nn.tensor<[4, 4], f32>
    %e = nn.param "E" : !nn.tensor<[4, 4], f32>
    %0 = nn.contract "ay,zy->az" %x, %e over_examples false : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<[4, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %1 = nn.exp %0 : (!nn.tensor<example, [seq, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %2 = nn.contract "ay,zy->az" %1, %a over_examples false : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<[4, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %3 = nn.contract "ay,zy->az" %2, %b over_examples false : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<[4, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %4 = nn.contract "ay,zy->az" %3, %c over_examples false : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<[4, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    %5 = nn.contract "ay,zy->az" %4, %d over_examples false : (!nn.tensor<example, [seq, 4], f32>, !nn.tensor<[4, 4], f32>) -> !nn.tensor<example, [seq, 4], f32>
    return %5 : !nn.tensor<example, [seq, 4], f32>
  }

  // CHECK: plan.program @step
  // CHECK: nn.param "C" : !nn.tensor<[4, 4], f32>
  func.func @step() -> (!nn.tensor<[4, 4], f32> {nn.name = "c"}) {
    %c = nn.param "C" : !nn.tensor<[4, 4], f32>
    %s = nn.abs %c : (!nn.tensor<[4, 4], f32>) -> !nn.tensor<[4, 4], f32>
    return %s : !nn.tensor<[4, 4], f32>
  }

  // Once at the start: it is widened there.
  // CHECK: plan.program @init
  // CHECK: nn.param "A" : !nn.tensor<[4, 4], f32>
  func.func @init() -> (!nn.tensor<[4, 4], f32> {nn.name = "a"}) {
    %a = nn.param "A" : !nn.tensor<[4, 4], f32>
    %s = nn.abs %a : (!nn.tensor<[4, 4], f32>) -> !nn.tensor<[4, 4], f32>
    return %s : !nn.tensor<[4, 4], f32>
  }
}
