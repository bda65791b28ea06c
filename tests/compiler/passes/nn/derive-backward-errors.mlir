// RUN: peft-opt --nn-derive-backward --split-input-file --verify-diagnostics %s
// What the pass cannot start from is said, not guessed.
// expected-error@+1 {{nn-derive-backward: there is no function @train}}
module {
  func.func @eval() {
    return
  }
}
