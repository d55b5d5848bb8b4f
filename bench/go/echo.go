// A server that sends back what it gets, on the loopback interface, until its process is ended.
package main

import (
	"fmt"
	"syscall"

	"github.com/cheng-zhongliang/event"
)

type echoServer struct {
	loop    *loop
	message [64 * 1024]byte
}

type connection struct {
	server *echoServer
	event  *event.Event
}

// serveEcho says "ready" and the port, and never returns.
func serveEcho() {
	listener, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK, 0)
	check(err)
	check(syscall.Bind(listener, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	check(syscall.Listen(listener, 4096))
	address, err := syscall.Getsockname(listener)
	check(err)
	server := &echoServer{loop: newLoop()}
	check(event.New(server.loop.EventBase, listener, watchRead, onConnect, server).Attach(0))
	fmt.Println("ready", address.(*syscall.SockaddrInet4).Port)
	check(server.loop.Dispatch())
}

func onConnect(listener int, _ uint32, arg interface{}) {
	server := arg.(*echoServer)
	for {
		fd, _, err := syscall.Accept4(listener, syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC)
		if err != nil {
			return
		}
		check(syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1))
		c := &connection{server: server}
		c.event = event.New(server.loop.EventBase, fd, watchRead, onMessage, c)
		check(c.event.Attach(0))
	}
}

func onMessage(fd int, _ uint32, arg interface{}) {
	c := arg.(*connection)
	message := &c.server.message
	size, err := syscall.Read(fd, message[:])
	if err != nil {
		return
	}
	if size > 0 {
		if sent, _ := syscall.Write(fd, message[:size]); sent == size {
			return
		}
	}
	check(c.event.Detach())
	check(syscall.Close(fd))
}
