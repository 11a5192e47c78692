// Package simulation runs whole servers in memory, under schedules that are made
// from a seed, and checks what a login that has ended may still do. It consists
// of tests alone; see TestSimulation, and CONTRIBUTING for how to use it.
package simulation
