// RUN: peft-opt --plan-lower-programs --verify-diagnostics %s
// What picks a mode is gone before programs are made.
module {
  plan.program @f inputs ["x"] results ["y"] {
  ^bb0(%x: !nn.tensor<[4], f32>):
    // expected-error@+1 {{`nn.by_mode` cannot be a step of a program}}
    %y = nn.by_mode %x, %x : (!nn.tensor<[4], f32>, !nn.tensor<[4], f32>) -> !nn.tensor<[4], f32>
    plan.return %y : !nn.tensor<[4], f32>
  }
}
