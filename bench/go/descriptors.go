// Descriptors that are readable or become so, and what watching them costs.
package main

import (
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/cheng-zhongliang/event"
)

const (
	efdSemaphore = 1
	idleTimeout  = 10 * time.Second

	watchRead = event.EvRead | event.EvPersist
	watchIdle = event.EvRead | event.EvPersist | event.EvTimeout
	watchOnce = event.EvRead
)

func makeEventfd(value, flags uintptr) int {
	fd, _, errno := syscall.Syscall(syscall.SYS_EVENTFD2, value,
		syscall.O_NONBLOCK|syscall.O_CLOEXEC|flags, 0)
	if errno != 0 {
		check(errno)
	}
	return int(fd)
}

func ignore(int, uint32, interface{}) {}

// passing is a row of descriptors with handlers that pass on what makes the next one readable.
type passing struct {
	loop  *loop
	fds   []int
	left  int
	token [8]byte
}

// watch is what a handler is given.
type watch struct {
	all   *passing
	i     int
	event *event.Event
}

func newPassing(size int, value, flags uintptr) *passing {
	p := &passing{loop: newLoop(), token: [8]byte{1}}
	for len(p.fds) < size {
		p.fds = append(p.fds, makeEventfd(value, flags))
	}
	return p
}

func (p *passing) watchAll(events uint32, handler func(int, uint32, interface{})) *passing {
	for i, fd := range p.fds {
		w := &watch{all: p, i: i}
		w.event = event.New(p.loop.EventBase, fd, events, handler, w)
		check(w.event.Attach(idleTimeout))
	}
	return p
}

// newReady has eventfds that are always readable, and that nobody reads.
func newReady(size int, events uint32) *passing {
	return newPassing(size, 1, 0).watchAll(events, onReady)
}

// newRing has eventfds of which each one's token goes to the next.
func newRing(size, active int, events uint32) *passing {
	p := newPassing(size, 0, efdSemaphore)
	for i := 0; i < active; i++ {
		p.put(i * size / active)
	}
	if events&event.EvPersist == 0 {
		return p.watchAll(events, onTokenOnce)
	}
	return p.watchAll(events, onToken)
}

func onReady(_ int, events uint32, arg interface{}) {
	arg.(*watch).all.count(events)
}

func onToken(_ int, events uint32, arg interface{}) {
	w := arg.(*watch)
	w.all.passOn(w.i)
	w.all.count(events)
}

func onTokenOnce(_ int, events uint32, arg interface{}) {
	w := arg.(*watch)
	w.all.passOn(w.i)
	check(w.event.Attach(0))
	w.all.count(events)
}

func (p *passing) passOn(i int) {
	if n, _ := syscall.Read(p.fds[i], p.token[:]); n != len(p.token) {
		return
	}
	if i++; i == len(p.fds) {
		i = 0
	}
	p.put(i)
}

func (p *passing) put(i int) {
	_, err := syscall.Write(p.fds[i], p.token[:])
	check(err)
}

func (p *passing) count(events uint32) {
	if events&event.EvTimeout != 0 {
		idleTimeoutCame()
	}
	if p.left--; p.left <= 0 {
		p.loop.stopped = true
	}
}

func (p *passing) run(operations int) []figure {
	p.left = operations
	watch := startStopwatch()
	p.loop.run()
	// The batch in which the loop is stopped is finished.
	return watch.perOperation(operations - p.left)
}

func idleTimeoutCame() {
	fmt.Fprintln(os.Stderr, "an idle timeout came: the machine is too slow for this workload")
	os.Exit(1)
}

// changes is a loop that has nothing to do.
type changes struct {
	loop     *loop
	changing *event.Event
	change   func(*changes)
}

func newChanges(change func(*changes)) *changes {
	l := newLoop()
	check(newSilent(l).Attach(0))
	return &changes{l, newSilent(l), change}
}

func newSilent(l *loop) *event.Event {
	return event.New(l.EventBase, makeEventfd(0, 0), watchRead, ignore, nil)
}

func (c *changes) look() {
	c.loop.poll()
}

func (c *changes) between() {
	check(c.changing.Attach(0))
	check(c.changing.Detach())
	c.loop.poll()
}

func (c *changes) waited() {
	check(c.changing.Attach(0))
	c.loop.poll()
	check(c.changing.Detach())
	c.loop.poll()
}

func (c *changes) run(operations int) []figure {
	watch := startStopwatch()
	for i := 0; i < operations; i++ {
		c.change(c)
	}
	return watch.perOperation(operations)
}

// serveIdle runs until the process is ended, with a timer that is not due for an hour.
func serveIdle() {
	l := newLoop()
	check(newSilent(l).Attach(0))
	check(event.NewTimer(l.EventBase, ignore, nil).Attach(time.Hour))
	fmt.Println("ready")
	check(l.Dispatch())
}
