// RUN: peft-opt %s --split-input-file --verify-diagnostics
// The labelled constraints of PlanOps.td.
// step_c1
plan.program @f inputs ["x"] results ["y"] {
^bb0(%x: !plan.packed<example, [seq, 4], f32>):
  // expected-error@+1 {{no kind of step is called `magic`}}
  %0 = plan.step "magic" "tanh"(%x) with {} : (!plan.packed<example, [seq, 4], f32>) -> !plan.packed<example, [seq, 4], f32>
  plan.return %0 : !plan.packed<example, [seq, 4], f32>
}

// -----
// step_c1
plan.program @f inputs ["x"] results ["y"] {
^bb0(%x: !plan.packed<example, [seq, 4], f32>):
  // expected-error@+1 {{no op is called `dance`}}
  %0 = plan.step "aten" "dance"(%x) with {} : (!plan.packed<example, [seq, 4], f32>) -> !plan.packed<example, [seq, 4], f32>
  plan.return %0 : !plan.packed<example, [seq, 4], f32>
}

// -----
// step_c2
plan.program @f inputs ["x"] results ["y"] {
^bb0(%x: !plan.packed<example, [seq, 4], f32>):
  // expected-error@+1 {{a gemm is a contract, not `tanh`}}
  %0 = plan.step "gemm" "tanh"(%x) with {} : (!plan.packed<example, [seq, 4], f32>) -> !plan.packed<example, [seq, 4], f32>
  plan.return %0 : !plan.packed<example, [seq, 4], f32>
}

// -----
// step_c2
plan.program @f inputs ["x"] results ["y"] {
^bb0(%x: !plan.packed<example, [seq, 4], f32>):
  // expected-error@+1 {{`random` is not done by a step of kind `aten`}}
  %0 = plan.step "aten" "random"() with {} : () -> !plan.packed<example, [seq, 4], f32>
  plan.return %0 : !plan.packed<example, [seq, 4], f32>
}

// -----
// alias_c1
plan.program @f inputs ["x"] results ["y"] {
^bb0(%x: !plan.packed<example, [seq, 4], f32>):
  // expected-error-re@+1 {{cannot see {{.*}} as}}
  %0 = plan.alias "split" %x : (!plan.packed<example, [seq, 4], f32>) -> !plan.packed<example, [seq, 5], f32>
  plan.return %0 : !plan.packed<example, [seq, 5], f32>
}

// -----
// program_c1
// expected-error@+1 {{names 2 inputs of 1}}
plan.program @f inputs ["x", "z"] results ["y"] {
^bb0(%x: !plan.packed<example, [seq, 4], f32>):
  plan.return %x : !plan.packed<example, [seq, 4], f32>
}

// -----
// program_c2
// expected-error@+1 {{names 2 results of 1}}
plan.program @f inputs ["x"] results ["y", "z"] {
^bb0(%x: !plan.packed<example, [seq, 4], f32>):
  plan.return %x : !plan.packed<example, [seq, 4], f32>
}

// -----
// program_c3
plan.program @f inputs ["x"] results ["y"] slots [#plan.size<c = 0, e = 0, t = 16, q = 0>] {
^bb0(%x: !plan.packed<example, [seq, 4], f32>):
  // expected-error@+1 {{has no slot}}
  %0 = plan.step "aten" "tanh"(%x)  with {} : (!plan.packed<example, [seq, 4], f32>) -> !plan.packed<example, [seq, 4], f32>
  plan.return %0 : !plan.packed<example, [seq, 4], f32>
}

// -----
// program_c3
plan.program @f inputs ["x"] results ["y"] slots [#plan.size<c = 0, e = 0, t = 16, q = 0>] {
^bb0(%x: !plan.packed<example, [seq, 4], f32>):
  // expected-error@+1 {{there is no slot 3}}
  %0 = plan.step "aten" "tanh"(%x) slot 3 with {} : (!plan.packed<example, [seq, 4], f32>) -> !plan.packed<example, [seq, 4], f32>
  plan.return %0 : !plan.packed<example, [seq, 4], f32>
}

