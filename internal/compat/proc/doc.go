// Package proc starts and stops the server processes that the compatibility
// tests and the benchmark talk to.
//
// A server process announces itself by printing one line "listening on
// <addr>" to its standard output, and ends with exit code 0 on SIGTERM. Start
// and Launch block until the announcement or until StartTimeout; Stop blocks
// until the process is gone, at most StopTimeout plus the time to kill it.
// Everything the process prints is kept, up to the last MaxLogs bytes. All
// methods may be called from several goroutines.
package proc
