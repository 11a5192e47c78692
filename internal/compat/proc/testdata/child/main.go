// The child process of the tests of proc. MODE chooses how it misbehaves.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	mode := os.Getenv("MODE")
	fmt.Fprintln(os.Stderr, "child in mode", mode)
	switch mode {
	case "silent":
		return
	case "badstart":
		os.Exit(3)
	}
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	fmt.Println("listening on 127.0.0.1:1234")
	if mode == "crash" {
		os.Exit(4)
	}
	<-term
	if mode == "badstop" {
		os.Exit(5)
	}
}