// -----
// program_c3
plan.program @f inputs ["x"] results ["y"] slots [#plan.size<c = 0, e = 0, t = 8, q = 0>] {
^bb0(%x: !plan.packed<example, [seq, 4], f32>):
  // expected-error@+1 {{its result does not fit slot 0}}
  %0 = plan.step "aten" "tanh"(%x) slot 0 with {} : (!plan.packed<example, [seq, 4], f32>) -> !plan.packed<example, [seq, 4], f32>
  plan.return %0 : !plan.packed<example, [seq, 4], f32>
}

// -----
// program_c3
plan.program @f inputs ["x"] results ["y"] slots [#plan.size<c = 0, e = 0, t = 16, q = 0>] {
^bb0(%x: !plan.packed<example, [seq, 4], f32>):
  // expected-error@+1 {{a parameter needs no slot}}
  %0 = plan.step "aten" "param"() slot 0 with {name = "W"} : () -> !plan.packed<example, [seq, 4], f32>
  plan.return %0 : !plan.packed<example, [seq, 4], f32>
}

// -----
// program_c4
plan.program @f inputs ["x"] results ["y"] slots [#plan.size<c = 0, e = 0, t = 16, q = 0>, #plan.size<c = 0, e = 0, t = 16, q = 0>] {
^bb0(%x: !plan.packed<example, [seq, 4], f32>):
  %0 = plan.step "aten" "tanh"(%x) slot 0 with {} : (!plan.packed<example, [seq, 4], f32>) -> !plan.packed<example, [seq, 4], f32>
  %1 = plan.step "aten" "tanh"(%x) slot 0 with {} : (!plan.packed<example, [seq, 4], f32>) -> !plan.packed<example, [seq, 4], f32>
  // expected-error@+1 {{reads a value whose slot was written since}}
  %2 = plan.step "aten" "add"(%0, %1) slot 1 with {} : (!plan.packed<example, [seq, 4], f32>, !plan.packed<example, [seq, 4], f32>) -> !plan.packed<example, [seq, 4], f32>
  plan.return %2 : !plan.packed<example, [seq, 4], f32>
}

// -----
// program_c5
plan.program @f inputs ["x"] results ["y"] slots [#plan.size<c = 0, e = 0, t = 16, q = 0>] {
^bb0(%x: !plan.packed<example, [seq, 4], f32>):
  %0 = plan.step "aten" "tanh"(%x) slot 0 with {} : (!plan.packed<example, [seq, 4], f32>) -> !plan.packed<example, [seq, 4], f32>
  // expected-error@+1 {{writes over its operand in slot 0}}
  %1 = plan.step "aten" "transpose"(%0) slot 0 with {perm = [1, 0]} : (!plan.packed<example, [seq, 4], f32>) -> !plan.packed<example, [seq, 4], f32>
  plan.return %1 : !plan.packed<example, [seq, 4], f32>
}

// -----
// program_c2
// expected-error@+1 {{does not end in plan.return}}
plan.program @f inputs ["x"] results [] {
^bb0(%x: !plan.packed<example, [seq, 4], f32>):
  %0 = plan.alias "split" %x : (!plan.packed<example, [seq, 4], f32>) -> !plan.packed<example, [seq, 2, 2], f32>
}

// -----
// step_c2
plan.program @f inputs ["x"] results ["y"] {
^bb0(%x: !plan.packed<example, [seq, 4], f32>):
  // expected-error@+1 {{`tanh` is not done by a step of kind `random`}}
  %0 = plan.step "random" "tanh"(%x) with {} : (!plan.packed<example, [seq, 4], f32>) -> !plan.packed<example, [seq, 4], f32>
  plan.return %0 : !plan.packed<example, [seq, 4], f32>
}

// -----
// alias_c1: as many bytes, but other numbers
plan.program @f inputs ["x"] results ["y"] {
^bb0(%x: !plan.packed<[4], f32>):
  // expected-error-re@+1 {{cannot see {{.*}} as}}
  %0 = plan.alias "cast" %x : (!plan.packed<[4], f32>) -> !plan.packed<[2], i64>
  plan.return %0 : !plan.packed<[2], i64>
}

