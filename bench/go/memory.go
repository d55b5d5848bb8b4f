// Bytes of heap that an event takes, with what the base keeps for it.
package main

import (
	"runtime"
	"time"
	"unsafe"

	"github.com/cheng-zhongliang/event"
)

func heapInUse() uint64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}

// measureHeap has so many added to the base, which is what holds them.
func measureHeap(base *event.EventBase, count int, add func(i int)) []figure {
	before := heapInUse()
	for i := 0; i < count; i++ {
		add(i)
	}
	bytes := float64(heapInUse()-before) / float64(count)
	runtime.KeepAlive(base)
	object := float64(unsafe.Sizeof(event.Event{}))
	return []figure{{"object", object}, {"heap", bytes - object}, {"bytes", bytes}}
}

type watchMemory struct {
	events uint32
}

func (m watchMemory) run(count int) []figure {
	base := newLoop().EventBase
	var fds []int
	for len(fds) < count {
		fds = append(fds, makeEventfd(0, 0))
	}
	return measureHeap(base, count, func(i int) {
		check(event.New(base, fds[i], m.events, ignore, nil).Attach(idleTimeout))
	})
}

type timerMemory struct{}

func (timerMemory) run(count int) []figure {
	base := newLoop().EventBase
	return measureHeap(base, count, func(int) {
		check(event.NewTimer(base, ignore, nil).Attach(time.Minute))
	})
}
