// RUN: peft-opt --plan-lower-programs --split-input-file --verify-diagnostics %s
// A program's inputs and results have names.
module {
  // expected-error@+1 {{`@f`: argument 0 has no name}}
  func.func @f(%x: !nn.tensor<[4], f32>) -> (!nn.tensor<[4], f32> {nn.name = "y"}) {
    return %x : !nn.tensor<[4], f32>
  }
}

// -----
module {
  // expected-error@+1 {{`@f`: result 0 has no name}}
  func.func @f(%x: !nn.tensor<[4], f32> {nn.name = "x"}) -> !nn.tensor<[4], f32> {
    return %x : !nn.tensor<[4], f32>
  }
}

// -----
// What picks a mode is gone before programs are made.
module {
  func.func @f(%x: !nn.tensor<[4], f32> {nn.name = "x"}) -> (!nn.tensor<[4], f32> {nn.name = "y"}) {
    // expected-error@+1 {{`nn.by_mode` cannot be a step of a program}}
    %y = nn.by_mode %x, %x : (!nn.tensor<[4], f32>, !nn.tensor<[4], f32>) -> !nn.tensor<[4], f32>
    return %y : !nn.tensor<[4], f32>
  }
}