// -----
// alias_c1: one of the run is none of each example
plan.program @f inputs ["x"] results ["y"] {
^bb0(%x: !plan.packed<[4], f32>):
  // expected-error-re@+1 {{cannot see {{.*}} as}}
  %0 = plan.alias "broadcast" %x : (!plan.packed<[4], f32>) -> !plan.packed<example, [4], f32>
  plan.return %0 : !plan.packed<example, [4], f32>
}

// -----
// program_c4 sees through an alias.
plan.program @f inputs ["x"] results ["y"] slots [#plan.size<c = 0, e = 0, t = 16, q = 0>, #plan.size<c = 0, e = 0, t = 16, q = 0>] {
^bb0(%x: !plan.packed<example, [seq, 4], f32>):
  %0 = plan.step "aten" "tanh"(%x) slot 0 with {} : (!plan.packed<example, [seq, 4], f32>) -> !plan.packed<example, [seq, 4], f32>
  %1 = plan.alias "split" %0 : (!plan.packed<example, [seq, 4], f32>) -> !plan.packed<example, [seq, 2, 2], f32>
  %2 = plan.step "aten" "exp"(%x) slot 0 with {} : (!plan.packed<example, [seq, 4], f32>) -> !plan.packed<example, [seq, 4], f32>
  // expected-error@+1 {{reads a value whose slot was written since}}
  plan.return %1 : !plan.packed<example, [seq, 2, 2], f32>
}

// -----
// program_c5: elementwise, yet of another type
plan.program @f inputs ["x"] results ["y"] slots [#plan.size<c = 0, e = 0, t = 16, q = 0>] {
^bb0(%x: !plan.packed<example, [seq, 1], f32>):
  %0 = plan.step "aten" "tanh"(%x) slot 0 with {} : (!plan.packed<example, [seq, 1], f32>) -> !plan.packed<example, [seq, 1], f32>
  // expected-error@+1 {{writes over its operand in slot 0}}
  %1 = plan.step "aten" "cast"(%0) slot 0 with {} : (!plan.packed<example, [seq, 1], f32>) -> !plan.packed<example, [seq, 1], i64>
  plan.return %1 : !plan.packed<example, [seq, 1], i64>
}

// -----
// parent
func.func @f() {
  // expected-error@+1 {{expects parent op 'plan.program'}}
  plan.return
}

// -----
// program_c6: the second step's wider rows would lie over later rows that the first has yet to read
plan.program @p inputs ["x"] results ["r"] slots [#plan.size<c = 0, e = 0, t = 32, q = 0>, #plan.size<c = 0, e = 0, t = 32, q = 0>] {
^bb0(%x: !plan.packed<example, [seq, 4], f32>):
  %w = plan.step "aten" "param"() with {name = "w"} : () -> !plan.packed<[4, 4], f32>
  %v = plan.step "aten" "param"() with {name = "v"} : () -> !plan.packed<[4, 8], f32>
  %a = plan.step "gemm" "contract"(%x, %w) slot 0 with {equation = "ay,yz->az", over_examples = false} {plan.band = 3 : i64} : (!plan.packed<example, [seq, 4], f32>, !plan.packed<[4, 4], f32>) -> !plan.packed<example, [seq, 4], f32>
  %b = plan.step "gemm" "contract"(%a, %w) slot 1 with {equation = "ay,yz->az", over_examples = false} {plan.band = 3 : i64} : (!plan.packed<example, [seq, 4], f32>, !plan.packed<[4, 4], f32>) -> !plan.packed<example, [seq, 4], f32>
  // expected-error@+1 {{shares slot 0 with other rows of its band}}
  %r = plan.step "gemm" "contract"(%b, %v) slot 0 with {equation = "ay,yz->az", over_examples = false} {plan.band = 3 : i64} : (!plan.packed<example, [seq, 4], f32>, !plan.packed<[4, 8], f32>) -> !plan.packed<example, [seq, 8], f32>
  plan.return %r : !plan.packed<example, [seq, 8], f32>
}

