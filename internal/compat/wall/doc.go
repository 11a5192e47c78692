// Package wall runs unmodified programs of other people against this server, and
// writes what works of each into the tables of docs/COMPATIBILITY.md:
//
//	go test ./wall -wall.write
//
// Without that flag, the test fails where a table is not what it has seen.
//
// TestClients runs clients, each in a process of its own that goes through one
// scenario: the steps of the table, each of which it prints when it is done, as a
// line of JSON. A step that a client does not pass has its reason in the list of
// clients. One that fails without a reason fails the test, and so does one that
// works although there is a reason. A step that is known to fail gets little
// time, as it perhaps never ends.
//
// TestDevTools runs Redux DevTools against examples/redux-devtools: applications
// in Node.js with one package after the other, and the monitor in Chromium.
package wall
