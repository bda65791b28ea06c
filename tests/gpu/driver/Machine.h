// Machine: what stands behind the driver for tests: one GPU with its memory, its modules and a stream, run by the emulator.
//
// Device memory is memory of this process at the same address: the host could reach it too, as on an integrated GPU, which it says it is. Each block has its exact
// size for kernels. A stream does nothing until someone waits for it, so that whoever looks too early sees what was there before.
// What is asked for in a capture is recorded with its parameters as they are, and not done; what a driver forbids there ends the capture (Graphs.cpp).
// Its time is a number that only those who do work for it put on (`pass`), so that what was timed is the same in each run.
// The folder of the library's file (a link to it, for each test) may hold `gpu.txt`: a setting a line. `ran.txt` there gets a line a launch, `counts.txt` the sums.
#pragma once
#include "runtime/cuda/Api.h"
#include "tests/gpu/emulator/Grid.h"
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace driver {

using peftrt::cuda::Address;
using peftrt::cuda::Status;

using peftrt::cuda::Event;
using peftrt::cuda::Graph;
using peftrt::cuda::GraphExec;
using peftrt::cuda::HostFunction;

constexpr Status kInvalidValue = 1, kInvalidContext = 201, kInvalidPtx = 218, kIllegalState = 401, kNotFound = 500, kNotReady = 600, kIllegalAddress = 700, kLaunchFailed = 719, kNotPermitted = 800;
constexpr Status kCaptureUnsupported = 900, kCaptureInvalidated = 901, kCaptureWrongThread = 908;

/// A line of gpu.txt: a name and a number.
struct Settings {
  int64_t driver = 13000;             ///< CUDA's version
  int64_t devices = 1, major = 9, minor = 0, multiprocessors = 2;
  int64_t integrated = 1;
  int64_t memory = int64_t{1} << 31;  ///< bytes
  int64_t ptx = 99;                   ///< the newest version of PTX that it knows, times ten
  int64_t fails = 0;                  ///< the how manieth launch of a kernel is the GPU's last; 0: none
  int64_t graphs_fail = 0;            ///< the how manieth launch of a graph is; 0: none
  int64_t captures_fail = 0;          ///< the how manieth capture ends as something that is not allowed there does; 0: none
  int64_t graphs_fit = 1 << 20;       ///< how many graphs there is memory for at a time
};
Settings settingsOf(const std::string &folder);

struct Module {
  std::unique_ptr<emulator::Module> code;
};
struct Function {
  const emulator::Program *program;
  std::string name;
  std::vector<std::pair<uint64_t, uint64_t>> parameters; ///< begins and sizes
  uint64_t parameterBytes;
};

class Machine {
public:
  static Machine &here();
  const Settings settings;

  Status allocate(Address *address, size_t bytes);
  Status release(Address address);
  size_t bytesInUse() const { return used_; }
  /// `said`: why not.
  Status load(const std::string &text, Module **module, std::string &said);
  Status find(Function **function, Module *module, const std::string &name);
  Status launch(const Function &function, emulator::Size3 grid, emulator::Size3 block, void **parameters);
  Status copyIn(Address to, const void *from, size_t bytes, bool atOnce);
  /// Everything that was asked for.
  Status synchronize();
  Status callHost(HostFunction function, void *argument);
  /// Time, of the work that the stream does just now; an instruction of a kernel takes a nanosecond.
  void pass(uint64_t nanoseconds) { clock_ += nanoseconds; }
  Status createEvent(Event *event);
  Status destroyEvent(Event event);
  Status recordEvent(Event event);
  Status synchronizeEvent(Event event);
  Status elapsed(float *milliseconds, Event begin, Event end);
  Status beginCapture(int mode);
  Status captureStatus(int *status) const { return *status = capture_ ? capture_->isInvalid ? 2 : 1 : 0, 0; }
  Status endCapture(Graph *graph);
  Status instantiate(GraphExec *made, Graph graph);
  Status launchGraph(GraphExec graph);
  Status destroyGraph(Graph graph);
  Status destroyExec(GraphExec graph);
  /// What a call says that could wait for the stream, or change memory behind its back: nothing, unless this thread captures in a mode that forbids it, which ends the capture.
  Status unsafe();
  void enter() { entered_ = true; }
  /// What every call says once the GPU has failed, or where no context is.
  Status state() const { return failed_ ? failed_ : isInHost_ ? kNotPermitted : entered_ ? 0 : kInvalidContext; }

private:
  Machine();
  ~Machine();
  using Action = std::function<void()>;
  using Actions = std::vector<Action>;
  struct Capture {
    int mode;
    std::thread::id thread;
    Actions actions;
    bool isInvalid = false;
  };

  /// Behind what the stream does, or into what it captures.
  Status enqueue(Action action);
  Status doAll();
  Status invalidated(Status status);
  void run(const Function &function, const emulator::Launch &launch);
  bool isOwn(Address address, size_t bytes) const;

  const std::string folder_;
  emulator::Memory memory_;
  std::map<Address, size_t> blocks_;
  std::vector<std::unique_ptr<Module>> modules_;
  std::vector<std::unique_ptr<Function>> functions_;
  std::deque<Action> stream_;
  std::optional<Capture> capture_;
  std::map<Graph, std::shared_ptr<const Actions>> graphs_;
  std::map<GraphExec, std::shared_ptr<const Actions>> execs_; ///< what is launched stays until it is done
  std::map<Event, std::optional<uint64_t>> events_; ///< when the stream came to it
  uint64_t clock_ = 0;
  uintptr_t nextHandle_ = 1;
  size_t used_ = 0, most_ = 0;
  int64_t launches_ = 0, copies_ = 0, waits_ = 0, allocations_ = 0, captures_ = 0, made_ = 0, graphLaunches_ = 0, hostCalls_ = 0;
  Status failed_ = 0;
  bool entered_ = false, isInHost_ = false;
};

} // namespace driver