// -----
// step_c3
plan.program @f inputs ["kept", "new"] results ["kept"] {
^bb0(%kept: !plan.packed<example, [seq, 4], f32>, %new: !plan.packed<example, [1, 4], f32>):
  // expected-error@+1 {{writes over something else than an input of the program that nothing else reads}}
  %0 = plan.step "update" "put_last"(%kept, %new) with {axis = 0 : i64} : (!plan.packed<example, [seq, 4], f32>, !plan.packed<example, [1, 4], f32>) -> !plan.packed<example, [seq, 4], f32>
  %1 = plan.step "aten" "neg"(%kept) with {} : (!plan.packed<example, [seq, 4], f32>) -> !plan.packed<example, [seq, 4], f32>
  plan.return %0 : !plan.packed<example, [seq, 4], f32>
}

// -----
// program_c7: another band reads what threads had in this one
plan.program @p inputs ["x"] results ["r"] slots [#plan.size<c = 0, e = 0, t = 0, q = 0, p = 1536>, #plan.size<c = 0, e = 0, t = 16, q = 0>] bands [96, 96] {
^bb0(%x: !plan.packed<example, [seq, 4], f32>):
  %w = plan.step "aten" "param"() with {name = "w"} : () -> !plan.packed<[4, 4], f32>
  // expected-error@+1 {{has a slot of threads and is read outside of its band}}
  %a = plan.step "gemm" "contract"(%x, %w) slot 0 with {equation = "ay,yz->az", over_examples = false} {plan.band = 0 : i64} : (!plan.packed<example, [seq, 4], f32>, !plan.packed<[4, 4], f32>) -> !plan.packed<example, [seq, 4], f32>
  %r = plan.step "gemm" "contract"(%a, %w) slot 1 with {equation = "ay,yz->az", over_examples = false} {plan.band = 1 : i64} : (!plan.packed<example, [seq, 4], f32>, !plan.packed<[4, 4], f32>) -> !plan.packed<example, [seq, 4], f32>
  plan.return %r : !plan.packed<example, [seq, 4], f32>
}

// -----
// program_c7: a result of the program
plan.program @p inputs ["x"] results ["r"] slots [#plan.size<c = 0, e = 0, t = 0, q = 0, p = 1536>] bands [96] {
^bb0(%x: !plan.packed<example, [seq, 4], f32>):
  %w = plan.step "aten" "param"() with {name = "w"} : () -> !plan.packed<[4, 4], f32>
  // expected-error@+1 {{has a slot of threads and is read outside of its band}}
  %r = plan.step "gemm" "contract"(%x, %w) slot 0 with {equation = "ay,yz->az", over_examples = false} {plan.band = 0 : i64} : (!plan.packed<example, [seq, 4], f32>, !plan.packed<[4, 4], f32>) -> !plan.packed<example, [seq, 4], f32>
  plan.return %r : !plan.packed<example, [seq, 4], f32>
}

// -----
// program_c7: made in no band
plan.program @p inputs ["x"] results ["r"] slots [#plan.size<c = 0, e = 0, t = 0, q = 0, p = 1536>, #plan.size<c = 0, e = 0, t = 16, q = 0>] bands [96] {
^bb0(%x: !plan.packed<example, [seq, 4], f32>):
  %w = plan.step "aten" "param"() with {name = "w"} : () -> !plan.packed<[4, 4], f32>
  // expected-error@+1 {{has a slot of threads, and no band says how many rows a thread takes}}
  %a = plan.step "gemm" "contract"(%x, %w) slot 0 with {equation = "ay,yz->az", over_examples = false} : (!plan.packed<example, [seq, 4], f32>, !plan.packed<[4, 4], f32>) -> !plan.packed<example, [seq, 4], f32>
  %r = plan.step "gemm" "contract"(%a, %w) slot 1 with {equation = "ay,yz->az", over_examples = false} {plan.band = 0 : i64} : (!plan.packed<example, [seq, 4], f32>, !plan.packed<[4, 4], f32>) -> !plan.packed<example, [seq, 4], f32>
  plan.return %r : !plan.packed<example, [seq, 4], f32>
}

