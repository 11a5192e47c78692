// Command conformance counts how the rules of the protocol are decided.
//
// Each rule has an id such as HS-11, listed in rules.tsv with the side that it
// is about and a title. A rule is decided when a test names it, when the tables
// of docs/PROTOCOL.md list it as a deviation, or when it leaves this project
// nothing to do:
//
//   - A rule of the server is tested by a test of Go, in any module; a rule of
//     the client by one of the browser client's. A test names a rule in a string,
//     such as the name of a case, or in a comment at or in a declaration. "HS-1 to
//     HS-3" names three rules. Benchmarks pin nothing.
//   - A deviation is a row of a table of docs/PROTOCOL.md whose first column is
//     headed Id. Letters alone stand for all rules of that chapter.
//   - A rule of the client that no test names waits for the Go client.
//   - The rules of the side "other" speak of the npm packages, their documents or
//     the terms that are used.
//
// The last two classes are those of the column Class in the table of
// docs/PROTOCOL.md whose first column is headed Rule. It names each of their
// rules, with the reason, and no others.
//
// It is run in the root of the repository. With -v it lists every rule with its
// tests, with -w it also puts the table into that document. The exit status is 1
// when a rule is undecided, when the document does not say why a rule has no test,
// or when a test or the document names one that is not there.
package main
