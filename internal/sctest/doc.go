// Package sctest is the client with which this repository is tested: it sends what
// a test says, byte for byte, and shows what comes.
//
// [Conn] is the connection alone. It reads when it is told to, returns errors, and
// knows no test, so that benchmarks and attackers can use it. [Client] is a Conn
// that fails its test, numbers its calls, and finds answers and events among what
// comes; one that follows reads in the background and answers pings by itself, so
// that it stays connected while the test waits. What follows nothing leaves the
// bytes in the connection until the test asks for them.
//
// Both work over any net.Conn, also in the bubble of testing/synctest, where the
// connection must be of internal/memnet. A Client is for one goroutine. Messages may
// be sent from several.
//
// Frames are those of gobwas/ws, not of internal/ws, which is under test.
package sctest