// -----
// program_c7: nothing says how many rows
plan.program @p inputs ["x"] results ["r"] slots [#plan.size<c = 0, e = 0, t = 0, q = 0, p = 1536>, #plan.size<c = 0, e = 0, t = 16, q = 0>] {
^bb0(%x: !plan.packed<example, [seq, 4], f32>):
  %w = plan.step "aten" "param"() with {name = "w"} : () -> !plan.packed<[4, 4], f32>
  // expected-error@+1 {{has a slot of threads, and no band says how many rows a thread takes}}
  %a = plan.step "gemm" "contract"(%x, %w) slot 0 with {equation = "ay,yz->az", over_examples = false} {plan.band = 0 : i64} : (!plan.packed<example, [seq, 4], f32>, !plan.packed<[4, 4], f32>) -> !plan.packed<example, [seq, 4], f32>
  %r = plan.step "gemm" "contract"(%a, %w) slot 1 with {equation = "ay,yz->az", over_examples = false} {plan.band = 0 : i64} : (!plan.packed<example, [seq, 4], f32>, !plan.packed<[4, 4], f32>) -> !plan.packed<example, [seq, 4], f32>
  plan.return %r : !plan.packed<example, [seq, 4], f32>
}

// -----
// program_c7: 96 rows of 16 bytes
plan.program @p inputs ["x"] results ["r"] slots [#plan.size<c = 0, e = 0, t = 0, q = 0, p = 1535>, #plan.size<c = 0, e = 0, t = 16, q = 0>] bands [96] {
^bb0(%x: !plan.packed<example, [seq, 4], f32>):
  %w = plan.step "aten" "param"() with {name = "w"} : () -> !plan.packed<[4, 4], f32>
  // expected-error@+1 {{a thread's 96 rows of its result do not fit its slot}}
  %a = plan.step "gemm" "contract"(%x, %w) slot 0 with {equation = "ay,yz->az", over_examples = false} {plan.band = 0 : i64} : (!plan.packed<example, [seq, 4], f32>, !plan.packed<[4, 4], f32>) -> !plan.packed<example, [seq, 4], f32>
  %r = plan.step "gemm" "contract"(%a, %w) slot 1 with {equation = "ay,yz->az", over_examples = false} {plan.band = 0 : i64} : (!plan.packed<example, [seq, 4], f32>, !plan.packed<[4, 4], f32>) -> !plan.packed<example, [seq, 4], f32>
  plan.return %r : !plan.packed<example, [seq, 4], f32>
}

// -----
// program_c7: a slot is of threads or of the batch
plan.program @p inputs ["x"] results ["r"] slots [#plan.size<c = 0, e = 0, t = 16, q = 0, p = 1536>, #plan.size<c = 0, e = 0, t = 16, q = 0>] bands [96] {
^bb0(%x: !plan.packed<example, [seq, 4], f32>):
  %w = plan.step "aten" "param"() with {name = "w"} : () -> !plan.packed<[4, 4], f32>
  // expected-error@+1 {{its slot is of threads and of the batch}}
  %a = plan.step "gemm" "contract"(%x, %w) slot 0 with {equation = "ay,yz->az", over_examples = false} {plan.band = 0 : i64} : (!plan.packed<example, [seq, 4], f32>, !plan.packed<[4, 4], f32>) -> !plan.packed<example, [seq, 4], f32>
  %r = plan.step "gemm" "contract"(%a, %w) slot 1 with {equation = "ay,yz->az", over_examples = false} {plan.band = 0 : i64} : (!plan.packed<example, [seq, 4], f32>, !plan.packed<[4, 4], f32>) -> !plan.packed<example, [seq, 4], f32>
  plan.return %r : !plan.packed<example, [seq, 4], f32>
}

