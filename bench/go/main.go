// The Go package that this library is modelled on: the workloads of ../workloads that it can do, in
// a program that is spoken to as ../main.cpp says. build.sh builds it.
package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"github.com/cheng-zhongliang/event"
)

const unsupported = 3

// The loop stays on the first thread, whose switches are counted from outside. GOMAXPROCS is left
// as a user would leave it: the runtime takes the number of processors that it may use, which is
// one, as every contender is pinned.
func init() {
	runtime.LockOSThread()
}

var workloads = map[string]func(size, active int){
	"ready":          func(size, _ int) { serve(newReady(size, watchRead)) },
	"ready-timeout":  func(size, _ int) { serve(newReady(size, watchIdle)) },
	"ring":           func(size, active int) { serve(newRing(size, active, watchRead)) },
	"ring-timeout":   func(size, active int) { serve(newRing(size, active, watchIdle)) },
	"ring-oneshot":   func(size, active int) { serve(newRing(size, active, watchOnce)) },
	"empty":          func(int, int) { serve(newChanges((*changes).look)) },
	"change-between": func(int, int) { serve(newChanges((*changes).between)) },
	"change-waited":  func(int, int) { serve(newChanges((*changes).waited)) },
	"idle":           func(int, int) { serveIdle() },
	"echo":           func(int, int) { serveEcho() },
	"timers":         func(size, shared int) { serve(newTimers(size, shared)) },
	"timers-fire":    func(size, shared int) { serve(newFiring(size, shared)) },
	"late":           func(int, int) { serve(newLateness()) },
	"memory-read":    func(int, int) { serve(watchMemory{watchRead}) },
	"memory-idle":    func(int, int) { serve(watchMemory{watchIdle}) },
	"memory-timer":   func(int, int) { serve(timerMemory{}) },
}

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: bench_go WORKLOAD [SIZE [ACTIVE]]")
		os.Exit(2)
	}
	run, found := workloads[os.Args[1]]
	if !found {
		os.Exit(unsupported)
	}
	raiseDescriptorLimit()
	run(number(2), number(3))
}

// number is an argument of the program, or 1.
func number(i int) int {
	if len(os.Args) <= i {
		return 1
	}
	value, err := strconv.Atoi(os.Args[i])
	check(err)
	return value
}

func raiseDescriptorLimit() {
	var limit syscall.Rlimit
	check(syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit))
	limit.Cur = limit.Max
	check(syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit))
}

type workload interface {
	run(operations int) []figure
}

type figure struct {
	name  string
	value float64
}

// serve is what support/figures.hpp has under that name.
func serve(w workload) {
	fmt.Println("ready")
	for {
		var operations int
		if _, err := fmt.Scan(&operations); err != nil {
			return
		}
		var line strings.Builder
		for _, f := range w.run(operations) {
			fmt.Fprintf(&line, "%s %.12g ", f.name, f.value)
		}
		fmt.Println(line.String())
	}
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// loop is a base that can be stopped and run again. The package ends a loop by closing the base, so
// this asks for one turn after the other.
type loop struct {
	*event.EventBase
	stopped bool
}

func newLoop() *loop {
	base, err := event.NewBase()
	check(err)
	return &loop{EventBase: base}
}

func (l *loop) run() {
	for l.stopped = false; !l.stopped; {
		check(l.Loop(event.EvLoopOnce))
	}
}

func (l *loop) poll() {
	check(l.Loop(event.EvLoopOnce | event.EvLoopNoblock))
}

// refresh takes the time anew: between turns a base counts from the last one's.
func (l *loop) refresh() {
	l.poll()
}
