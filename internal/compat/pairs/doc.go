// Package pairs runs one table of cases with pairs of clients and servers: the
// Go client with socketcluster-server 20 and 14 and with this module's server,
// and socketcluster-client with this module's server.
//
// A case is a list of steps. A step has a name and arguments in JSON, and an end
// that is a value or an error in JSON, so that both clients run the same ones:
// js/client.mjs and goclient_test.go have the same steps. The three servers
// offer the same procedures, which js/procedures.js describes.
//
// The clients of all cases of a pairing share a server process, except where the
// case kills it. Cases wait for what they compare, and never for a time.
//
// docs/COMPATIBILITY.md has the table of the results. After a change of the
// cases, write it by
//
//	go test ./pairs -run TestDocument -w
package pairs