// -----
// program_c7: one number an example is no row
plan.program @p inputs ["x"] results ["r"] slots [#plan.size<c = 0, e = 0, t = 0, q = 0, p = 1536>] bands [96] {
^bb0(%x: !plan.packed<example, [4], f32>):
  // expected-error@+1 {{has a slot of threads for a value that is no table of rows}}
  %a = plan.step "aten" "tanh"(%x) slot 0 with {} {plan.band = 0 : i64} : (!plan.packed<example, [4], f32>) -> !plan.packed<example, [4], f32>
  plan.return %x : !plan.packed<example, [4], f32>
}

// -----
// program_c7: seen as other rows
plan.program @p inputs ["x"] results ["r"] slots [#plan.size<c = 0, e = 0, t = 0, q = 0, p = 1536>] bands [96] {
^bb0(%x: !plan.packed<example, [seq, 4], f32>):
  // expected-error@+1 {{a thread's rows of its result are seen as other ones}}
  %a = plan.step "aten" "tanh"(%x) slot 0 with {} {plan.band = 0 : i64} : (!plan.packed<example, [seq, 4], f32>) -> !plan.packed<example, [seq, 4], f32>
  %b = plan.alias "merge" %a {plan.band = 0 : i64} : (!plan.packed<example, [seq, 4], f32>) -> !plan.packed<example, [4*seq], f32>
  plan.return %x : !plan.packed<example, [seq, 4], f32>
}

// -----
// program_c4 within a band: the thread's second value took the first one's place
plan.program @p inputs ["x"] results ["r"] slots [#plan.size<c = 0, e = 0, t = 0, q = 0, p = 1536>, #plan.size<c = 0, e = 0, t = 16, q = 0>] bands [96] {
^bb0(%x: !plan.packed<example, [seq, 4], f32>):
  %w = plan.step "aten" "param"() with {name = "w"} : () -> !plan.packed<[4, 4], f32>
  %a = plan.step "gemm" "contract"(%x, %w) slot 0 with {equation = "ay,yz->az", over_examples = false} {plan.band = 0 : i64} : (!plan.packed<example, [seq, 4], f32>, !plan.packed<[4, 4], f32>) -> !plan.packed<example, [seq, 4], f32>
  %b = plan.step "gemm" "contract"(%x, %w) slot 0 with {equation = "ay,yz->az", over_examples = false} {plan.band = 0 : i64} : (!plan.packed<example, [seq, 4], f32>, !plan.packed<[4, 4], f32>) -> !plan.packed<example, [seq, 4], f32>
  // expected-error@+1 {{reads a value whose slot was written since}}
  %r = plan.step "gemm" "contract"(%a, %w, %b) slot 1 with {equation = "ay,yz->az", over_examples = false} {plan.band = 0 : i64} : (!plan.packed<example, [seq, 4], f32>, !plan.packed<[4, 4], f32>, !plan.packed<example, [seq, 4], f32>) -> !plan.packed<example, [seq, 4], f32>
  plan.return %r : !plan.packed<example, [seq, 4], f32>
}

// -----
// program_c3: what holds one sequence's rows holds no other's
plan.program @f inputs ["x"] results ["y"] slots [#plan.size<c = 0, e = 0, t = 16, q = 0, ts = [8]>] {
^bb0(%x: !plan.packed<example, [seq1, 4], f32>):
  // expected-error@+1 {{its result does not fit slot 0}}
  %0 = plan.step "aten" "tanh"(%x) slot 0 with {} : (!plan.packed<example, [seq1, 4], f32>) -> !plan.packed<example, [seq1, 4], f32>
  plan.return %0 : !plan.packed<example, [seq1, 4], f32>
}

// -----
// program_c3: the product of two lengths
plan.program @f inputs ["x"] results ["y"] slots [#plan.size<c = 0, e = 0, t = 0, q = 4, qs = [0, 4]>] {
^bb0(%x: !plan.packed<example, [seq1, seq], f32>):
  // expected-error@+1 {{its result does not fit slot 0}}
  %0 = plan.step "aten" "tanh"(%x) slot 0 with {} : (!plan.packed<example, [seq1, seq], f32>) -> !plan.packed<example, [seq1, seq], f32>
  plan.return %0 : !plan.packed<example, [seq1, seq], f32>
}

