// Package simulation tests whole servers in memory. It consists only of tests.
//
// TestSimulation runs servers under schedules that are made from a seed, and
// checks what a login that has ended may still do; CONTRIBUTING explains its
// use. TestInterleavings compares a server with what its clients may believe,
// under random steps that rapid draws and can shrink.
package simulation
