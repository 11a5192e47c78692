// Package simulation tests whole servers in memory. It consists of tests alone.
//
// TestSimulation runs servers under schedules that are made from a seed, and checks
// what a login that has ended may still do; CONTRIBUTING says how to use it.
// TestStates and TestInterleavings compare a server with what its clients may believe,
// under random steps that rapid draws and can shrink: the first after each step, the
// second while many are under way.
package simulation
