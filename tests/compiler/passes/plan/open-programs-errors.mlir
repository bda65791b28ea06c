// RUN: peft-opt --plan-open-programs --split-input-file --verify-diagnostics %s
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
