// Package sctest is the client with which this repository is tested. It sends
// exactly the bytes of the test, and shows what arrives.
//
// [Conn] is the connection alone. It reads only when it is called, returns
// errors, and does not need a test, so benchmarks and attackers can use it.
// [Client] is a Conn that fails its test, numbers its calls, and finds answers
// and events among the messages that arrive. A client that follows reads in the
// background and answers pings by itself, so it stays connected while the test
// waits. A client that does not follow leaves the bytes in the connection until
// the test reads them.
//
// Both work over any net.Conn, even in a bubble of testing/synctest, where the
// connection must come from internal/memnet. A Client is for one goroutine, but
// several may send messages.
//
// Frames come from gobwas/ws, not from internal/ws, which is under test.
package sctest
