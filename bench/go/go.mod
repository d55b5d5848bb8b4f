module bench

go 1.19

// The commit that this library was modelled on.
require github.com/cheng-zhongliang/event 963def2
