// The bench command compares the server of this project with the stock
// JavaScript server. It starts each as a child process, puts the same load on
// it and reports what the operation cost the server, as a markdown table or as
// JSON.
//
// The unit of the CPU columns is seconds of CPU time of the server process,
// user and system together and over all its threads, per million operations;
// that is the same number as microseconds per operation. Memory is resident
// memory (VmRSS) in bytes. Rates depend on how many cores are left to the
// load generator and are there for orientation only.
//
// Every measurement gets a server process of its own. Within a scenario the
// servers take turns for several rounds and the median counts, so that a slow
// drift of the machine hits both alike. All traffic stays on 127.0.0.1.
//
// Run it from internal/compat:
//
//	go run ./bench [-duration 5s] [-connections 2000] [-rounds 2] [-only go|js] [-run regexp] [-json]
//
// It runs on Linux only, because it reads the CPU clock of another process
// and /proc.
package main
