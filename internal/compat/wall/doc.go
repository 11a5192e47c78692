// Package wall runs unmodified clients of other people against a server, each
// in a process of its own, and writes what works of each into the table of
// docs/COMPATIBILITY.md:
//
//	go test ./wall -wall.write
//
// Without that flag, the test fails where the table is not what it has seen.
//
// A client runs a scenario: it goes through the steps of the table, each of
// which it prints when it is done, as a line of JSON. A step that a client does
// not pass has its reason in the list of clients. One that fails without a reason
// fails the test, and so does one that works although there is a reason.
//
// A step that is known to fail gets little time, as it perhaps never ends.
package wall
