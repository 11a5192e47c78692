// Package simulation tests whole servers in memory. It consists only of tests.
//
// TestSimulation runs servers under schedules that are made from a seed, and
// checks what a login that has ended may still do; CONTRIBUTING explains its
// use. TestStates and TestInterleavings compare a server with what its clients
// may believe, under random steps that rapid draws and can shrink: TestStates
// after each step, TestInterleavings while many steps are under way.
package simulation
