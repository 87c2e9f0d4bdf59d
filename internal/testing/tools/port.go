package tools

import (
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
)

// given are the ports that this process has given out.
var given sync.Map

// Port is a TCP port of 127.0.0.1 on which nothing listens, for a server that is not in
// this process. It is none of those that the kernel gives to clients (32768 and above on
// Linux), so nobody takes it before the server is there; and no test of this process
// gets it too.
func Port() int {
	for {
		port := 10000 + rand.IntN(22000)
		if _, taken := given.LoadOrStore(port, true); taken {
			continue
		}
		if l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			l.Close()
			return port
		}
	}
}
