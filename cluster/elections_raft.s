//go:build socketcluster_elections

// Without a file in assembly, the compiler refuses a function without a body
// (elections_raft.go).
