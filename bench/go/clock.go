// The stopwatch of a run.
package main

import (
	"syscall"
	"time"
	"unsafe"
)

const processCPUTime = 2 // CLOCK_PROCESS_CPUTIME_ID

// cpuTime is of the whole process: the runtime's other threads work for the loop, too.
func cpuTime() time.Duration {
	var spent syscall.Timespec
	_, _, errno := syscall.Syscall(syscall.SYS_CLOCK_GETTIME, processCPUTime,
		uintptr(unsafe.Pointer(&spent)), 0)
	if errno != 0 {
		check(errno)
	}
	return time.Duration(spent.Nano())
}

type stopwatch struct {
	cpu  time.Duration
	wall time.Time
}

func startStopwatch() stopwatch {
	return stopwatch{cpuTime(), time.Now()}
}

func (s stopwatch) perOperation(operations int) []figure {
	wall, cpu := time.Since(s.wall), cpuTime()-s.cpu
	return []figure{
		{"ops", float64(operations)},
		{"ns", each(wall, operations)},
		{"cpu", each(cpu, operations)},
	}
}

// each is a time divided among so many, in nanoseconds.
func each(took time.Duration, count int) float64 {
	return float64(took.Nanoseconds()) / float64(count)
}
