// Package console is the client that the command "socketcluster client" runs: it
// reads commands, one a line, from a terminal or a script, and prints what the
// server sends.
//
// In a script, the first command that fails ends the script, unless the next line
// expects its error. So a file of commands is a test of a server.
//
// # Ordering
//
// Commands run one after the other. What the server sends is recorded: the
// publications of a channel in order, and so all events. A line that expects something
// takes the first recorded thing that fits, and waits for it if there is none yet.
//
// # Limits
//
// The last 10,000 things are recorded, and of these the last that have 64 MiB
// together: older ones can be expected no more. In a terminal, the history of lines is
// kept in a file without those that log in or set a token.
package console