// -----
// beside_c1
plan.program @f inputs ["x"] results ["y"] {
^bb0(%x: !plan.packed<example, [seq, 4], f32>):
  %0 = plan.step "aten" "tanh"(%x) with {} : (!plan.packed<example, [seq, 4], f32>) -> !plan.packed<example, [seq, 4], f32, pitch = 16, column = 0>
  %1 = plan.step "aten" "exp"(%x) with {} : (!plan.packed<example, [seq, 4], f32>) -> !plan.packed<example, [seq, 4], f32, pitch = 16, column = 2>
  // expected-error-re@+1 {{cannot see {{.*}} in the table of}}
  %2 = plan.beside %0, %1 : (!plan.packed<example, [seq, 4], f32, pitch = 16, column = 0>, !plan.packed<example, [seq, 4], f32, pitch = 16, column = 2>) -> !plan.packed<example, [seq, 6], f32, pitch = 16, column = 0>
  plan.return %x : !plan.packed<example, [seq, 4], f32>
}

// -----
// border_c1
plan.program @f inputs ["b"] results ["y"] {
^bb0(%b: !plan.packed<[4, 2], f32>):
  %w = plan.step "aten" "param"() with {frozen = true, name = "W"} : () -> !plan.packed<[4, 4], f32>
  // expected-error@+1 {{part 0 is not in the border}}
  %0 = plan.border %w with %b at [0, 3] turned [false] : (!plan.packed<[4, 4], f32>, !plan.packed<[4, 2], f32>) -> !plan.packed<[4, 8], f32>
  plan.return %b : !plan.packed<[4, 2], f32>
}

// -----
// border_c1
plan.program @f inputs ["b"] results ["y"] {
^bb0(%b: !plan.packed<[4, 2], f32>):
  // expected-error@+1 {{is not of a parameter and matrices of the run}}
  %0 = plan.border %b with %b at [0, 2] turned [false] : (!plan.packed<[4, 2], f32>, !plan.packed<[4, 2], f32>) -> !plan.packed<[4, 8], f32>
  plan.return %b : !plan.packed<[4, 2], f32>
}

// -----
// window_c1
plan.program @f inputs ["b"] results ["y"] {
^bb0(%b: !plan.packed<[4, 8], f32>):
  // expected-error-re@+1 {{cannot see {{.*}} as}}
  %0 = plan.window %b : (!plan.packed<[4, 8], f32>) -> !plan.packed<[4, 6], f32>
  plan.return %b : !plan.packed<[4, 8], f32>
}

// -----
// program_c4: what lies beside a value does not end it, what lies in its columns does.
plan.program @f inputs ["x"] results ["y"] slots [#plan.size<c = 0, e = 0, t = 64, q = 0>] {
^bb0(%x: !plan.packed<example, [seq, 4], f32>):
  %0 = plan.step "aten" "tanh"(%x) slot 0 with {} : (!plan.packed<example, [seq, 4], f32>) -> !plan.packed<example, [seq, 4], f32, pitch = 16, column = 0>
  %1 = plan.step "aten" "exp"(%x) slot 0 with {} : (!plan.packed<example, [seq, 4], f32>) -> !plan.packed<example, [seq, 4], f32, pitch = 16, column = 4>
  %2 = plan.beside %0, %1 : (!plan.packed<example, [seq, 4], f32, pitch = 16, column = 0>, !plan.packed<example, [seq, 4], f32, pitch = 16, column = 4>) -> !plan.packed<example, [seq, 8], f32, pitch = 16, column = 0>
  %3 = plan.step "aten" "neg"(%x) slot 0 with {} : (!plan.packed<example, [seq, 4], f32>) -> !plan.packed<example, [seq, 4], f32, pitch = 16, column = 6>
  // expected-error@+1 {{reads a value whose slot was written since}}
  plan.return %2 : !plan.packed<example, [seq, 8], f32, pitch = 16, column = 0>
}
