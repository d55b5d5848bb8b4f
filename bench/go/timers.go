// Timers: many of them are added, pushed back, cancelled, and fire; and how late one of them is.
package main

import (
	"math/rand"
	"time"

	"github.com/cheng-zhongliang/event"
)

// between is a time from the first up to the second.
func between(random *rand.Rand, least, most time.Duration) time.Duration {
	return least + time.Duration(random.Int63n(int64(most-least)+1))
}

// drawDelays draws a delay for each of count timers, once for so many that are next to each other.
func drawDelays(random *rand.Rand, count, shared int, least, most time.Duration) []time.Duration {
	delays := make([]time.Duration, count)
	for i := range delays {
		if i%shared == 0 {
			delays[i] = between(random, least, most)
		} else {
			delays[i] = delays[i-1]
		}
	}
	return delays
}

// cycles is how often all of so many timers are gone through.
func cycles(operations, timers int) int {
	if operations < timers {
		return 1
	}
	return operations / timers
}

// timers has cycles: all are added, pushed back in random order, and cancelled in another.
type timers struct {
	loop       *loop
	events     []*event.Event
	delays     []time.Duration
	order      []int
	otherOrder []int
}

func newTimers(count, shared int) *timers {
	random := rand.New(rand.NewSource(42))
	t := &timers{loop: newLoop()}
	for len(t.events) < count {
		t.events = append(t.events, event.NewTimer(t.loop.EventBase, onTooLate, nil))
	}
	t.delays = drawDelays(random, count, shared, 5*time.Second, time.Minute)
	t.order, t.otherOrder = random.Perm(count), random.Perm(count)
	return t
}

func onTooLate(int, uint32, interface{}) {
	idleTimeoutCame()
}

func (t *timers) run(operations int) []figure {
	rounds := cycles(operations, len(t.events))
	var add, later, cancel time.Duration
	for i := 0; i < rounds; i++ {
		t.loop.refresh()
		add += t.addAll()
		later += t.pushAllBack()
		cancel += t.cancelAll()
	}
	all := rounds * len(t.events)
	return []figure{
		{"ops", float64(all)},
		{"add", each(add, all)},
		{"later", each(later, all)},
		{"cancel", each(cancel, all)},
	}
}

func (t *timers) addAll() time.Duration {
	start := time.Now()
	for i, timer := range t.events {
		check(timer.Attach(t.delays[i]))
	}
	return time.Since(start)
}

// pushAllBack has nothing better than to cancel and to add.
func (t *timers) pushAllBack() time.Duration {
	start := time.Now()
	for _, i := range t.order {
		check(t.events[i].Detach())
		check(t.events[i].Attach(t.delays[i] + time.Minute))
	}
	return time.Since(start)
}

func (t *timers) cancelAll() time.Duration {
	start := time.Now()
	for _, i := range t.otherOrder {
		check(t.events[i].Detach())
	}
	return time.Since(start)
}

// firing has cycles: all are added, slept for until they are due, and run until all have fired.
type firing struct {
	loop   *loop
	events []*event.Event
	delays []time.Duration
	left   int
}

func newFiring(count, shared int) *firing {
	random := rand.New(rand.NewSource(42))
	f := &firing{loop: newLoop()}
	for len(f.events) < count {
		f.events = append(f.events, event.NewTimer(f.loop.EventBase, onFired, f))
	}
	f.delays = drawDelays(random, count, shared, time.Millisecond, 3*time.Millisecond)
	return f
}

func onFired(_ int, _ uint32, arg interface{}) {
	f := arg.(*firing)
	if f.left--; f.left == 0 {
		f.loop.stopped = true
	}
}

func (f *firing) run(operations int) []figure {
	rounds := cycles(operations, len(f.events))
	var took time.Duration
	for i := 0; i < rounds; i++ {
		f.loop.refresh()
		for t, timer := range f.events {
			check(timer.Attach(f.delays[t]))
		}
		time.Sleep(10 * time.Millisecond) // as long as in ../workloads/timers.hpp
		f.left = len(f.events)
		start := time.Now()
		f.loop.run()
		took += time.Since(start)
	}
	all := rounds * len(f.events)
	return []figure{{"ops", float64(all)}, {"fire", each(took, all)}}
}

// lateness has one timer after the other.
type lateness struct {
	loop   *loop
	timer  *event.Event
	random *rand.Rand
	due    time.Time
	left   int
	late   []figure
}

func newLateness() *lateness {
	l := &lateness{loop: newLoop(), random: rand.New(rand.NewSource(42))}
	l.timer = event.NewTimer(l.loop.EventBase, onDue, l)
	return l
}

func (l *lateness) start() {
	delay := between(l.random, 200*time.Microsecond, 20*time.Millisecond)
	l.due = time.Now().Add(delay)
	check(l.timer.Attach(delay))
}

func onDue(_ int, _ uint32, arg interface{}) {
	l := arg.(*lateness)
	l.late = append(l.late, figure{"late", each(time.Since(l.due), 1000)})
	if l.left--; l.left == 0 {
		l.loop.stopped = true
	} else {
		l.start()
	}
}

// In microseconds, below zero if early.
func (l *lateness) run(operations int) []figure {
	l.left, l.late = operations, nil
	before := cpuTime()
	l.loop.refresh()
	l.start()
	l.loop.run()
	return append(l.late, figure{"cpu", each(cpuTime()-before, 1000*operations)})
}
