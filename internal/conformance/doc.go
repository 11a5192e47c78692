// Command conformance counts how the rules of the protocol are decided.
//
// Each rule has an ID such as HS-11, listed in rules.tsv with its side and a
// title. A rule is decided if a test names it, if the tables of
// docs/PROTOCOL.md list it as a deviation, or if it leaves this project nothing
// to do:
//
//   - A rule of the server is tested by a Go test, in any module; a rule of the
//     clients by a test of the browser client or of package client. A test names a
//     rule in a string,
//     such as the name of a case, or in a comment at or in a declaration. "HS-1
//     to HS-3" names three rules. Benchmarks pin nothing.
//   - A deviation is a row of a table of docs/PROTOCOL.md whose first column is
//     headed Id. Letters alone stand for all rules of that chapter.
//   - A rule of the clients that no test names waits for the Go client.
//   - The rules of the side "other" are about the npm packages, their documents
//     or the terms that are used.
//
// The last two classes are those of the column Class in the table of
// docs/PROTOCOL.md whose first column is headed Rule. It names each of their
// rules, with the reason, and no other rules.
//
// Run it in the root of the repository. With -v it lists every rule with its
// tests; with -w it also writes the table into that document. The exit status
// is 1 if a rule is undecided, if the document gives no reason why a rule has
// no test, or if a test or the document names a rule that does not exist.
package main
